"""Logs: things that happened, each once, in a stream (trades, fills, liquidations and their like).

Redis: `okex/N/trades:BTC-USDT`, field `data` = the row as sent, about `max_log` newest kept; entry id `<ts>-<tradeId>`.
Whether a row is a repeat is decided by its own id before anything is written; a repeat is neither stored nor published.
A new row whose entry id would not rise, or that has no number for it, is entered behind the last one.

After an interruption rows wait (`hold`) until REST has told what was missed, since a stream takes no late inserts.
Trades of REST come match by match: those within the numbers that a pushed row covers (`tradeId` is the newest of
`count`) are in it already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import astuple

from okws_celery.feeds.route import BadPush, Filled, Known, Position, Read, Route
from okws_celery.feeds.rows import RowReader, entries, is_error, ms
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg
from okws_celery.store.batch import DATA_FIELD, LENGTHS, Batch, publish_to, stem

__all__ = ["LogFeed", "Row", "read"]

_TAIL = 500  # entries read back at a start: as many as the exchange gives in one look back (PROTOCOL 8)
_REMEMBERED = 1_000  # ids of rows
_TOGETHER = 64  # of those, that are put where they can be found at a time
_HELD = 10_000  # rows that wait, before nothing is waited for any more
_MAX_SEQ = (1 << 64) - 1
_MAX_MS = 10**15 - 1  # the same as `ms` accepts


class _Detail(msgspec.Struct):
    ts: str | int | None = ""


class _Details(msgspec.Struct):
    details: list[_Detail] = []


_details = msgspec.json.Decoder(_Details)
_read_count = RowReader("count")


class Row(msgspec.Struct, frozen=True, gc=False):
    """One that happened."""

    row: bytes
    """As it is stored: as sent, or as v3 spells it."""
    id: object
    """What makes it this row and no other."""
    number: int | str
    """tradeId or blockTdId; a text if it is no number, "" if it has none."""
    seq: int
    """The same, 0 if it is no number."""
    ts: int
    """Exchange ms; 0 if it has none."""
    where: str
    """instId or sprdId; "" if it has none."""
    sent: bytes
    """As sent."""


class LogFeed:
    """Write side. `repeats`, `reordered` and `late` count rows that were not simply appended."""

    _spells = False
    """Whether rows are stored in another spelling than the exchange's."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = True
        self.holding = False
        self.prepared = True
        self.repeated = False
        """Whether every row of the latest push was there already."""
        self.repeats = 0
        """Rows that were there already."""
        self.reordered = 0
        """New rows whose entry id would not have risen; they stand behind the last one."""
        self.late = 0
        """Rows older than every one remembered, which cannot be told from repeats; they were not stored."""
        self._route = route
        self._key = route.key
        identity = route.topic.v5.channel.identity
        self._read = RowReader("instId", "sprdId", "ordId", "ts", "cTime", *identity[:1])
        self._numbered = bool(identity)
        self._usual = _usual_row(identity[0] if identity else "")
        named = dict(route.topic.v5.arg)
        # What all rows are about, if the topic says it.
        self._where = named.get("instId") or named.get("sprdId") or "\0"
        self.direct = self._where != "\0" and not self._spells
        self._publish_rows, self._rows = route.publish_rows, route.rows
        self._publish_own = publish_to(f"{route.rows}{self._where}")
        self._xadd = stem("XADD", route.key, "MAXLEN", "~", route.limits.max_log, more=3)
        # Entry id of the newest row.
        self._last = (0, 0)
        # Ids of recent rows; the same and their times, oldest row first; and whether there were rows before them.
        # Kept without a tuple for each: the garbage collector counts those, and then looks through everything.
        self._ids: set[object] = set()
        self._recent: deque[object] = deque()
        self._times: deque[int] = deque()
        self._forgot = False
        # Of the newest rows the same, not yet put there: most are never asked for.
        self._new: list[int] = []
        self._new_times: list[int] = []
        self._held: list[Row] = []
        # Highest number of a trade; 0 if none was seen.
        self._top = 0
        # Where an earlier session had come to.
        self._inherited: tuple[tuple[int, int], int] = ((0, 0), 0)

    def prepare(self, batch: Batch) -> None:
        """Ask for the tail of the stream, so that nothing in it is written again."""
        self.prepared = False
        batch.ask(lambda reply: self._learn(reply, batch), "XREVRANGE", self._key, "+", "-", "COUNT", _TAIL)

    def write(self, batch: Batch, push: Push) -> str:
        """Append and publish each row that is new; before the tail is known, hold them."""
        if self.direct and len(push.data) == 1 and self.write_row(batch, bytes(push.data[0])):
            return ""
        rows = [self._parsed(bytes(row)) for row in push.data]
        self.first_ts = 0
        if self.prepared and not self.holding and not self._held:
            before = self.repeats
            self._take(batch, rows)
            self.repeated = bool(rows) and self.repeats - before == len(rows)
            return ""
        self.repeated = False
        self._held += rows
        if (self.prepared and not self.holding) or len(self._held) >= _HELD:
            self.prepared, self.holding = True, False
            self._take_held(batch)
        return ""

    def write_row(self, batch: Batch, row: bytes) -> bool:
        """See route.Direct: as usual is a row that follows on the last one and is about what the topic names."""
        if not self.prepared or self.holding or self._held:
            return False
        try:
            inst_id, sprd_id, ord_id, ts, seq = astuple(self._usual(row))
        except ValueError:
            return False
        last = ts, seq
        follows = self._top < seq <= _MAX_SEQ and self._last < last and 0 < ts <= _MAX_MS
        if not follows or (inst_id or sprd_id) != self._where or ord_id:
            return False
        self._top, self._last, self.first_ts, self.repeated = seq, last, ts, False
        if ts > self.last_ts:
            self.last_ts = ts
        new = self._new
        new.append(seq)
        self._new_times.append(ts)
        if len(new) == _TOGETHER:
            self._remember_new()
        size = len(row)
        length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
        entry_id = b"%d-%d" % last
        # As `append_entry` does.
        batch.writes.append(b"".join((self._xadd, LENGTHS[len(entry_id)], entry_id, DATA_FIELD, length, row, b"\r\n")))
        if self._publish_rows:
            batch.publishes += (self._publish_own, length, row, b"\r\n")
        return True

    def render(self, batch: Batch) -> None:
        """Write what was held, if the tail is known by now."""
        if self.prepared and not self.holding:
            self._take_held(batch)

    def rewrite(self, batch: Batch) -> None:
        """A log is not written twice; ask again what was not answered."""
        if not self.prepared:
            self.prepare(batch)

    def interrupted(self, batch: Batch) -> None:
        """Rows say by their ids how they follow one another."""

    def known(self, arg: Arg) -> Known:
        """Nothing: what happened before somebody asked for it is in the stream of those who did."""
        return []

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """It begins with the next row."""

    # -- trades that were missed

    def hold(self) -> None:
        """See Refillable."""
        self.holding = True

    @property
    def waits(self) -> bool:
        """See Refillable."""
        return bool(self._held)

    @property
    def reached(self) -> int:
        """The highest tradeId that was seen; 0 if none was."""
        return self._top

    def behind(self, rows: list[bytes]) -> bool:
        """Whether trades are missing between the newest of REST and the first that waits."""
        first = self._first_held()
        newest = max((row.seq for row in self._readable(rows)), default=0)
        return bool(first) and newest < first - 1 and first - 1 > self._top

    def fill(self, batch: Batch, rows: list[bytes]) -> Filled:
        """Append the trades that neither stand in the stream nor are covered by what waits."""
        reached, first_held = self._top, self._first_held()
        by_number = {row.seq: row for row in self._readable(rows)}
        news = [n for n in sorted(by_number) if n > reached and (not first_held or n < first_held)]
        for number in news:
            self._append(batch, by_number[number])
        complete = bool(by_number) and min(by_number) <= reached + 1
        first_ts = by_number[news[0]].ts if news else 0
        self.release(batch)
        return Filled(complete, first_ts)

    def release(self, batch: Batch) -> None:
        """See Refillable."""
        self.first_ts = 0
        self.holding = False
        if self.prepared:
            self._take_held(batch)

    @property
    def position(self) -> Position:
        """See route.Feed."""
        return self.last_ts, (self._last, self._top)

    def undo(self, mark: tuple[tuple[int, int], int]) -> None:
        """See Refillable."""
        last, top = mark
        self._last, self._top = max(last, self._inherited[0]), max(top, self._inherited[1])

    def emptied(self) -> None:
        """See Refillable; of trades, what was missed is all that is asked for."""

    def _first_held(self) -> int:
        """The lowest tradeId that the rows that wait cover, of those that are news; 0 if there are none."""
        first = 0
        for row in self._held:
            if row.seq > self._top:
                count = _seq(_read_count(row.sent)[0]) or 1
                first = min(first or row.seq, row.seq - count + 1)
        return first

    def _readable(self, rows: list[bytes]) -> list[Row]:
        readable = []
        for raw in rows:
            try:
                row = self._parsed(raw)
            except BadPush:
                continue
            if row.seq:
                readable.append(row)
        return readable

    # -- within

    def _learn(self, reply: Any, batch: Batch) -> None:
        if self.prepared:
            return
        if reply is None:
            self.prepare(batch)
            return
        self.prepared = True
        if self._held:
            batch.mark(self)
        if is_error(reply) or not reply:
            return
        tail = list(entries(reply))
        last_ms, _, last_seq = tail[0][0].partition("-")
        self._last = (int(last_ms), int(last_seq or 0))
        for _, fields in reversed(tail):
            try:
                row = self._restored(fields.get("data", "").encode())
            except BadPush:
                continue
            self._remember(row)
            self._top = max(self._top, row.seq)
        self._inherited = self._last, self._top
        self._forgot = len(tail) == _TAIL
        self.last_ts = self._last[0]

    def _parsed(self, row: bytes) -> Row:
        try:
            inst_id, sprd_id, ord_id, ts, seq = astuple(self._usual(row))
        except ValueError:
            return self._parsed_unusual(row)
        if not (0 < ts <= _MAX_MS and 0 < seq <= _MAX_SEQ):
            return self._parsed_unusual(row)
        where = inst_id or sprd_id
        return Row(row, self._id_of(where, seq, ord_id), seq, seq, ts, where, row)

    def _parsed_unusual(self, row: bytes) -> Row:
        fields = self._read(row)
        inst_id, sprd_id, ord_id, ts, c_time = fields[:5]
        text = fields[5] if self._numbered else ""
        seq = _seq(text)
        number = seq or text
        where = inst_id or sprd_id
        when = ms(ts) or ms(c_time) or _ts_of_details(row)
        return Row(row, self._id_of(where, number, ord_id) if number else row, number, seq, when, where, row)

    def _id_of(self, where: str, number: int | str, ord_id: str) -> object:
        # One tradeId stands on both sides of a trade with oneself: the order tells them apart.
        return number if where == self._where and not ord_id else (where, number, ord_id)

    def _restored(self, row: bytes) -> Row:
        """A row from what is stored of it; BadPush if it is none of ours."""
        return self._parsed(row)

    def _take_held(self, batch: Batch) -> None:
        held, self._held = self._held, []
        self._take(batch, held)

    def _take(self, batch: Batch, rows: list[Row]) -> None:
        self._remember_new()
        for row in rows:
            if row.seq > self._top:
                self._append(batch, row)
            elif row.id in self._ids:
                self.repeats += 1
            elif self._forgot and row.ts and self._is_late(row.ts):
                self.late += 1
            else:
                self._append(batch, row)

    def _is_late(self, ts: int) -> bool:
        # The first look is at the oldest row only; it may carry a wrong time, so all are asked before one is dropped.
        return ts < self._times[0] and ts < min(self._times)

    def _append(self, batch: Batch, row: Row) -> None:
        ts, seq = row.ts, row.seq
        self._remember(row)
        last = self._last = (ts, seq) if ts and (ts, seq) > self._last else self._behind_last(row)
        if seq > self._top:
            self._top = seq
        if not self.first_ts:
            self.first_ts = ts
        if ts > self.last_ts:
            self.last_ts = ts
        batch.append_entry(self._xadd, b"%d-%d" % last, row.row)
        if self._publish_rows:
            batch.publish(self._rows + row.where if row.where else self._own_channel(row), row.row)

    def _own_channel(self, row: Row) -> str:
        own = self._route.own_row
        return f"{own}{row.number}" if own.endswith(":") else own

    def _behind_last(self, row: Row) -> tuple[int, int]:
        last_ms, last_seq = self._last
        if row.ts < last_ms or (row.seq and row.ts):
            self.reordered += 1
        return (last_ms, last_seq + 1) if last_seq < _MAX_SEQ else (last_ms + 1, 0)

    def _remember(self, row: Row) -> None:
        self._remember_new()
        self._ids.add(row.id)
        self._recent.append(row.id)
        self._times.append(row.ts)
        self._forget()

    def _remember_new(self) -> None:
        if self._new:
            self._ids.update(self._new)
            self._recent.extend(self._new)
            self._times.extend(self._new_times)
            self._new.clear()
            self._new_times.clear()
            self._forget()

    def _forget(self) -> None:
        while len(self._recent) > _REMEMBERED:
            self._ids.discard(self._recent.popleft())
            self._times.popleft()
            self._forgot = True


