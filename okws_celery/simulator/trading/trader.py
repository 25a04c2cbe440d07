"""One account as a trader: its orders, what they freeze, what fills do to its money and positions, what is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.algos import Algo
from okws_celery.simulator.trading.asked import Asked
from okws_celery.simulator.trading.ledger import Ledger
from okws_celery.simulator.trading.order_rows import fill_push_row, order_push_row
from okws_celery.simulator.trading.orders import Fill, Order
from okws_celery.simulator.trading.positions import Position, PositionKey
from okws_celery.simulator.trading.prices import Prices
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import MONEY, notional, settle_ccy

__all__ = ["Habits", "Said", "Trader"]

_MOST_DONE = 20_000
"""Finished orders and fills that are remembered, the oldest go first."""
_FEES = {
    # spot maker, spot taker, derivatives maker, derivatives taker
    False: (Decimal("0.0008"), Decimal("0.001"), Decimal("0.0002"), Decimal("0.0005")),
    True: (Decimal("0.00045"), Decimal("0.0006"), Decimal("0.00015"), Decimal("0.0004")),
}


@dataclass(frozen=True, slots=True)
class Said:
    """One row for a private channel, and what its listeners choose by."""

    channel: str
    row: dict[str, Any]
    family: str = ""
    """Its instFamily, which rows do not have."""


@dataclass(slots=True)
class Habits:
    """How OKX behaves towards this account where it may behave in several ways.

    `level` is OKX's acctLv: 1 trades spot only. `hedged` is long_short_mode. `duplicates` sends each push of an order
    twice; `late_close` ends a market order with one more push, `filled` and with `fillSz` 0 (PROTOCOL 5.3).
    """

    level: int = 2
    hedged: bool = False
    duplicates: bool = False
    late_close: bool = False
    page_rows: int = 20
    """Rows of a page of the `account` and `positions` snapshots."""


@dataclass(slots=True)
class Told:
    """What happened since the account's listeners were last told."""

    rows: list[Said] = field(default_factory=list)
    trades: dict[tuple[str, str], None] = field(default_factory=dict)
    """(instId, tradeId) of fills."""
    positions: dict[PositionKey, None] = field(default_factory=dict)
    delivered: bool = False
    """A position ended because its instrument did."""


