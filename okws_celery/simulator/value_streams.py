"""Channels of one value, such as the mark price or an index, and the objects that they and REST give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from okws_celery.okx.topics import Arg
from okws_celery.simulator.bars import bar_bounds
from okws_celery.simulator.market import Engine
from okws_celery.simulator.numbers import POWERS, decimal_text
from okws_celery.simulator.stream import InstrumentStream
from okws_celery.simulator.values import IndexEngine

__all__ = ["Value", "funding_rate", "index_ticker", "mark_price", "open_interest", "price_limit", "settled_rate"]

_FUNDING_MS = 8 * 3_600_000


class Value(InstrumentStream):
    """A channel of one row: pushed when it changed, and at the latest after `quiet_ms`."""

    def __init__(
        self, arg: Arg, engine: Any, row: Callable[[Any], dict[str, object]], every_ms: int, quiet_ms: int
    ) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._row = row
        self._quiet_ms = quiet_ms
        self._seen: dict[str, object] = {}

    def begin(self) -> None:
        self._seen = self._row(self.engine)
        self._pushed_ms = self.engine.at_ms

    def opening(self) -> str:
        return self._stamped(self._row(self.engine))

    def news(self, ts_ms: int) -> Iterator[str]:
        row = self._row(self.engine)
        if row != self._seen or (self._quiet_ms and ts_ms - self._pushed_ms >= self._quiet_ms):
            self._seen = row
            yield self._stamped(row)

    def _stamped(self, row: dict[str, object]) -> str:
        return self._push(json.dumps({**row, "ts": str(self.engine.at_ms)}, separators=(",", ":")))


def mark_price(engine: Engine) -> dict[str, object]:
    """The row of `mark-price`."""
    one = engine.one
    kind = "MARGIN" if one.is_spot else one.inst_type
    return {"instType": kind, "instId": one.inst_id, "markPx": one.price_text(engine.mark)}


def index_ticker(engine: IndexEngine) -> dict[str, object]:
    """The row of `index-tickers`."""
    one, candles = engine.one, engine.candles
    return {
        "instId": one.inst_id,
        "idxPx": one.price_text(engine.value),
        "open24h": one.price_text(candles.open_24h),
        "high24h": one.price_text(max(candles.high_24h, engine.value)),
        "low24h": one.price_text(min(candles.low_24h, engine.value)),
        "sodUtc0": one.price_text(candles.open("1Dutc").open),
        "sodUtc8": one.price_text(candles.open("1D").open),
    }


def open_interest(engine: Engine) -> dict[str, object]:
    """The row of `open-interest`."""
    one, lots = engine.one, engine.open_interest
    if one.opt_type:
        usd = f"{lots * one.ct_units / POWERS[one.ct_decimals] * engine.index:.2f}"
    else:
        usd = one.quote_text(lots, lots * engine.last)
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "oi": one.size_text(lots),
        "oiCcy": one.base_text(lots, lots * engine.last),
        "oiUsd": usd,
    }


def funding_rate(engine: Engine) -> dict[str, object]:
    """The row of `funding-rate`."""
    due = bar_bounds("8H", engine.at_ms)[1]
    index = max(1, round(engine.index * POWERS[engine.one.tick_decimals]))
    # Ten-millionths of the premium over the index: the swap stands a little above its coin, give or take its book.
    premium = (engine.mark - index) * 10_000_000 // index
    return {
        "instType": engine.one.inst_type,
        "instId": engine.one.inst_id,
        "method": "current_period",
        "formulaType": "noRate",
        "fundingRate": decimal_text(min(37_500, max(-37_500, premium // 8)), 7),
        "fundingTime": str(due),
        "nextFundingRate": "",
        "nextFundingTime": str(due + _FUNDING_MS),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "interestRate": "0.0001",
        "impactValue": "20000",
        "settState": "settled",
        "settFundingRate": settled_rate(engine, due - _FUNDING_MS),
        "premium": decimal_text(premium, 7),
        "prevFundingTime": str(due - _FUNDING_MS),
    }


def settled_rate(engine: Engine, ts_ms: int) -> str:
    """What was paid at a moment of funding: the same whenever it is asked for."""
    return decimal_text(50 + (ts_ms // _FUNDING_MS * 7919 + engine.one.code) % 1900, 7)


def price_limit(engine: Engine) -> dict[str, object]:
    """The row of `price-limit`."""
    one = engine.one
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "buyLmt": one.price_text(engine.mark * 102 // 100),
        "sellLmt": one.price_text(engine.mark * 98 // 100),
        "enabled": True,
    }
