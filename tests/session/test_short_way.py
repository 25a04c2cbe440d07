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


def ticker(row: str, after: str = "") -> str:
    """A push of these rows, as JSON, with something more behind them."""
    return '{"arg":{"channel":"tickers","instId":"L0001-USDT"},"data":[' + row + "]" + after + "}"


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


USUAL = '{"instId":"L0001-USDT","last":"1","ts":"1"}'
NEXT = '{"instId":"L0001-USDT","last":"2","ts":"2"}'
BEFORE, AFTER = json.loads(USUAL), json.loads(NEXT)

ODD = {
    "two rows": (ticker(f"{USUAL},{NEXT}"), AFTER),
    "more behind the data": (ticker(NEXT, ',"more":[{"a":"b"}]'), AFTER),
    "more arrays behind the data": (ticker(NEXT, ',"more":[{"last":"3"}'), None),
    "blanks": (ticker(NEXT).replace(":", ": "), AFTER),
    "a quote in a value": (ticker(NEXT.replace('"2"', r'"\"2"', 1)), AFTER | {"last": '"2'}),
    "an escaped character": (ticker(NEXT.replace('"2"', r'"\u0041"', 1)), AFTER | {"last": "A"}),
    "a control character": (ticker(NEXT.replace('"2"', '"\x01"', 1)), None),
    "no ASCII": (ticker(NEXT.replace('"2"', '"二"', 1)), AFTER | {"last": "二"}),
    "a number": (ticker(NEXT.replace('"2"', "2", 1)), AFTER),
    "a field less": (ticker('{"instId":"L0001-USDT","ts":"2"}'), {"instId": "L0001-USDT", "ts": "2"}),
    "a field more": (ticker(NEXT.replace("{", '{"new":"x",')), AFTER | {"new": "x"}),
    "another order": (ticker('{"last":"2","ts":"2","instId":"L0001-USDT"}'), AFTER),
    "a long value": (ticker(NEXT.replace('"2"', f'"{"2" * 5000}"', 1)), AFTER | {"last": "2" * 5000}),
    "the mark of the data in a value": (
        ticker(NEXT.replace('"2"', r'"\",\"data\":[2"', 1)),
        AFTER | {"last": '","data":[2'},
    ),
    "cut off": (ticker(NEXT)[:-2], None),
    "one bracket too many": (ticker(NEXT, "]"), None),
    "no object": (ticker(NEXT[1:]), None),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_row_alone(hold: Callable[..., Held], loaded: Simulator, odd: str) -> None:
    """After usual rows one comes that is not: all of it is stored and published, or, if it makes no sense, nothing."""
    text, stored = ODD[odd]
    held = hold(ws_url=loaded.ws_url, rest_url=loaded.rest_url, backfill=0)
    assert held.subscribe("tickers:L0001-USDT")["errorCode"] == 80000
    key, last = held.data.of("tickers:L0001-USDT"), USUAL.replace('"ts":"1"', '"ts":"3"')
    channel = held.data.of("tickers")
    with Listener(held.registry.settings.redis_url, channel, key) as heard:
        for _ in range(2):
            loaded.fault("send", path="public", text=ticker(USUAL))
        eventually(lambda: held.redis.hgetall(key) == BEFORE and len(heard.messages(channel)) == 2, what="usual rows")
        loaded.fault("send", path="public", text=text)
        if stored is not None:
            eventually(lambda: held.redis.hgetall(key) == stored, what="the odd one")
        else:
            eventually(lambda: _rubbish(held) == 1, what="it is counted")
            assert held.redis.hgetall(key) == BEFORE
        loaded.fault("send", path="public", text=ticker(last))
        eventually(lambda: held.redis.hgetall(key) == json.loads(last), what="the last one")
        published = 4 if stored is not None else 3
        pushes = eventually(lambda: len(heard.messages(channel)) >= published and heard.messages(channel))
        assert len(pushes) == published
        rows = [row for push in pushes for row in push["data"]]
        assert eventually(lambda: len(heard.messages(key)) >= len(rows) and heard.messages(key)) == rows
    assert loaded.connects == 1
    assert held.topic("tickers:L0001-USDT")["state"] == "live"


def _rubbish(held: Held) -> int:
    return sum(json.loads(held.redis.get(held.keys.counters) or "{}").get("rubbish", {}).values())


def test_few_and_many_together(hold: Callable[..., Held], loaded: Simulator) -> None:
    """Reads of one message, of a few and of many, with one topic several times in each: what is stored is the last."""
    held = hold(ws_url=loaded.ws_url, rest_url=loaded.rest_url, backfill=0)
    assert held.subscribe("tickers:L0001-USDT", "trades:L0001-USDT")["errorCode"] == 80000
    key, stream = held.data.of("tickers:L0001-USDT"), held.data.of("trades:L0001-USDT")
    number, wanted = 2_000_000_000, []
    with Listener(held.registry.settings.redis_url, held.data.of("tickers")) as pushes:
        for size in (1, 3, 40, 2, 16, 17, 1):
            texts = []
            for _ in range(size):
                number += 1
                wanted.append(str(number))
                texts += [ticker(USUAL.replace('"1"', f'"{number}"')), trade(number)]
            loaded.fault("together", path="public", texts=texts)
            eventually(lambda last=str(number): held.redis.hget(key, "last") == last, what=f"the last of {size}")
        eventually(lambda: held.redis.xlen(stream) == len(wanted), what="all trades")
        eventually(lambda: len(pushes.messages()) >= len(wanted), what="all pushes")
        assert [push["data"][0]["last"] for push in pushes.messages()] == wanted
    assert [json.loads(fields["data"])["tradeId"] for _, fields in held.redis.xrange(stream)] == wanted


def test_redis_stands_still_again_and_again(hold: Callable[..., Held], loaded: Simulator) -> None:
    """Pushes that come while Redis has not answered yet: each is stored and published once, in its order."""
    held = hold(ws_url=loaded.ws_url, rest_url=loaded.rest_url, backfill=0)
    assert held.subscribe("trades:L0001-USDT")["errorCode"] == 80000
    stream, number, wanted = held.data.of("trades:L0001-USDT"), 2_000_000_000, []
    with Listener(held.registry.settings.redis_url, held.data.of("trades")) as pushes:
        for _ in range(5):
            held.redis.client_pause(100)
            for _ in range(20):
                number += 1
                wanted.append(str(number))
                assert loaded.fault("send", path="public", text=trade(number)).hits
        eventually(lambda: held.redis.xlen(stream) == len(wanted), what="all trades")
        eventually(lambda: len(pushes.messages()) >= len(wanted), what="all pushes")
        assert [push["data"][0]["tradeId"] for push in pushes.messages()] == wanted
    assert [json.loads(fields["data"])["tradeId"] for _, fields in held.redis.xrange(stream)] == wanted
