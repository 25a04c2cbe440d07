"""The time before an engine began: hours at the price of the walk, and their trades, made when somebody asks.

An hour's trades are mirrored at its middle, price and size alike. So its volume and turnover are known without them, a
candle of years is cheap, and still every candle is exactly what its trades say.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from okws_celery.simulator.bars import HOUR_MS, MINUTE_MS
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.trade import Trade

__all__ = ["Past"]

_MOST_PER_HOUR = 720
_MOST_CACHED = 100


class Past:
    """The hours from `first_ms` to `end_ms`, a full hour. `last_id` is the id of their newest trade.

    `price_at` gives the price in ticks at a moment; `trades` whether there were any (an index has none).
    """

    def __init__(
        self, one: Instrument, seed: str, price_at: Callable[[int], int], first_ms: int, end_ms: int, last_id: int
    ) -> None:
        self.first_ms = -(-first_ms // HOUR_MS) * HOUR_MS
        self.end_ms = end_ms
        self._last_id = last_id
        self._key = random.Random(f"{seed}:{one.inst_id}:past").getrandbits(64)
        self._price_at = price_at
        self._lowest = one.lowest
        self._per_hour = min(_MOST_PER_HOUR, max(2, round(one.trades_per_s * 3600 / 2) * 2))
        self._lots_per_hour = one.level_lots * self._per_hour // 8
        self._trades: dict[int, list[Trade]] = {}

    def between(self, begin: int, end: int, *, hours: bool = True) -> Iterator[Candle]:
        """The past from `begin` to `end`, oldest first: minutes, or hours where they are wanted and fit."""
        begin, end = max(begin, self.first_ms), min(end, self.end_ms)
        for at in range(begin // HOUR_MS * HOUR_MS, end, HOUR_MS):
            if hours and begin <= at and at + HOUR_MS <= end:
                yield self.hour(at)
            else:
                yield from (minute for minute in self.minutes(at) if begin <= minute.begin < end)

    def hour(self, begin: int) -> Candle:
        """The candle of one hour."""
        rng = random.Random(self._key + begin)
        candle = Candle(begin, begin + HOUR_MS, self._price_at(begin))
        candle.close = self._price_at(begin + HOUR_MS)
        ends = candle.open + candle.close
        candle.high = max(candle.open, candle.close)
        if self._per_hour > 2:
            beyond = int(rng.expovariate(1 / max(2.0, abs(candle.close) * 0.0005)))
            candle.high = max(candle.high, min(candle.high + beyond, ends - self._lowest))
        candle.low = ends - candle.high
        half = max(self._per_hour // 2, int(self._lots_per_hour * (0.5 + rng.random())) // 2)
        candle.lots, candle.turnover, candle.touched = 2 * half, half * ends, True
        return candle

    def minutes(self, hour_begin: int) -> list[Candle]:
        """The sixty candles of one hour."""
        trades = iter(self.trades(hour_begin))
        trade = next(trades, None)
        price = self._price_at(hour_begin)
        found = []
        for begin in range(hour_begin, hour_begin + HOUR_MS, MINUTE_MS):
            minute = Candle(begin, begin + MINUTE_MS, price)
            while trade is not None and trade.ts_ms < minute.end:
                minute.trade(trade.price, trade.lots)
                trade = next(trades, None)
            price = minute.close
            found.append(minute)
        return found

    def trades(self, hour_begin: int) -> list[Trade]:
        """The trades of one hour, oldest first."""
        made = self._trades.get(hour_begin)
        if made is None:
            if len(self._trades) >= _MOST_CACHED:
                self._trades.clear()
            made = self._trades[hour_begin] = self._make(self.hour(hour_begin))
        return made

    def newest_first(self, *, below_id: int | None = None, below_ms: int | None = None) -> Iterator[Trade]:
        """Trades older than an id or a moment, or all."""
        at = self.end_ms - HOUR_MS
        if below_ms is not None:
            at = min(at, (below_ms - 1) // HOUR_MS * HOUR_MS)
        if below_id is not None:
            at = min(at, self.end_ms - HOUR_MS - max(0, self._last_id - below_id) // self._per_hour * HOUR_MS)
        while at >= self.first_ms:
            for trade in reversed(self.trades(at)):
                if (below_id is None or trade.trade_id < below_id) and (below_ms is None or trade.ts_ms < below_ms):
                    yield trade
            at -= HOUR_MS

    def _make(self, hour: Candle) -> list[Trade]:
        rng = random.Random(self._key - hour.begin)
        count = self._per_hour
        half = count // 2
        ends = hour.open + hour.close
        prices = self._first_half(hour, half, rng)
        sizes = _parts(hour.lots // 2, half, rng)
        prices += [ends - price for price in reversed(prices)]
        sizes += reversed(sizes)
        newest = self._last_id - (self.end_ms - hour.end) // HOUR_MS * count
        trades = []
        for index, (price, lots) in enumerate(zip(prices, sizes, strict=True)):
            ts_ms = hour.begin + int((index + rng.random()) * HOUR_MS / count)
            side = "buy" if rng.random() < 0.5 else "sell"
            trades.append(Trade(newest - count + 1 + index, price, lots, (lots,), side, ts_ms, newest - count + index))
        return trades

    def _first_half(self, hour: Candle, count: int, rng: random.Random) -> list[int]:
        """From the open to the middle, that goes up to the high or down to the low; the mirrored half to the other."""
        middle = (hour.open + hour.close) / 2
        noise = (hour.high - hour.low) / 12
        price = float(hour.open)
        prices = [hour.open]
        for left in range(count - 1, 0, -1):
            price += (middle - price) / (left + 1) + rng.gauss(0.0, noise)
            price = min(float(hour.high), max(float(hour.low), price))
            prices.append(round(price))
        if count > 1:
            peak, price = rng.randrange(1, count), hour.high if rng.random() < 0.5 else hour.low
            for index in range(max(1, peak - 3), min(count, peak + 4)):
                prices[index] += (price - prices[index]) * (4 - abs(index - peak)) // 4
        return prices


def _parts(total: int, count: int, rng: random.Random) -> list[int]:
    """`total` in `count` parts of at least 1."""
    parts = []
    for left in range(count, 1, -1):
        part = max(1, min(total - left + 1, int(total / left * (0.4 + 1.2 * rng.random()))))
        parts.append(part)
        total -= part
    return [*parts, total]
