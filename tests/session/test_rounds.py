"""What is done once a second for each topic is done in parts, however many there are and whatever comes and goes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from session.holding import Held
from waiting import eventually

from okws_celery.feeds import Route, feed_of
from okws_celery.okx.topics import parse_topic
from okws_celery.session.entry import Entry
from okws_celery.session.rounds import Rounds
from okws_celery.simulator import Simulator


def entry(number: int) -> Entry:
    """A topic of its own."""
    topic = parse_topic(f"tickers:L{number:04d}-USDT")
    return Entry(topic, feed_of(Route(topic, "okex/tests/")))


def a_second(rounds: Rounds, begin: float) -> list[list[Entry]]:
    """The parts that a second brings, looked for every ms."""
    return [part for ms in range(1000) if (part := rounds.part(begin + ms / 1000))]


def test_each_once_a_second() -> None:
    """A thousand topics are looked at in parts, and each of them once in every second."""
    entries = {one.topic.text: one for one in map(entry, range(1_000))}
    rounds = Rounds(entries)
    for second in range(3):
        parts = a_second(rounds, 100.0 + second)
        assert len(parts) > 1
        assert Counter(one for part in parts for one in part) == Counter(entries.values())


def test_few_are_looked_at_together() -> None:
    """Who has few topics pays for one look a second."""
    entries = {one.topic.text: one for one in map(entry, range(20))}
    assert a_second(Rounds(entries), 100.0) == [list(entries.values())]


def test_who_comes_and_who_goes() -> None:
    """A topic that has gone is not looked at in what is left of the round; one that has come is in the next."""
    entries = {one.topic.text: one for one in map(entry, range(1_000))}
    rounds = Rounds(entries)
    first = rounds.part(100.0)
    gone, come = next(one for one in entries.values() if one not in first), entry(1_000)
    del entries[gone.topic.text]
    rounds.remove(gone)
    entries[come.topic.text] = come
    rest = [one for part in a_second(rounds, 100.0) for one in part]
    assert set(first + rest) == set(entries.values()) - {come}
    assert come in [one for part in a_second(rounds, 101.5) for one in part]
    assert rounds.part(103.0)
    # Its name is wanted again, by another.
    entries[gone.topic.text] = back = entry(int(gone.topic.text[9:13]))
    assert back in [one for part in a_second(rounds, 104.0) for one in part]


def test_many_topics_come_and_go(hold: Callable[..., Held]) -> None:
    """Of each that is heard it is told when, from second to second; of those that were left nothing is, ever again."""
    load: dict[str, Any] = {"instruments": 1_500, "mix": {"tickers": 1}, "rate": 3_000}
    with Simulator(limits=False, load=load) as simulator:
        held = hold(ws_url=simulator.ws_url, rest_url=simulator.rest_url, backfill=0)
        topics = [f"tickers:L{number:04d}-USDT" for number in range(1, 1_501)]

        def seen() -> dict[str, str]:
            return dict(held.redis.hgetall(held.data.seen))

        def states() -> dict[str, int]:
            return dict(json.loads(held.redis.get(held.keys.counters) or "{}").get("topics", {}))

        def all_later_than(before: dict[str, str]) -> bool:
            now = seen()
            return all(int(now[topic]) > int(before[topic]) for topic in before)

        assert held.subscribe(*topics)["errorCode"] == 80000
        before = eventually(lambda: len(found := seen()) == len(topics) and found, what="all were heard")
        eventually(lambda: all_later_than(before), what="all were heard again")
        eventually(lambda: states() == {"live": 1_500}, what="all are counted")
        kept = topics[::3]
        for left in (topics[1::3], topics[2::3]):
            held.unsubscribe(*left)
            before = {topic: when for topic, when in seen().items() if topic in kept}
            eventually(lambda before=before: all_later_than(before), what="the others were heard again")
        eventually(lambda: states() == {"live": 500}, what="the others are counted")
        assert seen().keys() == set(kept)
