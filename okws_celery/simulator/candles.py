"""Candles of one simulated instrument: the open one of every bar, those that closed, and a past made up to fit."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

from okws_celery.okx.catalogue import BARS
from okws_celery.simulator.bars import bar_bounds
from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.numbers import decimal_text

__all__ = ["HISTORY_MS", "Candle", "Candles"]

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

HISTORY_MS = 720 * _DAY
"""How long before the simulation began the instruments were listed."""


class Candle:
    """Prices in ticks, volume in lots, turnover in ticks times lots; `begin` and `end` in ms."""

    __slots__ = ("begin", "close", "end", "high", "lots", "low", "open", "turnover")

    def __init__(self, begin: int, end: int, price: int) -> None:
        self.begin, self.end = begin, end
        self.open = self.high = self.low = self.close = price
        self.lots = self.turnover = 0

    def trade(self, price: int, lots: int) -> None:
        """Take in one fill."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.lots += lots
        self.turnover += price * lots

    def merge(self, later: Candle) -> None:
        """Take in a candle that follows on this one."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.turnover += later.turnover

    def row(self, one: Instrument, *, confirmed: bool) -> list[str]:
        """OKX's nine columns (PROTOCOL 5.1)."""
        decimals = one.tick_decimals
        quote = decimal_text(self.turnover * one.ct_units, decimals + one.lot_decimals + one.ct_decimals)
        base = decimal_text(self.lots * one.ct_units, one.lot_decimals + one.ct_decimals)
        return [
            str(self.begin),
            decimal_text(self.open, decimals),
            decimal_text(self.high, decimals),
            decimal_text(self.low, decimals),
            decimal_text(self.close, decimals),
            decimal_text(self.lots, one.lot_decimals),
            quote if one.is_spot else base,
            quote,
            "1" if confirmed else "0",
        ]


