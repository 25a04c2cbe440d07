"""Present prices of the simulated market, as accounts and their orders need them."""

from __future__ import annotations

from decimal import Decimal

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import price_of

__all__ = ["MarketPrices"]


class MarketPrices:
    """Present prices, out of the engines of the market."""

    def __init__(self, source: MarketSource) -> None:
        self._source = source
        self._names: dict[int, str] = {}
        """The first name of each instrument, by its code."""

    def engine(self, one: Instrument) -> Engine:
        """Its engine, whatever it is called today; Refused (51001) if it is not one of this market."""
        if one.code not in self._names:
            self._names = {known.code: inst_id for inst_id, known in self._source.market.instruments.items()}
        if one.code not in self._names:
            raise Refused(51001)
        return self._source.engine(self._names[one.code])

    def last(self, one: Instrument) -> Decimal:
        """Of the latest trade."""
        return price_of(one, self.engine(one).last)

    def mark(self, one: Instrument) -> Decimal:
        """The mark price."""
        return price_of(one, self.engine(one).mark)

    def index(self, one: Instrument) -> Decimal:
        """The index that it follows."""
        return Decimal(str(round(self.engine(one).index, one.tick_decimals)))

    def usd(self, ccy: str) -> Decimal:
        """What a currency is worth in USD."""
        return self._source.price_in_usd(ccy)
