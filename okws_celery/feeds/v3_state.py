"""State of v3 topics: orders, positions, balances, contracts, in one hash per v3 channel, made from rows of v5.

Redis: `okex/N/futures/position`, field = the v3 row's identity, value = the row as JSON; account channels also keep
every v3 row in the stream `okex/N/futures/position/log`. What ends a row, and what a snapshot means, is as in v5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec

from okws_celery.feeds.route import BadPush, Known, Read, Route
from okws_celery.feeds.rows import pairs, text
from okws_celery.feeds.state import StateFeed
from okws_celery.feeds.state_rows import Item
from okws_celery.feeds.v3 import message
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg, Topic
from okws_celery.okx.v3_state import Fields, StateView
from okws_celery.store.batch import Batch

__all__ = ["V3StateFeed", "read"]

_LEFT = "v3 "
"""What the fields of rows begin with that an earlier session left, where v3 and v5 name rows differently."""

_row = msgspec.json.Decoder(dict[str, Any])


class V3StateFeed(StateFeed):
    """The rows of the first subscription are kept as a v5 feed keeps them; those of the others in feeds of their own.

    A v3 row is spelled anew whenever one of the v5 rows that it is made of has changed.
    """

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        assert route.topic.v3 is not None, "a v3 feed is for v3 topics"
        self._table = route.topic.v3.name
        self._value = route.topic.filter_value
        self._view = cast(StateView, route.topic.v3.spelling)
        self._asides = {
            topic.arg: _Aside(replace(route, topic=topic, publish_rows=False)) for topic in route.topic.others
        }
        # Of each v5 row, known by its feed and field, to which v3 row it belongs; and the other way round.
        self._row_of: dict[tuple[StateFeed, str], str] = {}
        self._made_of: dict[str, dict[tuple[StateFeed, str], None]] = {}
        # What stands for rows that an earlier session left; real ones take their place.
        self._left: dict[str, bytes] = {}
        # The v5 rows of the push that was written last.
        self._push: dict[str, bytes] = {}
        # The v3 rows that are not in Redis as they are now.
        self._touched: dict[str, None] = {}

    def write(self, batch: Batch, push: Push) -> str:
        """See route.Feed."""
        self._push = {item.field: item.row for raw in push.data for item in self._readable(bytes(raw))}
        return super().write(batch, push)

    def aside(self, batch: Batch, push: Push, arg: Arg) -> None:
        """Rows that add to ours: they are told by the next push."""
        self._asides[arg].write(batch, push)
        batch.mark(self)

    def spoken(self, push: Push) -> bytes:
        """See route.Translated."""
        told = self._told(self._push)
        if not told:
            return b""
        match self._view.pushed:
            case "list":
                rows = [self._spell(name, self._members(name)) for name in self._named(self._rows)]
                return message(self._table, [b"[" + b",".join(row for row in rows if row) + b"]"])
            case "named":
                return message(self._table, [b'{"%b":%b}' % (name.encode(), row) for name, row in told.items()])
        return message(self._table, list(told.values()))

    def render(self, batch: Batch) -> None:
        """Write and remove the v3 rows that changed."""
        self._note()
        touched, self._touched = self._touched, {}
        for feed in (self, *self._asides.values()):
            feed._changed.clear()
        written: list[str | bytes] = []
        gone = []
        for name in touched:
            members = self._members(name)
            if members:
                written += (name, self._spell(name, members))
            elif not self._made_of.get(name):
                gone.append(name)
        if written:
            batch.write("HSET", self._key, *written)
        if gone:
            batch.write("HDEL", self._key, *gone)

    def interrupted(self, batch: Batch) -> None:
        """See route.Feed."""
        super().interrupted(batch)
        for feed in self._asides.values():
            feed.interrupted(batch)

    def rewrite(self, batch: Batch) -> None:
        """See route.Feed."""
        for feed in self._asides.values():
            feed.rewrite(batch)
        super().rewrite(batch)
        batch.mark(self)

    def known(self, arg: Arg) -> Known:
        """See route.Feed."""
        if arg in self._asides:
            return self._asides[arg].known(arg)
        rows = cast(dict[str, bytes], super().known(arg))
        return {field: row for field, row in rows.items() if not self._is_left(field, row)}

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """See route.Feed."""
        if arg in self._asides:
            self._asides[arg].seed(batch, arg, known)
            batch.mark(self)
        else:
            super().seed(batch, arg, known)

    def _publish(self, batch: Batch, items: Iterable[Item]) -> None:
        for name, row in self._told({item.field: item.row for item in items}).items():
            batch.publish(self._route.rows + name, row)

    def _write_log(self, batch: Batch, raw: bytes) -> None:
        for row in self._told({item.field: item.row for item in self._readable(raw)}).values():
            super()._write_log(batch, row)

    def _told(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        """The v3 rows of which v5 rows are news, by name; rows that ended are told with the others a last time."""
        said: dict[tuple[StateFeed, str], Fields]
        said = {(self, field): _row.decode(row) for field, row in {**self._push, **rows}.items()}
        self._note()
        told = {}
        for name in self._named(rows):
            mine = {key: row for key, row in said.items() if self._view.field(self._value, row) == name}
            told[name] = self._spell(name, {**self._members(name), **mine})
        return told

    def _named(self, rows: Mapping[str, bytes]) -> list[str]:
        """The v3 rows to which v5 rows belong, each once."""
        real = (row for field, row in rows.items() if not self._is_left(field, row))
        names = (self._view.field(self._value, _row.decode(row)) for row in real)
        return [name for name in dict.fromkeys(names) if name]

    def _found(self, stored: dict[str, str]) -> Iterable[tuple[str, bytes]]:
        for name, row in stored.items():
            if not _belongs(self._route.topic, name, row):
                continue
            field = name if self._view.mirrored else _LEFT + name
            if field in self._rows or field in self._gone:
                continue
            self._left[field] = self._remains(name, row)
            self._row_of[self, field] = name
            self._made_of.setdefault(name, {})[self, field] = None
            yield field, self._left[field]

    def _remains(self, name: str, row: str) -> bytes:
        """As much of a v5 row as can be told from the v3 row."""
        said = _row.decode(row)
        if self._view.back is not None:
            return msgspec.json.encode(self._view.back(said))
        identity = self._route.topic.v5.channel.identity[0]
        return msgspec.json.encode({identity: name, "instId": said.get("instrument_id", "")})

    def _as_logged(self, row: bytes) -> bytes:
        try:
            said = _row.decode(row)
        except ValueError as problem:
            raise BadPush(f"{self._table}: {problem}") from None
        return row if self._view.back is None else msgspec.json.encode(self._view.back(said))

    def _is_left(self, field: str, row: bytes) -> bool:
        return self._left.get(field) is row

    def _note(self) -> None:
        """Note which v3 rows are touched by what has changed since the last batch; no harm if it is done twice."""
        for feed in (self, *self._asides.values()):
            for field, row in feed._changed.items():
                self._touched |= dict.fromkeys(self._place(feed, field, row))

    def _place(self, feed: StateFeed, field: str, row: bytes | None) -> list[str]:
        """Note to which v3 row a v5 row belongs; which v3 rows have changed by that."""
        key = feed, field
        before = self._row_of.pop(key, "")
        if before:
            self._made_of[before].pop(key, None)
        elif row is None and self._view.mirrored:
            return [field]
        after = before if row is None or self._is_left(field, row) else self._view.field(self._value, _row.decode(row))
        if row is not None and after:
            self._row_of[key] = after
            self._made_of.setdefault(after, {})[key] = None
        if before and not self._made_of[before]:
            del self._made_of[before]
        return [name for name in {before: None, after: None} if name]

    def _members(self, name: str) -> dict[tuple[StateFeed, str], Fields]:
        """The v5 rows of a v3 row, without what an earlier session left."""
        rows = {key: key[0]._rows.get(key[1]) for key in self._made_of.get(name, ())}
        return {key: _row.decode(row) for key, row in rows.items() if row and not self._is_left(key[1], row)}

    def _spell(self, name: str, members: Mapping[tuple[StateFeed, str], Fields]) -> bytes:
        if not members:
            return b""
        value = name if self._view.single else self._value
        return msgspec.json.encode(self._view.spell(value, list(members.values())))


class _Aside(StateFeed):
    """Keeps the rows of a subscription that adds to the data; what becomes of them is its topic's business."""

    def render(self, batch: Batch) -> None:
        """Nothing is written for it alone."""

    def _publish(self, batch: Batch, items: Iterable[Item]) -> None:
        pass

    def _write_log(self, batch: Batch, raw: bytes) -> None:
        pass


