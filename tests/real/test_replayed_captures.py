"""Recorded OKX data, replayed through the simulator and a real worker into a real Redis: nothing is lost or changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from recomputed import V5_CAPTURES, Recomputed, recompute
from waiting import eventually


class Listening:
    """Counts what a plain subscriber receives on the channels of whole pushes."""

    def __init__(self, redis_url: str, channels: set[str]) -> None:
        self._client = redis.Redis.from_url(redis_url, decode_responses=True)
        self._pubsub = self._client.pubsub()
        self._pubsub.subscribe(*channels)
        for _ in channels:
            self._pubsub.get_message(timeout=5)
        self.frames: dict[str, list[str]] = {channel: [] for channel in channels}

    def count(self) -> int:
        """How many have come."""
        while (message := self._pubsub.get_message(timeout=0.05)) is not None:
            if message["type"] == "message":
                self.frames[message["channel"]].append(message["data"])
        return sum(map(len, self.frames.values()))

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


@pytest.fixture(
    params=[*[(capture, False) for capture in V5_CAPTURES], (V5_CAPTURES[2], True)],
    ids=[*V5_CAPTURES, f"{V5_CAPTURES[2]}-wss"],
)
def replayed(request: pytest.FixtureRequest, captures: Path, replay: Callable[..., Any]) -> Iterator[Any]:
    """A capture that has gone through; what must have become of it; and what a subscriber received."""
    name, wss = request.param
    end = recompute(captures / name)
    running = replay(captures / name, wss=wss)
    listening = Listening(running.redis_url, {f"okex/real/{channel}" for channel in end.pushes})
    topics = [*end.latest, *end.trades, *end.candles, *end.books]
    said = running.client.subscribe("real", topics)
    assert said["errorCode"] == 80000, said
    expected = sum(map(len, end.pushes.values()))
    eventually(lambda: listening.count() >= expected, timeout=30, what=f"{expected} pushes")
    eventually(lambda: running.simulator.pending() == 0)
    yield running, end, listening
    listening.close()
    assert running.client.close_ws("real")["errorCode"] == 80000


def test_every_capture_is_in_redis(replayed: Any) -> None:
    """Tickers, trades, candles, books and pushes, each as recorded; one replay serves all checks."""
    running, end, listening = replayed
    client = running.client
    check_tickers(client, end)
    check_trades(client, running.redis_url, end)
    check_candles(client, end)
    check_books(client, end)
    check_pushes(listening, end)
    with redis.Redis.from_url(running.redis_url, decode_responses=True) as store:
        states = {topic: json.loads(text)["state"] for topic, text in store.hgetall("okex/real/topics").items()}
        assert set(states.values()) == {"live"}
        assert store.xlen("okex/real/gaps") == 0
        expected = sum(map(len, end.pushes.values()))
        counters = eventually(lambda: counters_since(store, expected), what=f"counters after {expected} pushes")
        assert counters["rubbish"] == {}
        assert counters["redis"]["errors"] == 0


def counters_since(store: redis.Redis, pushes: int) -> dict[str, Any]:
    """What the session counted, once it has counted so many pushes; it says so every two seconds."""
    counters = json.loads(store.get("okws/{real}/counters") or "{}")
    return counters if counters.get("pushes", 0) >= pushes else {}


def check_tickers(client: Any, end: Recomputed) -> None:
    """The final hash of each instrument equals the last recorded row, field by field."""
    assert end.latest
    for topic, row in end.latest.items():
        assert client.get("real", topic) == row, topic


def check_trades(client: Any, redis_url: str, end: Recomputed) -> None:
    """Each trade once, in order, under an id made of its time and number."""
    assert end.trades
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        for topic, trades in end.trades.items():
            assert client.get("real", topic) == trades, topic
            entries = [entry_id for entry_id, _ in store.xrange(f"okex/real/{topic}")]
            assert entries == [f"{trade['ts']}-{trade['tradeId']}" for trade in trades], topic


def check_candles(client: Any, end: Recomputed) -> None:
    """The rows as recorded, the last of each time, oldest first."""
    for topic, rows in end.candles.items():
        assert client.get("real", topic) == [rows[ts] for ts in sorted(rows, key=int)], topic


def check_books(client: Any, end: Recomputed) -> None:
    """Every level, as strings, equals a recomputation that shares no code; every recorded checksum held."""
    assert end.books
    for topic, plain in end.books.items():
        asks, bids = plain.best()
        book = client.get("real", topic)
        assert book["state"] == "live", topic
        assert book["asks"] == asks, topic
        assert book["bids"] == bids, topic
        assert plain.checked == sum(
            topic == "{channel}:{instId}".format(**json.loads(frame)["arg"])
            for frame in end.pushes[topic.partition(":")[0]]
        )


def check_pushes(listening: Listening, end: Recomputed) -> None:
    """As many as were recorded, each the frame as the exchange sent it; those of one instrument in their order."""
    for channel, frames in end.pushes.items():
        received = listening.frames[f"okex/real/{channel}"]
        assert len(received) == len(frames), channel
        assert Counter(received) == Counter(frames), channel
        by_instrument: dict[str, list[str]] = {}
        for frame in frames:
            by_instrument.setdefault(json.loads(frame)["arg"]["instId"], []).append(frame)
        for inst_id, expected in by_instrument.items():
            assert [f for f in received if json.loads(f)["arg"]["instId"] == inst_id] == expected, channel
