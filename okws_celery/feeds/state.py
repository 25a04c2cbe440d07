"""State: what exists now and ends some day (orders, positions, balances, instruments), one hash per channel.

Redis: `okex/N/orders`, field = the row's identity as the catalogue says (several values joined by ":"), value = the row
as JSON; a row that ended is removed. All topics of a channel share the hash; each answers for its own rows.
Account channels also keep every row as it came in the stream `okex/N/orders/log`, field `data`.

`account` is split: a field for each currency of `details`, and the field "account" for the rest of the row.
`balance_and_position` is split into `balData` (field = ccy) and `posData` (field = posId).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from okws_celery.feeds.route import BadPush, Read, Route
from okws_celery.feeds.rows import RowReader, is_error, ms, pairs, text
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Topic
from okws_celery.store.batch import Batch

__all__ = ["ACCOUNT_FIELD", "StateFeed", "belongs", "read"]

ACCOUNT_FIELD = "account"
"""Field of the hash of `account` that holds the account level; every other field is a currency."""

_ORDER_ENDED = frozenset({"filled", "canceled", "cancelled", "mmp_canceled", "rejected"})
_ALGO_ENDED = frozenset({"canceled", "effective", "filled", "order_failed", "partially_failed"})
_QUOTE_ENDED = frozenset({"canceled", "filled", "expired", "traded_away", "failed"})
_ENDED = {
    "orders": _ORDER_ENDED,
    "sprd-orders": _ORDER_ENDED,
    "grid-sub-orders": _ORDER_ENDED,
    "orders-algo": _ALGO_ENDED,
    "algo-advance": _ALGO_ENDED,
    "grid-orders-spot": frozenset({"stopped"}),
    "grid-orders-contract": frozenset({"stopped"}),
    "algo-recurring-buy": frozenset({"stopped"}),
    "rfqs": _QUOTE_ENDED,
    "quotes": _QUOTE_ENDED,
    "instruments": frozenset({"expired"}),
    "event-contract-markets": frozenset({"expired"}),
}
"""Values of `state` with which a row leaves the hash (PROTOCOL 5.1 to 5.4)."""
_POSITIONS = frozenset({"positions", "grid-positions", "balance_and_position"})
"""Channels whose rows end with `pos` "0"."""
_FILTERS = ("instType", "instFamily", "instId", "ccy", "algoId", "sprdId")
"""Topic arguments that choose rows; the others, such as extraParams, do not."""
_REMEMBERED = 1_000  # rows of the log, and rows that ended


class _Item(NamedTuple):
    field: str
    row: bytes
    ended: bool


class _Rows(NamedTuple):
    """A row of the exchange as entries of the hash."""

    items: list[_Item]
    ts: int
    """Exchange ms; 0 if it has none."""
    is_snapshot: bool = False


class StateFeed:
    """Write side. A field that changed is written once per batch."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = True
        self._route = route
        self._key = route.key
        self._log_key = route.key + "/log" if route.topic.channel.logged else ""
        self._split = _splitter(route.topic)
        # The rows that this topic answers for; what of them is not in Redis yet (None: to be removed).
        self._rows: dict[str, bytes] = {}
        self._changed: dict[str, bytes | None] = {}
        # Rows of a snapshot whose last page has not come; None outside of one.
        self._pages: dict[str, bytes] | None = None
        # Fields that were removed, oldest first, in case Redis refuses the batch that says so.
        self._gone: dict[str, None] = {}
        # While the answer to `prepare` is awaited, and whether there was a snapshot meanwhile.
        self._waiting = False
        self._replaced = False
        # Digests of rows of the log, oldest first.
        self._logged: dict[bytes, None] = {}

    def prepare(self, batch: Batch) -> None:
        """Ask for the rows that an earlier session left: a snapshot that does not have them ends them."""
        self._waiting = True
        self._replaced = False
        batch.ask(lambda reply: self._learn(reply, batch), "HGETALL", self._key)

    def write(self, batch: Batch, push: Push) -> str:
        """Take over what changed; a snapshot replaces all rows of the topic when its last page is there."""
        raws = [bytes(raw) for raw in push.data]
        split = [self._split(raw) for raw in raws]
        if split:
            self.first_ts = split[0].ts
            self.last_ts = max(self.last_ts, *(rows.ts for rows in split))
        items = [item for rows in split for item in rows.items]
        if push.event_type == "snapshot" or any(rows.is_snapshot for rows in split):
            self._take_page(items, push.page, push.last_page)
        else:
            self._take(items)
        if self._log_key:
            self._log(batch, raws)
        if self._route.publish_rows:
            for item in items:
                batch.publish(self._route.rows + item.field, item.row)
        if self._changed:
            batch.mark(self)
        return ""

    def render(self, batch: Batch) -> None:
        """Write and remove what changed."""
        flat: list[str | bytes] = []
        gone = []
        for field, row in self._changed.items():
            if row is None:
                gone.append(field)
            else:
                flat += (field, row)
        self._changed.clear()
        if flat:
            batch.write("HSET", self._key, *flat)
        if gone:
            batch.write("HDEL", self._key, *gone)

    def rewrite(self, batch: Batch) -> None:
        """Write every row of this topic once more, remove what ended of late; ask again what was not answered."""
        self._changed = {**dict.fromkeys(self._gone), **self._rows}
        if self._changed:
            batch.mark(self)
        if self._waiting:
            self.prepare(batch)

    def interrupted(self, batch: Batch) -> None:
        """A snapshot that was under way will not be completed."""
        self._pages = None

    def _learn(self, reply: Any, batch: Batch) -> None:
        if not self._waiting:
            return
        if reply is None:
            self.prepare(batch)
            return
        self._waiting = False
        for field, row in pairs(None if is_error(reply) else reply).items():
            if field in self._rows or field in self._gone or not belongs(self._route.topic, field, row):
                continue
            if self._replaced:
                self._changed[field] = None
                batch.mark(self)
            else:
                self._rows[field] = row.encode()

    def _take_page(self, items: list[_Item], page: int, last: bool) -> None:
        if page <= 1:
            self._pages = {}
        if self._pages is None:
            # Its first page is missing: the rows are good, but that others are gone is not said.
            self._take(items)
            return
        self._pages.update({item.field: item.row for item in items if not item.ended})
        if not last:
            return
        rows, self._pages = self._pages, None
        self._replaced = True
        for field in self._rows.keys() - rows.keys():
            self._set(field, None)
        for field, row in rows.items():
            self._set(field, row)

    def _take(self, items: Iterable[_Item]) -> None:
        for field, row, ended in items:
            self._set(field, None if ended else row)
            # What happens while a snapshot is under way is newer than its pages.
            if self._pages is not None:
                self._pages.pop(field, None)
                if not ended:
                    self._pages[field] = row

    def _set(self, field: str, row: bytes | None) -> None:
        self._gone.pop(field, None)
        if row is None:
            self._rows.pop(field, None)
            self._gone[field] = None
            if len(self._gone) > _REMEMBERED:
                del self._gone[next(iter(self._gone))]
        else:
            self._rows[field] = row
        self._changed[field] = row

    def _log(self, batch: Batch, raws: list[bytes]) -> None:
        for raw in raws:
            digest = blake2b(raw, digest_size=16).digest()
            if digest in self._logged:
                continue
            self._logged[digest] = None
            if len(self._logged) > _REMEMBERED:
                del self._logged[next(iter(self._logged))]
            # Several topics share the stream, so the ids are Redis's own.
            batch.write("XADD", self._log_key, "MAXLEN", "~", self._route.limits.max_log, "*", "data", raw)


