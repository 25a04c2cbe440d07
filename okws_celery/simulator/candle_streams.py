"""Candle channels of every kind: the open bar at most once a second, and each bar once when it closes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.candles import Candles
from okws_celery.simulator.market import Engine
from okws_celery.simulator.stream import InstrumentStream
from okws_celery.simulator.values import IndexEngine

__all__ = ["CandleStream", "MarkCandleStream"]

Row = Callable[..., list[str]]
"""A method of Candle that gives its columns."""


class CandleStream(InstrumentStream):
    """The candles of an engine in the form that `row` gives."""

    every_ms = 1000
    engine: Engine | IndexEngine

    def __init__(self, arg: Arg, engine: Engine | IndexEngine, row: Row) -> None:
        super().__init__(arg, engine)
        self.engine = engine
        self._row = row
        self._bar = self.name.rpartition("candle")[2]

    def begin(self) -> None:
        self._seen = self._mark()

    def opening(self) -> str:
        return self._text(self._candles().open(self._bar), confirmed=False)

    def after(self, ts_ms: int) -> Iterator[str]:
        for bar, candle in self._closed():
            if bar == self._bar:
                self._pushed_ms = ts_ms
                yield self._text(candle, confirmed=True)
        yield from super().after(ts_ms)

    def news(self, ts_ms: int) -> Iterator[str]:
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            yield self.opening()

    def _candles(self) -> Candles:
        return self.engine.candles

    def _closed(self) -> list[tuple[str, Candle]]:
        return self.engine.closed

    def _mark(self) -> tuple[int, ...]:
        candle = self._candles().open(self._bar)
        return candle.begin, candle.lots, candle.high, candle.low, candle.close

    def _text(self, candle: Candle, *, confirmed: bool) -> str:
        row = self._row(candle, self.one, confirmed=confirmed)
        return self._push(json.dumps(row, separators=(",", ":")))


class MarkCandleStream(CandleStream):
    """The candles of the mark price."""

    engine: Engine

    def _candles(self) -> Candles:
        return self.engine.marks

    def _closed(self) -> list[tuple[str, Candle]]:
        return self.engine.closed_marks
