"""An order in the life of the exchange: from accepted to filled or canceled, and the fills that it had."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.asked import Asked
from okws_celery.simulator.trading.matching import Resting
from okws_celery.simulator.trading.terms import MONEY, lots_of, price_of

__all__ = ["Fill", "Order"]


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `fee` is what was paid (positive), in `fee_ccy`; `pnl` what closing a position brought."""

    order: Order
    trade_id: str
    bill_id: str
    px: Decimal
    size: Decimal
    exec_type: str
    fee: Decimal
    fee_ccy: str
    fee_rate: Decimal
    pnl: Decimal
    ts_ms: int


@dataclass(slots=True, eq=False)
class Order:
    """One order. `size` and `px` may be amended; `frozen` is what of `frozen_ccy` is set aside for it."""

    asked: Asked
    ord_id: str
    c_ms: int
    lever: str = ""
    size: Decimal = Decimal(0)
    px: int | None = None
    state: str = "live"
    filled: Decimal = Decimal(0)
    """In base coin or contracts, also for an order in quote currency."""
    turnover: Decimal = Decimal(0)
    """Sum of price times size."""
    fee: Decimal = Decimal(0)
    fee_ccy: str = ""
    pnl: Decimal = Decimal(0)
    frozen: Decimal = Decimal(0)
    frozen_ccy: str = ""
    u_ms: int = 0
    cancel_source: str = ""
    req_id: str = ""
    amend_result: str = ""
    amend_source: str = ""
    last: Fill | None = None
    resting: Resting | None = None
    """Its place in the book while it waits there."""
    algo_id: str = ""
    fills: list[Fill] = field(default_factory=list)

    @property
    def one(self) -> Instrument:
        """Its instrument."""
        return self.asked.one

    @property
    def is_live(self) -> bool:
        """It may still be filled."""
        return self.state in ("live", "partially_filled")

    @property
    def left(self) -> Decimal:
        """What of its size is not filled; nothing for an order in quote currency."""
        return Decimal(0) if self.asked.in_quote else self.size - self.filled

    @property
    def left_lots(self) -> int:
        """The same in lots."""
        return lots_of(self.one, self.left) or 0

    @property
    def price(self) -> Decimal | None:
        """Its limit; None for a market order."""
        return None if self.px is None else price_of(self.one, self.px)

    @property
    def average(self) -> Decimal | None:
        """The average price of its fills."""
        if not self.filled:
            return None
        mean = self.turnover / self.filled
        return mean if mean == mean.quantize(MONEY) else mean.quantize(MONEY)

    def add(self, fill: Fill, *, ends: bool) -> None:
        """Take over an execution, after which the order is over or not."""
        self.last = fill
        self.fills.append(fill)
        self.filled += fill.size
        self.turnover += fill.px * fill.size
        self.fee += fill.fee
        self.fee_ccy = fill.fee_ccy
        self.pnl += fill.pnl
        self.u_ms = max(self.u_ms, fill.ts_ms)
        self.state = "filled" if ends else "partially_filled"
