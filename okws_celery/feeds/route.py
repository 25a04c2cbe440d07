"""What a feed is given and what it gives: the route of a topic, the shape of a feed, a read as described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from okws_celery.errors import OkwsError
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.messages import Push
from okws_celery.okx.order_book import OrderBook
from okws_celery.okx.topics import Arg, Topic
from okws_celery.store.batch import Batch

__all__ = [
    "BadPush",
    "Direct",
    "Feed",
    "Filled",
    "Known",
    "KnownBook",
    "Limits",
    "Position",
    "Read",
    "Refillable",
    "Route",
    "Translated",
]


class BadPush(OkwsError):
    """A push whose rows cannot be understood; nothing of it was written. Counted, never fatal."""


class KnownBook(NamedTuple):
    """A merged book that is good, and the exchange ms of its last change."""

    book: OrderBook
    ts: int


Known = list[bytes] | dict[str, bytes] | KnownBook
"""What a feed has of one v5 subscription: rows as the exchange sent them, by identity if they are state, or a book."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: levels of a book (0: the channel's depth), candles, stream entries (about)."""

    book_depth: int = 0
    max_rows: int = 1000
    max_log: int = 10_000


@dataclass(frozen=True, slots=True)
class Route:
    """Where the rows of one topic go: computed once per subscription, so that a push costs no string work.

    `base` is `okex/N/`; whole pushes are published on `pushes`, each row on `rows` + its id.
    """

    topic: Topic
    base: str
    publish_rows: bool = True
    limits: Limits = field(default_factory=Limits)

    @property
    def key(self) -> str:
        """The data key: one per channel for state, one per topic for every other kind."""
        return self.base + (self.topic.channel.name if self.topic.channel.kind is Kind.STATE else self.topic.path)

    @property
    def pushes(self) -> str:
        """Pub/sub channel of whole pushes, as sent: `okex/N/tickers`."""
        return self.base + self.topic.path.partition(":")[0]

    @property
    def rows(self) -> str:
        """Pub/sub channel of rows, up to their id: `okex/N/tickers:`."""
        return self.pushes + ":"

    @property
    def own_row(self) -> str:
        """Pub/sub channel of a row that has no id of its own: that of the topic, `okex/N/tickers:BTC-USDT`."""
        return self.base + self.topic.path if ":" in self.topic.path else self.rows


Position = bytes | tuple[int, Any]
"""How far rows reach: the last row, of which the time is read when it is needed; or its exchange ms, and what
`Refillable.undo` takes."""


class Feed(Protocol):
    """The write side of one topic: what it remembers, and what a push means for Redis."""

    live: bool
    """Whether what readers find is good: false only for a book before its first snapshot, and for one that broke."""

    @property
    def last_ts(self) -> int:
        """Exchange ms of the newest row written; 0 before the first."""

    @property
    def position(self) -> Position:
        """How far the rows reach that were written."""

    @property
    def first_ts(self) -> int:
        """Exchange ms of the first row of the latest push that was news; 0 if none was, or while rows are held."""

    def prepare(self, batch: Batch) -> None:
        """Ask Redis for what must be known before the first row is written, such as the tail of a stream.

        The batch is the session's one and only: the handler of the reply may write to it or mark itself in it. None as
        reply says that it was lost, though the batch arrived: the feed asks again.
        """

    def write(self, batch: Batch, push: Push) -> str:
        """Store and publish the rows. "" if all is well, else why the topic must be subscribed again.

        Raises BadPush, and then nothing of the push was written.
        """

    def render(self, batch: Batch) -> None:
        """Write the keys that are written once per batch."""

    def rewrite(self, batch: Batch) -> None:
        """Write everything again that is remembered: Redis was emptied, or refused what was sent."""

    def interrupted(self, batch: Batch) -> None:
        """The stream broke off: what comes next does not follow on what came before."""

    def known(self, arg: Arg) -> Known:
        """What it has of an arg, for another feed that is to be fed by the same subscription."""

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """Begin with what another feed has of an arg: the subscription is live and may say nothing for long."""


@runtime_checkable
class Direct(Protocol):
    """What a feed adds that can write a row at once, as is done where few rows come at a time."""

    direct: bool
    """Whether it ever does."""

    def write_row(self, batch: Batch, row: bytes) -> bool:
        """Store and publish the row of a push that has no other; whether it was as nearly all are, and sound JSON.

        If it was not, nothing has happened: then it is for `write`. So it is if only the last row is kept and this
        batch has one already: what `write` marks is rendered once, after all that was written at once.
        """


class Translated(Feed, Protocol):
    """The feed of a v3 topic: it is given v5 rows, and spells in v3 what it stores and publishes."""

    def spoken(self, push: Push) -> bytes:
        """The push that was written last, as a v3 message; b"" if it says nothing of this topic."""

    def aside(self, batch: Batch, push: Push, arg: Arg) -> None:
        """A push of one of the subscriptions that add to the data (`Topic.others`). Raises BadPush."""


class Filled(NamedTuple):
    """What rows from REST did for a gap."""

    complete: bool
    """They reach back to what was there before it: nothing is missing any more."""
    first_ts: int
    """Exchange ms of the oldest of them that was news; 0 if none was."""


@runtime_checkable
class Refillable(Protocol):
    """What a feed of candles or trades adds: rows that were missed are put in before those that came since."""

    holding: bool
    """Rows of pushes wait."""
    prepared: bool
    """What the key holds is known."""

    def hold(self) -> None:
        """A gap is being filled: rows of pushes wait until `fill` or `release`, as far as they can be held."""

    def behind(self, rows: list[bytes]) -> bool:
        """Whether rows of REST are older than what waits, so that some may be missing between them."""

    @property
    def waits(self) -> bool:
        """Whether a row waits."""

    @property
    def reached(self) -> int:
        """How far the rows reach that need not be asked for: a time or a number; 0 if none is known."""

    def fill(self, batch: Batch, rows: list[bytes]) -> Filled:
        """Store, and publish where they are news, rows of REST in any order; then what waits."""

    def release(self, batch: Batch) -> None:
        """Take what waits; nothing will be filled in before it."""

    def undo(self, mark: Any) -> None:
        """What was written since is not in Redis: it is news again when REST brings it. `mark` is of its position."""

    def emptied(self) -> None:
        """Redis has lost what was there: history is wanted once more."""


@dataclass(frozen=True, slots=True)
class Read:
    """A read as a value, shared by the sync and the async client: commands of one round trip, and their meaning.

    `shape` takes the replies as Redis sent them or as redis-py shaped them, decoded or not.
    """

    commands: list[tuple[str | int, ...]]
    shape: Callable[[list[Any]], Any]