def read(key: str, topic: Topic, n: int | None = None) -> Read:
    """The row of a topic that has one (accounts, positions of a contract), `{}` if there is none; else a list.

    Lists are in the order of their times, of which `n` takes the newest, or of their identities where they have none.
    """
    assert topic.v3 is not None, "for v3 topics"
    if cast(StateView, topic.v3.spelling).single:

        def one(replies: list[Any]) -> dict[str, Any]:
            row = text(replies[0])
            return _row.decode(row) if row else {}

        return Read([("HGET", key, topic.filter_value)], one)

    def listed(replies: list[Any]) -> list[dict[str, Any]]:
        rows = [(name, row) for name, row in pairs(replies[0]).items() if _belongs(topic, name, row)]
        decoded = [(name, _row.decode(row)) for name, row in rows]
        decoded.sort(key=lambda pair: (str(pair[1].get("created_at", "")), len(pair[0]), pair[0]))
        return [row for _, row in decoded][-n if n else 0 :]

    return Read([("HGETALL", key)], listed)


def _belongs(topic: Topic, name: str, row: str) -> bool:
    """Whether a v3 row is one that the topic is about."""
    value = topic.filter_value
    if topic.v3 is None or not value or name == value:
        return True
    if cast(StateView, topic.v3.spelling).single:
        return False
    try:
        return topic.v3.concerns(value, _row.decode(row))
    except ValueError:
        return False
