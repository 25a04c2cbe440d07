"""Pushes that come while a listener subscribes and reads: none is lost, none is given twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bridge import KINDS, Loop
from publisher import Publisher

from okws_celery.calls.listeners import AsyncListener, Listener
from okws_celery.calls.listening import Listening
from okws_celery.calls.talk import Connect, Effect, Fetch, Tell
from okws_celery.settings import load

SEEDS = 1_000
BTC = "BTC-USDT"

Push = Callable[[], None]


class Story:
    """What one seed publishes: a trade, a ticker, an order and a candle at a time, all counted through."""

    TOPICS = (f"trades:{BTC}", f"tickers:{BTC}", "orders:SPOT", f"candle1m:{BTC}", f"books:{BTC}")

    def __init__(self, publisher: Publisher, seed: int) -> None:
        self.chance = random.Random(seed)
        self.count = 0
        self.topic = self.TOPICS[seed % len(self.TOPICS)]
        self._publisher = publisher

    def push(self, most: int) -> None:
        """Up to so many pushes."""
        for _ in range(self.chance.randint(0, most)):
            self.push_one()

    def push_one(self) -> None:
        """The next push."""
        self.count += 1
        row, envelope = self._row(self.count)
        self._publisher.push(self.topic, row, **envelope)

    def _row(self, number: int) -> tuple[Any, dict[str, Any]]:
        ts = str(1_000_000 + number)
        match self.topic.partition(":")[0]:
            case "trades":
                return {"instId": BTC, "tradeId": str(number), "px": "1", "ts": ts}, {}
            case "tickers":
                # Two at a time have one time, as after a burst.
                return {"instId": BTC, "last": str(number), "ts": str(1_000_000 + number // 2)}, {}
            case "orders":
                state = "filled" if number % 3 == 2 else "live"
                return {
                    "instType": "SPOT",
                    "ordId": str(number // 3),
                    "state": state,
                    "n": str(number),
                    "uTime": ts,
                }, {}
            case "candle1m":
                confirm = "1" if number % 3 == 2 else "0"
                return [str(60_000 * (1 + number // 3)), "1", "1", "1", str(number), "1", "1", "1", confirm], {}
        sides = {"asks": [["9999", "1", "0", "1"]], "bids": [[str(number), "1", "0", "1"]]}
        action = "snapshot" if number == 1 else "update"
        return sides | {"ts": ts, "seqId": number, "prevSeqId": number - 1}, {"action": action}

    def check(self, items: list[dict[str, Any]]) -> None:
        """That the items tell all that was pushed, once, in order."""
        snapshots = [item for item in items if item.get("snapshot")]
        assert len(snapshots) <= 1, items
        assert not snapshots or items[0] is snapshots[0], items
        pushed = [self.number(row) for item in items if not item.get("snapshot") for row in item["data"]]
        shown = [self.number(row) for row in snapshots[0]["data"]] if snapshots else []
        if self.topic.startswith("trades"):
            assert shown + pushed == list(range(1, self.count + 1))
            return
        assert pushed == sorted(set(pushed)), "out of order, or twice"
        if self.topic.startswith("orders"):
            moments = range(self.count + 1)
            assert any(self._agrees(moment, shown, pushed) for moment in moments), "one is missing, or twice"
            return
        first = pushed[0] if pushed else self.count + 1
        assert pushed == list(range(first, self.count + 1)), "one is missing"
        assert (shown[-1] if shown else 0) == first - 1

    def _agrees(self, moment: int, shown: list[int], pushed: list[int]) -> bool:
        """Whether the orders shown are those that were open after so many pushes, and the rest was given. Of an order
        that had ended by then the key says nothing, so that its rows may have been given as well."""
        last = {number // 3: number for number in range(1, moment + 1)}
        stand = {order: number for order, number in last.items() if number % 3 != 2}
        given = [number for number in pushed if number <= moment]
        return (
            set(stand.values()) == set(shown)
            and pushed[len(given) :] == list(range(moment + 1, self.count + 1))
            and not [number for number in given if number // 3 in stand]
        )

    def number(self, row: Any) -> int:
        if isinstance(row, list):
            return int(row[4])
        return int(row.get("tradeId") or row.get("n") or row.get("last") or row.get("seqId"))


class Racing:
    """Something happens before each step of an attempt to listen, and after the last."""

    story: Story
    steps: int = 0

    def before(self, effect: Effect) -> None:
        """Pushes that nobody could foresee."""
        if isinstance(effect, Connect | Fetch | Tell):
            self.steps += 1
            self.story.push(3)


class RacingListener(Racing, Listener):
    """For threads."""

    def _do(self, effect: Effect, end: float) -> Any:
        self.before(effect)
        return super()._do(effect, end)


class RacingAsyncListener(Racing, AsyncListener):
    """For coroutines."""

    async def _do(self, effect: Effect) -> Any:
        self.before(effect)
        return await super()._do(effect)


@contextmanager
def racing(kind: str, url: str, story: Story, loop: Loop) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A listener; the function gives all items up to the one that tells of the last push."""
    listening = Listening(load({"OKWS_REDIS_URL": url}), "s1", story.topic, None, False)

    def is_last(item: dict[str, Any]) -> bool:
        return bool(item["data"]) and max(map(story.number, item["data"])) >= story.count

    if kind == "threads":
        with RacingListener(listening, url, 20) as listener:
            listener.story = story
            listener.begin()

            def until() -> list[dict[str, Any]]:
                items: list[dict[str, Any]] = []
                while not items or not is_last(items[-1]):
                    items.append(next(listener))
                return items

            yield until
        return
    async_listener = RacingAsyncListener(listening, url, 20)
    async_listener.story = story
    loop.run(async_listener.begin())

    async def collect() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        while not items or not is_last(items[-1]):
            items.append(await anext(async_listener))
        return items

    yield lambda: loop.run(collect())
    loop.run(async_listener.close())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_push_between_subscribing_and_reading(redis_url: str, kind: str) -> None:
    """DEMAND story 23: reader misses what came between reading the key and subscribing. Here it never does."""
    loop, steps = Loop(), 0
    for seed in range(SEEDS):
        with Publisher(redis_url) as publisher:
            publisher.redis.delete(*(publisher.redis.keys("okex/*") or ["none"]))
            story = Story(publisher, seed)
            publisher.subscribe(story.topic)
            story.push(4)
            with racing(kind, redis_url, story, loop) as until:
                story.push(3)
                story.push_one()
                items = until()
            try:
                story.check(items)
            except AssertionError as problem:
                raise AssertionError(f"seed {seed}, {story.topic}, {story.count} pushes: {problem}\n{items}") from None
            steps += 1
    loop.stop()
    assert steps == SEEDS
