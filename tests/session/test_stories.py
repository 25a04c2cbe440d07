"""What happened to users of comparable systems, each as a test of the same name."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Callable
from itertools import product

import pytest
from session.holding import DEMO, FastClock, Held
from session.listening import Listener
from waiting import eventually

from okws_celery.okx.login import Credentials
from okws_celery.session import Ending
from okws_celery.simulator import Simulator
from okws_celery.store.registry import DEFAULT_OWNER, Command, now_ms

ACK_LATE_S = 2.0
COINS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP")
BARS = "1m 3m 5m 15m 30m 1H 2H 4H 6H 12H 1D 1W 1M".split()
CHANNELS = ("tickers", "trades", "books5", "bbo-tbt", *(f"candle{bar}" for bar in BARS))
TOPICS = [f"{channel}:{coin}" for channel, coin in product(CHANNELS, COINS)][:100]


def test_unsubscribed_then_subscribed_and_the_new_subscription_dies(
    hold: Callable[..., Held], simulator: Simulator
) -> None:
    """DEMAND story 18: the ack of an unsubscribe comes 2 s late, and the topic is subscribed in between, at a hundred
    moments, each with a topic of its own. All end subscribed and flowing, and what `okex/N/topics` says is true at
    every step."""
    held = hold()
    assert held.subscribe(*TOPICS, wait=30.0)["errorCode"] == 80000
    simulator.fault("late_ack", op="unsubscribe", seconds=ACK_LATE_S)
    chance = random.Random(18)
    moments: list[tuple[float, str, str]] = []
    for topic in TOPICS:
        leaves = chance.uniform(0.0, 1.0)
        moments += [
            (leaves, "unsubscribe", topic),
            (leaves + chance.uniform(0.0, 1.1 * ACK_LATE_S), "subscribe", topic),
        ]
    moments.sort()
    asked: dict[str, Command] = {}

    def true(topic: str) -> bool:
        return (held.topic(topic).get("state") == "live") <= (simulator.subscribed(topic) == 1)

    def look() -> None:
        states = held.redis.hgetall(held.data.topics)
        assert not [topic for topic, state in states.items() if '"refused"' in state]
        for topic in asked:
            if '"live"' in states.get(topic, "") and not true(topic):
                # Between the two looks it may have changed; what stays untrue is a lie.
                eventually(lambda topic=topic: true(topic), timeout=5, what=f"{topic} is as live as it says")

    begun = time.monotonic()

    def look_until(moment: float) -> None:
        while time.monotonic() - begun < moment:
            look()

    for moment, op, topic in moments:
        look_until(moment)
        command = Command(op, now_ms() + 30_000, topics=[topic])
        if op == "subscribe":
            asked[topic] = command
            held.registry.want(held.name, [topic], DEFAULT_OWNER, None, command)
        else:
            held.registry.unwant(held.name, [topic], DEFAULT_OWNER, command)
    for topic, command in asked.items():
        said = held.registry.wait_reply(held.name, command.id, 30.0)
        assert said is not None, topic
        assert said["errorCode"] == 80000, said
    look_until(moments[-1][0] + ACK_LATE_S + 1.0)  # by then every ack has come
    settled = now_ms()
    assert [held.topic(topic).get("state") for topic in TOPICS] == ["live"] * len(TOPICS)
    assert [simulator.subscribed(topic) for topic in TOPICS] == [1] * len(TOPICS)
    for topic in TOPICS:
        eventually(
            lambda topic=topic: int(held.redis.hget(held.data.seen, topic) or 0) > settled,
            timeout=20,
            what=f"{topic} flows",
        )


def test_a_topic_stands_still_while_all_else_goes_on(hold: Callable[..., Held], simulator: Simulator) -> None:
    """One topic of candles dies; pongs and other topics go on. STALE, one new subscription, LIVE, and the candles that
    closed meanwhile come from REST; the link is not touched. (The session's clock runs ten times as fast.)"""
    held = hold(clock=FastClock(10))
    assert held.subscribe("candle1s:BTC-USDT", "candle1s:ETH-USDT", wait=100.0)["errorCode"] == 80000
    eventually(lambda: held.topic("candle1s:BTC-USDT")["state"] == "live")
    before, connects = len(simulator.requests), simulator.connects
    with Listener(held.registry.settings.redis_url, held.data.event) as listener:
        simulator.fault("topic_dead", arg="candle1s:BTC-USDT")
        filled = eventually(lambda: [gap for gap in listener.ops("GAP") if gap["to"]], timeout=40)
        told = [(said["op"], said["topic"]) for said in listener.ops("STALE", "LIVE")]
    assert told == [("STALE", "candle1s:BTC-USDT"), ("LIVE", "candle1s:BTC-USDT")]
    assert [(gap["topic"], gap.get("filled")) for gap in filled] == [("candle1s:BTC-USDT", True)]
    assert [(r.op, len(r.args)) for r in simulator.requests[before:]] == [("unsubscribe", 1), ("subscribe", 1)]
    assert simulator.connects == connects
    starts = [int(at) for _, at in held.redis.zrange(held.data.of("candle1s:BTC-USDT"), 0, -1, withscores=True)]
    assert starts == list(range(starts[0], starts[-1] + 1000, 1000))


def test_the_watchdog_leaves_quiet_markets_alone(redis_url: str) -> None:
    """An option that trades once in ten minutes, for an hour of its market: no new connection, no STALE, no new
    subscription. (The market runs 120 times as fast; the session's clock 30 times, so a quarter of an hour for it.)"""
    with Simulator(limits=False, speed=120) as market:
        held = Held(redis_url, market.ws_url, rest_url=market.rest_url, clock=FastClock(30))
        option = _quietest(market)
        topics = [f"{channel}:{option}" for channel in ("trades", "tickers", "books", "mark-price", "open-interest")]
        assert held.subscribe("opt-summary:BTC-USD", *topics, wait=300.0)["errorCode"] == 80000
        asked = len(market.requests)
        with Listener(redis_url, held.data.event) as listener:
            end = time.monotonic() + 3600 / 120
            while time.monotonic() < end:
                assert listener.ops("STALE", "GAP", "DISCONNECTED") == []
                time.sleep(0.2)
        assert (market.connects, len(market.requests)) == (1, asked)
        assert 0 < held.redis.xlen(held.data.of(topics[0])) < 60
        assert held.close() is Ending.CLOSED


def _quietest(market: Simulator) -> str:
    asked = f"{market.rest_url}/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD"
    with urllib.request.urlopen(asked) as said:
        rows = json.load(said)["data"]
    return str(max(rows, key=lambda row: int(row["expTime"]))["instId"])


def test_a_broken_book_is_not_served(hold: Callable[..., Held], simulator: Simulator) -> None:
    """A gap, and then the exchange freezes: whoever heard the frame behind the gap finds no book that is live."""
    held = hold()
    book, key = "books:BTC-USDT", held.data.of("books:BTC-USDT")
    held.subscribe(book)
    eventually(lambda: held.redis.hget(key, "state") == "live")
    row = {"asks": [], "bids": [], "ts": "1", "checksum": 0, "prevSeqId": 10**15, "seqId": 10**15 + 1}
    frame = {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": "update", "data": [row]}
    with Listener(held.registry.settings.redis_url, held.data.of("books")) as listener:
        simulator.fault("late_ack", op="unsubscribe", seconds=None)  # lest it be quicker than the next but one line
        simulator.fault("send", text=json.dumps(frame))
        simulator.fault("half_open")
        eventually(lambda: [push for push in listener.messages() if push["data"][0]["seqId"] == 10**15 + 1])
        # Who is woken by a push finds the state after it, and nothing puts it right while the exchange is silent.
        for _ in range(200):
            assert held.redis.hget(key, "state") == "stale"
            assert held.topic(book)["state"] == "stale"


def test_subscribed_again_and_some_are_missing(hold: Callable[..., Held], simulator: Simulator) -> None:
    """After a cut some of 25 topics are refused as too frequent, and three later once more, without a word which:
    in the end what is wanted is subscribed and flows, at a small part of the requests that an hour may have."""
    held = hold()
    topics = [topic for topic in TOPICS if topic.startswith(("tickers", "trades", "books5", "bbo"))]
    topics = [*topics, "index-tickers:BTC-USDT"][:25]
    assert held.subscribe(*topics, wait=30.0)["errorCode"] == 80000
    before = len(simulator.requests)
    simulator.fault("refuse", code=60014, text="Requests too frequent.", times=10)
    late = simulator.fault("refuse", arg="tickers:ETH-USDT", code=60011, text="Please log in.", late_s=1.0, times=1)
    simulator.drop("public")
    eventually(lambda: late.hits == 1, timeout=30, what="the error after the ack")
    cut = now_ms()
    eventually(
        lambda: (
            [(t, n) for t in topics if (n := simulator.subscribed(t)) != 1] == []
            and [t for t in topics if held.topic(t)["state"] != "live"] == []
            and [t for t in topics if int(held.redis.hget(held.data.seen, t) or 0) <= cut] == []
        ),
        timeout=60,
        what="all are subscribed, live and flow",
    )
    assert len(simulator.requests) - before < 30


def test_private_channels_after_a_reconnect(hold: Callable[..., Held], simulator: Simulator) -> None:
    """The login's ack comes 3 s late after a cut: no private channel is asked for before it, and all flow after it."""
    held = hold(credentials=DEMO)
    held.opened()
    topics = ["account", "positions:ANY", "orders:ANY", "balance_and_position"]
    assert held.subscribe(*topics)["errorCode"] == 80000
    (old,) = simulator.connections("private")
    late = simulator.fault("late_ack", op="login", seconds=3.0)
    simulator.drop("private")
    simulator.wait_subscribed(*topics, timeout=30)
    (new,) = simulator.connections("private")
    assert next(r.op for r in simulator.requests if r.conn_id == new.conn_id) == "login"
    assert (late.hits, new.conn_id != old.conn_id) == (1, True)
    eventually(lambda: [t for t in topics if held.topic(t)["state"] != "live"] == [], timeout=20)
    placed = now_ms()
    (ord_id,) = simulator.place(instId="BTC-USDT", side="buy", ordType="limit", px="1000", sz="1")
    eventually(lambda: held.redis.hexists(held.data.of("orders"), ord_id), what="orders flow")
    simulator.fill(ord_id)
    for topic in ("account", "balance_and_position"):
        eventually(
            lambda topic=topic: int(held.redis.hget(held.data.seen, topic)) > placed,
            what=f"{topic} flows",
        )


@pytest.mark.parametrize("code", [60024, 60032])
def test_a_wrong_key_is_tried_once(
    hold: Callable[..., Held], simulator: Simulator, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """DEMAND story 19, wrong password or wrong region: the caller gets OKX's code, its text and a hint; one login, one
    line in the log, and the session has ended, so that none can follow."""
    credentials = Credentials("demo", "demo-secret", "wrong") if code == 60024 else DEMO
    if code == 60032:
        simulator.fault("refuse_login", code=60032)
    held = hold(credentials=credentials)
    said = held.opened()
    assert said is not None
    assert said["errorCode"] == code
    assert said["message"]
    assert "region" in said["hint"] or "passphrase" in said["hint"].lower()
    assert held.join() is Ending.REFUSED
    assert len(simulator.logins) == 1
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert len([record for record in caplog.records if str(code) in record.getMessage()]) == 1
