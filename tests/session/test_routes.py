"""Pushes whose arg lacks keys of the subscription (PROTOCOL 4): their rows say which topic they are for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from session.holding import DEMO, Held
from session.listening import Listener
from waiting import eventually

from okws_celery.feeds import Route, feed_of
from okws_celery.okx.messages import decode_push
from okws_celery.okx.topics import parse_topic
from okws_celery.query import Reader
from okws_celery.session.entry import Entry
from okws_celery.session.routes import Routes
from okws_celery.simulator import Simulator

Hold = Callable[..., Held]
SWAPS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")


def say(simulator: Simulator, path: str, arg: dict[str, str], *rows: dict[str, Any], **more: Any) -> None:
    """Have the exchange push these rows."""
    frame = json.dumps({"arg": arg, **more, "data": list(rows)})
    assert simulator.fault("send", path=path, text=frame).hits


def test_one_instrument_of_several(hold: Hold, simulator: Simulator) -> None:
    """Each row stands under its own instrument; the push is published once, as it was sent."""
    held = hold()
    topics = [f"block-tickers:{inst_id}" for inst_id in SWAPS]
    held.subscribe(*topics)
    rows = [{"instType": "SWAP", "instId": inst_id, "vol24h": vol} for inst_id, vol in zip(SWAPS, "12", strict=True)]
    with Listener(held.registry.settings.redis_url, held.data.of("block-tickers")) as listener:
        say(simulator, "business", {"channel": "block-tickers"}, *rows[::-1])
        say(simulator, "business", {"channel": "block-tickers"}, rows[1])
        eventually(lambda: len(listener.messages()) == 2)
        assert [push["data"] for push in listener.messages()] == [rows[::-1], rows[1:]]
    assert [held.redis.hget(held.data.of(topic), "vol24h") for topic in topics] == ["1", "2"]


def test_a_snapshot_of_one_topic_ends_no_row_of_another(hold: Hold, simulator: Simulator) -> None:
    """Two topics of positions, each of a contract, or of a family."""
    held = hold(credentials=DEMO)
    topics = ["positions:instType=SWAP,instFamily=BTC-USDT", "positions:instType=SWAP,instFamily=ETH-USDT"]
    assert held.subscribe(*topics)["errorCode"] == 80000
    reader = Reader(held.registry.settings, held.redis)
    for number, inst_id in enumerate(SWAPS):
        row = {"instType": "SWAP", "instId": inst_id, "posId": str(number), "pos": "1", "uTime": "1"}
        page = {"eventType": "snapshot", "curPage": 1, "lastPage": True}
        say(simulator, "private", {"channel": "positions", "instType": "SWAP"}, row, **page)
        eventually(lambda number=number: str(number) in reader.get(held.name, "positions"))
    assert reader.get(held.name, "positions").keys() == {"0", "1"}
    assert [list(reader.get(held.name, topic)) for topic in topics] == [["0"], ["1"]]


@pytest.mark.parametrize(
    ("topic", "at_once"),
    [
        ("tickers:BTC-USDT", True),
        ("trades:BTC-USDT", True),
        ("bbo-tbt:BTC-USDT", True),
        ("candle1m:BTC-USDT", True),
        ("sprd-public-trades:BTC-USDT_BTC-USDT-SWAP", True),
        ("books:BTC-USDT", False),
        ("option-trades:instType=OPTION,instFamily=BTC-USD", False),
        ("spot/ticker:BTC-USDT", False),
    ],
)
def test_rows_that_are_written_at_once(topic: str, at_once: bool) -> None:
    """From the second push on what leads to a topic's data is known, if it has a way for single rows; not before, and
    not when the topic has gone."""
    parsed = parse_topic(topic)
    entry = Entry(parsed, feed_of(Route(parsed, "okex/N/")))
    routes = Routes("okex/N/", publishes=True)
    routes.add(entry)
    frame = json.dumps({"arg": parsed.v5.arg_object, "data": [{}]}, separators=(",", ":")).encode()
    head, _, _ = frame.partition(b',"data":[')
    assert not routes.direct
    assert [served.entry for served in routes.find(bytes(decode_push(frame).arg))] == [entry]
    assert [found for _, found in [routes.direct[head]]] == [entry] if at_once else not routes.direct
    routes.remove(entry)
    assert not routes.direct
