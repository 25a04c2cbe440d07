"""Recorded order books: every checksum holds, and the end is what a plain recomputation says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recomputed import V3_CAPTURE, V5_CAPTURES, PlainBook, received, received_v3, recompute

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.okx.deflate import inflate_v3
from okws_celery.okx.order_book import OrderBook, Outcome


@pytest.mark.parametrize(
    ("capture", "books", "messages"), list(zip(V5_CAPTURES, (4, 10, 3), (6, 1504, 290), strict=True))
)
def test_recorded_v5_books(captures: Path, capture: str, books: int, messages: int) -> None:
    """As many books and messages as the capture's description says, each with the exchange's own checksum."""
    merged: dict[str, OrderBook] = {}
    applied = 0
    for raw in received(captures / capture):
        message = json.loads(raw)
        if "data" not in message or not message["arg"]["channel"].startswith("books"):
            continue
        topic = "{channel}:{instId}".format(**message["arg"])
        book = merged.setdefault(topic, OrderBook(CATALOGUE[message["arg"]["channel"]].depth))
        for row in message["data"]:
            assert row["checksum"], "a message without a checksum would prove nothing"
            if message["action"] == "snapshot":
                outcome = book.snapshot(row["asks"], row["bids"], None, row["checksum"])
            else:
                outcome = book.update(row["asks"], row["bids"], None, None, row["checksum"])
            assert outcome is Outcome.APPLIED, raw
            applied += 1
    plain = recompute(captures / capture).books
    assert (len(merged), applied, sum(book.checked for book in plain.values())) == (books, messages, messages)
    assert {topic: (book.asks, book.bids) for topic, book in merged.items()} == {
        topic: book.best() for topic, book in plain.items()
    }


def test_recorded_v3_books(captures: Path) -> None:
    """From the raw-deflate frames of the old API to ten books with 1,031 checksums."""
    merged: dict[str, OrderBook] = {}
    plain: dict[str, PlainBook] = {}
    frames = 0
    for deflated, text in received_v3(captures / V3_CAPTURE):
        assert inflate_v3(deflated).decode() == text
        frames += 1
        message = json.loads(text)
        if message.get("table") != "spot/depth_l2_tbt":
            continue
        replaces = message["action"] == "partial"
        for row in message["data"]:
            book = merged.setdefault(row["instrument_id"], OrderBook(depth=400))
            apply = book.snapshot if replaces else book.update
            assert apply(row["asks"], row["bids"], checksum=row["checksum"]) is Outcome.APPLIED, text
            plain.setdefault(row["instrument_id"], PlainBook()).apply(row["asks"], row["bids"], replace=replaces)
            plain[row["instrument_id"]].check(row["checksum"])
    assert (frames, len(merged), sum(book.checked for book in plain.values())) == (1092, 10, 1031)
    for inst_id, book in merged.items():
        assert (book.asks, book.bids) == plain[inst_id].best()
