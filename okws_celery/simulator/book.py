"""The order book of one simulated instrument: levels in ticks and lots, never crossed, at most 400 a side."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.numbers import decimal_text

__all__ = ["DEPTH", "Level", "OrderBook", "Side", "Window"]

DEPTH = 400
"""Levels a side: no channel shows more."""

Level = tuple[int, int]
"""Lots and number of orders."""


class Side:
    """Bids (`sign` -1) or asks (+1). `keys` are prices times the sign in rising order, so that the best is first."""

    __slots__ = ("keys", "levels", "sign", "watchers")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}
        self.watchers: list[set[int]] = []
        """Each collects the prices that are touched."""

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
        for watcher in self.watchers:
            watcher.add(price)

    def remove(self, price: int) -> None:
        """Take a level away; it must be there."""
        del self.levels[price]
        del self.keys[bisect_left(self.keys, price * self.sign)]
        for watcher in self.watchers:
            watcher.add(price)

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

    __slots__ = ("_book", "_sides", "depth", "seq_id", "ts_ms")

    def __init__(self, book: OrderBook, depth: int, ts_ms: int) -> None:
        self._book = book
        self.depth = depth
        self._sides = [_Shown(side, depth) for side in (book.bids, book.asks)]
        self.seq_id = book.seq_id
        self.ts_ms = ts_ms

    @property
    def bids(self) -> dict[int, Level]:
        """The bids as shown, best first."""
        return self._sides[0].levels()

    @property
    def asks(self) -> dict[int, Level]:
        """The asks as shown, best first."""
        return self._sides[1].levels()

    def show(self, ts_ms: int) -> tuple[dict[int, Level], dict[int, Level]]:
        """Move on to the present book; gives the changed bids and asks, best first, (0, 0) for what has gone."""
        bids, asks = (side.changes() for side in self._sides)
        self.seq_id, self.ts_ms = self._book.seq_id, ts_ms
        return bids, asks

    def close(self) -> None:
        """Look at the book no more."""
        for side in self._sides:
            side.close()

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


class _Shown:
    """One side of a window. As deep as the book it follows what is touched, else it compares the best levels."""

    __slots__ = ("_depth", "_shown", "_side", "_touched")

    def __init__(self, side: Side, depth: int) -> None:
        self._side = side
        self._depth = depth
        self._shown = side.top(depth)
        self._touched: set[int] = set()
        if depth >= DEPTH:
            side.watchers.append(self._touched)

    def levels(self) -> dict[int, Level]:
        return self._in_order(self._shown)

    def changes(self) -> dict[int, Level]:
        shown = self._shown
        if self._depth >= DEPTH:
            now, touched = self._side.levels, self._touched
            changed = {price: now.get(price, (0, 0)) for price in touched if now.get(price) != shown.get(price)}
            touched.clear()
        else:
            now = self._side.top(self._depth)
            changed = dict(now.items() - shown.items()) | dict.fromkeys(shown.keys() - now.keys(), (0, 0))
        for price, level in changed.items():
            if level[0]:
                shown[price] = level
            else:
                del shown[price]
        return self._in_order(changed)

    def close(self) -> None:
        # By identity: sets compare equal when they hold the same prices.
        self._side.watchers[:] = [one for one in self._side.watchers if one is not self._touched]

    def _in_order(self, levels: dict[int, Level]) -> dict[int, Level]:
        return dict(sorted(levels.items(), reverse=self._side.sign < 0))
