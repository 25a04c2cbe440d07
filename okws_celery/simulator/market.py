"""The simulated market: a seeded walk for each coin, and for each instrument a book, its trades and its candles.

It knows no clock and no sockets: `Engine.step` is called with rising moments, 20 ms apart, and the same seed gives the
same steps. An engine that nobody looks at stands still, and makes up for the time that it missed when it is woken.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, sqrt

from okws_celery.simulator.book import DEPTH, OrderBook, Side
from okws_celery.simulator.candles import Candle, Candles
from okws_celery.simulator.instruments import INSTRUMENTS, Instrument
from okws_celery.simulator.numbers import POWERS

__all__ = ["STEP_MS", "Engine", "Market", "Trade"]

STEP_MS = 20
_VOLATILITY = 3e-5
"""Standard deviation of a coin's logarithmic return over one second."""
_HOME = 1e-6
"""Pull back to the price of the beginning, per second: a walk of weeks stays in sight of it."""
_CATCH_UP_MS = 60_000
_BRIEF_MS = 10_000
"""A time that is stepped through as usual, though nobody looked."""
_OTHER = {"buy": "sell", "sell": "buy"}


@dataclass(frozen=True, slots=True)
class Trade:
    """What one taker took at one price: `count` matches, the newest of them `trade_id`; `parts` are their sizes."""

    trade_id: int
    price: int
    lots: int
    parts: tuple[int, ...]
    side: str
    ts_ms: int
    seq_id: int


class _Walk:
    """The fair price of one coin in its quote currency."""

    def __init__(self, seed: str, price: float) -> None:
        self._rng = random.Random(seed)
        self._home = price
        self._log = 0.0
        self._at_ms = 0

    def at(self, ts_ms: int) -> float:
        """The price at a moment, which never goes back."""
        if ts_ms > self._at_ms:
            span_s = (ts_ms - self._at_ms) / 1000 if self._at_ms else 0.0
            pull = min(1.0, _HOME * span_s)
            self._log += self._rng.gauss(0.0, _VOLATILITY * sqrt(min(span_s, 86_400.0))) - self._log * pull
            self._at_ms = ts_ms
        return self._home * exp(self._log)


