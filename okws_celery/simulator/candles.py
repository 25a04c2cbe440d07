"""Candles of one simulated instrument: the open one of every bar, those that closed, and before them the past."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from okws_celery.simulator.bars import DAY_MS, HOUR_MS, MINUTE_MS, bar_bounds
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.past import Past

__all__ = ["Candles"]

_ALWAYS_OPEN = ("1s", "1m", "1H", "1D", "1Dutc")
_MINUTES_KEPT = 31 * 1440
_HOURS_KEPT = 720 * 24


class Candles:
    """The candles of one instrument, fed with fills in the order of their time; they begin where `past` ends."""

    def __init__(self, past: Past, price: int) -> None:
        self._past = past
        self._minutes: deque[Candle] = deque(maxlen=_MINUTES_KEPT)
        self._hours: deque[Candle] = deque(maxlen=_HOURS_KEPT)
        start_ms = past.end_ms
        self._open: dict[str, Candle] = {}
        for bar in _ALWAYS_OPEN:
            begin, end = bar_bounds(bar, start_ms)
            candle = self._open[bar] = Candle(begin, end, price)
            for part in past.between(begin, start_ms):
                candle.merge(part)
        self._next_end = min(candle.end for candle in self._open.values())
        self._day: deque[Candle] = deque(past.between(start_ms - DAY_MS, start_ms))
        self.high_24h = self.low_24h = self.open_24h = price
        self._lots_24h = self._turnover_24h = 0
        self._measure_day()

    def open(self, bar: str) -> Candle:
        """The candle of a bar that is not closed yet."""
        candle = self._open.get(bar)
        if candle is None:  # nobody asked for this bar until now
            minute = self._open["1m"]
            begin, end = bar_bounds(bar, minute.begin)
            candle = self._open[bar] = Candle(begin, end, minute.open)
            for part in (*self._parts(begin, minute.begin), minute):
                candle.merge(part)
            self._next_end = min(self._next_end, end)
        return candle

    def trade(self, price: int, lots: int) -> None:
        """Take in one fill of the present moment, or a value without size."""
        for candle in self._open.values():
            candle.trade(price, lots)
        if price > self.high_24h:
            self.high_24h = price
        elif price < self.low_24h:
            self.low_24h = price

    def roll(self, ts_ms: int) -> list[tuple[str, Candle]]:
        """Close what ends at or before `ts_ms` and open what follows; gives what was closed, by bar."""
        closed: list[tuple[str, Candle]] = []
        while ts_ms >= self._next_end:
            for bar, candle in self._open.items():
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
                self._open[bar] = Candle(*bar_bounds(bar, follows), candle.close)
            self._next_end = min(candle.end for candle in self._open.values())
        if any(bar == "1m" for bar, _ in closed):
            self._measure_day()
        return closed

    def volume_24h(self) -> tuple[int, int]:
        """Lots, and ticks times lots, of the last 24 hours."""
        now = self._open["1m"]
        return self._lots_24h + now.lots, self._turnover_24h + now.turnover

    def newest_first(self, bar: str, before_ms: int) -> Iterator[Candle]:
        """The candles of a bar that begin before a moment, the open one among them, without a hole."""
        candle = self.open(bar)
        oldest = self._past.first_ms
        if candle.begin >= before_ms:
            earlier = self._closed(*bar_bounds(bar, max(before_ms, oldest + 1) - 1))
            if earlier is None:
                return
            candle = earlier
            if candle.begin >= before_ms:
                return
        while candle.end > oldest:
            yield candle
            earlier = self._closed(*bar_bounds(bar, candle.begin - 1))
            if earlier is None:
                return
            candle = earlier

    def rows(self, bar: str, *, before_ms: int, after_ms: int, limit: int) -> list[Candle]:
        """At most `limit` candles that begin before `before_ms` and after `after_ms`, newest first."""
        found: list[Candle] = []
        for candle in self.newest_first(bar, before_ms):
            if candle.begin <= after_ms or len(found) >= limit:
                break
            found.append(candle)
        return found

    def is_open(self, bar: str, candle: Candle) -> bool:
        """The candle is not closed yet."""
        return candle is self.open(bar)

    def _closed(self, begin: int, end: int) -> Candle | None:
        whole: Candle | None = None
        for part in self._parts(begin, end):
            if whole is None:
                whole = Candle(begin, end, part.open)
            whole.merge(part)
        return whole

    def _parts(self, begin: int, end: int) -> Iterator[Candle]:
        """Everything between two moments, oldest first, in hours as far as they fit, else in minutes."""
        yield from self._past.between(begin, end)
        begin = max(begin, self._past.end_ms)
        if begin % HOUR_MS == 0:
            for hour in _within(self._hours, HOUR_MS, begin, end):
                yield hour
                begin = hour.end
        yield from _within(self._minutes, MINUTE_MS, begin, end)

    def _measure_day(self) -> None:
        oldest = self._open["1m"].begin - DAY_MS
        day = self._day
        while day and day[0].begin < oldest:
            part = day.popleft()
            if part.end > oldest:  # an hour of the past of which the later minutes still count
                day.extendleft(minute for minute in reversed(self._past.minutes(part.begin)) if minute.begin >= oldest)
        now = self._open["1m"]
        self.open_24h = day[0].open if day else now.open
        self.high_24h = max(now.high, max((candle.high for candle in day), default=now.high))
        self.low_24h = min(now.low, min((candle.low for candle in day), default=now.low))
        self._lots_24h = sum(candle.lots for candle in day)
        self._turnover_24h = sum(candle.turnover for candle in day)


def _within(kept: deque[Candle], size_ms: int, begin: int, end: int) -> Iterator[Candle]:
    """Those of consecutive candles of one size that lie wholly between two moments."""
    if kept:
        oldest = kept[0].begin
        first = max(0, -(-(begin - oldest) // size_ms))
        for index in range(first, min(len(kept), (end - oldest) // size_ms)):
            yield kept[index]