def read(key: str, topic: Topic) -> Read:
    """The rows by identity, those only that the topic's arguments choose; `{}` if there are none.

    A topic that names the whole identity (`account:USDT`) gives that one row.
    """
    arguments = dict(topic.arg)
    identity = topic.channel.identity
    if identity and all(arguments.get(name) for name in identity):
        field = ":".join(arguments[name] for name in identity)

        def one(replies: list[Any]) -> dict[str, Any]:
            row = text(replies[0])
            return msgspec.json.decode(row, type=dict[str, Any]) if row else {}

        return Read([("HGET", key, field)], one)

    def all_(replies: list[Any]) -> dict[str, dict[str, Any]]:
        rows = pairs(replies[0]).items()
        return {field: msgspec.json.decode(row) for field, row in rows if belongs(topic, field, row)}

    return Read([("HGETALL", key)], all_)


def _splitter(topic: Topic) -> Callable[[bytes], _Rows]:
    match topic.channel.name:
        case "account":
            return _split_account
        case "balance_and_position":
            return _split_balance_and_position
    name, identity = topic.channel.name, topic.channel.identity
    ended_states = _ENDED.get(name, frozenset())
    reader = RowReader("state", "pos", "uTime", "pTime", "ts", "cTime", *identity)

    def split(row: bytes) -> _Rows:
        state, pos, *times_and_identity = reader(row)
        field = _field(row, times_and_identity[4:])
        ended = state in ended_states or (name in _POSITIONS and _is_zero(pos))
        return _Rows([_Item(field, row, ended)], _first_time(times_and_identity[:4]))

    return split


