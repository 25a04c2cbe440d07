"""The book channels (PROTOCOL 6): all that they show each time, or a snapshot and then what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.book import Level, Window
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.stream import InstrumentStream

__all__ = ["FullBook", "MergedBook", "plain_levels", "plain_rows", "rpi_rows", "spread_rows"]

_HEARTBEAT_MS = 60_000


Columns = Callable[[dict[int, Level], Instrument], list[str]]
"""Gives levels as rows of JSON."""


def plain_rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    """Price, size, a dead zero, orders."""
    px, sz = one.price_text, one.size_text
    return [f'["{px(price)}","{sz(lots)}","0","{orders}"]' for price, (lots, orders) in levels.items()]


def rpi_rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    """Price, size, size without retail orders, orders."""
    px, sz = one.price_text, one.size_text
    return [f'["{px(price)}","{sz(lots)}","{sz(lots)}","{orders}"]' for price, (lots, orders) in levels.items()]


def plain_levels(levels: dict[int, Level], one: Instrument, *dead: str) -> list[list[str]]:
    """Levels as REST gives them: price, size, what stands dead between, orders."""
    px, sz = one.price_text, one.size_text
    return [[px(price), sz(lots), *dead, str(orders)] for price, (lots, orders) in levels.items()]


def spread_rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    """Price, size, orders."""
    px, sz = one.price_text, one.size_text
    return [f'["{px(price)}","{sz(lots)}","{orders}"]' for price, (lots, orders) in levels.items()]


class FullBook(InstrumentStream):
    """`books5`, `bbo-tbt` and those of spreads: all that they show, each time that it changed."""

    engine: Engine

    def __init__(self, arg: Arg, engine: Engine, *, depth: int, every_ms: int, columns: Columns = plain_rows) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._depth = depth
        self._columns = columns

    def begin(self) -> None:
        self._last = self._sides()
        self._pushed_ms = self.engine.at_ms

    def opening(self) -> str:
        return self._text(self._sides(), self.engine.at_ms)

    def news(self, ts_ms: int) -> Iterator[str]:
        sides = self._sides()
        if sides != self._last or ts_ms - self._pushed_ms >= _HEARTBEAT_MS:
            self._last = sides
            yield self._text(sides, ts_ms)

    def _sides(self) -> tuple[list[str], list[str]]:
        book = self.engine.book
        return (
            self._columns(book.asks.top(self._depth), self.one),
            self._columns(book.bids.top(self._depth), self.one),
        )

    def _text(self, sides: tuple[list[str], list[str]], ts_ms: int) -> str:
        asks, bids = (",".join(side) for side in sides)
        named = f'"instId":"{self.one.inst_id}",' if self.name == "books5" else ""
        seq_id = self.engine.book.seq_id
        return self._push(f'{{"asks":[{asks}],"bids":[{bids}],{named}"ts":"{ts_ms}","seqId":{seq_id}}}')


class MergedBook(InstrumentStream):
    """A snapshot, then what changed: `books` and its like. The snapshot is what the others have been shown last.

    `checksum` is `retired`, so 0 unless it is wanted, `real`, or "" where there is none (PROTOCOL 6.4).
    """

    engine: Engine

    def __init__(
        self,
        arg: Arg,
        engine: Engine,
        *,
        depth: int,
        every_ms: int,
        columns: Columns = plain_rows,
        checksum: str = "retired",
    ) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._columns = columns
        self._checksum = checksum
        self._window = Window(engine.book, depth, engine.at_ms)
        self._head = self._head.removesuffix('"data":[') + '"action":'

    def begin(self) -> None:
        self._pushed_ms = self.engine.at_ms

    def end(self) -> None:
        self._window.close()

    def opening(self) -> str:
        window = self._window
        return self._text("snapshot", window.asks, window.bids, -1)

    def news(self, ts_ms: int) -> Iterator[str]:
        window = self._window
        if window.seq_id != self.engine.book.seq_id:
            before = window.seq_id
            bids, asks = window.show(ts_ms)
            if bids or asks:
                yield self._text("update", asks, bids, before)
            else:
                window.seq_id = before  # what changed lies deeper than this channel shows
        if ts_ms - self._pushed_ms >= _HEARTBEAT_MS:
            window.ts_ms = ts_ms
            yield self._text("update", {}, {}, window.seq_id)

    def _text(self, action: str, asks: dict[int, Level], bids: dict[int, Level], before: int) -> str:
        window, one = self._window, self.one
        checksum = ""
        if self._checksum:
            is_real = self.checksums or self._checksum == "real"
            checksum = f'"checksum":{window.checksum(one) if is_real else 0},'
        return (
            f'{self._head}"{action}","data":[{{"asks":[{",".join(self._columns(asks, one))}]'
            f',"bids":[{",".join(self._columns(bids, one))}],"ts":"{window.ts_ms}",{checksum}'
            f'"prevSeqId":{before},"seqId":{window.seq_id}}}]}}'
        )
