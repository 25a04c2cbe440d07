"""The trading floor: where the orders of all accounts meet the simulated market."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.stream import Stream
from okws_celery.simulator.trading.asked import Asked, check_new_size, number, parse_order, text_of
from okws_celery.simulator.trading.market_prices import MarketPrices
from okws_celery.simulator.trading.matching import Resting, crossings, take_budget, take_lots
from okws_celery.simulator.trading.orders import Order
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import lots_of, plain, price_of, size_of, ticks_of
from okws_celery.simulator.trading.trader import Trader

__all__ = ["Floor"]

_AT_ONCE = frozenset({"market", "ioc", "fok", "optimal_limit_ioc"})
_MOST_LIMIT = (102, 98)
"""Per cent of the mark price that a buy order may not exceed, and a sell order not undercut."""


class Floor:
    """All that is traded. `instruments` are those that exist, by instId; `woken` is called when there is news to tell.

    Orders of accounts meet the market only: they are not seen in its book, and not matched with one another.
    """

    def __init__(
        self,
        source: MarketSource,
        instruments: Mapping[str, Instrument],
        woken: Callable[[Trader], None],
    ) -> None:
        self._source = source
        self._market = MarketPrices(source)
        self._instruments = instruments
        self.woken = woken
        self.filled: Callable[[Trader, Order], None] | None = None
        """Called with each order that was filled to its end."""
        self.delivered: Callable[[Instrument], None] | None = None
        """Called with each instrument that is no more."""
        self._resting: dict[int, dict[Resting, tuple[Trader, Order]]] = {}
        """By the code of the instrument, which outlives its name."""
        self._watchers: dict[int, Stream] = {}
        self._place = 0

    def instrument(self, given: Mapping[str, Any], *, by_code: bool) -> Instrument:
        """The instrument of a request, by `instIdCode` (WebSocket) or `instId` (REST); Refused (51000, 51001)."""
        name = "instIdCode" if by_code else "instId"
        said = text_of(given, name)
        if not said:
            raise Refused(51000, name=name)
        if by_code:
            one = next((one for one in self._instruments.values() if str(one.code) == said), None)
        else:
            one = self._instruments.get(said)
        if one is None or one.inst_type == "OPTION":
            raise Refused(51001)
        return one

    # -- what traders ask for

    def place(self, trader: Trader, given: Mapping[str, Any], one: Instrument, *, algo_id: str = "") -> Order:
        """Take an order; it may be filled, or over, when this returns. Refused says why it is not taken."""
        asked = parse_order(given, one, hedged=trader.habits.hedged)
        with self._source.one_moment():  # the book that is looked at is the book that is hit
            engine = self._market.engine(one)
            self._check_price(engine, asked.buys, asked.px)
            plan = self._plan(engine, asked)
            if asked.in_quote and not plan:
                raise Refused(51020)
            closable = trader.closable(asked)
            if closable is not None and closable < asked.size:
                raise Refused(51169)
            amount = sum((size_of(one, lots) for _, lots in plan), Decimal(0)) if asked.in_quote else asked.size
            order = trader.admit(asked, self._worst(engine, asked, plan), amount, self._now_ms(), algo_id)
            self._meet(trader, order, engine, plan)
            self.woken(trader)
            return order

    def cancel(self, trader: Trader, order: Order | None, source: str = "1") -> Order:
        """Take an order back; Refused (51400) if it is over. `source` is OKX's cancelSource: 1 for the trader."""
        if order is None or not order.is_live:
            raise Refused(51400)
        self._leave(order)
        trader.close(order, "canceled", self._now_ms(), source)
        trader.tell(order)
        self.woken(trader)
        return order

    def amend(self, trader: Trader, order: Order | None, given: Mapping[str, Any]) -> Order:
        """Change price or size of an open order; one that may be matched at once is. Refused says why not."""
        if order is None or not order.is_live:
            raise Refused(51503)
        one = order.one
        new_size, new_px = text_of(given, "newSz"), text_of(given, "newPx")
        if not new_size and not new_px:
            raise Refused(51000, name="newSz or newPx")
        size = check_new_size(one, given) if new_size else order.size
        px = ticks_of(one, number(given, "newPx")) if new_px else order.px
        if px is None:
            raise Refused(51000, name="newPx")
        if size < order.filled:
            raise Refused(51503)
        with self._source.one_moment():  # the book that is looked at is the book that is hit
            engine = self._market.engine(one)
            self._check_price(engine, order.asked.buys, px)
            trader.amend(order, px, size, self._now_ms())
            self._leave(order)
            order.req_id, order.amend_result, order.amend_source = text_of(given, "reqId"), "0", "1"
            trader.tell(order)
            order.req_id = order.amend_result = order.amend_source = ""
            if not order.left:
                trader.close(order, "filled", self._now_ms())
                trader.tell(order)
                self._was_filled(trader, order)
                return order
            levels = take_lots(engine.book, order.asked.buys, order.left_lots, px)
            if levels and order.asked.ord_type in ("post_only", "rpi"):
                trader.close(order, "canceled", self._now_ms(), "31")
                trader.tell(order)
            else:
                self._match(trader, order, engine, levels)
                self._rest(trader, order)
            self.woken(trader)
            return order

    # -- what happens on the exchange's side

    def deliver(self, one: Instrument, traders: Iterable[Trader]) -> None:
        """An instrument is no more: its orders are canceled, its positions closed at the mark price without a fee."""
        for trader in traders:
            for order in [order for order in trader.live.values() if order.one.code == one.code]:
                self.cancel(trader, order, "7")
            if any(position.one.code == one.code and position.size for position in trader.positions.values()):
                trader.deliver(one, self._market.mark(one), self._now_ms())
            self.woken(trader)
        if self.delivered is not None:
            self.delivered(one)

    def fill(self, trader: Trader, order: Order | None, size: str = "", px: str = "") -> Order:
        """Fill an open order whatever the market does, wholly or in part, at its own price if none is given."""
        if order is None or not order.is_live:
            raise Refused(51400)
        one = order.one
        engine = self._market.engine(one)
        price = number({"px": px}, "px") if px else order.price or price_of(one, engine.last)
        amount = min(order.left, number({"size": size}, "size")) if size else order.left
        if lots_of(one, amount) is None:
            raise Refused(51121)
        closable = trader.closable(order.asked)
        if closable is not None and closable < amount:
            raise Refused(51169)
        if one.is_spot and order.asked.buys and price * amount > trader.ledger.available(one.quote) + order.frozen:
            raise Refused(51008, "1000", ccy=one.quote)
        trader.fill(order, engine.next_trade_id(), price, amount, "M", self._now_ms())
        self._was_filled(trader, order)
        return order

    # -- matching

    def _meet(self, trader: Trader, order: Order, engine: Engine, plan: list[tuple[int, int]]) -> None:
        """An accepted order meets the book."""
        asked, now_ms = order.asked, self._now_ms()
        if asked.ord_type in ("post_only", "rpi") and plan:
            trader.close(order, "canceled", now_ms, "31")
            trader.tell(order)  # `live` is not said of one that never came into the book (PROTOCOL 5.3)
            return
        trader.tell(order)
        if asked.ord_type == "fok" and sum(lots for _, lots in plan) < (lots_of(order.one, order.size) or 0):
            plan = []
        self._match(trader, order, engine, plan)
        if not order.is_live:
            return
        if asked.ord_type in _AT_ONCE:
            source = "13" if asked.ord_type == "fok" else "14"
            trader.close(order, "canceled", now_ms, source)
            trader.tell(order)
        else:
            self._rest(trader, order)

    def _match(self, trader: Trader, order: Order, engine: Engine, plan: list[tuple[int, int]]) -> None:
        one = order.one
        trades = engine.hit(order.asked.side, plan)
        closes_later = order.asked.ord_type == "market" and trader.habits.late_close
        for trade in trades:
            price, size = price_of(one, trade.price), size_of(one, trade.lots)
            ends = trade is trades[-1] and (order.asked.in_quote or size == order.left) and not closes_later
            trader.fill(order, trade.trade_id, price, size, "T", self._now_ms(), ends=ends)
        if closes_later and order.filled and (order.asked.in_quote or not order.left):
            trader.close(order, "filled", self._now_ms())
            trader.tell(order)
        self._was_filled(trader, order)

    def _was_filled(self, trader: Trader, order: Order) -> None:
        """After a fill: an order that waits has less to wait for, one that is over leaves the book."""
        if order.resting is not None:
            order.resting.lots = order.left_lots
        if not order.is_live:
            self._leave(order)
        if order.state == "filled" and self.filled is not None:
            self.filled(trader, order)
        self.woken(trader)

    def _rest(self, trader: Trader, order: Order) -> None:
        if not order.is_live or order.px is None:
            return
        self._place += 1
        order.resting = Resting(order.asked.buys, order.px, order.left_lots, self._place)
        code = order.one.code
        if not self._resting.get(code):
            self._resting[code] = {}
            self._watchers[code] = self._source.watch(self._market.engine(order.one).one.inst_id, self._stepped)
        self._resting[code][order.resting] = (trader, order)

    def _leave(self, order: Order) -> None:
        resting, order.resting = order.resting, None
        if resting is None:
            return
        here = self._resting[order.one.code]
        del here[resting]
        if not here:
            self._source.unwatch(self._watchers.pop(order.one.code))

    def _stepped(self, engine: Engine) -> None:
        """The market has moved on: orders that its trades went through are filled, as makers."""
        here = self._resting.get(engine.one.code, {})
        trades = engine.trades[engine.struck :]
        for crossing in crossings(here, trades) if trades else ():
            if crossing.order in here:
                self._made(*here[crossing.order], crossing.trade_id, crossing.lots, crossing.ts_ms)
        bid, ask = engine.book.bids.best, engine.book.asks.best
        for resting in [one for one in here if (one.px > ask if one.buys else one.px < bid)]:
            # The market came past it without a trade: whoever came meets it.
            levels = take_lots(engine.book, resting.buys, resting.lots, resting.px)
            for trade in engine.hit("buy" if resting.buys else "sell", levels, at=resting.px):
                if resting in here:
                    self._made(*here[resting], trade.trade_id, trade.lots, trade.ts_ms)

    def _made(self, trader: Trader, order: Order, trade_id: int, lots: int, ts_ms: int) -> None:
        """A resting order is filled, wholly or in part."""
        if not order.is_live or order.price is None:
            return
        size, closable = size_of(order.one, lots), trader.closable(order.asked)
        if closable is not None:
            size = min(size, closable)
        if size:
            trader.fill(order, trade_id, order.price, size, "M", ts_ms)
            self._was_filled(trader, order)
        else:
            self.cancel(trader, order, "0")  # nothing is left to close

    # -- checks

    def _plan(self, engine: Engine, asked: Asked) -> list[tuple[int, int]]:
        one = asked.one
        if asked.in_quote:
            units = asked.size.scaleb(one.tick_decimals + one.lot_decimals)
            return take_budget(engine.book, asked.buys, int(units.to_integral_value(ROUND_DOWN)))
        return take_lots(engine.book, asked.buys, lots_of(one, asked.size) or 0, asked.px)

    def _worst(self, engine: Engine, asked: Asked, plan: list[tuple[int, int]]) -> Decimal:
        """The highest price that an order may come to, which is what it must have money for."""
        prices = [price for price, _ in plan]
        if asked.px is not None:
            prices.append(asked.px)
        return price_of(asked.one, max(prices or [engine.last]))

    def _check_price(self, engine: Engine, buys: bool, px: int | None) -> None:
        if px is None:
            return
        most, least = engine.mark * _MOST_LIMIT[0] // 100, engine.mark * _MOST_LIMIT[1] // 100
        if buys and px > most:
            raise Refused(51137, price=plain(price_of(engine.one, most)))
        if not buys and px < least:
            raise Refused(51138, price=plain(price_of(engine.one, least)))

    def _now_ms(self) -> int:
        return self._source.clock.now_ms()
