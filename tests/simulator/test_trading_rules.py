"""What must hold of money, orders and positions, whatever is traded: the floor by itself, its clock turned by hand."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okws_celery.simulator.book import OrderBook
from okws_celery.simulator.instruments import INSTRUMENTS
from okws_celery.simulator.market import Trade
from okws_celery.simulator.source import Clock, MarketSource
from okws_celery.simulator.trading.floor import Floor
from okws_celery.simulator.trading.ledger import Ledger
from okws_celery.simulator.trading.market_prices import MarketPrices
from okws_celery.simulator.trading.matching import Resting, crossings, take_budget, take_lots
from okws_celery.simulator.trading.orders import Order
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import plain, price_of
from okws_celery.simulator.trading.trader import Habits, Trader

BEGIN_MS = 1_790_000_012_345
BALANCES = {"USDT": Decimal(1_000_000), "BTC": Decimal(10), "ETH": Decimal(100)}
ROUNDING = Decimal("1e-9")


class HandClock(Clock):
    """A clock that a test turns by hand."""

    ms = BEGIN_MS

    def now_ms(self) -> int:
        return self.ms


@dataclass
class Bench:
    """One trader on a floor of its own; the market moves when it is told to."""

    hedged: bool = False
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.source = MarketSource(3, self.clock)
        self.prices = MarketPrices(self.source)
        self.floor = Floor(self.source, INSTRUMENTS, lambda trader: None)
        ids = itertools.count(1)
        self.trader = Trader(
            Ledger(BALANCES, BEGIN_MS), self.prices, lambda: str(next(ids)), habits=Habits(hedged=self.hedged)
        )

    def place(self, inst_id: str, side: str, ord_type: str, sz: str, percent: Decimal, pos_side: str = "") -> Order:
        """An order at a price some per cent above the market, or below it."""
        one = self.floor.instrument({"instId": inst_id}, by_code=False)
        mark = self.source.engine(inst_id).mark
        asked = {
            "instId": inst_id,
            "tdMode": "cash" if one.is_spot else "cross",
            "side": side,
            "ordType": ord_type,
            "sz": sz,
            "posSide": pos_side,
            "px": plain(price_of(one, int(mark * (100 + percent) / 100))) if ord_type != "market" else "",
            "tgtCcy": "base_ccy",
        }
        return self.floor.place(self.trader, asked, one)

    def run(self, seconds: int) -> None:
        """Let the market's time pass."""
        for _ in range(seconds * 10):
            self.clock.ms += 100
            self.source.advance(lambda arg, text: None)

    def check(self) -> None:
        """Money is neither made nor lost, but for fees; what is frozen is part of it; orders are the sum of fills."""
        ledger, trader = self.trader.ledger, self.trader
        wanted: dict[str, Decimal] = dict(BALANCES)
        fees: dict[str, Decimal] = defaultdict(Decimal)
        for fill in trader.fills:
            one, sign = fill.order.one, 1 if fill.order.asked.buys else -1
            if one.is_spot:
                wanted[one.base] = wanted.get(one.base, Decimal(0)) + sign * fill.size
                wanted[one.quote] -= sign * fill.size * fill.px
            else:
                wanted[one.quote] += fill.pnl
            fees[fill.fee_ccy] += fill.fee
            assert fill.fee > 0
        for ccy in {*wanted, *ledger.currencies}:
            assert ledger.cash(ccy) == wanted.get(ccy, Decimal(0)) - fees[ccy]
            assert ledger.fees(ccy) == fees[ccy]
            assert ledger.available(ccy) + ledger.frozen(ccy) == ledger.cash(ccy)
            assert ledger.ordered(ccy) >= 0
        for order in [*trader.live.values(), *trader.done.values()]:
            assert sum((fill.size for fill in order.fills), Decimal(0)) == order.filled <= order.size
            assert (order.state == "filled") == (order.filled == order.size)
            assert order.is_live == (order.ord_id in trader.live) == (order.resting is not None)
            assert order.is_live or order.frozen == 0
        if not trader.live:
            assert all(ledger.ordered(ccy) == 0 for ccy in ledger.currencies)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("place"),
            st.sampled_from(["BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP"]),
            st.sampled_from(["buy", "sell"]),
            st.sampled_from(["market", "limit", "limit", "post_only", "ioc", "fok"]),
            st.sampled_from(["0.01", "0.5", "1", "3", "20"]),
            st.sampled_from([Decimal(n) / 100 for n in (-150, -10, -1, 0, 1, 10, 150)]),
            st.sampled_from(["long", "short"]),
        ),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("fill"), st.integers(0, 20), st.sampled_from(["", "0.01", "1"])),
        st.tuples(st.just("amend"), st.integers(0, 20), st.sampled_from(["0.02", "2"]), st.sampled_from([-1, 0, 1])),
        st.tuples(st.just("run"), st.integers(1, 3)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, hedged=st.booleans())
