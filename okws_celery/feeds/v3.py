"""Feeds of v3 topics: fed with v5 rows, they store and publish what the v3 API would have said (PROTOCOL 9.3).

Keys are of the same types as those of v5, under v3 names: `okex/N/spot/ticker:ETH-USDT` a hash, `spot/candle60s:...` a
sorted set whose members are `[time, open, high, low, close, volume(, currency_volume), confirm]`, `spot/trade:...` a
stream, `spot/depth:...` a hash with `bids`, `asks`, `timestamp` and `state`. Orders and their like are in v3_state.

Pub/sub: `okex/N/spot/ticker` carries `{"table": "spot/ticker", "data": [...]}`, books with `action` partial or update;
a candle that has closed is `{"candle": {...}, "timestamp": ISO}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from okws_celery.feeds.books import BookFeed
from okws_celery.feeds.candles import Candle, CandleFeed, named
from okws_celery.feeds.latest import LatestFeed
from okws_celery.feeds.logs import LogFeed, Row
from okws_celery.feeds.route import BadPush, Known, Read, Route
from okws_celery.feeds.rows import RowReader, text
from okws_celery.okx.messages import Push
from okws_celery.okx.order_book import checksum_of
from okws_celery.okx.topics import Arg
from okws_celery.okx.v3 import V3Channel
from okws_celery.okx.v3_rows import BookSpelling, CandleSpelling, RowSpelling, iso, ms_of_iso
from okws_celery.store.batch import Batch

__all__ = ["V3BookFeed", "V3CandleFeed", "V3LatestFeed", "V3LogFeed", "message", "read_candles"]

_ACTIONS = {"snapshot": b"partial", "partial": b"partial", "update": b"update"}
_REMEMBERED = 100  # rows
_cells = msgspec.json.Decoder(list[msgspec.Raw])


def message(table: str, rows: list[bytes], action: str = "") -> bytes:
    """A push as v3 sent it."""
    acts = b'"action":"%b",' % _ACTIONS[action] if action else b""
    return b'{"table":"%b",%b"data":[%b]}' % (table.encode(), acts, b",".join(rows))


class V3LatestFeed(LatestFeed):
    """The open interest of a derivative's ticker comes from another subscription, and is merged into the row."""

    _spells = True

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._v3 = _channel(route)
        self._spelling = cast(RowSpelling, self._v3.spelling)
        self._arg = route.topic.arg
        self._beside: dict[Arg, bytes] = {}
        self._more: dict[str, str] = {}
        self._memory: dict[bytes, bytes] = {}

    def write(self, batch: Batch, push: Push) -> str:
        """See route.Feed."""
        for raw in push.data:
            self._spelled(bytes(raw))  # BadPush before anything is written
        return super().write(batch, push)

    def spoken(self, push: Push) -> bytes:
        """See route.Translated."""
        return message(self._v3.name, [self._spelled(bytes(raw)) for raw in push.data])

    def aside(self, batch: Batch, push: Push, arg: Arg) -> None:
        """Open interest: it shows in the hash at once, and in the next push."""
        if push.data:
            self._take_beside(batch, arg, bytes(push.data[-1]))

    def known(self, arg: Arg) -> Known:
        """See route.Feed."""
        if arg == self._arg:
            return super().known(arg)
        return [self._beside[arg]] if arg in self._beside else []

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """See route.Feed."""
        if arg == self._arg:
            super().seed(batch, arg, known)
        elif isinstance(known, list) and known:
            self._take_beside(batch, arg, known[-1])

    def _take_beside(self, batch: Batch, arg: Arg, row: bytes) -> None:
        (amount,) = _read_open_interest(row)
        self._beside[arg] = row
        self._more["open_interest"] = amount
        self._memory.clear()
        if self.row:
            batch.mark(self)

    def _spelled(self, row: bytes) -> bytes:
        return _remembered(self._memory, row, self._spelling, self._more)


class V3CandleFeed(CandleFeed):
    """Candles as v3 numbered them, with v5's `confirm` behind, so that none is published again after a restart."""

    _spells = True

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._v3 = _channel(route)
        self._spelling = cast(CandleSpelling, self._v3.spelling)

    def spoken(self, push: Push) -> bytes:
        """See route.Translated."""
        rows = []
        for raw in push.data:
            candle = b",".join(self._spelling.cells([bytes(cell) for cell in _cells.decode(raw)]))
            inst_id = self._route.topic.filter_value.encode()
            rows.append(b'{"candle":[%b],"instrument_id":"%b"}' % (candle, inst_id))
        return message(self._v3.name, rows)

    def aside(self, batch: Batch, push: Push, arg: Arg) -> None:
        """Candles have one subscription."""

    def _parsed(self, row: bytes) -> Candle:
        candle = super()._parsed(row)
        cells = [*self._spelling.cells(candle.cells), b'"1"' if candle.confirmed else b'"0"']
        return candle._replace(row=b"[" + b",".join(cells) + b"]")

    def _restored(self, member: bytes) -> Candle:
        try:
            when, *values, confirm = msgspec.json.decode(member, type=list[str])
        except ValueError as problem:
            raise BadPush(f"candle {member[:80]!r}: {problem}") from None
        # As a v5 row; columns that v3 has not are empty.
        columns = [str(ms_of_iso(when)), *values[: len(self._columns) - 2]]
        columns += [""] * (len(self._columns) - 1 - len(columns))
        return self._parsed(msgspec.json.encode([*columns, confirm]))

    def _closed(self, candle: Candle) -> bytes:
        cells = self._spelling.cells(candle.cells)
        return b'{"candle":%b,"timestamp":%b}' % (named(self._spelling.columns, cells), cells[0])


