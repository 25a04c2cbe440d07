"""Values that move without trades: the candles of the mark price, and indexes."""

from __future__ import annotations

from collections.abc import Callable

from okws_celery.simulator.bars import HOUR_MS
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.candles import Candles
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.instruments import RATES
from okws_celery.simulator.numbers import POWERS
from okws_celery.simulator.past import Past
from okws_celery.simulator.walk import Walk

__all__ = ["IndexEngine", "ValueCandles"]

_STEP_MS = 20
_HURRY_MS = 10_000
"""How often a value was looked at in a time that nobody watched."""
_BRIEF_MS = 2000


class ValueCandles:
    """Candles of a value that is looked at with each step.

    `price_at` is what it was before anybody looked, `was_at` the same for the hours before they begin.
    """

    def __init__(
        self,
        one: Instrument,
        seed: str,
        was_at: Callable[[int], int],
        price_at: Callable[[int], int],
        now_ms: int,
    ) -> None:
        self._price_at = price_at
        self._at_ms = now_ms // HOUR_MS * HOUR_MS
        past = Past(one, seed, was_at, one.listed_ms, self._at_ms, 0)
        self.candles = Candles(past, price_at(self._at_ms))
        self.hurry(now_ms)

    def take(self, ts_ms: int, price: int) -> list[tuple[str, Candle]]:
        """The value at a moment; gives the candles that closed before it, by bar."""
        closed = self.candles.roll(ts_ms)
        self.candles.trade(price, 0)
        self._at_ms = ts_ms
        return closed

    def hurry(self, target: int) -> None:
        """Make up for a time in which nobody looked."""
        for ts_ms in range(self._at_ms, target, _HURRY_MS):
            self.take(ts_ms, self._price_at(ts_ms))
        self.candles.roll(target)
        self._at_ms = target


class IndexEngine:
    """An index: its value, and what it was."""

    def __init__(self, one: Instrument, walk: Walk, seed: str, now_ms: int) -> None:
        self.one = one
        self._walk = walk
        self._scale = RATES[one.quote] * POWERS[one.tick_decimals]
        self.at_ms = now_ms // _STEP_MS * _STEP_MS
        self.value = self._ticks_at(self.at_ms)
        """In ticks."""
        self._began_ms = now_ms // HOUR_MS * HOUR_MS
        self._track = ValueCandles(one, seed, self._was_at, self._ticks_at, self.at_ms)
        self.candles = self._track.candles
        self.closed: list[tuple[str, Candle]] = []

    def step(self) -> int:
        """Move on; gives the moment at which the step began."""
        self.at_ms += _STEP_MS
        self.value = self._ticks_at(self.at_ms)
        self.closed = self._track.take(self.at_ms, self.value)
        return self.at_ms

    def catch_up(self, now_ms: int) -> None:
        """Be awake at `now_ms`, after a time in which nobody looked."""
        target = now_ms // _STEP_MS * _STEP_MS
        if target - self.at_ms > _BRIEF_MS:
            self._track.hurry(target)
            self.at_ms = target
            self.value = self._ticks_at(target)
            self.candles.trade(self.value, 0)
        while self.at_ms + _STEP_MS < target:
            self.step()
        self.closed = []

    def _ticks_at(self, ts_ms: int) -> int:
        return round(self._walk.at(ts_ms) * self._scale)

    def _was_at(self, ts_ms: int) -> int:
        if ts_ms >= self._began_ms:
            return self._ticks_at(ts_ms)
        return round(self._walk.roughly_at(ts_ms) * self._scale)
