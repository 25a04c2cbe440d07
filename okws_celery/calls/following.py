"""One topic that is listened to: which messages are its own, which of them are news, and what is read from its key.

A listener subscribes first and reads afterwards, so what was published in between is in what it read, and came as a
message as well. The messages of that time are `included`: of them only what the read does not show is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from okws_celery.calls.rows import digest_of, field_of, time_of
from okws_celery.errors import BadCommand
from okws_celery.feeds import read_of
from okws_celery.feeds.candles import columns
from okws_celery.feeds.route import Read, Route
from okws_celery.feeds.rows import entries, pairs, text
from okws_celery.feeds.state_rows import ACCOUNT_FIELD, belongs
from okws_celery.keys import DataKeys
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.topics import Topic, parse_topic

__all__ = ["MARGIN_MS", "Following", "Since", "later_entry"]

Item = dict[str, Any]

_REMEMBERED = 12_000  # rows, against doubles: more than a stream keeps
_SKEW_MS = 10_000
"""Entries of an account's log are numbered by the clock of Redis, which may differ that much from the exchange's."""
MARGIN_MS = 1_000
"""Between what is known to have been heard and what is read again; doubles are dropped."""
_EXACT = (Kind.LATEST, Kind.CANDLES, Kind.BOOK)


class Since:
    """From where a replay begins: exchange ms, inclusive, or the id of a stream entry, exclusive."""

    def __init__(self, given: object) -> None:
        number, dash, seq = str(given).partition("-")
        taken = isinstance(given, int | str) and not isinstance(given, bool)
        if not (taken and _is_number(number) and _is_number(seq if dash else "0")):
            raise BadCommand(f"since {given!r}: exchange ms or the id of a stream entry is accepted, 1700000000000-5")
        self.ms = int(number)
        self.entry = f"{number}-{seq}" if dash else ""


class Following:
    """One topic of one listener. What it gives are the items that the listener yields."""

    def __init__(self, topic: Topic, data: DataKeys, since: Since | None = None) -> None:
        self.topic = topic
        self.route = Route(topic, data.of(""))
        self.last_ts = 0
        """Exchange ms of the newest row given; 0 before the first."""
        self._kind = topic.channel.kind
        self._v3 = topic.v3 is not None
        self._logged = topic.channel.logged and not self._v3
        self._since = since
        if since is not None and self._kind is not Kind.LOG and self._kind is not Kind.CANDLES and not self._logged:
            raise BadCommand(f"since: {topic.text} keeps no history; logs, candles and account channels do")
        # After a lost connection: from when what came is missing, in exchange ms and by the clock of Redis.
        self._lost_ts = 0
        self._lost_entry = ""
        # The newest entry of the `/log` stream that was read.
        self._log_entry = "0-0"
        # Digests of rows that were given, oldest first.
        self._recent: dict[bytes, None] = {}
        # What the last read showed: whether anything, and of state each field's time.
        self._shown = False
        self._shown_times: dict[str, int] = {}
        self._last_row: Any = None

    # -- what it hears

    @property
    def row_channel(self) -> str:
        """The channel of its rows, where only rows are published; a pattern if it ends in `*`."""
        required = self.topic.channel.required
        one_place = required in (("instId",), ("sprdId",)) or (self._v3 and ":" in self.topic.text)
        exact = self._kind in _EXACT or (self._kind is Kind.LOG and one_place)
        return self.route.own_row if exact else self.route.rows + "*"

    def concerns(self, said: Mapping[str, Any]) -> bool | None:
        """Whether pushes with this arg have rows of the topic: all of them (True), perhaps some (None), or none."""
        arg = dict(self.topic.arg)
        if {key: str(value) for key, value in said.items() if key != "uid"} == arg:
            return True
        for key, value in arg.items():
            if said.get(key, value) != value and value != "ANY" and said[key] != "ANY":
                return False
        return None

    def is_about(self, other: str) -> bool:
        """Whether what is said of another topic (a GAP, STALE, LIVE) is said of rows of this one."""
        name, _, rest = other.partition(":")
        own_name, _, own_rest = self.topic.text.partition(":")
        if self._v3 or "/" in name:
            return name == own_name and (rest == own_rest or not rest or not own_rest)
        try:
            return self.concerns(dict(parse_topic(other, stored=True).arg)) is not False
        except BadCommand:
            return False

    # -- what it gives

    def push(self, message: Item, whole: bool, included: bool) -> Iterator[Item]:
        """A push as sent, without rows that are not the topic's or no news; nothing if no row is left."""
        rows = message.get("data")
        if not isinstance(rows, list):
            return
        event_type = message.get("eventType", "")
        kept = [row for row in rows if (whole or self._is_own(row)) and self._is_news(row, included, event_type)]
        if kept or not rows:
            yield message if len(kept) == len(rows) else {**message, "data": kept}

    def row(self, row: Any, included: bool) -> Iterator[Item]:
        """A row that was published by itself, as a push."""
        if self._kind is Kind.CANDLES and isinstance(row, Mapping):
            row = self._candle(row)
        if self._is_own(row) and self._is_news(row, included, ""):
            yield self._push([self._as_sent(row)])

    def lost(self, heard_ms: int) -> None:
        """The connection was lost: what comes next does not follow on what came before.

        `heard_ms` is when it was last known to live, by the clock of Redis.
        """
        if not self._lost_ts:
            self._lost_ts = self.last_ts or heard_ms
            self._lost_entry = later_entry(self._log_entry, heard_ms - MARGIN_MS)

    # -- what is read

    def read(self) -> Read:
        """The key, or the streams from where the topic was last heard of; its shape gives the items."""
        key = self.route.key
        if self._kind is Kind.LOG and (self._lost_ts or self._since):
            return Read([("XRANGE", key, self._start(), "+")], self._replayed)
        if self._kind is Kind.STATE and not self._v3:
            commands: list[tuple[str | int, ...]] = [("HGETALL", key)]
            if self._logged and (self._lost_ts or self._since):
                commands.append(("XRANGE", f"{key}/log", self._log_start(), "+"))
            elif self._logged:
                commands.append(("XREVRANGE", f"{key}/log", "+", "-", "COUNT", 1))
            return Read(commands, self._state)
        read = read_of(self.topic, key)
        return Read(read.commands, lambda replies: self._snapshot(read.shape(replies)))

    def refill(self, from_ms: int, opened_ms: int) -> Read:
        """What Redis has since a gap that the session has closed: rows from REST are not published as pushes.

        `from_ms` is when the gap began, exchange ms, `opened_ms` when it was announced, by the clock of Redis.
        """
        key = self.route.key
        if self._kind is Kind.LOG:
            return Read([("XRANGE", key, from_ms, "+")], self._replayed)
        if self._kind is Kind.CANDLES:
            read = read_of(self.topic, key)
            return Read(read.commands, lambda replies: self._candles_since(from_ms, read.shape(replies)))
        if self._kind is not Kind.STATE:
            return Read([], lambda replies: [])
        if not self._logged:
            return self.read()
        start = later_entry(self._log_entry, opened_ms - MARGIN_MS)
        return Read(
            [("HGETALL", key), ("XRANGE", f"{key}/log", start, "+")], lambda replies: self._state(replies, replay=True)
        )

    def _candles_since(self, from_ms: int, rows: list[Any]) -> list[Item]:
        rows = [row for row in rows if time_of(row) >= from_ms]
        return self._snapshot(rows) if rows else []

    def _start(self) -> str:
        if self._lost_ts:
            return str(self.last_ts) if self.last_ts else "-"
        assert self._since is not None
        return f"({self._since.entry}" if self._since.entry else str(self._since.ms)

    def _log_start(self) -> str:
        if self._lost_ts:
            return self._lost_entry
        assert self._since is not None
        return f"({self._since.entry}" if self._since.entry else str(max(0, self._since.ms - _SKEW_MS))

    def _replayed(self, replies: list[Any]) -> list[Item]:
        """Rows of a log, one push each."""
        self._shown = True
        given = [
            self._push([row], replay=True, id=entry)
            for entry, row in _rows_of(replies[0])
            if self._is_own(row) and self._is_new(digest_of(self.topic, row), row)
        ]
        return [*self._gap([row for push in given for row in push["data"]]), *given]

    def _state(self, replies: list[Any], replay: bool = False) -> list[Item]:
        """Rows of an account's log since, one push each; then all rows as they stand."""
        given = list(self._from_log(replies[1], replay)) if len(replies) > 1 else []
        fields = {name: row for name, row in pairs(replies[0]).items() if belongs(self.topic, name, row)}
        rows = {name: msgspec.json.decode(row) for name, row in fields.items()}
        self._shown = bool(rows)
        self._shown_times = {name: time_of(row) for name, row in rows.items()}
        self.last_ts = max(self.last_ts, *self._shown_times.values(), 0)
        replayed = [row for push in given for row in push["data"]]
        return [*self._gap([*replayed, *rows.values()]), *given, self._push(self._together(rows), snapshot=True)]

    def _from_log(self, reply: Any, replay: bool) -> Iterator[Item]:
        since = None if self._lost_ts or replay else self._since
        replayed = self._lost_ts or replay or since is not None
        for entry, row in _rows_of(reply):
            self._log_entry = entry
            entry_ms = int(entry.partition("-")[0])
            late = since is not None and not since.entry and max(entry_ms, time_of(row)) < since.ms
            if replayed and not late and self._is_own(row) and self._is_new(msgspec.json.encode(row), row):
                yield self._push([row], replay=True, id=entry)

    def _snapshot(self, got: Any) -> list[Item]:
        """What `get` gives, as a push."""
        rows = got if isinstance(got, list) else [got] if got else []
        if self._kind is Kind.CANDLES and (self._lost_ts or self._since):
            start = self.last_ts if self._lost_ts else self._since.ms if self._since else 0
            rows = [row for row in rows if time_of(row) >= start]
        if self._kind is Kind.CANDLES and self._v3:
            rows = [self._candle(row) for row in rows]
        self._shown = bool(rows)
        gap = self._gap(rows)
        if self._kind is Kind.LOG:
            for row in rows[-_REMEMBERED:]:
                self._is_new(digest_of(self.topic, row), row)
        if rows and self._kind is Kind.BOOK and not self._v3:
            self._shown = rows[0].get("state") == "live"
            rows = [_with_numbers(rows[0])]
        self.last_ts = max(self.last_ts, *map(time_of, rows[-1:]), 0)
        self._last_row = rows[-1] if rows else None
        if not rows and self._kind is not Kind.STATE:
            return gap
        marks = {"action": "partial" if self._v3 else "snapshot"} if self._kind is Kind.BOOK else {}
        return [*gap, self._push(rows, **marks, snapshot=True)]

    def _gap(self, rows: list[Any]) -> list[Item]:
        if not self._lost_ts:
            return []
        start, self._lost_ts = self._lost_ts, 0
        first = min((when for when in map(time_of, rows) if when > start), default=start)
        gap = {"op": "GAP", "topic": self.topic.text, "from": start, "to": first, "reason": "reader reconnected"}
        return [gap]

    # -- rows

    def _push(self, rows: list[Any], **more: Any) -> Item:
        if self._v3:
            return {"table": self.topic.text.partition(":")[0], "data": rows, **more}
        return {"arg": self.topic.arg_object, "data": rows, **more}

    def _candle(self, named: Mapping[str, Any]) -> Any:
        """A candle whose values have names, as it stands in a push."""
        if self._v3:
            values = named.get("candle", named)
            return {"candle": list(values.values()), "instrument_id": self.topic.filter_value}
        return [named[name] for name in columns(self.topic.channel.name) if name in named]

    def _as_sent(self, row: Any) -> Any:
        """A row that was published by itself, where OKX sends several as one."""
        match self.topic.channel.name:
            case "account" if not self._v3 and "ccy" in row:
                return {"details": [row]}
            case "balance_and_position" if not self._v3:
                return {"posData": [row]} if "posId" in row else {"balData": [row]}
        return row

    def _together(self, rows: dict[str, Any]) -> list[Any]:
        match self.topic.channel.name:
            case "account" if rows:
                details = [row for name, row in rows.items() if name != ACCOUNT_FIELD]
                return [{**rows.get(ACCOUNT_FIELD, {}), "details": details}]
            case "balance_and_position" if rows:
                positions = [row for row in rows.values() if "posId" in row]
                return [{"balData": [row for row in rows.values() if "posId" not in row], "posData": positions}]
        return sorted(rows.values(), key=time_of)

    def _is_own(self, row: Any) -> bool:
        if not isinstance(row, Mapping):
            return True
        if self._v3:
            wanted = self.topic.filter_value
            said = [str(row[name]) for name in ("instrument_id", "currency", "underlying") if row.get(name)]
            return not wanted or not said or wanted in said
        return all(
            key == "channel" or value == "ANY" or str(row.get(key, value)) == value for key, value in self.topic.arg
        )

    def _is_news(self, row: Any, included: bool, event_type: str) -> bool:
        match self._kind:
            case Kind.LOG:
                return self._is_new(digest_of(self.topic, row), row)
            case Kind.STATE:
                return self._is_news_of_state(row, included, event_type)
            case Kind.BOOK:
                news = not (included and self._shown)
            case Kind.CANDLES:
                news = row != self._last_row and not (included and self._shown and not self._outdates(row))
            case Kind.LATEST:
                news = row != self._last_row and not (included and self._shown)
        if news:
            self._last_row = row
            self.last_ts = max(self.last_ts, time_of(row))
        return news

    def _outdates(self, candle: Any) -> bool:
        """Whether a candle is newer than the newest that was read: its rows may have waited to be written."""
        last = self._last_row
        newer = time_of(candle) - time_of(last)
        return newer > 0 or (newer == 0 and isinstance(candle, list) and candle[-1] == "1" and last[-1] != "1")

    def _is_news_of_state(self, row: Any, included: bool, event_type: str) -> bool:
        if included and self._shown:
            field = field_of(self.topic, row)
            # Rows that hold several (account) have no field of their own; what was read is as new as they are.
            if not field or (field in self._shown_times and time_of(row) <= self._shown_times[field]):
                return False
        new = not self._logged or self._is_new(msgspec.json.encode(row), row)
        self.last_ts = max(self.last_ts, time_of(row))
        # A push that tells all there is may well tell it again.
        return new or bool(event_type)

    def _is_new(self, digest: bytes, row: Any) -> bool:
        if digest in self._recent:
            return False
        self._recent[digest] = None
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]
        self.last_ts = max(self.last_ts, time_of(row))
        return True


def later_entry(entry: str, since_ms: int) -> str:
    """Where in a stream to go on: behind an entry, or at a time by the clock of Redis if that is later."""
    return f"({entry}" if int(entry.partition("-")[0]) >= since_ms else str(since_ms)


def _rows_of(reply: Any) -> Iterator[tuple[str, Any]]:
    for entry, fields in entries(reply):
        if "data" in fields:
            yield text(entry), msgspec.json.decode(fields["data"])


def _with_numbers(book: dict[str, Any]) -> dict[str, Any]:
    """A book's `seqId` as OKX sends it, a number that later pushes name in `prevSeqId`."""
    seq = str(book.get("seqId", ""))
    return book | ({"seqId": int(seq)} if _is_number(seq.removeprefix("-")) else {})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
