"""A topic that dies on a live link is noticed, told and subscribed again; a quiet one is left alone."""

from __future__ import annotations

from collections.abc import Callable

import redis
from session.holding import Held
from session.listening import Listener
from waiting import eventually

from okws_celery.simulator import Simulator
from okws_celery.store.registry import DEFAULT_OWNER, Command, now_ms


def test_one_topic_dies_on_a_live_link(hold: Callable[..., Held], simulator: Simulator) -> None:
    """STALE and a GAP when it has been silent for longer than it can be, one resubscription, LIVE; no other topic and
    no link is touched."""
    held = hold()
    held.subscribe("mark-price:BTC-USDT", "tickers:BTC-USDT", "price-limit:BTC-USDT")
    eventually(lambda: held.redis.exists(held.data.of("mark-price:BTC-USDT")))
    before = len(simulator.requests)
    with Listener(held.registry.settings.redis_url, held.data.event) as listener:
        simulator.fault("topic_dead", arg="mark-price:BTC-USDT")
        eventually(lambda: listener.ops("LIVE"), timeout=30, what="live again")
        told = [(m["op"], m["topic"]) for m in listener.ops("STALE", "LIVE")]
        assert told == [("STALE", "mark-price:BTC-USDT"), ("LIVE", "mark-price:BTC-USDT")]
        gaps = eventually(lambda: [m for m in listener.ops("GAP") if m["to"]])
        assert {m["topic"] for m in gaps} == {"mark-price:BTC-USDT"}
    assert [(r.op, len(r.args)) for r in simulator.requests[before:]] == [("unsubscribe", 1), ("subscribe", 1)]
    assert simulator.connects == 1


def test_seen_is_written_once_a_second(hold: Callable[..., Held], simulator: Simulator, redis_url: str) -> None:
    """Also while the session looks around more often, because an answer is awaited."""
    held = hold()
    held.subscribe("bbo-tbt:BTC-USDT")
    simulator.fault("late_ack", op="subscribe", seconds=None)
    times = []
    with redis.Redis.from_url(redis_url, decode_responses=True) as client, client.monitor() as monitor:
        command = Command("subscribe", now_ms() + 10_000, topics=["tickers:BTC-USDT"])
        held.registry.want(held.name, command.topics, DEFAULT_OWNER, None, command)
        for told in monitor.listen():
            if told["command"].startswith(f"HSET {held.data.seen} "):
                times.append(told["time"])
            if len(times) == 4:
                break
    assert times[-1] - times[0] > 2
