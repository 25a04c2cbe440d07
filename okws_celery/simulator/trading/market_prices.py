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
        self._names = {one.code: inst_id for inst_id, one in source.market.instruments.items()}

    def engine(self, one: Instrument) -> Engine:
        """Its engine, whatever it is called today; Refused (51001) if it is not one of this market."""
        name = self._names.get(one.code)
        if name is None:
            raise Refused(51001)
        return self._source.engine(name)

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
