"""Positions in derivatives: what was opened at which cost, and what closing it brings."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.terms import MONEY, is_inverse, notional, settle_ccy

__all__ = ["Position", "PositionKey"]

PositionKey = tuple[str, str, str]
"""instId, margin mode and `long`, `short` or `net`."""


@dataclass(slots=True)
class Position:
    """One position. `size` is in contracts: below 0 is short in net mode, never in long_short_mode.

    `cost` is what stands open, valued at the prices at which it was opened, in the settlement currency.
    """

    one: Instrument
    margin_mode: str
    side: str
    pos_id: str
    lever: Decimal
    size: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    pnl: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    trade_id: str = ""
    c_ms: int = 0
    u_ms: int = 0

    @property
    def key(self) -> PositionKey:
        """What there is one position of."""
        return self.one.inst_id, self.margin_mode, self.side

    @property
    def ccy(self) -> str:
        """The currency of cost, gains and margin."""
        return settle_ccy(self.one)

    @property
    def is_long(self) -> bool:
        """It gains when the price rises; a flat one counts as long."""
        return self.side == "long" or (self.side == "net" and self.size >= 0)

    @property
    def average(self) -> Decimal | None:
        """The average price at which it was opened; None when it is flat."""
        if not self.size:
            return None
        worth = notional(self.one, abs(self.size), Decimal(1))
        mean = abs(self.size) * _coin_value(self.one) / self.cost if is_inverse(self.one) else self.cost / worth
        return mean.quantize(MONEY)

    @property
    def margin(self) -> Decimal:
        """What it holds of the balance."""
        return (self.cost / self.lever).quantize(MONEY)

    def closable(self, buys: bool) -> Decimal:
        """How many contracts an order of this side would close."""
        return Decimal(0) if self.is_long == buys else abs(self.size)

    def unrealized(self, price: Decimal) -> Decimal:
        """Gain or loss if it were closed at a price."""
        if not self.size:
            return Decimal(0)
        return self._gain(notional(self.one, abs(self.size), price), self.cost)

    def trade(self, buys: bool, size: Decimal, price: Decimal, ts_ms: int) -> Decimal:
        """Take over an execution; gives what closing brought, before fees."""
        brought = Decimal(0)
        closing = min(size, self.closable(buys))
        if closing:
            share = self.cost if closing == abs(self.size) else self._part(closing)
            brought = self._gain(notional(self.one, closing, price), share)
            self.cost -= share
            self.size += closing if self.size < 0 else -closing
            self.pnl += brought
        opening = size - closing
        if opening:
            if not self.size:
                self.c_ms, self.pnl, self.fee = ts_ms, Decimal(0), Decimal(0)
            self.cost += notional(self.one, opening, price)
            self.size += -opening if self.side == "net" and not buys else opening
        self.u_ms = max(self.u_ms, ts_ms)
        return brought

    def _part(self, closing: Decimal) -> Decimal:
        return (self.cost * closing / abs(self.size)).quantize(MONEY, ROUND_DOWN)

    def _gain(self, worth: Decimal, cost: Decimal) -> Decimal:
        rises = worth - cost
        return rises if self.is_long != is_inverse(self.one) else -rises


def _coin_value(one: Instrument) -> Decimal:
    return Decimal(one.ct_units).scaleb(-one.ct_decimals)
