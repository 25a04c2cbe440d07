"""One account's money by currency: what it has, what orders have frozen of it and what positions hold."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from okws_celery.simulator.trading.refusals import Refused

__all__ = ["Ledger"]

_NOTHING = Decimal(0)


class Ledger:
    """Balances. For each currency: cash = available + frozen by orders + held by positions."""

    def __init__(self, balances: Mapping[str, Decimal], now_ms: int) -> None:
        self._cash = dict(balances)
        self._frozen: dict[str, Decimal] = {}
        self._held: dict[str, Decimal] = {}
        self._fees: dict[str, Decimal] = {}
        self._u_ms = dict.fromkeys(balances, now_ms)
        self.changed: dict[str, None] = {}
        """Currencies of which something changed since this was last emptied, in order."""

    @property
    def currencies(self) -> list[str]:
        """Currencies that the account has something of, or has had."""
        return list(self._cash)

    def cash(self, ccy: str) -> Decimal:
        """The balance."""
        return self._cash.get(ccy, _NOTHING)

    def ordered(self, ccy: str) -> Decimal:
        """What open orders have frozen."""
        return self._frozen.get(ccy, _NOTHING)

    def frozen(self, ccy: str) -> Decimal:
        """What cannot be spent: frozen by orders or held by positions."""
        return self.ordered(ccy) + self._held.get(ccy, _NOTHING)

    def available(self, ccy: str) -> Decimal:
        """What can be spent."""
        return self.cash(ccy) - self.frozen(ccy)

    def fees(self, ccy: str) -> Decimal:
        """The sum of all fees paid."""
        return self._fees.get(ccy, _NOTHING)

    def updated_ms(self, ccy: str) -> int:
        """When something of it last changed."""
        return self._u_ms.get(ccy, 0)

    def freeze(self, ccy: str, amount: Decimal, now_ms: int) -> None:
        """Set an amount aside for an order; Refused (51008) if it is not there."""
        if amount > self.available(ccy):
            raise Refused(51008, "1000", ccy=ccy)
        self._frozen[ccy] = self.ordered(ccy) + amount
        self._touch(ccy, now_ms)

    def release(self, ccy: str, amount: Decimal, now_ms: int) -> None:
        """Give back what an order had set aside."""
        if amount:
            self._frozen[ccy] = self.ordered(ccy) - amount
            self._touch(ccy, now_ms)

    def move(self, ccy: str, amount: Decimal, now_ms: int) -> None:
        """Add to a balance, or take from it."""
        self._cash[ccy] = self.cash(ccy) + amount
        self._touch(ccy, now_ms)

    def charge(self, ccy: str, fee: Decimal, now_ms: int) -> None:
        """Take a fee."""
        self._fees[ccy] = self.fees(ccy) + fee
        self.move(ccy, -fee, now_ms)

    def hold(self, ccy: str, amount: Decimal, now_ms: int) -> None:
        """From now on, so much is held by positions."""
        if amount != self._held.get(ccy, _NOTHING):
            self._held[ccy] = amount
            self._touch(ccy, now_ms)

    def _touch(self, ccy: str, now_ms: int) -> None:
        self._cash.setdefault(ccy, _NOTHING)
        self._u_ms[ccy] = now_ms
        self.changed[ccy] = None
