"""What goes the short way, and what comes in the middle of it: every message counts once, in its order."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from session.holding import Held
from session.listening import Listener
from waiting import eventually

from okws_celery.simulator import Simulator

INSTRUMENTS = 3


@pytest.fixture
def loaded() -> Iterator[Simulator]:
    """An exchange that says only what it is asked to."""
    with Simulator(limits=False, load={"instruments": INSTRUMENTS, "mix": {"tickers": 1, "trades": 1}}) as running:
        yield running


def trade(number: int, **more: Any) -> str:
    """A push of one trade."""
    row = {"instId": "L0001-USDT", "tradeId": str(number), "px": "1", "sz": "1", "side": "buy", "ts": str(number)}
    arg = {"channel": "trades", "instId": "L0001-USDT"}
    return json.dumps({"arg": arg, "data": [row | more]}, separators=(",", ":"), ensure_ascii=False)


RUBBISH = (
    '{"arg":{"channel":"trades","instId":"L0001-USDT"},"data":[{"instId":7',
    '{"arg":{"channel":"trades","instId":"L0001-USDT"},"data":[[1],null]}',
    '{"event":"notice","code":"0","msg":"nothing to worry about"}',
    '{"arg":{"channel":"mystery"},"data":[{"new":"1"}]}',
    "[]",
)


@pytest.mark.parametrize("seed", range(3))
def test_anything_between(hold: Callable[..., Held], loaded: Simulator, seed: int) -> None:
    """Trades with rubbish, events, repeats, rows of two and words that are not ASCII between them, in one TCP segment:
    each trade is stored once and published once, in its order, and the connection lives on."""
    dice = random.Random(seed)
    held = hold(ws_url=loaded.ws_url, rest_url=loaded.rest_url, backfill=0)
    assert held.subscribe("trades:L0001-USDT")["errorCode"] == 80000
    first = 2_000_000_000
    texts, wanted = [], []
    for number in range(first, first + 200):
        wanted.append(number)
        texts.append(trade(number, note="成交") if dice.random() < 0.2 else trade(number))
        if dice.random() < 0.2:
            texts.append(texts[-1])
        if dice.random() < 0.3:
            texts.append(dice.choice(RUBBISH))
    with Listener(held.registry.settings.redis_url, held.data.of("trades:L0001-USDT")) as listener:
        loaded.fault("together", path="public", texts=texts)
        stream = held.data.of("trades:L0001-USDT")
        eventually(lambda: held.redis.xlen(stream) >= len(wanted), what="all of them")
        stored = [int(json.loads(fields["data"])["tradeId"]) for _, fields in held.redis.xrange(stream)]
        assert stored == wanted
        eventually(lambda: len(listener.messages()) >= len(wanted))
        assert [int(message["tradeId"]) for message in listener.messages()] == wanted
    assert loaded.connects == 1
    assert held.topic("trades:L0001-USDT")["state"] == "live"


def test_a_burst_is_whole(hold: Callable[..., Held], loaded: Simulator) -> None:
    """30,000 messages as fast as they are read: no trade is missing, and each ticker is the last that was sent."""
    held = hold(ws_url=loaded.ws_url, rest_url=loaded.rest_url, backfill=0)
    names = [f"L000{number}-USDT" for number in range(1, INSTRUMENTS + 1)]
    topics = [f"{channel}:{name}" for name in names for channel in ("tickers", "trades")]
    assert held.subscribe(*topics)["errorCode"] == 80000
    loaded.burst(30_000)
    each = 30_000 // 2 // INSTRUMENTS
    for name in names:
        eventually(lambda name=name: held.redis.xlen(held.data.of(f"trades:{name}")) == each, what=name, timeout=30)
    sent = loaded.load_state()["last_sent_us"]
    for name in names:
        ticker = held.data.of(f"tickers:{name}")
        # The last chunk went out at one time; each instrument's last ticker is in it.
        assert eventually(lambda ticker=ticker: held.redis.hget(ticker, "sent") == str(sent), what=ticker)
