"""Candles of one second in the past: made of the trades when somebody asks, since they are too many to be kept."""

from __future__ import annotations

from itertools import chain

from okws_celery.simulator.candle import Candle
from okws_celery.simulator.market import Engine

__all__ = ["second_candles"]

_SECOND_MS = 1000


def second_candles(engine: Engine, before_ms: int, after_ms: int, limit: int) -> list[Candle]:
    """At most `limit` closed candles that begin before `before_ms` and after `after_ms`, newest first."""
    end = min(before_ms - 1, engine.at_ms - _SECOND_MS) // _SECOND_MS * _SECOND_MS + _SECOND_MS
    begin = max(end - limit * _SECOND_MS, (after_ms // _SECOND_MS + 1) * _SECOND_MS, engine.past.first_ms)
    if begin >= end:
        return []
    trades = []
    earlier = engine.last
    for single in engine.log.newest_first(below_ms=end):
        if single.ts_ms < begin:
            earlier = single.price
            break
        trades.append(single)
    made = []
    rest = iter(chain(reversed(trades), (None,)))
    trade = next(rest)
    for at in range(begin, end, _SECOND_MS):
        candle = Candle(at, at + _SECOND_MS, earlier)
        while trade is not None and trade.ts_ms < candle.end:
            candle.trade(trade.price, trade.lots)
            trade = next(rest)
        earlier = candle.close
        made.append(candle)
    return made[::-1]
