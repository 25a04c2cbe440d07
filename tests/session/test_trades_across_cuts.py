"""Trades: what was missed comes from REST, each once, in order, before what came since."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from session.holding import Held
from session.listening import Listener
from session.test_backfill import gaps
from session.troubled_rest import troubled
from waiting import eventually

from okws_celery.session import Ending
from okws_celery.simulator import Simulator

Hold = Callable[..., Held]


@pytest.fixture
def busy() -> Iterator[Simulator]:
    """An exchange on which much is traded."""
    with Simulator(limits=False, speed=10) as running:
        yield running


def stored(held: Held, topic: str) -> list[dict[str, Any]]:
    """The trades of a stream, oldest first."""
    return [json.loads(fields["data"]) for _, fields in held.redis.xrange(held.data.of(topic))]


def matches(rows: list[dict[str, Any]]) -> list[int]:
    """The number of each match that the rows cover, in their order (PROTOCOL 5.1)."""
    covered: list[int] = []
    for row in rows:
        newest, count = int(row["tradeId"]), int(row.get("count", "1"))
        covered += range(newest - count + 1, newest + 1)
    return covered


def complete(numbers: list[int]) -> bool:
    """Each once, in order, none missing."""
    return numbers == list(range(numbers[0], numbers[-1] + 1))


def newest(rest: HTTPConnection) -> int:
    """The number of the exchange's latest match."""
    rest.request("GET", "/api/v5/market/trades?instId=BTC-USDT&limit=1")
    return int(json.load(rest.getresponse())["data"][0]["tradeId"])


@pytest.mark.parametrize("topic", ["trades:BTC-USDT", "trades-all:BTC-USDT"])
class TestCuts:
    """A connection that breaks off and comes back."""

    def test_none_is_missing_and_none_is_there_twice(self, hold: Hold, busy: Simulator, topic: str) -> None:
        """In the stream and as published rows, over several cuts."""
        held = hold(ws_url=busy.ws_url, rest_url=busy.rest_url)
        with Listener(held.registry.settings.redis_url, held.data.of(topic)) as listener:
            held.subscribe(topic)
            for cut in range(1, 4):
                before = eventually(lambda: held.redis.xlen(held.data.of(topic)), timeout=20)
                eventually(lambda before=before: held.redis.xlen(held.data.of(topic)) > before + 20)
                busy.stop_listening()
                busy.drop()
                eventually(lambda: held.topic(topic)["state"] == "stale")
                busy.resume()
                eventually(
                    lambda cut=cut: len(gaps(held, topic)) == 2 * cut,
                    timeout=30,
                    what="the GAP is closed",
                )
            after = held.redis.xlen(held.data.of(topic))
            eventually(lambda: held.redis.xlen(held.data.of(topic)) > after + 20)
            rows = stored(held, topic)
            published = eventually(lambda: (found := listener.messages()) and len(found) >= len(rows) and found)
        assert complete(matches(rows))
        assert matches(published)[: len(matches(rows))] == matches(rows)
        assert all(gap.get("filled") for gap in gaps(held, topic)[1::2])

    def test_another_holder(self, hold: Hold, busy: Simulator, topic: str) -> None:
        """What was traded while no worker held the session is there as well."""
        first = hold(ws_url=busy.ws_url, rest_url=busy.rest_url)
        first.subscribe(topic)
        eventually(lambda: first.redis.xlen(first.data.of(topic)) > 20)
        first.redis.publish(first.keys.bus, "shutdown")
        assert first.join() is Ending.SHUTDOWN
        before = first.redis.xlen(first.data.of(topic))
        second = hold(ws_url=busy.ws_url, rest_url=busy.rest_url)
        eventually(lambda: second.redis.xlen(second.data.of(topic)) > before + 20, timeout=20)
        assert complete(matches(stored(second, topic)))
        assert [gap["to"] is None for gap in gaps(second, topic)] == [True, False]

    def test_further_back_than_rest_reaches(self, hold: Hold, busy: Simulator, topic: str) -> None:
        """The GAP says from the last before it to the first that REST had; what REST had is there."""
        with troubled(busy.rest_url) as trouble:
            held = hold(ws_url=busy.ws_url, rest_url=trouble.url)
            held.subscribe(topic)
            eventually(lambda: held.redis.xlen(held.data.of(topic)) > 20)
            trouble.refused = "history-trades"
            trouble.limit = 5
            rest = HTTPConnection(busy.host, busy.port)
            assert newest(rest)  # its connection is one of those that stay
            busy.stop_listening()
            busy.drop()
            eventually(lambda: held.topic(topic)["state"] == "stale")
            last = matches(stored(held, topic))[-1]
            eventually(lambda: newest(rest) > last + 2 * trouble.limit, timeout=20)
            rest.close()
            busy.resume()
            eventually(lambda: [gap for gap in gaps(held, topic) if gap["to"]], timeout=20)
        numbers = matches(stored(held, topic))
        assert numbers == sorted(set(numbers))
        (missing,) = [number for number in numbers if number > last][:1]
        closed = gaps(held, topic)[-1]
        assert missing > last + 1
        assert "filled" not in closed
        first = next(row for row in stored(held, topic) if matches([row])[0] == missing)
        assert closed["to"] == int(first["ts"])
