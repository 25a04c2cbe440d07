"""The terms of instruments, which change now and then."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from okws_celery.simulator.instrument import Instrument, instrument_object

__all__ = ["Terms", "is_of"]

_LARGEST = ("maxMktSz", "maxStopSz")
_REST_ONLY = ("tradeQuoteCcyList", "initPxLmtPct", "floatPxLmtPct", "maxPxLmtPct")
"""Keys that the channel does not have."""


class Terms:
    """The objects of instruments with all changes so far."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._changed: dict[str, dict[str, str]] = {}
        self.changes: list[Instrument] = []
        """What changed, in order."""

    def object(self, one: Instrument, inst_type: str = "") -> dict[str, Any]:
        """The object of an instrument as it is at present."""
        return {**instrument_object(one, inst_type), **self._changed.get(one.inst_id, {})}

    def told(self, one: Instrument, inst_type: str, state: str = "live") -> dict[str, Any]:
        """The object as the channel `instruments` gives it to who subscribed this type."""
        row = {**self.object(one, "" if inst_type == "ANY" else inst_type), "state": state}
        return {key: value for key, value in row.items() if key not in _REST_ONLY}

    def change(self, inst_type: str) -> None:
        """Let some instrument of a type have another largest size of market orders."""
        some = [one for one in self._instruments.values() if is_of(one, inst_type)]
        if some:
            one = random.Random(len(self.changes)).choice(some)
            size = str(int(self.object(one)["maxMktSz"]) + 1000)
            self._changed[one.inst_id] = dict.fromkeys(_LARGEST, size)
            self.changes.append(one)


def is_of(one: Instrument, inst_type: str) -> bool:
    """An instrument is of a type; spot is of MARGIN, too."""
    return inst_type == "ANY" or one.inst_type == ("SPOT" if inst_type == "MARGIN" else inst_type)
