"""What a client received, held against what the simulator's REST says of the same moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

__all__ = ["Books", "Tickers", "assert_trades", "history"]

Row = dict[str, Any]
Sides = tuple[list[tuple[float, float]], list[tuple[float, float]]]


class Books:
    """The books that a client had, by seqId, and how many of them are those that REST told, before or after."""

    def __init__(self) -> None:
        self.seen: dict[int, Sides] = {}
        self._told: dict[int, Sides] = {}
        self.confirmed = 0

    def had(self, seq_id: int, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        """The client has this book, best level first; of a level, price and size count."""
        self.seen[seq_id] = _levels(bids), _levels(asks)
        self._compare(seq_id)

    def told(self, row: Row) -> None:
        """REST told this book, as deep as the channel's: the client must have the same when it is at this seqId."""
        assert min(len(row["bids"]), len(row["asks"])) > 300
        seq_id = int(row["seqId"])
        self._told[seq_id] = _levels(row["bids"]), _levels(row["asks"])
        self._compare(seq_id)

    def _compare(self, seq_id: int) -> None:
        if seq_id in self.seen and seq_id in self._told:
            assert self.seen[seq_id] == self._told.pop(seq_id)
            self.confirmed += 1


class Tickers:
    """The tickers that a client had, by instId and ts, and of which instruments one was that which REST told."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Row] = {}
        self._told: dict[tuple[str, str], Row] = {}
        self.confirmed: set[str] = set()

    def had(self, row: Row) -> None:
        """The client got OKX's row."""
        self._compare(self.seen, row)

    def told(self, row: Row) -> None:
        """REST told this row: the client must get the same if it gets one of this moment."""
        self._compare(self._told, row)

    def _compare(self, where: dict[tuple[str, str], Row], row: Row) -> None:
        key = row["instId"], row["ts"]
        where[key] = row
        if key in self.seen and key in self._told:
            assert self.seen[key] == self._told[key]
            self.confirmed.add(row["instId"])


def history(page: Callable[[str], list[Row]], first: Row) -> list[Row]:
    """Single trades back to a row of `trades`, newest first; `page` gives those older than an id, the newest for ""."""
    singles = page("")
    while int(singles[-1]["tradeId"]) > int(first["tradeId"]) - int(first["count"]) + 1:
        older = page(singles[-1]["tradeId"])
        assert int(older[0]["tradeId"]) == int(singles[-1]["tradeId"]) - 1
        singles += older
    return singles


def assert_trades(pushed: list[Row], singles: list[Row]) -> None:
    """Rows of `trades` leave out nothing, and are what REST's single trades amount to (PROTOCOL 5.1)."""
    by_id = {int(one["tradeId"]): one for one in singles}
    for before, row in zip([None, *pushed], pushed, strict=False):
        newest, count = int(row["tradeId"]), int(row["count"])
        if before is not None:
            assert newest - count == int(before["tradeId"]), "a trade is missing, or came twice"
        parts = [by_id[one] for one in range(newest - count + 1, newest + 1)]
        assert sum(Decimal(one["sz"]) for one in parts) == Decimal(row["sz"])
        for key in ("instId", "px", "side", "ts"):
            assert {one[key] for one in parts} == {row[key]}


def _levels(side: Iterable[Any]) -> list[tuple[float, float]]:
    return [(float(level[0]), float(level[1])) for level in side]
