"""The fair price of a coin as a pure function of time, so that every instrument and every history agree on it.

Noise of many periods, each as high as a random walk goes in that time: it looks like a walk, but any moment of it can
be asked for, also one before the simulation began.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp, sqrt

__all__ = ["Walk"]

_VOLATILITY = 3e-5
"""Standard deviation of the logarithmic return over one second."""
_PERIODS_MS = tuple(500 * 8**octave for octave in range(9))
"""From half a second to three months."""
_SLOW = 4
"""The octaves from here on change within an hour hardly, or slowly."""
_MASK = (1 << 64) - 1


class Walk:
    """The price of one coin; at `origin_ms` it is `price`. The same seed goes the same way from there."""

    def __init__(self, seed: str, price: float, origin_ms: int) -> None:
        rng = random.Random(seed)
        self._origin_ms = origin_ms
        self._octaves = [_Octave(rng.getrandbits(64), period) for period in _PERIODS_MS]
        self._slow = [_Octave(octave.key, octave.period_ms) for octave in self._octaves[_SLOW:]]
        self._base = price / exp(_noise(self._octaves, 0))

    def at(self, ts_ms: int) -> float:
        """The price at a moment."""
        return self._base * exp(_noise(self._octaves, ts_ms - self._origin_ms))

    def roughly_at(self, ts_ms: int) -> float:
        """The price about a moment, without the noise of minutes: quicker, for years of hours."""
        return self._base * exp(_noise(self._slow, ts_ms - self._origin_ms))


class _Octave:
    """Noise of one period; the values at both ends of the period that was looked at last are kept."""

    __slots__ = ("_height", "first", "index", "key", "period_ms", "rise")

    def __init__(self, key: int, period_ms: int) -> None:
        self.key = key
        self.period_ms = period_ms
        self._height = _VOLATILITY * sqrt(period_ms / 1000)
        self.go_to(0)

    def go_to(self, index: int) -> None:
        """Look at another period."""
        self.index = index
        self.first = self._value(index)
        self.rise = self._value(index + 1) - self.first

    def _value(self, index: int) -> float:
        mixed = (index * 0x9E3779B97F4A7C15 + self.key) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
        # Four numbers of 16 bits, added, are close enough to a normal one.
        total = (mixed & 0xFFFF) + (mixed >> 16 & 0xFFFF) + (mixed >> 32 & 0xFFFF) + (mixed >> 48)
        return (total / 0xFFFF - 2.0) * 1.7320508 * self._height


def _noise(octaves: Sequence[_Octave], since_ms: int) -> float:
    total = 0.0
    for octave in octaves:
        index, rest = divmod(since_ms, octave.period_ms)
        if index != octave.index:
            octave.go_to(index)
        part = rest / octave.period_ms
        total += octave.first + octave.rise * part * part * (3.0 - 2.0 * part)
    return total