def read(key: str, n: int | None = None) -> Read:
    """The newest `n` rows (all that are kept if None), oldest first, each as the exchange's object."""

    def shape(replies: list[Any]) -> list[dict[str, Any]]:
        return [msgspec.json.decode(fields["data"]) for _, fields in entries(replies[0]) if "data" in fields][::-1]

    return Read([("XREVRANGE", key, "+", "-", *(("COUNT", n) if n else ()))], shape)


@lru_cache
def _usual_row(number: str) -> Callable[[bytes], Any]:
    """A decoder of rows whose time and number are there and are numbers, as those of trades: texts are converted."""
    fields: list[Any] = [("instId", str, ""), ("sprdId", str, ""), ("ordId", str, ""), ("ts", int, 0)]
    row = msgspec.defstruct("Row", [*fields, ("number", int, 0)], rename={"number": number}, gc=False)
    return msgspec.json.Decoder(row, strict=False).decode


def _seq(number: str) -> int:
    if len(number) <= 20 and number.isascii() and number.isdigit() and int(number) <= _MAX_SEQ:
        return int(number)
    return 0


def _ts_of_details(row: bytes) -> int:
    # Liquidations have their times one level down (PROTOCOL 5.1).
    try:
        return max((ms(str(detail.ts)) for detail in _details.decode(row).details), default=0)
    except ValueError:
        return 0
