"""The channel `instruments` (PROTOCOL 5.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.pulse import Pulse
from okws_celery.simulator.stream import Stream
from okws_celery.simulator.terms import is_of

__all__ = ["InstrumentsStream"]

_TENTH_MS = 100
_EVERY_MS = 30 * 60_000


class InstrumentsStream(Stream):
    """`instruments`: no list at first, then what changed."""

    engine: Pulse

    def __init__(self, arg: Arg, engine: Pulse) -> None:
        super().__init__(arg, engine)
        self.engine = engine
        self._inst_type = dict(arg)["instType"]

    def begin(self) -> None:
        self._told = len(self.engine.terms.changes)
        self._next_ms = self.engine.at_ms + _EVERY_MS

    def after(self, ts_ms: int) -> Iterator[str]:
        if ts_ms % _TENTH_MS:
            return
        terms = self.engine.terms
        if self.asked or ts_ms >= self._next_ms:
            self.asked = False
            self._next_ms = ts_ms + _EVERY_MS
            terms.change(self._inst_type)
        for one in terms.changes[self._told :]:
            self._told += 1
            if is_of(one, self._inst_type):
                yield self._push(json.dumps(terms.told(one, self._inst_type), separators=(",", ":")))
