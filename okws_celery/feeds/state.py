"""State: what exists now and ends some day (orders, positions, balances, instruments), one hash per channel.

Redis: `okex/N/orders`, field = the row's identity as the catalogue says (several values joined by ":"), value = the row
as JSON; a row that ended is removed. All topics of a channel share the hash; each answers for its own rows. A row that
is older than what is known of its identity changes nothing there.
Account channels also keep every row as it came in the stream `okex/N/orders/log`, field `data`.

`account` is split: a field for each currency of `details`, and the field "account" for the rest of the row.
`balance_and_position` is split into `balData` (field = ccy) and `posData` (field = posId).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from okws_celery.feeds.ledger import Ledger
from okws_celery.feeds.route import BadPush, Known, Position, Read, Route
from okws_celery.feeds.rows import is_error, pairs, text
from okws_celery.feeds.state_rows import ACCOUNT_FIELD, Item, belongs, goes_back, splitter
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg, Topic
from okws_celery.store.batch import Batch

__all__ = ["ACCOUNT_FIELD", "StateFeed", "read"]

_REMEMBERED = 5_000  # rows that ended
_ENDLESS = frozenset({"deposit-info", "withdrawal-info", "economic-calendar", "adl-warning", "estimated-price"})
"""Channels whose rows never end: so many of them are kept, the newest."""
_MOST_ENDLESS = 1_000
_ORDERS = frozenset({"orders", "orders-algo"})
"""Channels whose rows are events, each published once; of the others each push is."""
_FINAL = frozenset({"orders", "orders-algo", "algo-advance", "sprd-orders", "grid-sub-orders"})
"""Channels of which a row that ended never comes back."""
_BEGINS_WHOLE = frozenset({"algo-advance", "grid-positions", "account-greeks"})
"""Channels whose first push has all rows of a topic, and does not say so (PROTOCOL 5.3, 5.4)."""
_EXECUTED = frozenset({"orders", "sprd-orders", "grid-sub-orders"})
"""Channels whose rows tell of executions, which may be told again with a later time."""


class StateFeed:
    """Write side. A field that changed is written once per batch."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = True
        self._route = route
        self._key = route.key
        self._channel = route.topic.v5.channel.name
        self.ledger = Ledger(final=self._channel in _FINAL)
        """Shared by the topics of a key."""
        self._log_key = route.key + "/log" if route.topic.channel.logged else ""
        self._split = splitter(route.topic.v5)
        self._most = _MOST_ENDLESS if self._channel in _ENDLESS else 0
        # The rows that this topic answers for; what of them is not in Redis yet (None: to be removed).
        self._rows: dict[str, bytes] = {}
        self._changed: dict[str, bytes | None] = {}
        # Rows of a snapshot whose last page has not come; None outside of one.
        self._pages: dict[str, Item] | None = None
        # Whether the next push has all rows.
        self._begins = self._channel in _BEGINS_WHOLE
        # Fields that were removed, oldest first, in case Redis refuses the batch that says so.
        self._gone: dict[str, None] = {}
        # Fields that were pushed since a list was asked for; None if none is.
        self._pushed: set[str] | None = None
        # While the answer to `prepare` is awaited, and whether there was a snapshot meanwhile.
        self._waiting = False
        self._replaced = False

    @property
    def prepared(self) -> bool:
        """Whether what an earlier session left is known."""
        return not self._waiting and self.ledger.prepared

    @property
    def under_way(self) -> bool:
        """Whether pages of a snapshot are still to come."""
        return self._pages is not None

    @property
    def rows(self) -> Mapping[str, bytes]:
        """The rows that this topic answers for, by field."""
        return self._rows

    @property
    def position(self) -> Position:
        """See route.Feed."""
        return self.last_ts, None

    def prepare(self, batch: Batch) -> None:
        """Ask for the rows that an earlier session left: a snapshot that does not have them ends them."""
        self._waiting = True
        batch.ask(lambda reply: self._learn(reply, batch), "HGETALL", self._key)
        if self._log_key:
            self.ledger.prepare(batch, self._log_key, self._channel, self._as_logged, self._readable)

    def write(self, batch: Batch, push: Push) -> str:
        """Take over what changed; a snapshot replaces all rows of the topic when its last page is there."""
        raws = [bytes(raw) for raw in push.data]
        split = [self._split(raw) for raw in raws]
        if split:
            self.first_ts = split[0].ts
            self.last_ts = max(self.last_ts, *(rows.ts for rows in split))
        news = [self._log(batch, raw) for raw in raws] if self._log_key else [True] * len(raws)
        items = [item for rows in split for item in rows.items]
        if self._pushed is not None:
            self._pushed.update(item.field for item in items)
        whole = push.event_type == "snapshot" or any(rows.is_snapshot for rows in split)
        if self._begins and (split or self._channel != "grid-positions"):  # which may be empty before it begins
            self._begins, whole = False, True
        if whole:
            self._take_page(items, push.page, push.last_page)
        else:
            self._take(items)
        if self._route.publish_rows:
            for rows, is_news in zip(split, news, strict=True):
                if is_news or self._channel not in _ORDERS:
                    self._publish(batch, rows.items)
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
        if not self.prepared:
            self.prepare(batch)

    def interrupted(self, batch: Batch) -> None:
        """A snapshot that was under way will not be completed."""
        self._pages = None
        self._begins = self._channel in _BEGINS_WHOLE

    def known(self, arg: Arg) -> Known:
        """The rows that stand, and those of a snapshot that is under way."""
        under_way = {field: item.row for field, item in (self._pages or {}).items() if not item.ended}
        return {**self._rows, **under_way}

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """Begin with the rows of another feed."""
        self._begins = False
        if isinstance(known, list):
            known = {item.field: item.row for row in known for item in self._readable(row) if not item.ended}
        if isinstance(known, dict) and known:
            for field, row in known.items():
                parts = self._as_stored(row)
                self._set(parts[0] if parts else Item(field, row, ended=False))
            batch.mark(self)

    # -- rows from REST

    def begin_list(self) -> None:
        """A list of all rows is asked for: what is pushed from here on is newer than the list."""
        self._pushed = set()

    def take_list(self, batch: Batch, raws: list[bytes], covers: Callable[[str], bool], *, publish: bool) -> list[str]:
        """The list is there: the fields that it changed. It has every row whose field it `covers`."""
        pushed, self._pushed = self._pushed or set(), None
        listed = {item.field: item for raw in raws for item in self._readable(raw) if not item.ended}
        changed = []
        for field, item in listed.items():
            if field not in pushed and self._rows.get(field) != item.row and self.ledger.takes(item):
                self._set(item)
                changed.append(field)
                if publish and self._route.publish_rows:
                    self._publish(batch, [item])
        for field in [field for field in self._rows if covers(field)]:
            if field not in listed and field not in pushed:
                self._drop(field)
        if self._changed:
            batch.mark(self)
        return changed

    def take_rest(self, batch: Batch, raw: bytes, *, event_only: bool = False) -> None:
        """A row of REST that may say something new: if so, it is stored, logged and published as a pushed one is.

        `event_only` for one of an execution: it stands in the log, and the hash shows what came of it.
        """
        for item in self._readable(raw):
            if event_only:
                news = self.ledger.is_news(self._channel, raw)
            else:
                news = self.ledger.is_newer(item)
                if news:
                    self.ledger.is_news(self._channel, raw)
                    self._set(item)
            if news:
                self._write_log(batch, raw)
                if self._route.publish_rows:
                    self._publish(batch, [item])
        if self._changed:
            batch.mark(self)

    def says_more(self, raw: bytes) -> bool:
        """Whether a row of REST would change the hash."""
        return any(self.ledger.is_newer(item) for item in self._readable(raw))

    def forget(self, batch: Batch, field: str, row: bytes) -> None:
        """REST knows nothing of a row any more; it goes unless something was said of it meanwhile."""
        if self._rows.get(field) == row:
            self._drop(field)
            batch.mark(self)

    def _readable(self, raw: bytes) -> list[Item]:
        try:
            return self._split(raw).items
        except BadPush:
            return []

    # -- within

    def _learn(self, reply: Any, batch: Batch) -> None:
        if not self._waiting:
            return
        if reply is None:
            self.prepare(batch)
            return
        self._waiting = False
        for field, row in self._found(pairs(None if is_error(reply) else reply)):
            if field in self._rows or field in self._gone:
                continue
            if self._replaced:
                self._changed[field] = None
                batch.mark(self)
                continue
            self._rows[field] = row
            for item in self._as_stored(row):
                if self.ledger.takes(item):
                    self.ledger.took(item)

    def _found(self, stored: dict[str, str]) -> Iterable[tuple[str, bytes]]:
        """The rows of this topic among those that are stored, by the field that they have here."""
        return [(field, row.encode()) for field, row in stored.items() if belongs(self._route.topic, field, row)]

    def _as_logged(self, row: bytes) -> bytes:
        """A row of the exchange from what is logged of it; BadPush if it is none."""
        return row

    def _as_stored(self, row: bytes) -> list[Item]:
        # The rows of account and balance_and_position are parts of what the exchange sends.
        return [] if self._channel in ("account", "balance_and_position") else self._readable(row)

    def _take_page(self, items: list[Item], page: int, last: bool) -> None:
        if page <= 1:
            self._pages = {}
        if self._pages is None:
            # Its first page is missing: the rows are good, but that others are gone is not said.
            self._take(items)
            return
        self._pages.update({item.field: item for item in items})
        if not last:
            return
        rows, self._pages = self._pages, None
        self._replaced = True
        for field in self._rows.keys() - rows.keys():
            self._drop(field)
        self._take(rows.values())

    def _take(self, items: Iterable[Item]) -> None:
        for item in items:
            if self.ledger.takes(item) and not self._is_repeat(item):
                self._set(item)
                # What happens while a snapshot is under way is newer than its pages.
                if self._pages is not None:
                    self._pages[item.field] = item

    def _is_repeat(self, item: Item) -> bool:
        """Whether it tells of an execution that is known, with a time of its own."""
        known = self._rows.get(item.field) if self._channel in _EXECUTED and not item.ended else None
        return known is not None and goes_back(item.row, known)

    def _set(self, item: Item) -> None:
        self.ledger.took(item)
        if item.ended:
            self._drop(item.field)
            return
        self._gone.pop(item.field, None)
        self._rows[item.field] = self._changed[item.field] = item.row
        if self._most and len(self._rows) > self._most:
            self._drop(next(iter(self._rows)))

    def _drop(self, field: str) -> None:
        self._rows.pop(field, None)
        self._gone.pop(field, None)
        self._gone[field] = None
        if len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]
        self._changed[field] = None

    def _publish(self, batch: Batch, items: Iterable[Item]) -> None:
        for item in items:
            batch.publish(self._route.rows + item.field, item.row)

    def _log(self, batch: Batch, raw: bytes) -> bool:
        news = self.ledger.is_news(self._channel, raw)
        if news:
            self._write_log(batch, raw)
        return news

    def _write_log(self, batch: Batch, raw: bytes) -> None:
        if self._log_key:
            # Several topics share the stream, so the ids are Redis's own.
            kept = self._route.limits.max_log
            self.ledger.log(batch, "XADD", self._log_key, "MAXLEN", "~", kept, "*", "data", raw)


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
