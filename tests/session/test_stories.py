"""What happened to users of comparable systems, each as a test of the same name."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import product

from session.holding import Held
from waiting import eventually

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
    """The ack of an unsubscribe comes 2 s late, and the topic is subscribed in between: a hundred times, at a hundred
    moments. All end subscribed and flowing, and what `okex/N/topics` says is true at every step."""
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
                eventually(lambda topic=topic: true(topic), timeout=5, what=f"{topic} is as live as it says")  # type: ignore[misc]

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
            lambda topic=topic: int(held.redis.hget(held.data.seen, topic) or 0) > settled,  # type: ignore[misc]
            timeout=20,
            what=f"{topic} flows",
        )
