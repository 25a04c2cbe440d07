"""A trade of a simulated instrument: what one taker took, and the matches that it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Single", "Trade"]


@dataclass(frozen=True, slots=True)
class Trade:
    """What one taker took at one price: `count` matches, the newest of them `trade_id`; `parts` are their sizes."""

    trade_id: int
    price: int
    lots: int
    parts: tuple[int, ...]
    side: str
    ts_ms: int
    seq_id: int

    def singles(self) -> Iterator[Single]:
        """The matches one by one, oldest first."""
        first = self.trade_id - len(self.parts) + 1
        for index, lots in enumerate(self.parts):
            yield Single(first + index, self.price, lots, self.side, self.ts_ms)


@dataclass(frozen=True, slots=True)
class Single:
    """One match: price in ticks, size in lots."""

    trade_id: int
    price: int
    lots: int
    side: str
    ts_ms: int