def test_nothing_is_made_or_lost(steps: list[tuple[Any, ...]], hedged: bool) -> None:
    """After any sequence of orders, cancels, amendments and fills, taken or refused, all accounts balance."""
    bench = Bench(hedged=hedged)
    for kind, *given_ in steps:
        live = list(bench.trader.live.values())
        order = live[given_[0] % len(live)] if live and isinstance(given_[0], int) and kind != "run" else None
        before = {ccy: bench.trader.ledger.frozen(ccy) for ccy in BALANCES}
        try:
            if kind == "place":
                inst_id, side, ord_type, sz, percent, pos_side = given_
                pos_side = pos_side if hedged and "SWAP" in inst_id else ""
                bench.place(inst_id, side, ord_type, sz, percent, pos_side)
            elif kind == "cancel":
                bench.floor.cancel(bench.trader, order)
            elif kind == "fill":
                bench.floor.fill(bench.trader, order, given_[1])
            elif kind == "amend":
                asked_px = plain(order.price * (1000 + given_[2]) / 1000) if order and order.price else ""
                px = asked_px.partition(".")[0]
                bench.floor.amend(bench.trader, order, {"newSz": given_[1], "newPx": px})
            else:
                bench.run(given_[0])
        except Refused:
            assert before == {ccy: bench.trader.ledger.frozen(ccy) for ccy in BALANCES}, "refused, and yet frozen"
        bench.check()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50), st.integers(-100, 100)), min_size=1, max_size=12))
def test_a_position_that_is_closed_has_brought_the_difference(trades: list[tuple[bool, int, int]]) -> None:
    """However a swap was traded, what it has brought and would bring is what was sold less what was bought."""
    bench = Bench()
    size, flow, middle = 0, Decimal(0), Decimal(60_000)
    left = sum(lots if buys else -lots for buys, lots, _ in trades)
    for buys, lots, ticks in [*trades, (left < 0, abs(left), 0)]:
        if not lots:
            continue
        order = bench.place("BTC-USDT-SWAP", "buy" if buys else "sell", "limit", str(lots), Decimal(-1 if buys else 1))
        px = middle + ticks
        bench.floor.fill(bench.trader, order, px=plain(px))
        size += lots if buys else -lots
        flow += (-px if buys else px) * lots / 100
        position = bench.trader.positions["BTC-USDT-SWAP", "cross", "net"]
        brought = sum((fill.pnl for fill in bench.trader.fills), Decimal(0))
        assert position.size == size
        assert abs(brought + position.unrealized(middle) - flow - middle * size / 100) < ROUNDING
    assert size == 0
    assert bench.trader.ledger.frozen("USDT") == 0
    bench.check()


def test_the_same_orders_in_the_same_market_have_the_same_fills() -> None:
    """Seed and clock decide everything."""

    def fills() -> list[tuple[str, Decimal, Decimal, int]]:
        bench = Bench()
        bench.place("BTC-USDT", "buy", "market", "1", Decimal(0))
        for side, percent in (("buy", "-0.005"), ("sell", "0.005"), ("buy", "-0.02"), ("sell", "0.02")):
            bench.place("BTC-USDT", side, "limit", "0.3", Decimal(percent))
        bench.run(60)
        return [(one.trade_id, one.px, one.size, one.ts_ms) for one in bench.trader.fills]

    first = fills()
    assert len(first) > 2
    assert first == fills()


