"""Trades of one simulated instrument: those that happened, and behind them those of the past."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from okws_celery.simulator.past import Past
from okws_celery.simulator.trade import Single, Trade

__all__ = ["TradeLog"]

_MOST_KEPT = 60_000
_DROPPED_AT_ONCE = 10_000


class TradeLog:
    """The newest trades that happened, as many as are kept, and before the first of them the past."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._kept: list[Trade] = []

    def __bool__(self) -> bool:
        return bool(self._kept)

    @property
    def newest(self) -> Trade:
        """The latest that happened; IndexError if none did."""
        return self._kept[-1]

    def add(self, trade: Trade) -> None:
        """One more has happened."""
        self._kept.append(trade)
        if len(self._kept) > _MOST_KEPT:
            del self._kept[:_DROPPED_AT_ONCE]

    def newest_first(self, *, below_id: int | None = None, below_ms: int | None = None) -> Iterator[Single]:
        """Single matches older than an id or a moment, or all."""
        kept = self._kept
        end = len(kept)
        if below_id is not None:
            end = min(end, bisect_left(kept, below_id, key=lambda trade: trade.trade_id) + 1, len(kept))
        if below_ms is not None:
            end = min(end, bisect_left(kept, below_ms, key=lambda trade: trade.ts_ms))
        for index in range(end - 1, -1, -1):
            for single in reversed(list(kept[index].singles())):
                if below_id is None or single.trade_id < below_id:
                    yield single
        for trade in self._past.newest_first(below_id=below_id, below_ms=below_ms):
            yield from trade.singles()
