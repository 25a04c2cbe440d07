"""Latest: the last row of a topic as a hash (tickers, mark-price, funding-rate and their like).

Redis: `okex/N/tickers:BTC-USDT`, one hash field per field of the row; a value that is not a string stands as JSON text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from okws_celery.feeds.route import BadPush, Known, Read, Route
from okws_celery.feeds.rows import RowReader, ms, pairs
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg
from okws_celery.store.batch import Batch

__all__ = ["LatestFeed", "read"]

_SHORTEST = 64  # bytes; a row that is longer has fields


class _Stamp(msgspec.Struct, gc=False):
    ts: str | int | None = ""


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_stamp = msgspec.json.Decoder(_Stamp).decode


class LatestFeed:
    """Write side. However many rows a batch brings, the hash is written once, with the last of them."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = True
        self._route = route
        self._key = route.key
        identity = route.topic.v5.channel.identity
        self._read = RowReader(*identity)
        # What nearly every row has in it, and where it is published then: it is about what the topic names.
        named = dict(route.topic.v5.arg)
        self._mark = f'"{identity[0]}":"{named.get(identity[0])}"'.encode() if len(identity) == 1 else b"\0"
        self._own = route.own_row
        self._row = b""
        # Fields that the hash has; None while that is not known, as after a start.
        self._shown: set[str] | None = None

    def prepare(self, batch: Batch) -> None:
        """Nothing need be known: the first row replaces whatever there is."""

    def write(self, batch: Batch, push: Push) -> str:
        """Remember the last row; publish each on the channel of its identity, or on the topic's if it has none."""
        rows = [bytes(raw) for raw in push.data]
        if not rows:
            return ""
        times = [self._time(row) for row in rows]
        spelled = [self._spelled(row) for row in rows]
        channels = [self._own if self._mark in row else self._channel(row) for row in rows]
        if self._route.publish_rows:
            for channel, said in zip(channels, spelled, strict=True):
                batch.publish(channel, said)
        self._row = rows[-1]
        self.first_ts = times[0]
        self.last_ts = max(self.last_ts, times[-1])
        batch.mark(self)
        return ""

    def render(self, batch: Batch) -> None:
        """Write the hash; fields that the row no longer has go with the same transaction."""
        if not self._row:
            return
        fields = _fields.decode(self._spelled(self._row))
        if self._shown is None:
            batch.write("DEL", self._key)
        elif gone := self._shown - fields.keys():
            batch.write("HDEL", self._key, *gone)
        flat: list[str | bytes] = []
        for name, value in fields.items():
            flat += (name, _as_text(bytes(value)))
        batch.write("HSET", self._key, *flat)
        self._shown = set(fields)

    def rewrite(self, batch: Batch) -> None:
        """Write the whole hash once more."""
        self._shown = None
        batch.mark(self)

    def interrupted(self, batch: Batch) -> None:
        """The last row stays the last known one; that it is not live is said by the topic's state."""

    def known(self, arg: Arg) -> Known:
        """The last row."""
        return [self._row] if self._row else []

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """Write the last row of another feed."""
        rows = known if isinstance(known, list) else list(known.values()) if isinstance(known, dict) else []
        if rows:
            self._row = rows[-1]
            self.last_ts = self._time(self._row)
            batch.mark(self)

    def _time(self, row: bytes) -> int:
        """Its exchange ms, 0 if it has none; BadPush if it is no row."""
        if len(row) < _SHORTEST and row.translate(None, b" \t\r\n") == b"{}":
            raise BadPush("a row without fields")
        try:
            ts = _stamp(row).ts
        except ValueError as problem:
            raise BadPush(f"row {row[:80]!r}: {problem}") from None
        return ms(ts if ts.__class__ is str else str(ts))

    def _channel(self, row: bytes) -> str:
        identity = self._read(row)
        return self._route.rows + ":".join(identity) if any(identity) else self._own

    def _spelled(self, row: bytes) -> bytes:
        """A row as readers get it; BadPush if that cannot be done."""
        return row


def read(key: str) -> Read:
    """The row as a dict of strings, as the exchange spelled them; `{}` if there is none."""

    def shape(replies: list[Any]) -> dict[str, str]:
        return pairs(replies[0])

    return Read([("HGETALL", key)], shape)


def _as_text(raw: bytes) -> bytes | str:
    if not raw.startswith(b'"'):
        return raw
    return msgspec.json.decode(raw, type=str) if b"\\" in raw else raw[1:-1]