class Trader:
    """The state of one account. `new_id` gives ids that rise; `prices` is the market as its rows mention it."""

    def __init__(
        self, ledger: Ledger, prices: Prices, new_id: Callable[[], str], *, vip: int = 0, habits: Habits | None = None
    ) -> None:
        self.ledger = ledger
        self.habits = habits or Habits()
        self.live: dict[str, Order] = {}
        """Open orders by ordId, oldest first."""
        self.done: dict[str, Order] = {}
        """Finished orders by ordId, in the order in which they ended."""
        self.algos: dict[str, Algo] = {}
        """Algo orders that wait, by algoId."""
        self.algos_done: dict[str, Algo] = {}
        self.fills: deque[Fill] = deque(maxlen=_MOST_DONE)
        self.positions: dict[PositionKey, Position] = {}
        self.closed: deque[Position] = deque(maxlen=_MOST_DONE)
        self.told = Told()
        self.prices = prices
        self.new_id = new_id
        self._named: dict[str, Order] = {}
        self._vip = vip > 0
        self._levers: dict[str, Decimal] = {}

    # -- looking

    def find(self, ord_id: str, cl_ord_id: str = "") -> Order | None:
        """An order by its id, or by the client's: a live one, else the newest that is done."""
        if ord_id:
            return self.live.get(ord_id) or self.done.get(ord_id)
        if not cl_ord_id:
            return None
        named = (one for one in reversed(self.done.values()) if one.asked.cl_ord_id == cl_ord_id)
        return self._named.get(cl_ord_id) or next(named, None)

    def lever(self, inst_id: str) -> Decimal:
        """The leverage set for an instrument."""
        return self._levers.get(inst_id, Decimal(3))

    def fee_rate(self, one: Instrument, exec_type: str) -> Decimal:
        """The rate of a maker (M) or taker (T), positive."""
        return self.fees(spot=one.is_spot)[exec_type == "T"]

    def fees(self, *, spot: bool) -> tuple[Decimal, Decimal]:
        """The rates of maker and taker."""
        rates = _FEES[self._vip]
        return (rates[0], rates[1]) if spot else (rates[2], rates[3])

    def closable(self, asked: Asked) -> Decimal | None:
        """How much an order that can only close may still close; None for one that may open."""
        closes = asked.pos_side != "net" and (asked.pos_side == "long") != asked.buys
        if asked.one.is_spot or not (closes or asked.reduce_only):
            return None
        position = self.positions.get((asked.one.inst_id, asked.td_mode, asked.pos_side))
        return position.closable(asked.buys) if position else Decimal(0)

    def position(self, one: Instrument, margin_mode: str, side: str) -> Position:
        """The position of this kind, made at need."""
        key = (one.inst_id, margin_mode, side)
        if key not in self.positions:
            self.positions[key] = Position(one, margin_mode, side, self.new_id(), self.lever(one.inst_id))
        return self.positions[key]

    # -- orders

    def admit(self, asked: Asked, worst: Decimal, amount: Decimal, now_ms: int, algo_id: str = "") -> Order:
        """Accept an order and set aside what it may cost; Refused if that is not there, or the id is in use.

        `worst` is the price that it may come to, `amount` the base coin or contracts.
        """
        if not asked.one.is_spot and self.habits.level < 2:
            raise Refused(51010)
        if asked.cl_ord_id in self._named:
            raise Refused(51016)
        ccy, cost = self._cost(asked, worst, amount)
        self.ledger.freeze(ccy, cost, now_ms)
        lever = "" if asked.one.is_spot else str(self.lever(asked.one.inst_id))
        order = Order(asked, self.new_id(), now_ms, lever, asked.size, asked.px, u_ms=now_ms, algo_id=algo_id)
        order.frozen, order.frozen_ccy = cost, ccy
        self.live[order.ord_id] = order
        if asked.cl_ord_id:
            self._named[asked.cl_ord_id] = order
        return order

    def fill(
        self,
        order: Order,
        trade_id: int,
        px: Decimal,
        size: Decimal,
        exec_type: str,
        ts_ms: int,
        *,
        ends: bool | None = None,
    ) -> Fill:
        """An execution of an order: money moves, a position changes, and the listeners are told.

        `ends` says whether the order is over; by default it is when nothing is left of it.
        """
        one, buys, ledger = order.one, order.asked.buys, self.ledger
        rate = self.fee_rate(one, exec_type)
        self._thaw(order, size, ts_ms, px)
        if one.is_spot:
            ledger.move(one.base, size if buys else -size, ts_ms)
            ledger.move(one.quote, -px * size if buys else px * size, ts_ms)
            fee_ccy, fee, pnl = one.base if buys else one.quote, (size if buys else px * size) * rate, Decimal(0)
            ledger.charge(fee_ccy, fee, ts_ms)
        else:
            position = self.position(one, order.asked.td_mode, order.asked.pos_side)
            fee_ccy, fee = position.ccy, (notional(one, size, px) * rate).quantize(MONEY)
            pnl, ended = position.trade(buys, size, px, fee, ts_ms)
            position.trade_id = str(trade_id)
            ledger.move(fee_ccy, pnl, ts_ms)
            ledger.charge(fee_ccy, fee, ts_ms)
            self._hold(fee_ccy, ts_ms)
            self.told.positions[position.key] = None
            if ended is not None:
                self.closed.append(ended)
        fill = Fill(order, str(trade_id), self.new_id(), px, size, exec_type, fee, fee_ccy, rate, pnl, ts_ms)
        order.add(fill, ends=not order.asked.in_quote and size == order.left if ends is None else ends)
        self.fills.append(fill)
        self.told.trades[one.inst_id, str(trade_id)] = None
        self.told.rows.append(Said("fills", fill_push_row(fill), one.index))
        self.tell(order, fill)
        if not order.is_live:
            self._finish(order, ts_ms)
        return fill

    def end_algo(self, algo: Algo) -> None:
        """An algo order does not wait any more."""
        del self.algos[algo.algo_id]
        self.algos_done[algo.algo_id] = algo
        if len(self.algos_done) > _MOST_DONE:
            del self.algos_done[next(iter(self.algos_done))]

    def close(self, order: Order, state: str, now_ms: int, cancel_source: str = "") -> None:
        """An order that is not filled to its end is over."""
        order.state, order.cancel_source, order.u_ms = state, cancel_source, max(now_ms, order.u_ms)
        self._finish(order, now_ms)

    def amend(self, order: Order, px: int | None, size: Decimal, now_ms: int) -> None:
        """Change price and size; Refused (51008) leaves the order as it was."""
        asked = order.asked
        price = None if px is None else Decimal(px).scaleb(-order.one.tick_decimals)
        assert price is not None
        self._thaw(order, None, now_ms)
        try:
            ccy, cost = self._cost(asked, price, size - order.filled)
            self.ledger.freeze(ccy, cost, now_ms)
        except Refused:
            ccy, cost = self._cost(asked, order.price or price, order.left)
            self.ledger.freeze(ccy, cost, now_ms)
            order.frozen = cost
            raise
        order.frozen, order.px, order.size = cost, px, size
        order.u_ms = max(now_ms, order.u_ms)

    def tell(self, order: Order, fill: Fill | None = None) -> None:
        """Push an order as it stands."""
        said = Said("orders", order_push_row(order, fill, self.prices), order.one.index)
        self.told.rows += [said, said] if self.habits.duplicates else [said]

    def deliver(self, one: Instrument, price: Decimal, now_ms: int) -> None:
        """Close all positions in an instrument at a price, without an order and without a fee."""
        for position in self.positions.values():
            if position.one.code == one.code and position.size:
                brought, ended = position.trade(not position.is_long, abs(position.size), price, Decimal(0), now_ms)
                assert ended is not None
                self.closed.append(ended)
                self.ledger.move(position.ccy, brought, now_ms)
                self._hold(position.ccy, now_ms)
                self.told.positions[position.key] = None
                self.told.delivered = True

    # -- settings

    def set_lever(self, inst_id: str, lever: Decimal, now_ms: int) -> None:
        """Set the leverage of an instrument, for its open positions too."""
        self._levers[inst_id] = lever
        for position in self.positions.values():
            if position.one.inst_id == inst_id:
                position.lever = lever
                self.told.positions[position.key] = None
                self._hold(position.ccy, now_ms)

    # -- money

    def _cost(self, asked: Asked, worst: Decimal, amount: Decimal) -> tuple[str, Decimal]:
        """The currency and amount that an order sets aside."""
        one = asked.one
        if one.is_spot:
            if not asked.buys:
                return one.base, amount
            return one.quote, asked.size if asked.in_quote else amount * worst
        if self.closable(asked) is not None:
            return settle_ccy(one), Decimal(0)
        position = self.positions.get((one.inst_id, asked.td_mode, asked.pos_side))
        opening = amount - min(amount, position.closable(asked.buys) if position else Decimal(0))
        worth = notional(one, opening, worst)
        return settle_ccy(one), (worth / self.lever(one.inst_id) + worth * self.fee_rate(one, "T")).quantize(MONEY)

    def _thaw(self, order: Order, size: Decimal | None, now_ms: int, px: Decimal = Decimal(0)) -> None:
        """Give back what was set aside for so much of an order; None: for all of it."""
        share = order.frozen
        if size is not None and order.asked.in_quote:
            share = min(share, size * px if order.asked.buys else size)
        elif size is not None and size < order.left:
            share = (order.frozen * size / order.left).quantize(MONEY)
        self.ledger.release(order.frozen_ccy, share, now_ms)
        order.frozen -= share

    def _hold(self, ccy: str, now_ms: int) -> None:
        held = sum((one.margin for one in self.positions.values() if one.ccy == ccy), Decimal(0))
        self.ledger.hold(ccy, held, now_ms)

    def _finish(self, order: Order, now_ms: int) -> None:
        self._thaw(order, None, now_ms)
        self.live.pop(order.ord_id, None)
        self._named.pop(order.asked.cl_ord_id, None)
        self.done[order.ord_id] = order
        if len(self.done) > _MOST_DONE:
            del self.done[next(iter(self.done))]