class _Account(msgspec.Struct):
    details: list[msgspec.Raw] | None = None


class _BalanceAndPosition(msgspec.Struct):
    balData: list[msgspec.Raw] | None = None
    posData: list[msgspec.Raw] | None = None


_account = msgspec.json.Decoder(_Account)
_account_row = msgspec.json.Decoder(dict[str, msgspec.Raw])
_balance_and_position = msgspec.json.Decoder(_BalanceAndPosition)
_read_ccy = RowReader("ccy")
_read_position = RowReader("posId", "pos")
_read_times = RowReader("uTime", "pTime", "eventType")


def _split_account(row: bytes) -> _Rows:
    times = _read_times(row)
    try:
        details = _account.decode(row).details or []
        level = _account_row.decode(row)
    except ValueError as problem:
        raise BadPush(f"account: {problem}") from None
    level.pop("details", None)
    items = [_Item(_field(raw, _read_ccy(raw)), raw, False) for raw in map(bytes, details)]
    items.append(_Item(ACCOUNT_FIELD, msgspec.json.encode(level), False))
    return _Rows(items, _first_time(times[:2]))


def _split_balance_and_position(row: bytes) -> _Rows:
    u_time, p_time, event_type = _read_times(row)
    try:
        parts = _balance_and_position.decode(row)
    except ValueError as problem:
        raise BadPush(f"balance_and_position: {problem}") from None
    items = [_Item(_field(raw, _read_ccy(raw)), raw, False) for raw in map(bytes, parts.balData or ())]
    for raw in map(bytes, parts.posData or ()):
        pos_id, pos = _read_position(raw)
        items.append(_Item(_field(raw, [pos_id]), raw, _is_zero(pos)))
    return _Rows(items, _first_time([p_time, u_time]), event_type == "snapshot")


def _field(row: bytes, identity: list[str]) -> str:
    if not any(identity):
        raise BadPush(f"row {row[:80]!r}: nothing in it says which one it is")
    return ":".join(identity)


def _first_time(times: Iterable[str]) -> int:
    return next((when for when in map(ms, times) if when), 0)


def _is_zero(number: str) -> bool:
    return bool(number) and not number.strip("-0.")


def belongs(topic: Topic, field: str, row: str) -> bool:
    """Whether a row of the channel's hash is one that this topic is about."""
    wanted = [(key, value) for key, value in topic.arg if key in _FILTERS and value != "ANY"]
    if not wanted or (topic.channel.name == "account" and field == ACCOUNT_FIELD):
        return True
    try:
        values = msgspec.json.decode(row, type=dict[str, Any])
    except ValueError:
        return False
    return all(
        values.get(key) == value
        # Many rows do not carry their family, but every instrument's name begins with it.
        or (key == "instFamily" and not values.get(key) and str(values.get("instId", "")).startswith(value + "-"))
        for key, value in wanted
    )
