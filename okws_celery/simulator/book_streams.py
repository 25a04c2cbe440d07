"""The book channels (PROTOCOL 6): all that they show each time, or a snapshot and then what changed."""

from __future__ import annotations

from collections.abc import Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.book import Level, Window
from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.numbers import decimal_text
from okws_celery.simulator.stream import Stream

__all__ = ["FullBook", "MergedBook"]

_HEARTBEAT_MS = 60_000


class FullBook(Stream):
    """`books5` and `bbo-tbt`: all that they show, each time that it changed."""

    engine: Engine

    def __init__(self, arg: Arg, engine: Engine, *, depth: int, every_ms: int) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._depth = depth

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
        return _rows(book.asks.top(self._depth), self.one), _rows(book.bids.top(self._depth), self.one)

    def _text(self, sides: tuple[list[str], list[str]], ts_ms: int) -> str:
        asks, bids = (",".join(side) for side in sides)
        named = f'"instId":"{self.one.inst_id}",' if self._depth > 1 else ""
        seq_id = self.engine.book.seq_id
        return self._push(f'{{"asks":[{asks}],"bids":[{bids}],{named}"ts":"{ts_ms}","seqId":{seq_id}}}')


class MergedBook(Stream):
    """A snapshot, then what changed: `books` and its like. The snapshot is what the others have been shown last."""

    engine: Engine

    def __init__(self, arg: Arg, engine: Engine, *, depth: int, every_ms: int) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._window = Window(engine.book, depth, engine.at_ms)
        self._row = _rpi_rows if self.name in ("books-rpi", "books-elp") else _rows
        self._has_checksum = self.name not in ("books-rpi", "books-elp")
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
        if self._has_checksum:
            checksum = f'"checksum":{window.checksum(one) if self.checksums else 0},'
        return (
            f'{self._head}"{action}","data":[{{"asks":[{",".join(self._row(asks, one))}]'
            f',"bids":[{",".join(self._row(bids, one))}],"ts":"{window.ts_ms}",{checksum}'
            f'"prevSeqId":{before},"seqId":{window.seq_id}}}]}}'
        )


def _rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    tick, lot = one.tick_decimals, one.lot_decimals
    return [
        f'["{decimal_text(price, tick)}","{decimal_text(lots, lot)}","0","{orders}"]'
        for price, (lots, orders) in levels.items()
    ]


def _rpi_rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    tick, lot = one.tick_decimals, one.lot_decimals
    return [
        f'["{decimal_text(price, tick)}","{decimal_text(lots, lot)}","{decimal_text(lots, lot)}","{orders}"]'
        for price, (lots, orders) in levels.items()
    ]
