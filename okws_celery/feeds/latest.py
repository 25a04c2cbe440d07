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

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class LatestFeed:
    """Write side. However many rows a batch brings, the hash is written once, with the last of them."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = True
        self._route = route
        self._key = route.key
        self._read = RowReader("ts", *route.topic.v5.channel.identity)
        self._row = b""
        # Fields that the hash has; None while that is not known, as after a start.
        self._shown: set[str] | None = None

    def prepare(self, batch: Batch) -> None:
        """Nothing need be known: the first row replaces whatever there is."""

    def write(self, batch: Batch, push: Push) -> str:
        """Remember the last row; publish each on the channel of its identity, or on the topic's if it has none."""
        rows = [(row, self._spelled(row), self._read(row)) for row in map(bytes, push.data)]
        if not rows:
            return ""
        if any(row.translate(None, b" \t\r\n") == b"{}" for row, _, _ in rows):
            raise BadPush("a row without fields")
        if self._route.publish_rows:
            for _, spelled, (_, *identity) in rows:
                channel = self._route.rows + ":".join(identity) if any(identity) else self._route.own_row
                batch.publish(channel, spelled)
        self._row = rows[-1][0]
        self.first_ts = ms(rows[0][2][0])
        self.last_ts = max(self.last_ts, ms(rows[-1][2][0]))
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
            self.last_ts = ms(self._read(self._row)[0])
            batch.mark(self)

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
