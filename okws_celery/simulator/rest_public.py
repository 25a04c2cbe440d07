"""Public REST about instruments and their terms: time, instruments, funding, limits and the like (PROTOCOL 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.simulator.instrument import Instrument, instrument_object
from okws_celery.simulator.rest_call import Call, Problem, one_of
from okws_celery.simulator.rest_market import UNKNOWN
from okws_celery.simulator.source import MarketSource

__all__ = ["public_calls"]

_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")

Query = Mapping[str, str]


def public_calls(source: MarketSource, known: Mapping[str, Instrument]) -> list[Call]:
    """The calls of `/api/v5/public`; `known` are the instruments that there are."""
    public = _Public(source, known)
    base = "/api/v5/public/"
    # fmt: off
    return [
        Call(base + "time",        10, "",         public.time),
        Call(base + "instruments", 20, "instType", public.instruments),
    ]
    # fmt: on


class _Public:
    def __init__(self, source: MarketSource, known: Mapping[str, Instrument]) -> None:
        self._source = source
        self._known = known

    def time(self, _: Query) -> list[Any]:
        return [{"ts": str(self._source.clock.now_ms())}]

    def instruments(self, query: Query) -> list[Any]:
        kind = one_of(query, "instType", _TYPES)
        family = query.get("instFamily", "") or query.get("uly", "")
        if kind == "OPTION" and not family:
            raise Problem(50014, "Parameter instFamily can not be empty.")
        inst_id = query.get("instId", "")
        traded_as = "SPOT" if kind == "MARGIN" else kind
        found = [
            instrument_object(one, kind)
            for one in self._known.values()
            if one.inst_type == traded_as and inst_id in ("", one.inst_id) and family in ("", one.family)
        ]
        if inst_id and not found:
            raise Problem(51001, UNKNOWN)
        return found