class Candles:
    """The candles of one instrument, fed with fills in the order of their time."""

    def __init__(self, one: Instrument, seed: str, start_ms: int, price: int) -> None:
        self._one = one
        self._past = _Past(one, seed, start_ms, price)
        self._minutes: deque[Candle] = deque(maxlen=31 * 1440)
        self._hours: deque[Candle] = deque(maxlen=HISTORY_MS // _HOUR)
        self.open: dict[str, Candle] = {}
        """The candle of each bar that is not closed yet."""
        for bar in BARS:
            begin, end = bar_bounds(bar, start_ms)
            candle = Candle(begin, end, price)
            parts = self._past.between(begin, start_ms)
            first = next(parts, None)
            if first is not None:
                candle = Candle(begin, end, first.open)
                candle.merge(first)
                for part in parts:
                    candle.merge(part)
            self.open[bar] = candle
        self._next_end = min(candle.end for candle in self.open.values())
        yesterday_ms = start_ms // _MINUTE * _MINUTE - _DAY
        self._day: deque[Candle] = deque(self._past.between(yesterday_ms, start_ms, hours=False))
        if self._day and self._day[-1].end > start_ms:
            self._day.pop()  # the minute under way is the open candle
        self.high_24h = self.low_24h = self.open_24h = price
        self._lots_24h = self._turnover_24h = 0
        self._measure_day()

    def trade(self, price: int, lots: int) -> None:
        """Take in one fill of the present moment."""
        for candle in self.open.values():
            candle.trade(price, lots)
        if price > self.high_24h:
            self.high_24h = price
        elif price < self.low_24h:
            self.low_24h = price

    def roll(self, ts_ms: int) -> list[tuple[str, Candle]]:
        """Close what ends at or before `ts_ms` and open what follows; gives what was closed, by bar."""
        closed: list[tuple[str, Candle]] = []
        while ts_ms >= self._next_end:
            for bar, candle in self.open.items():
                if candle.end > self._next_end:
                    continue
                closed.append((bar, candle))
                if bar == "1m":
                    self._minutes.append(candle)
                    self._day.append(candle)
                elif bar == "1H":
                    self._hours.append(candle)
                # Seconds that nobody looked at are passed over; minutes never, since the longer bars are made of them.
                follows = max(candle.end, ts_ms - 5000) if bar == "1s" else candle.end
                self.open[bar] = Candle(*bar_bounds(bar, follows), candle.close)
            self._next_end = min(candle.end for candle in self.open.values())
        if any(bar == "1m" for bar, _ in closed):
            self._measure_day()
        return closed

    def volume_24h(self) -> tuple[int, int]:
        """Lots, and ticks times lots, of the last 24 hours."""
        now = self.open["1m"]
        return self._lots_24h + now.lots, self._turnover_24h + now.turnover

    def rows(self, bar: str, *, before_ms: int, after_ms: int, limit: int) -> list[list[str]]:
        """Newest first: candles that begin before `before_ms` and after `after_ms`, the open one among them."""
        found: list[list[str]] = []
        candle = self.open[bar]
        oldest = self._past.first_ms
        while len(found) < limit and candle.begin > after_ms and candle.end > oldest:
            if candle.begin < before_ms:
                found.append(candle.row(self._one, confirmed=candle is not self.open[bar]))
            begin, end = bar_bounds(bar, min(candle.begin, max(before_ms, oldest + 1)) - 1)
            earlier = self._closed(begin, end)
            if earlier is None:
                break
            candle = earlier
        return found

    def _closed(self, begin: int, end: int) -> Candle | None:
        whole: Candle | None = None
        for part in self._parts(begin, end):
            if whole is None:
                whole = Candle(begin, end, part.open)
            whole.merge(part)
        return whole

    def _parts(self, begin: int, end: int) -> Iterator[Candle]:
        """Everything between two moments as hours where whole hours are asked for, else as minutes."""
        yield from self._past.between(begin, end)
        lived = self._hours if (end - begin) % _HOUR == 0 else self._minutes
        size = _HOUR if lived is self._hours else _MINUTE
        if lived:
            first = (max(begin, lived[0].begin) - lived[0].begin) // size
            for index in range(first, min(len(lived), max(0, (end - lived[0].begin) // size))):
                part = lived[index]
                if part.begin < self._past.end_ms:
                    part = self._without_past(part)
                yield part

    def _without_past(self, part: Candle) -> Candle:
        # The first live candle began as what the past left of it, which `between` gives already.
        rest = Candle(part.begin, part.end, part.open)
        rest.high, rest.low, rest.close = part.high, part.low, part.close
        past = list(self._past.between(part.begin, part.end))
        rest.lots = part.lots - sum(one.lots for one in past)
        rest.turnover = part.turnover - sum(one.turnover for one in past)
        return rest

    def _measure_day(self) -> None:
        oldest = self.open["1m"].begin - _DAY
        day = self._day
        while day and day[0].begin < oldest:
            day.popleft()
        now = self.open["1m"]
        self.open_24h = day[0].open if day else now.open
        self.high_24h = max((candle.high for candle in day), default=now.high)
        self.low_24h = min((candle.low for candle in day), default=now.low)
        self.high_24h, self.low_24h = max(self.high_24h, now.high), min(self.low_24h, now.low)
        self._lots_24h = sum(candle.lots for candle in day)
        self._turnover_24h = sum(candle.turnover for candle in day)


class _Past:
    """Hours before the beginning, made backwards by a walk when somebody asks, and their minutes, made to fit them."""

    def __init__(self, one: Instrument, seed: str, end_ms: int, price: int) -> None:
        self.end_ms = end_ms
        self.first_ms = (end_ms - HISTORY_MS) // _DAY * _DAY
        self._seed = f"{seed}:{one.inst_id}:past"
        self._rng = random.Random(self._seed)
        self._hours: list[Candle] = []  # newest first; [0] is the part of the running hour before end_ms
        self._minutes: dict[int, list[Candle]] = {}
        self._price = price
        self._lots_per_hour = max(1, round(one.trades_per_s * 3600 * one.level_lots / 8))

    def between(self, begin: int, end: int, *, hours: bool = True) -> Iterator[Candle]:
        """The past from `begin` to `end`, oldest first: minutes, or hours where they are wanted and fit."""
        begin, end = max(begin, self.first_ms), min(end, self.end_ms)
        if begin >= end:
            return
        self._reach(begin)
        newest = self.end_ms // _HOUR * _HOUR
        for begin_hour in range(begin // _HOUR * _HOUR, end, _HOUR):
            index = (newest - begin_hour) // _HOUR
            if index >= len(self._hours):
                continue
            hour = self._hours[index]
            if hours and begin <= begin_hour and min(hour.end, self.end_ms) <= end:
                yield hour
                continue
            for minute in self._minutes_of(hour):
                if minute.begin >= begin and minute.begin < end:
                    yield minute

    def _reach(self, begin: int) -> None:
        rng = self._rng
        at = self._hours[-1].begin if self._hours else self.end_ms // _HOUR * _HOUR + _HOUR
        close = self._hours[-1].open if self._hours else self._price
        while at > begin and at > self.first_ms:
            at -= _HOUR
            candle = Candle(at, at + _HOUR, close)
            size = max(2.0, close * 0.004)
            candle.open = max(1, round(close + rng.gauss(0.0, size) + (self._price - close) * 0.002))
            candle.high = max(candle.open, close) + int(rng.expovariate(2 / size))
            candle.low = max(1, min(candle.open, close) - int(rng.expovariate(2 / size)))
            share = min(1.0, (self.end_ms - at) / _HOUR)
            candle.lots = int(self._lots_per_hour * share * (0.5 + rng.random()))
            candle.turnover = candle.lots * (candle.high + candle.low) // 2
            self._hours.append(candle)
            close = candle.open

    def _minutes_of(self, hour: Candle) -> list[Candle]:
        made = self._minutes.get(hour.begin)
        if made is None:
            if len(self._minutes) > 1000:
                self._minutes.clear()
            made = self._minutes[hour.begin] = _split(hour, self._seed, min(hour.end, self.end_ms))
        return made


def _split(hour: Candle, seed: str, end_ms: int) -> list[Candle]:
    """Minutes that add up to `hour` exactly: its open, close, high and low are theirs, its volume is shared out."""
    rng = random.Random(f"{seed}:{hour.begin}")
    count = max(1, -(-(end_ms - hour.begin) // _MINUTE))
    span = max(1, hour.high - hour.low)
    price, path = hour.open, [hour.open]
    for left in range(count, 0, -1):
        step = rng.gauss(0.0, span / 16) if left > 1 else 0.0
        price = min(hour.high, max(hour.low, round(price + (hour.close - price) / left + step)))
        path.append(price)
    minutes = []
    lots_left, turnover_left = hour.lots, hour.turnover
    for index in range(count):
        begin = hour.begin + index * _MINUTE
        minute = Candle(begin, begin + _MINUTE, path[index])
        minute.close = path[index + 1]
        minute.high = min(hour.high, max(path[index], minute.close) + rng.randint(0, span // 32))
        minute.low = max(hour.low, min(path[index], minute.close) - rng.randint(0, span // 32))
        last = index == count - 1
        minute.lots = lots_left if last else int(lots_left / (count - index) * (0.5 + rng.random() * 0.9))
        minute.turnover = turnover_left if last else min(turnover_left, minute.lots * (minute.high + minute.low) // 2)
        lots_left -= minute.lots
        turnover_left -= minute.turnover
        minutes.append(minute)
    minutes[rng.randrange(count)].high = hour.high
    minutes[rng.randrange(count)].low = hour.low
    return minutes