class V3LogFeed(LogFeed):
    """Trades."""

    _spells = True

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._v3 = _channel(route)
        self._spelling = cast(RowSpelling, self._v3.spelling)
        self._memory: dict[bytes, bytes] = {}

    def spoken(self, push: Push) -> bytes:
        """See route.Translated."""
        return message(self._v3.name, [self._spelled(bytes(raw)) for raw in push.data])

    def aside(self, batch: Batch, push: Push, arg: Arg) -> None:
        """Trades have one subscription."""

    def _parsed(self, row: bytes) -> Row:
        return msgspec.structs.replace(super()._parsed(row), row=self._spelled(row))

    def _restored(self, row: bytes) -> Row:
        inst_id, trade_id, when = _read_trade(row)
        seq = int(trade_id) if trade_id.isdecimal() else 0
        row_id = self._id_of(inst_id, seq or trade_id, "")
        return Row(row, row_id, seq or trade_id, seq, ms_of_iso(when), inst_id, row)

    def _spelled(self, row: bytes) -> bytes:
        return _remembered(self._memory, row, self._spelling)


class V3BookFeed(BookFeed):
    """Books. Those that are merged carry the checksum of the merged book, which v5 no longer tells."""

    _spells = True

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._v3 = _channel(route)
        self._spelling = cast(BookSpelling, self._v3.spelling)
        self._inst_id = route.topic.filter_value
        self._said: tuple[Push | None, list[bytes]] = (None, [])

    def spoken(self, push: Push) -> bytes:
        """See route.Translated."""
        return message(self._v3.name, self._spelled(push), push.action)

    def aside(self, batch: Batch, push: Push, arg: Arg) -> None:
        """A book has one subscription."""

    def _spelled(self, push: Push) -> list[bytes]:
        if self._said[0] is not push:
            checksum = self._checksum()
            self._said = push, [self._spelling.row(bytes(raw), self._inst_id, checksum) for raw in push.data]
        return self._said[1]

    def _shown(self) -> tuple[str | int | bytes, ...]:
        book, levels = self._book, self._levels
        return (
            *("instrument_id", self._inst_id),
            *("bids", msgspec.json.encode(self._spelling.levels(book.bids[:levels]))),
            *("asks", msgspec.json.encode(self._spelling.levels(book.asks[:levels]))),
            *("timestamp", iso(self.last_ts)),
            *(("checksum", self._checksum()) if self._spelling.has_checksum else ()),
        )

    def _checksum(self) -> int:
        if not self.live or not self._spelling.has_checksum:
            return 0
        return checksum_of(self._book.asks, self._book.bids)


def read_candles(key: str, channel: V3Channel, n: int | None = None) -> Read:
    """The newest `n` candles (all that are kept if None), oldest first, as dicts: `timestamp`, `open`, ... ."""
    columns = cast(CandleSpelling, channel.spelling).columns

    def shape(replies: list[Any]) -> list[dict[str, str]]:
        rows = [msgspec.json.decode(text(member), type=list[str]) for member in replies[0] or ()]
        return [dict(zip(columns, row, strict=False)) for row in rows]

    return Read([("ZRANGE", key, -n if n else 0, -1)], shape)


def _remembered(
    memory: dict[bytes, bytes], row: bytes, spelling: RowSpelling, more: Mapping[str, str] | None = None
) -> bytes:
    """A row spelled: what a push brings is stored and published, as a row and as a push, and spelled once."""
    spelled = memory.get(row)
    if spelled is None:
        if len(memory) >= _REMEMBERED:
            memory.clear()
        try:
            spelled = memory[row] = spelling(row, more)
        except ValueError as problem:
            raise BadPush(f"row {row[:80]!r}: {problem}") from None
    return spelled


def _channel(route: Route) -> V3Channel:
    assert route.topic.v3 is not None, "a v3 feed is for v3 topics"
    return route.topic.v3


_read_open_interest = RowReader("oi")
_read_trade = RowReader("instrument_id", "trade_id", "timestamp")
