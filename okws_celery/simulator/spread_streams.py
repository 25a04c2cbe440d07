"""The channels of spreads that differ from those of instruments (PROTOCOL 5.2), and the objects that REST gives too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.numbers import decimal_text
from okws_celery.simulator.stream import InstrumentStream
from okws_celery.simulator.trade import Single

__all__ = ["SpreadTickerStream", "SpreadTradesStream", "spread_object", "spread_ticker", "spread_trade"]

_QUIET_MS = 1000


class SpreadTickerStream(InstrumentStream):
    """`sprd-tickers`: on change every 100 ms, and at least every second."""

    every_ms = 100
    engine: Engine

    def begin(self) -> None:
        self._seen = spread_ticker(self.engine)
        self._pushed_ms = self.engine.at_ms

    def opening(self) -> str:
        return self._text(spread_ticker(self.engine))

    def news(self, ts_ms: int) -> Iterator[str]:
        row = spread_ticker(self.engine)
        if {**row, "ts": ""} != {**self._seen, "ts": ""} or ts_ms - self._pushed_ms >= _QUIET_MS:
            self._seen = row
            yield self._text(row)

    def _text(self, row: dict[str, Any]) -> str:
        return self._push(json.dumps(row, separators=(",", ":")))


class SpreadTradesStream(InstrumentStream):
    """`sprd-public-trades`: one match a push."""

    engine: Engine

    def news(self, ts_ms: int) -> Iterator[str]:
        for trade in self.engine.trades:
            for single in trade.singles():
                yield self._push(json.dumps(spread_trade(self.one, single), separators=(",", ":")))


def spread_ticker(engine: Engine) -> dict[str, Any]:
    """The ticker of a spread."""
    one, book, candles = engine.one, engine.book, engine.candles
    px, sz = one.price_text, one.size_text
    bid, ask = book.bids.best, book.asks.best
    return {
        "sprdId": one.inst_id,
        "last": px(engine.last),
        "lastSz": sz(engine.last_lots),
        "askPx": px(ask),
        "askSz": sz(book.asks.levels[ask][0]),
        "bidPx": px(bid),
        "bidSz": sz(book.bids.levels[bid][0]),
        "open24h": px(candles.open_24h),
        "high24h": px(candles.high_24h),
        "low24h": px(candles.low_24h),
        "vol24h": sz(candles.volume_24h()[0]),
        "ts": str(engine.at_ms),
    }


def spread_trade(one: Instrument, single: Single) -> dict[str, Any]:
    """One match of a spread."""
    return {
        "sprdId": one.inst_id,
        "tradeId": str(single.trade_id),
        "px": one.price_text(single.price),
        "sz": one.size_text(single.lots),
        "side": single.side,
        "ts": str(single.ts_ms),
    }


def spread_object(one: Instrument) -> dict[str, Any]:
    """The object of `GET /sprd/spreads`."""
    first, second = one.legs
    return {
        "sprdId": one.inst_id,
        "sprdType": "linear",
        "state": "live",
        "baseCcy": one.base,
        "szCcy": one.base,
        "quoteCcy": one.quote,
        "tickSz": decimal_text(1, one.tick_decimals),
        "minSz": decimal_text(1, one.lot_decimals),
        "lotSz": decimal_text(1, one.lot_decimals),
        "listTime": str(one.listed_ms),
        "expTime": str(one.expires_ms) if one.expires_ms else "",
        "uTime": str(one.listed_ms),
        "legs": [{"instId": first, "side": "sell"}, {"instId": second, "side": "buy"}],
    }
