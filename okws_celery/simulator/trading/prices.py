"""What the rows of accounts need to know of the market."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from okws_celery.simulator.instruments import Instrument

__all__ = ["Prices"]


class Prices(Protocol):
    """Present prices of an instrument, in its quote currency."""

    def last(self, one: Instrument) -> Decimal:
        """Of the latest trade."""

    def mark(self, one: Instrument) -> Decimal:
        """The mark price."""

    def index(self, one: Instrument) -> Decimal:
        """The index that it follows."""

    def usd(self, ccy: str) -> Decimal:
        """What a currency is worth in USD."""
