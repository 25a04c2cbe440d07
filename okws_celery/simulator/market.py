"""The simulated market: a seeded walk for each coin, and for each instrument a book, its trades and its candles.

It knows no clock and no sockets: `Engine.step` is called with rising moments, 20 ms apart, and the same seed gives the
same steps. An engine that nobody looks at stands still, and makes up for the time that it missed when it is woken.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from okws_celery.simulator.bars import HOUR_MS
from okws_celery.simulator.book import OrderBook, Side
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.candles import Candles
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.instruments import COINS, RATES, indexes, listed, spreads
from okws_celery.simulator.past import Past
from okws_celery.simulator.pricing import fair_ticks
from okws_celery.simulator.trade import Trade
from okws_celery.simulator.trades import TradeLog
from okws_celery.simulator.values import IndexEngine, ValueCandles
from okws_celery.simulator.walk import Walk

__all__ = ["STEP_MS", "Engine", "Market", "Trade"]

STEP_MS = 20
_BRIEF_MS = 10_000
"""A time that is stepped through as usual, though nobody looked."""
_LATELY_MS = 60_000
"""Before that, a time in which nobody looked has fewer trades than usual."""
_OTHER = {"buy": "sell", "sell": "buy"}
_SPARSE = ((6 * HOUR_MS, 0.1), (1 << 62, 1 / 60))
"""Trades a second, by how long ago it was."""


class Engine:
    """One instrument: what happened in the latest step stands in `trades` and `closed`, the rest is its state.

    It begins with the hour of `now_ms`; what lies before is its past, what lies between has happened in a hurry.
    """

    def __init__(self, one: Instrument, walk: Walk, seed: str, now_ms: int) -> None:
        self.one = one
        self._walk = walk
        self._rate = RATES[one.quote]
        self._rng = random.Random(f"{seed}:{one.inst_id}")
        self._seed = seed
        self._taker = one.trades_per_s * STEP_MS / 1000
        self._maker = one.changes_per_s * STEP_MS / 1000
        self._least_levels = one.depth * 39 // 40
        self.at_ms = self._began_ms = now_ms // HOUR_MS * HOUR_MS
        self._trade_id = self.at_ms  # rises from one run to the next too, as long as it rises slower than the clock
        self.index = self._index_at(self.at_ms)
        """The index price, in the quote currency."""
        self.fair = fair_ticks(one, self.index, self.at_ms)
        """Where the price belongs at the moment, in ticks."""
        self._gap = one.spacing or max(1.0, self.fair * 0.003 / one.depth)
        self.mark = self.fair
        self.last, self.last_lots = self.fair, 0
        self.book = OrderBook(seq_id=now_ms)
        self.past = Past(one, seed, self._was_at, one.listed_ms, self.at_ms, self._trade_id)
        self.candles = Candles(self.past, self.fair)
        self.log = TradeLog(self.past)
        """All trades, also those of the past."""
        self._marks: ValueCandles | None = None
        self.open_interest = one.level_lots * 5000
        self.trades: list[Trade] = []
        self.struck = 0
        """How many of the latest step's trades, its first, came from outside by `hit`."""
        self._waiting: list[Trade] = []
        self.closed: list[tuple[str, Candle]] = []
        self.closed_marks: list[tuple[str, Candle]] = []
        self._fill_book()
        self.catch_up(now_ms)

    @property
    def marks(self) -> Candles:
        """The candles of the mark price; they are kept from the first look on."""
        if self._marks is None:
            self._marks = ValueCandles(self.one, f"{self._seed}:mark", self._was_at, self._fair_at, self.at_ms)
        return self._marks.candles

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
        self.book.seq_id += 1
        return made

    def renumber(self) -> None:
        """Begin to count anew, as OKX may after a maintenance: the next update of each book leads to a lower number."""
        self.book.seq_id = min(self.book.seq_id % 1000, self.book.seq_id // 2)

    def step(self) -> int:
        """Move on by STEP_MS; gives the moment at which the step began: its trades are of the STEP_MS after it."""
        ts_ms = self.at_ms = self.at_ms + STEP_MS
        rng = self._rng
        self.trades, self._waiting = self._waiting, []
        self.struck = len(self.trades)
        self.closed = self.candles.roll(ts_ms)
        self.index = self._index_at(ts_ms)
        self.fair = fair_ticks(self.one, self.index, ts_ms)
        book, moved = self.book, False
        if self.fair > book.asks.best + self._gap and self._maker > 0.1:
            moved = self._follow("buy", book.asks, ts_ms)
        elif self.fair < book.bids.best - self._gap and self._maker > 0.1:
            moved = self._follow("sell", book.bids, ts_ms)
        elif rng.random() < self._taker:
            side = rng.choice(("buy", "sell"))
            lots = 1 + int(rng.expovariate(1.0) * self.one.level_lots / 4)
            self._take(side, lots, 3, ts_ms + rng.randrange(STEP_MS))
        changes = int(self._maker) + (rng.random() < self._maker % 1)
        for _ in range(changes):
            self._make(book.bids if rng.random() < 0.5 else book.asks)
        if changes or moved or self.trades:
            self._trim()
            book.seq_id += rng.randint(1, 9)
        middle = (book.bids.best + book.asks.best) // 2
        self.mark += round((middle - self.mark) * 0.05) or (middle > self.mark) - (middle < self.mark)
        if self._marks is not None:
            self.closed_marks = self._marks.take(ts_ms, self.mark)
        if self.trades:
            self.open_interest += rng.randint(-3, 3) * self.one.level_lots // 10
        return ts_ms

    def catch_up(self, now_ms: int) -> None:
        """Be awake at `now_ms`, after a time in which nobody looked: trades, fewer than usual, lead to the price."""
        target = now_ms // STEP_MS * STEP_MS
        if target - self.at_ms <= _BRIEF_MS:
            while self.at_ms + STEP_MS < target:
                self.step()
        else:
            self._hurry(target)
        self.trades, self.closed, self.closed_marks = [], [], []

    def _hurry(self, target: int) -> None:
        self._waiting = []
        rng = random.Random(f"{self._seed}:{self.one.inst_id}:{self._trade_id}")
        while self.at_ms < target:
            left_ms = target - self.at_ms
            rate = self.one.trades_per_s
            if left_ms > _LATELY_MS:
                rate = min(rate, next(sparse for longest, sparse in _SPARSE if left_ms <= longest))
            self.at_ms += max(1, int(rng.expovariate(rate) * 1000))
            if self.at_ms >= target:
                break
            self.candles.roll(self.at_ms)
            price = self._fair_at(self.at_ms) + round(rng.gauss(0.0, self._gap))
            price = min(max(self.one.lowest, price), self.one.highest)
            lots = 1 + int(rng.expovariate(1.0) * self.one.level_lots / 4)
            self._record(price, (lots,), rng.choice(("buy", "sell")), self.at_ms)
        self.at_ms = target
        self.candles.roll(target)
        self.index = self._index_at(target)
        self.mark = self.fair = fair_ticks(self.one, self.index, target)
        if self._marks is not None:
            self._marks.hurry(target)
        self.book.clear()
        self._fill_book()
        self.book.seq_id += rng.randint(10, 99)

    def _index_at(self, ts_ms: int) -> float:
        return self._walk.at(ts_ms) * self._rate

    def _fair_at(self, ts_ms: int) -> int:
        return fair_ticks(self.one, self._index_at(ts_ms), ts_ms)

    def _was_at(self, ts_ms: int) -> int:
        """The price at an hour of the past, of which the last leads to the present."""
        if ts_ms >= self._began_ms:
            return self._fair_at(ts_ms)
        return fair_ticks(self.one, self._walk.roughly_at(ts_ms) * self._rate, ts_ms)

    def _follow(self, side: str, against: Side, ts_ms: int) -> bool:
        """The fair price has left the book: takers go after it, or makers withdraw before it; gives whether one did."""
        rng = self._rng
        if rng.random() < min(0.5, self._taker * 4):
            self._take(side, 1 + int(rng.random() * self.one.level_lots * 4), 4, ts_ms + rng.randrange(STEP_MS))
        elif len(against) > 1:
            against.remove(against.best)
            return True
        return False

    def _take(self, side: str, lots: int, levels: int, ts_ms: int) -> None:
        against = self.book.asks if side == "buy" else self.book.bids
        for _ in range(levels):
            if len(against) < 2:
                break
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
            if not lots:
                break

    def _record(self, price: int, parts: tuple[int, ...], side: str, ts_ms: int) -> None:
        lots = sum(parts)
        self._trade_id += len(parts)
        trade = Trade(self._trade_id, price, lots, parts, side, ts_ms, self.book.seq_id)
        self.trades.append(trade)
        self.log.add(trade)
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
            if self.one.lowest <= price <= self.one.highest:
                side.put(price, self._level())
        elif kind < 0.75 or len(side) < self._least_levels - 10:
            side.put(side.keys[int(rng.random() ** 2 * len(side))] * side.sign, self._level())
        else:
            side.remove(side.keys[int(rng.random() * len(side))] * side.sign)

    def _trim(self) -> None:
        for side in (self.book.bids, self.book.asks):
            while len(side) > self.one.depth:
                side.remove(side.worst)
            self._deepen(side, self._least_levels)

    def _fill_book(self) -> None:
        for side in (self.book.bids, self.book.asks):
            side.put(self.fair + side.sign, self._level())
            self._deepen(side, self.one.depth)

    def _deepen(self, side: Side, levels: int) -> None:
        while len(side) < levels:
            price = side.worst + side.sign * self._spacing()
            if not self.one.lowest <= price <= self.one.highest:
                break
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
    """All that moves; an engine begins when somebody first asks for it."""

    def __init__(self, seed: int, now_ms: int, *, demo: bool = False) -> None:
        self._seed = str(seed)
        self._walks: dict[str, Walk] = {
            base: Walk(f"{self._seed}:{base}", price, now_ms) for base, price in COINS.items()
        }
        self.instruments = listed(now_ms, demo=demo)
        self.spreads = spreads(now_ms)
        self.indexes = indexes(now_ms)
        """By id, which an instrument may have, too."""
        self.expired: set[str] = set()
        """Ids of instruments that were delivered."""
        self.engines: dict[str, Engine] = {}
        self.index_engines: dict[str, IndexEngine] = {}

    @property
    def living(self) -> list[Instrument]:
        """The instruments without those that were delivered."""
        return [one for inst_id, one in self.instruments.items() if inst_id not in self.expired]

    def engine(self, inst_id: str, now_ms: int) -> Engine:
        """The engine of an instrument or a spread, awake. KeyError if there is none."""
        engine = self.engines.get(inst_id)
        if engine is None:
            one = self.instruments.get(inst_id) or self.spreads[inst_id]
            engine = self.engines[inst_id] = Engine(one, self._walks[one.base], self._seed, now_ms)
        return engine

    def rename(self, inst_id: str, to: str, now_ms: int) -> None:
        """Let an instrument be known by another name, too; it goes on as it was."""
        engine = self.engines[to] = self.engine(inst_id, now_ms)
        engine.one = replace(engine.one, inst_id=to)

    def index_engine(self, inst_id: str, now_ms: int) -> IndexEngine:
        """The engine of an index, awake. KeyError if there is none."""
        engine = self.index_engines.get(inst_id)
        if engine is None:
            one = self.indexes[inst_id]
            engine = self.index_engines[inst_id] = IndexEngine(one, self._walks[one.base], self._seed, now_ms)
        return engine

    def index(self, inst_id: str, ts_ms: int) -> float:
        """The value of an index at any moment."""
        one = self.indexes[inst_id]
        return self._walks[one.base].at(ts_ms) * RATES[one.quote]
