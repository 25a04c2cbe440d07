"""Whole recorded sessions through the feeds into Redis: the end is what a plain recomputation says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recomputed import V5_CAPTURES, received, recompute

from okws_celery.feeds import Feed, Route, feed_of
from okws_celery.okx.messages import Push, decode
from okws_celery.okx.topics import parse_topic


@pytest.mark.parametrize("batch_size", [1, 7, 100_000], ids=lambda size: f"batches of {size}")
@pytest.mark.parametrize("capture", V5_CAPTURES)
def test_a_recorded_session(captures: Path, bench: Any, capture: str, batch_size: int) -> None:
    """Tickers, trades, candles and books, however the messages fell into batches."""
    feeds: dict[bytes, Feed] = {}
    for count, raw in enumerate(received(captures / capture)):
        message = decode(raw.encode())
        if not isinstance(message, Push):
            continue
        arg = bytes(message.arg)
        if arg not in feeds:
            feeds[arg] = feed_of(Route(parse_topic(json.loads(arg)), "okex/N/"))
            feeds[arg].prepare(bench.batch)
        assert feeds[arg].write(bench.batch, message) == "", raw
        if count % batch_size == 0:
            bench.flush()
    bench.flush()
    bench.flush()  # rows that were held until the answers to the batch before were there

    end = recompute(captures / capture)
    assert {topic: bench.read(topic) for topic in end.latest} == end.latest
    assert {topic: bench.read(topic) for topic in end.trades} == end.trades
    assert {topic: bench.read(topic) for topic in end.candles} == {
        topic: list(rows.values()) for topic, rows in end.candles.items()
    }
    books = {topic: bench.read(topic) for topic in end.books}
    assert {topic: (book["asks"], book["bids"]) for topic, book in books.items()} == {
        topic: book.best() for topic, book in end.books.items()
    }
    assert {book["state"] for book in books.values()} == {"live"}
    assert len(feeds) == sum(map(len, (end.latest, end.trades, end.candles, end.books)))

    seen: dict[str, list[Any]] = {}
    for channel, payload in bench.published():
        seen.setdefault(channel, []).append(json.loads(payload))
    sent: dict[str, list[Any]] = {}
    for raw in (raw for pushes in end.pushes.values() for raw in pushes):
        message = json.loads(raw)
        rows = message["data"]
        if message["arg"]["channel"].startswith("candle"):
            rows = [dict(zip(CANDLE, row, strict=True)) for row in rows if row[-1] == "1"]
        if rows:
            sent.setdefault("okex/N/{channel}:{instId}".format(**message["arg"]), []).extend(rows)
    assert seen == sent, "each row on its channel, in order; of candles the closed ones, once"


CANDLE = ("ts", "o", "h", "l", "c", "vol", "volCcy", "volCcyQuote", "confirm")