class Engine:
    """One instrument: what happened in the latest step stands in `trades` and `closed`, the rest is its state."""

    def __init__(self, one: Instrument, walk: _Walk, seed: str, now_ms: int) -> None:
        self.one = one
        self._walk = walk
        self._rng = random.Random(f"{seed}:{one.inst_id}")
        self._seed = seed
        self._taker = one.trades_per_s * STEP_MS / 1000
        self._maker = one.changes_per_s * STEP_MS / 1000
        self._gap = max(1.0, one.price * 0.003 / DEPTH * POWERS[one.tick_decimals])
        self._trade_id = now_ms  # rises from one run to the next too, as long as it rises slower than the clock
        self.at_ms = now_ms // STEP_MS * STEP_MS
        self.index = walk.at(self.at_ms)
        """The index price, in the quote currency."""
        self.fair = self._ticks(self.index)
        """Where the price belongs at the moment, in ticks."""
        self.mark = self.fair
        self.last, self.last_lots = self.fair, 0
        self.book = OrderBook(seq_id=now_ms)
        self._fill_book()
        self.candles = Candles(one, seed, self.at_ms, self.fair)
        self.open_interest = one.level_lots * 5000
        self.recent: deque[Trade] = deque(maxlen=500)
        self.trades: list[Trade] = []
        self.struck = 0
        """How many of the latest step's trades, its first, came from outside by `hit`."""
        self._waiting: list[Trade] = []
        self.closed: list[tuple[str, Candle]] = []

    def next_trade_id(self) -> int:
        """The id of a trade that is told nobody but who made it."""
        self._trade_id += 1
        return self._trade_id

    def hit(self, side: str, levels: Iterable[tuple[int, int]], at: int | None = None) -> list[Trade]:
        """An order from outside takes so many lots at these prices; gives its trades, which the next step brings.

        `at` is the price of an order that was there before the levels came: they are the takers then.
        """
        against = self.book.asks if side == "buy" else self.book.bids
        before = len(self.trades)
        for price, lots in levels:
            there, orders = against.levels[price]
            if there <= lots:
                against.remove(price)
            else:
                against.put(price, (there - lots, orders))
            taker = side if at is None else _OTHER[side]
            self._record(price if at is None else at, (lots,), taker, self.at_ms + STEP_MS - 1)
        made, self.trades = self.trades[before:], self.trades[:before]
        self._waiting += made
        return made

    def step(self) -> int:
        """Move on by STEP_MS; gives the moment at which the step began: its trades are of the STEP_MS after it."""
        ts_ms = self.at_ms = self.at_ms + STEP_MS
        rng = self._rng
        self.trades, self._waiting = self._waiting, []
        self.struck = len(self.trades)
        self.closed = self.candles.roll(ts_ms)
        self.index = self._walk.at(ts_ms)
        self.fair = self._ticks(self.index)
        book = self.book
        if self.fair > book.asks.best + self._gap and self._maker > 0.1:
            self._follow("buy", book.asks, ts_ms)
        elif self.fair < book.bids.best - self._gap and self._maker > 0.1:
            self._follow("sell", book.bids, ts_ms)
        elif rng.random() < self._taker:
            side = rng.choice(("buy", "sell"))
            lots = 1 + int(rng.expovariate(1.0) * self.one.level_lots / 4)
            self._take(side, lots, 3, ts_ms + rng.randrange(STEP_MS))
        changes = int(self._maker) + (rng.random() < self._maker % 1)
        for _ in range(changes):
            self._make(book.bids if rng.random() < 0.5 else book.asks)
        if changes or self.trades:
            self._trim()
            book.seq_id += rng.randint(1, 9)
        middle = (book.bids.best + book.asks.best) // 2
        self.mark += round((middle - self.mark) * 0.05) or (middle > self.mark) - (middle < self.mark)
        if self.trades:
            self.open_interest += rng.randint(-3, 3) * self.one.level_lots // 10
        return ts_ms

    def catch_up(self, now_ms: int) -> None:
        """Be awake at `now_ms`, after a time in which nobody looked: a few trades lead to the price of today."""
        target = now_ms // STEP_MS * STEP_MS
        if target - self.at_ms <= _BRIEF_MS:
            while self.at_ms + STEP_MS < target:
                self.step()
            self.trades, self.closed = [], []
            return
        self._waiting = []
        rng = random.Random(f"{self._seed}:{self.one.inst_id}:{self._trade_id}")
        fair = self._ticks(self._walk.at(target))
        while self.at_ms < target:
            left_ms = target - self.at_ms
            self.at_ms += min(left_ms, _CATCH_UP_MS)
            self.candles.roll(self.at_ms)
            towards = self.last + (fair - self.last) * min(1.0, _CATCH_UP_MS / left_ms)
            price = max(1, round(towards + rng.gauss(0.0, self._gap)))
            lots = 1 + int(rng.expovariate(1.0) * self.one.level_lots)
            self._record(price, (lots,), rng.choice(("buy", "sell")), self.at_ms)
        self.trades, self.closed = [], []
        self.index = self._walk.at(target)
        self.fair = fair
        self.book.clear()
        self._fill_book()
        self.book.seq_id += rng.randint(10, 99)

    def _ticks(self, price: float) -> int:
        basis = 1.0 if self.one.is_spot else 1.0002
        return max(DEPTH * 20, round(price * basis * POWERS[self.one.tick_decimals]))

    def _follow(self, side: str, against: Side, ts_ms: int) -> None:
        """The fair price has left the book: takers go after it, or makers withdraw before it."""
        rng = self._rng
        if rng.random() < min(0.5, self._taker * 4):
            self._take(side, 1 + int(rng.random() * self.one.level_lots * 4), 4, ts_ms + rng.randrange(STEP_MS))
        else:
            against.remove(against.best)

    def _take(self, side: str, lots: int, levels: int, ts_ms: int) -> None:
        against = self.book.asks if side == "buy" else self.book.bids
        for _ in range(levels):
            price = against.best
            there, orders = against.levels[price]
            if there <= lots:
                parts = _shares(there, orders)
                against.remove(price)
                lots -= there
            else:
                matched = min(orders, 1 + int(self._rng.random() * 2))
                parts = _shares(lots, matched)
                against.put(price, (there - lots, max(1, orders - matched + 1)))
                lots = 0
            self._record(price, parts, side, ts_ms)
            if not lots or len(against) < 10:
                break

    def _record(self, price: int, parts: tuple[int, ...], side: str, ts_ms: int) -> None:
        lots = sum(parts)
        self._trade_id += len(parts)
        trade = Trade(self._trade_id, price, lots, parts, side, ts_ms, self.book.seq_id)
        self.trades.append(trade)
        self.recent.append(trade)
        self.candles.trade(price, lots)
        self.last, self.last_lots = price, parts[-1]

    def _make(self, side: Side) -> None:
        """One maker places, changes or withdraws an order."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.45:
            away = 1 + int(rng.expovariate(0.4 / self._gap))
            other = self.book.bids if side.sign > 0 else self.book.asks
            price = self.fair + side.sign * away
            if (price - other.best) * side.sign <= 0:
                price = other.best + side.sign
            side.put(price, self._level())
        elif kind < 0.75 or len(side) < DEPTH - 20:
            side.put(side.keys[int(rng.random() ** 2 * len(side))] * side.sign, self._level())
        else:
            side.remove(side.keys[int(rng.random() * len(side))] * side.sign)

    def _trim(self) -> None:
        for side in (self.book.bids, self.book.asks):
            while len(side) > DEPTH:
                side.remove(side.worst)
            while len(side) < DEPTH - 10:
                side.put(side.worst + side.sign * self._spacing(), self._level())

    def _fill_book(self) -> None:
        for side in (self.book.bids, self.book.asks):
            price = self.fair
            for _ in range(DEPTH - 5):
                price += side.sign * self._spacing()
                side.put(price, self._level())

    def _spacing(self) -> int:
        return 1 + int(self._rng.expovariate(1 / self._gap))

    def _level(self) -> tuple[int, int]:
        rng = self._rng
        lots = 1 + int(rng.expovariate(1 / self.one.level_lots))
        return lots, min(lots, 1 + int(rng.expovariate(0.5)))


def _shares(lots: int, count: int) -> tuple[int, ...]:
    count = max(1, min(count, lots, 8))
    each = lots // count
    return (*(each for _ in range(count - 1)), lots - each * (count - 1))


class Market:
    """All instruments; an engine begins when somebody first asks for it."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed)
        self._walks: dict[str, _Walk] = {}
        self.engines: dict[str, Engine] = {}

    def engine(self, inst_id: str, now_ms: int) -> Engine:
        """The engine of an instrument, awake. KeyError if there is no such instrument."""
        engine = self.engines.get(inst_id)
        if engine is None:
            one = INSTRUMENTS[inst_id]
            walk = self._walks.get(one.base)
            if walk is None:
                walk = self._walks[one.base] = _Walk(f"{self._seed}:{one.base}", one.price)
            engine = self.engines[inst_id] = Engine(one, walk, self._seed, now_ms)
        return engine
