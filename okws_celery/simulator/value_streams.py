"""Channels of one value, such as the mark price or the index, and the candles that are made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.bars import bar_bounds
from okws_celery.simulator.candles import Candle
from okws_celery.simulator.market import Engine
from okws_celery.simulator.numbers import POWERS, decimal_text
from okws_celery.simulator.stream import Stream

__all__ = ["Value", "ValueCandle", "funding_rate", "index_ticker", "mark_price", "open_interest", "price_limit"]

_FUNDING_MS = 8 * 3_600_000


class Value(Stream):
    """A channel of one row: pushed when it changed, and at the latest after `quiet_ms`."""

    def __init__(
        self, arg: Arg, engine: Engine, row: Callable[[Engine], dict[str, object]], every_ms: int, quiet_ms: int
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


class ValueCandle(Stream):
    """`mark-price-candle` and `index-candle`: six columns, made of a price that is looked at with each step."""

    every_ms = 1000

    def __init__(self, arg: Arg, engine: Engine) -> None:
        super().__init__(arg, engine)
        kind, _, self._bar = self.name.rpartition("candle")
        self._is_mark = kind == "mark-price-"

    def begin(self) -> None:
        # What went before was not looked at: the trades' candle stands for it.
        traded, price = self.engine.candles.open[self._bar], self._price()
        self._candle = Candle(traded.begin, traded.end, traded.open)
        self._candle.high, self._candle.low = traded.high, traded.low
        self._candle.trade(price, 0)
        self._seen = price

    def opening(self) -> str:
        return self._row(confirmed=False)

    def after(self, ts_ms: int) -> Iterator[str]:
        if ts_ms >= self._candle.end:
            self._pushed_ms = ts_ms
            yield self._row(confirmed=True)
            self._candle = Candle(*bar_bounds(self._bar, ts_ms), self._candle.close)
        self._candle.trade(self._price(), 0)
        yield from super().after(ts_ms)

    def news(self, ts_ms: int) -> Iterator[str]:
        if self._candle.close != self._seen:
            self._seen = self._candle.close
            yield self.opening()

    def _price(self) -> int:
        return self.engine.mark if self._is_mark else _index_ticks(self.engine)

    def _row(self, *, confirmed: bool) -> str:
        candle, decimals = self._candle, self.one.tick_decimals
        prices = (decimal_text(price, decimals) for price in (candle.open, candle.high, candle.low, candle.close))
        return self._push(json.dumps([str(candle.begin), *prices, "1" if confirmed else "0"], separators=(",", ":")))


def _index_ticks(engine: Engine) -> int:
    return round(engine.index * int(POWERS[engine.one.tick_decimals]))


def mark_price(engine: Engine) -> dict[str, object]:
    """The row of `mark-price`."""
    one = engine.one
    kind = "MARGIN" if one.is_spot else one.inst_type
    return {"instType": kind, "instId": one.inst_id, "markPx": decimal_text(engine.mark, one.tick_decimals)}


def index_ticker(engine: Engine) -> dict[str, object]:
    """The row of `index-tickers`."""
    decimals, candles, index = engine.one.tick_decimals, engine.candles, _index_ticks(engine)
    return {
        "instId": engine.one.index,
        "idxPx": decimal_text(index, decimals),
        "open24h": decimal_text(candles.open_24h, decimals),
        "high24h": decimal_text(max(candles.high_24h, index), decimals),
        "low24h": decimal_text(min(candles.low_24h, index), decimals),
        "sodUtc0": decimal_text(candles.open["1Dutc"].open, decimals),
        "sodUtc8": decimal_text(candles.open["1D"].open, decimals),
    }


def open_interest(engine: Engine) -> dict[str, object]:
    """The row of `open-interest`."""
    one = engine.one
    coins, decimals = engine.open_interest * one.ct_units, one.lot_decimals + one.ct_decimals
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "oi": decimal_text(engine.open_interest, one.lot_decimals),
        "oiCcy": decimal_text(coins, decimals),
        "oiUsd": decimal_text(coins * engine.last, decimals + one.tick_decimals),
    }


def funding_rate(engine: Engine) -> dict[str, object]:
    """The row of `funding-rate`."""
    due = bar_bounds("8H", engine.at_ms)[1]
    # Millionths of the premium over the index: the swap stands a fixed 0.02 % above its coin, give or take its book.
    premium = (engine.mark - _index_ticks(engine)) * 10_000_000 // max(1, _index_ticks(engine))
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
        "settFundingRate": "0.00002",
        "premium": decimal_text(premium, 7),
        "prevFundingTime": str(due - _FUNDING_MS),
    }


def price_limit(engine: Engine) -> dict[str, object]:
    """The row of `price-limit`."""
    one = engine.one
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "buyLmt": decimal_text(engine.mark * 102 // 100, one.tick_decimals),
        "sellLmt": decimal_text(engine.mark * 98 // 100, one.tick_decimals),
        "enabled": True,
    }
