"""What an order meets: levels of the book when it comes in, the market's trades while it rests. Ticks and lots only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from okws_celery.simulator.book import OrderBook
from okws_celery.simulator.market import Trade

__all__ = ["Crossing", "Resting", "crossings", "take_budget", "take_lots"]

_LEFT = 10
"""Levels of a side that no order takes: a market is never empty."""


@dataclass(slots=True, eq=False)
class Resting:
    """An order that waits in the book: its price, what is left of it, and its place in the queue of its price."""

    buys: bool
    px: int
    lots: int
    place: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """A match of a resting order with one part of a trade."""

    order: Resting
    trade_id: int
    lots: int
    ts_ms: int


def take_lots(book: OrderBook, buys: bool, lots: int, limit: int | None) -> list[tuple[int, int]]:
    """Prices and lots that an order takes at once, best first, at no price worse than `limit`."""
    taken = []
    for price, there in _levels(book, buys, limit):
        taken.append((price, min(lots, there)))
        lots -= taken[-1][1]
        if not lots:
            break
    return taken


def take_budget(book: OrderBook, buys: bool, budget: int) -> list[tuple[int, int]]:
    """As `take_lots`, for an order that spends or earns so much: `budget` is in ticks times lots."""
    taken = []
    for price, there in _levels(book, buys, None):
        lots = min(there, budget // price)
        if not lots:
            break
        taken.append((price, lots))
        budget -= lots * price
    return taken


def crossings(resting: Iterable[Resting], trades: Iterable[Trade]) -> list[Crossing]:
    """Which resting orders the market's trades would have met: best price first, then who came first.

    Each part of a trade, which has an id of its own, meets at most one order.
    """
    left = {order: order.lots for order in sorted(resting, key=_priority)}
    met = []
    for trade in trades:
        first = trade.trade_id - len(trade.parts) + 1
        for index, part in enumerate(trade.parts):
            for order, lots in left.items():
                if lots and _meets(order, trade):
                    met.append(Crossing(order, first + index, min(lots, part), trade.ts_ms))
                    left[order] -= met[-1].lots
                    break
    return met


def _meets(order: Resting, trade: Trade) -> bool:
    if order.buys:
        return trade.price < order.px or (trade.price == order.px and trade.side == "sell")
    return trade.price > order.px or (trade.price == order.px and trade.side == "buy")


def _priority(order: Resting) -> tuple[bool, int, int]:
    return order.buys, -order.px if order.buys else order.px, order.place


def _levels(book: OrderBook, buys: bool, limit: int | None) -> Iterable[tuple[int, int]]:
    side = book.asks if buys else book.bids
    for key in side.keys[:-_LEFT]:
        price = key * side.sign
        if limit is not None and (price - limit) * side.sign > 0:
            return
        yield price, side.levels[price][0]
