"""The order book of one simulated instrument: levels in ticks and lots, never crossed, at most 400 a side."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.numbers import decimal_text

__all__ = ["DEPTH", "Level", "OrderBook", "Side", "Window"]

DEPTH = 400
"""Levels a side: no channel shows more."""

Level = tuple[int, int]
"""Lots and number of orders."""


class Side:
    """Bids (`sign` -1) or asks (+1). `keys` are prices times the sign in rising order, so that the best is first."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def best(self) -> int:
        """The best price, in ticks."""
        return self.keys[0] * self.sign

    @property
    def worst(self) -> int:
        """The price of the last level, in ticks."""
        return self.keys[-1] * self.sign

    def put(self, price: int, level: Level) -> None:
        """Place or replace a level."""
        if price not in self.levels:
            insort(self.keys, price * self.sign)
        self.levels[price] = level

    def remove(self, price: int) -> None:
        """Take a level away; it must be there."""
        del self.levels[price]
        del self.keys[bisect_left(self.keys, price * self.sign)]

    def top(self, depth: int) -> dict[int, Level]:
        """The best `depth` levels by price, best first."""
        levels, sign = self.levels, self.sign
        return {key * sign: levels[key * sign] for key in self.keys[:depth]}


class OrderBook:
    """Both sides and the sequence number that every channel of the instrument shares (PROTOCOL 6.3)."""

    __slots__ = ("asks", "bids", "seq_id")

    def __init__(self, seq_id: int) -> None:
        self.bids = Side(-1)
        self.asks = Side(1)
        self.seq_id = seq_id

    def clear(self) -> None:
        """Take every level away."""
        self.bids, self.asks = Side(-1), Side(1)


class Window:
    """What the readers of one channel have been shown of a book: the difference to it is their next update."""

    __slots__ = ("asks", "bids", "depth", "seq_id", "ts_ms")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[int, Level] = {}
        self.asks: dict[int, Level] = {}
        self.seq_id = -1
        self.ts_ms = 0

    def show(self, book: OrderBook, ts_ms: int) -> tuple[dict[int, Level], dict[int, Level]]:
        """Move on to the present book; gives the changed bids and asks, best first, (0, 0) for what has gone."""
        bids, asks = book.bids.top(self.depth), book.asks.top(self.depth)
        changed = _changes(self.bids, bids, -1), _changes(self.asks, asks, 1)
        self.bids, self.asks, self.seq_id, self.ts_ms = bids, asks, book.seq_id, ts_ms
        return changed

    def checksum(self, one: Instrument) -> int:
        """OKX's CRC-32 over the best 25 levels of what is shown, as it was given until 2026 (PROTOCOL 6.4)."""
        bids, asks = list(self.bids.items())[:25], list(self.asks.items())[:25]
        parts = []
        for rank in range(max(len(bids), len(asks))):
            for side in (bids, asks):
                if rank < len(side):
                    price, (lots, _) = side[rank]
                    parts.append(f"{decimal_text(price, one.tick_decimals)}:{decimal_text(lots, one.lot_decimals)}")
        crc = zlib.crc32(":".join(parts).encode())
        return crc - (1 << 32) if crc >= 1 << 31 else crc


def _changes(shown: dict[int, Level], now: dict[int, Level], sign: int) -> dict[int, Level]:
    changed = dict(now.items() - shown.items())
    for price in shown.keys() - now.keys():
        changed[price] = (0, 0)
    return dict(sorted(changed.items(), reverse=sign < 0))
