"""Channels that speak seldom: after a time that somebody has listened, and when `POST /control/ask` says so.

An occasion comes every `every_ms` of the market's time, and has `pushes` of them, a second apart.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from okws_celery.okx.topics import Arg
from okws_celery.simulator.stream import Moving, Stream

__all__ = ["Occasion", "Rows", "SeldomStream"]

_TENTH_MS = 100
_PAUSE_MS = 1000


@dataclass(frozen=True, slots=True)
class Occasion:
    """What rows are made of: the subscribed keys, the engine, the moment, and which of several pushes this is.

    `asked`: it did not come by the clock.
    """

    keys: dict[str, str]
    engine: Any
    ts_ms: int
    nth: int
    last: bool
    asked: bool
    rng: random.Random = field(default_factory=random.Random)


Rows = Callable[[Occasion], Iterable[dict[str, Any]]]


class SeldomStream(Stream):
    """One argument of such a channel; each row is a push, or none if `rows` has nothing to say."""

    def __init__(
        self, arg: Arg, engine: Moving, *, rows: Rows, every_ms: int, pushes: int = 1, opens: bool = False
    ) -> None:
        super().__init__(arg, engine)
        self._rows = rows
        self._every_ms = every_ms
        self._pushes = pushes
        self._opens = opens
        self._due: list[int] = []
        self._keys = dict(arg)
        self._on_request = False

    def begin(self) -> None:
        self._next_ms = self.engine.at_ms + self._every_ms

    def opening(self) -> str | None:
        if not self._opens:
            return None
        return next(self._texts(self.engine.at_ms, 0, last=True), None)

    def after(self, ts_ms: int) -> Iterator[str]:
        if ts_ms % _TENTH_MS:
            return
        by_clock = ts_ms >= self._next_ms
        if self.asked or by_clock:
            self._on_request, self.asked = self.asked, False
            self._due = [ts_ms + number * _PAUSE_MS for number in range(self._pushes)]
        if by_clock:
            self._next_ms = ts_ms + self._every_ms
        while self._due and ts_ms >= self._due[0]:
            self._due.pop(0)
            nth = self._pushes - len(self._due) - 1
            yield from self._texts(ts_ms, nth, last=not self._due)

    def _texts(self, ts_ms: int, nth: int, *, last: bool) -> Iterator[str]:
        rng = random.Random(f"{self.name}:{ts_ms // self._every_ms}")
        occasion = Occasion(self._keys, self.engine, ts_ms, nth, last, self._on_request, rng)
        for row in self._rows(occasion):
            yield self._push(json.dumps(row, separators=(",", ":")))