def test_an_order_that_the_market_has_passed_is_filled() -> None:
    """While orders wait, no trade is told at a worse price than theirs: who came past met them first."""
    bench = Bench()
    orders = [
        bench.place("BTC-USDT", side, "post_only", "0.5", Decimal(sign) * rung / 100)
        for side, sign in (("buy", -1), ("sell", 1))
        for rung in (1, 2, 3, 4)
    ]
    resting = [one for one in orders if one.is_live]
    assert resting
    engine = bench.source.engine("BTC-USDT")
    for _ in range(600):
        bench.run(1)
        book = engine.book
        for order in resting:
            if order.is_live and order.px is not None:
                assert not (order.px > book.asks.best if order.asked.buys else order.px < book.bids.best)
        bench.check()
        if not any(order.is_live for order in resting):
            break
    filled = [one for one in resting if one.state == "filled"]
    assert filled
    assert {fill.exec_type for one in filled for fill in one.fills} == {"M"}
    assert all(fill.px == one.price for one in filled for fill in one.fills)


# -- matching by itself


def book_of(asks: dict[int, int], bids: dict[int, int]) -> OrderBook:
    """A book of these levels, with ten more on each side that no order takes."""
    book = OrderBook(1)
    for side, levels in ((book.asks, asks), (book.bids, bids)):
        for price, lots in levels.items():
            side.put(price, (lots, 1))
        for _ in range(10):
            side.put(side.worst + side.sign, (1, 1))
    return book


@pytest.mark.parametrize(
    ("buys", "lots", "limit", "taken"),
    [
        (True, 5, None, [(101, 3), (102, 2)]),
        (True, 5, 101, [(101, 3)]),
        (True, 5, 100, []),
        (True, 99, None, [(101, 3), (102, 4)]),
        (False, 5, None, [(99, 5)]),
        (False, 8, 98, [(99, 6), (98, 2)]),
        (False, 8, 99, [(99, 6)]),
    ],
)
def test_an_order_takes_the_best_first(buys: bool, lots: int, limit: int | None, taken: list[tuple[int, int]]) -> None:
    """Level by level, no further than its price, and never the whole book."""
    assert take_lots(book_of({101: 3, 102: 4}, {99: 6, 98: 2}), buys, lots, limit) == taken


def test_a_budget_is_never_overspent() -> None:
    """As many whole lots as the money is enough for, level by level."""
    book = book_of({100: 3, 110: 4}, {99: 6})
    assert take_budget(book, True, 299) == [(100, 2)]
    assert take_budget(book, True, 530) == [(100, 3), (110, 2)]
    assert take_budget(book, True, 99) == []


def trade(price: int, side: str, *parts: int) -> Trade:
    """A trade whose newest id is 100."""
    return Trade(100, price, sum(parts), parts, side, 7, 1)


def test_each_part_of_a_trade_meets_one_order() -> None:
    """Best price first, then the earlier one; a part is of one order only, so that no tradeId comes twice."""
    early, late, better = Resting(True, 50, 4, 1), Resting(True, 50, 9, 2), Resting(True, 51, 1, 3)
    met = crossings([late, early, better], [trade(50, "sell", 2, 3, 4, 5)])
    assert [(one.order, one.trade_id, one.lots) for one in met] == [
        (better, 97, 1),
        (early, 98, 3),
        (early, 99, 1),
        (late, 100, 5),
    ]


@pytest.mark.parametrize(
    ("order", "price", "side", "meets"),
    [
        (Resting(True, 50, 1, 1), 50, "sell", True),
        (Resting(True, 50, 1, 1), 50, "buy", False),
        (Resting(True, 50, 1, 1), 49, "buy", True),
        (Resting(True, 50, 1, 1), 51, "sell", False),
        (Resting(False, 50, 1, 1), 50, "buy", True),
        (Resting(False, 50, 1, 1), 50, "sell", False),
        (Resting(False, 50, 1, 1), 51, "sell", True),
        (Resting(False, 50, 1, 1), 49, "buy", False),
    ],
)
def test_which_trades_would_have_met_an_order(order: Resting, price: int, side: str, meets: bool) -> None:
    """At its price only takers of the other side, beyond it anybody."""
    assert bool(crossings([order], [trade(price, side, 1)])) is meets
