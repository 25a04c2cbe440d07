"""One candle, in ticks and lots, and the rows that OKX makes of it."""

from __future__ import annotations

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.numbers import decimal_text

__all__ = ["Candle"]


class Candle:
    """Prices in ticks, volume in lots, turnover in ticks times lots; `begin` and `end` in ms.

    Until its first trade all its prices are the one before; then the first trade's is its open.
    """

    __slots__ = ("begin", "close", "end", "high", "lots", "low", "open", "touched", "turnover")

    def __init__(self, begin: int, end: int, price: int) -> None:
        self.begin, self.end = begin, end
        self.open = self.high = self.low = self.close = price
        self.lots = self.turnover = 0
        self.touched = False

    def trade(self, price: int, lots: int) -> None:
        """Take in one fill, or a value without size."""
        if not self.touched:
            self.touched = True
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.lots += lots
        self.turnover += price * lots

    def merge(self, later: Candle) -> None:
        """Take in a candle that follows on this one."""
        if later.touched and not self.touched:
            self.open, self.high, self.low, self.touched = later.open, later.high, later.low, True
        elif later.touched:
            self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.turnover += later.turnover

    def row(self, one: Instrument, *, confirmed: bool) -> list[str]:
        """The nine columns of a trading candle (PROTOCOL 5.1)."""
        quote = one.quote_text(self.lots, self.turnover)
        base = one.base_text(self.lots, self.turnover)
        return [
            *self._prices(one),
            decimal_text(self.lots, one.lot_decimals),
            quote if one.is_spot else base,
            quote,
            "1" if confirmed else "0",
        ]

    def value_row(self, one: Instrument, *, confirmed: bool) -> list[str]:
        """The six columns of a candle of the mark price or of an index."""
        return [*self._prices(one), "1" if confirmed else "0"]

    def spread_row(self, one: Instrument, *, confirmed: bool) -> list[str]:
        """The seven columns of a spread's candle (PROTOCOL 5.2)."""
        return [*self._prices(one), decimal_text(self.lots, one.lot_decimals), "1" if confirmed else "0"]

    def _prices(self, one: Instrument) -> list[str]:
        decimals = one.tick_decimals
        prices = (self.open, self.high, self.low, self.close)
        return [str(self.begin), *(decimal_text(price, decimals) for price in prices)]
