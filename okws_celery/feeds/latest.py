"""Latest: the last row of a topic as a hash (tickers, mark-price, funding-rate and their like).

Redis: `okex/N/tickers:BTC-USDT`, one hash field per field of the row; a value that is not a string stands as JSON text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from okws_celery.feeds.hash_rows import Layout, beginning_of, fields_of, layout_of
from okws_celery.feeds.route import BadPush, Known, Read, Route
from okws_celery.feeds.rows import RowReader, ms, pairs
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg
from okws_celery.store.batch import LENGTHS, Batch, publish_to

__all__ = ["LatestFeed", "read", "time_of"]

_STAMPED = b'"ts":"'
"""In nearly every row; one that has it has a time of the right type."""
_BRACE = ord("{")
_length_of = LENGTHS.__getitem__


class _Stamp(msgspec.Struct, gc=False):
    ts: str | int | None = ""


_stamp = msgspec.json.Decoder(_Stamp).decode


class LatestFeed:
    """Write side. However many rows a batch brings, the hash is written at most twice: at once with the first, and with
    the last when all have come."""

    __slots__ = (
        "_beginning",
        "_first",
        "_key",
        "_layout",
        "_mark",
        "_names",
        "_newest_ts",
        "_own",
        "_plain",
        "_publish_own",
        "_publish_rows",
        "_read",
        "_rows",
        "_written",
        "direct",
        "live",
        "position",
    )

    _spells = False
    """Whether readers get rows in another spelling than the exchange's."""

    def __init__(self, route: Route) -> None:
        self.live = True
        self.direct = not self._spells
        self._publish_rows = route.publish_rows
        self._rows = route.rows
        self._key = route.key
        identity = route.topic.v5.channel.identity
        self._read = RowReader(*identity)
        # What nearly every row has in it, and where it is published then: it is about what the topic names.
        named = dict(route.topic.v5.arg)
        self._mark = f'"{identity[0]}":"{named.get(identity[0])}"'.encode() if len(identity) == 1 else b"\0"
        self._own = route.own_row
        self._publish_own = publish_to(self._own)
        # Whether a row that has the mark in it is published as it came, and nowhere else.
        self._plain = self._publish_rows and not self._spells
        self.position = b""
        """See route.Feed."""
        # The first row of the latest push.
        self._first = b""
        # The fields of the hash; none is known after a start.
        self._names: tuple[str, ...] = ()
        # The same, if the next row that has them can be written in the short way.
        self._layout: Layout | None = None
        self._beginning = b""
        self._newest_ts = 0
        # The batch that it was written to at once.
        self._written = 0

    @property
    def row(self) -> bytes:
        """The last one, as sent; b"" before the first."""
        return self.position

    @property
    def first_ts(self) -> int:
        """See route.Feed. Read from the row when it is asked for, as that is seldom."""
        return time_of(self._first) if self._first else 0

    @property
    def last_ts(self) -> int:
        """See route.Feed."""
        if self.position:
            self._newest_ts = max(self._newest_ts, time_of(self.position))
        return self._newest_ts

    def prepare(self, batch: Batch) -> None:
        """Nothing need be known: the first row replaces whatever there is."""

    def write(self, batch: Batch, push: Push) -> str:
        """Remember the last row; publish each on the channel of its identity, or on the topic's if it has none."""
        if len(push.data) == 1:
            row = bytes(push.data[0])
            if _STAMPED in row and row[0] == _BRACE and (not self._publish_rows or (self._plain and self._mark in row)):
                # The same as below, for what nearly all pushes are.
                if self._plain:
                    size = len(row)
                    length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
                    batch.publishes += (self._publish_own, length, row, b"\r\n")
                self._first = self.position = row
                batch.marked[self] = None
                return ""
        rows = list(map(bytes, push.data))
        if not rows:
            return ""
        for row in rows:
            if _STAMPED not in row or row[0] != _BRACE:
                _check(row)
        if self._publish_rows:
            channels = [self._own if self._mark in row else self._channel(row) for row in rows]
            for channel, row in zip(channels, rows, strict=True):
                batch.publish(channel, self._spelled(row) if self._spells else row)
        self._first, self.position = rows[0], rows[-1]
        batch.marked[self] = None
        return ""

    def write_row(self, batch: Batch, row: bytes) -> bool:
        """See route.Direct."""
        if batch.serial == self._written or (self._publish_rows and self._mark not in row):
            return False
        command = self._usual(row)
        if not command:
            return False
        batch.writes.append(command)
        if self._publish_rows:
            size = len(row)
            length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
            batch.publishes += (self._publish_own, length, row, b"\r\n")
        self._first = self.position = row
        self._written = batch.serial
        return True

    def render(self, batch: Batch) -> None:
        """Write the hash; fields that the row no longer has go with the same transaction."""
        row = self.position
        if not row:
            return
        if self._spells:
            row = self._spelled(row)
        command = self._usual(row)
        if command:
            batch.writes.append(command)
        else:
            self._render_any(batch, row)

    def _usual(self, row: bytes) -> bytes:
        """The command that writes a row with the same fields as the one before; b"" if it has others or is unusual."""
        layout = self._layout
        match = layout and layout.match(row)
        if not match or layout is None:
            return b""
        values, pieces = match.groups(), layout.pieces.copy()
        pieces[0] = self._beginning
        pieces[2::3] = values
        try:
            pieces[1::3] = map(_length_of, map(len, values))
        except IndexError:  # a long value
            return b""
        return b"".join(pieces)

    def _render_any(self, batch: Batch, row: bytes) -> None:
        names, command = fields_of(self._key, row)
        if not self._names:
            batch.write("DEL", self._key)
        batch.writes.append(command)
        if gone := set(self._names) - set(names):
            batch.write("HDEL", self._key, *gone)
        if self._layout is None or names != self._names:
            self._names, self._layout = names, layout_of(names)
            self._beginning = beginning_of(self._key, names)

    def rewrite(self, batch: Batch) -> None:
        """Write the whole hash once more."""
        self._names, self._layout = (), None
        batch.mark(self)

    def interrupted(self, batch: Batch) -> None:
        """The last row stays the last known one; that it is not live is said by the topic's state."""

    def known(self, arg: Arg) -> Known:
        """The last row."""
        return [self.position] if self.position else []

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """Write the last row of another feed."""
        rows = known if isinstance(known, list) else list(known.values()) if isinstance(known, dict) else []
        if rows:
            self.position = rows[-1]
            batch.mark(self)

    def _channel(self, row: bytes) -> str:
        identity = self._read(row)
        return self._rows + ":".join(identity) if any(identity) else self._own

    def _spelled(self, row: bytes) -> bytes:
        """A row as readers get it."""
        return row


def read(key: str) -> Read:
    """The row as a dict of strings, as the exchange spelled them; `{}` if there is none."""

    def shape(replies: list[Any]) -> dict[str, str]:
        return pairs(replies[0])

    return Read([("HGETALL", key)], shape)


def time_of(row: bytes) -> int:
    """Its exchange ms, 0 if it has none that makes sense."""
    try:
        return ms(str(_stamp(row).ts))
    except ValueError:
        return 0


def _check(row: bytes) -> None:
    try:
        _stamp(row)
    except ValueError as problem:
        raise BadPush(f"row {row[:80]!r}: {problem}") from None
    if row.translate(None, b" \t\r\n") == b"{}":
        raise BadPush("a row without fields")
