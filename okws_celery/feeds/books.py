"""Books: one order book as it stands (books, books5, bbo-tbt, the tbt books, those of spreads).

Redis: `okex/N/books:BTC-USDT`, a hash: `bids` and `asks` (JSON lists of the exchange's own levels, best first), `ts`,
`seqId` ("" where the exchange gives none) and `state`, `live` or `stale`. A book that broke keeps its levels, stale,
until a snapshot; updates are ignored till then. Every data object is published as sent, whatever became of it.

    state      event                                     becomes    write() returns
    -----      -----                                     -------    ---------------
    live       gap, bad checksum, crossed, unreadable    stale      the reason
    live       interrupted, crossed snapshot             stale
    stale      good snapshot                             live
    stale      crossed snapshot merged until it is not   live
    stale      bad checksum, unreadable                  stale      the reason, unless one was given since it was live
    stale      anything else                             stale

Books that come whole each time (books5, bbo-tbt) are a snapshot with every push, and never need a new subscription.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from okws_celery.feeds.best_quotes import match_best_quote
from okws_celery.feeds.route import BadPush, Known, KnownBook, Position, Read, Route
from okws_celery.feeds.rows import ms, pairs
from okws_celery.okx.messages import Push
from okws_celery.okx.order_book import OrderBook, Outcome
from okws_celery.okx.topics import Arg
from okws_celery.store.batch import LENGTHS, Batch, publish_to, stem

__all__ = ["BookFeed", "read"]

_LARGEST_FULL = 5  # levels; books up to this come whole each time, without `action` (PROTOCOL 6.1)
_SNAPSHOTS = ("snapshot", "partial")


class _Book(msgspec.Struct):
    asks: list[list[str | int]] | msgspec.UnsetType = msgspec.UNSET
    bids: list[list[str | int]] | msgspec.UnsetType = msgspec.UNSET
    ts: str | int | None = ""
    seqId: str | int | None = None
    prevSeqId: str | int | None = None
    checksum: str | int | None = None


_decoder = msgspec.json.Decoder(_Book)
_side = msgspec.json.Decoder(list[list[str | int]]).decode

# Of the command that writes a best quote: what stands between the values.
_ASKS = b"\r\n$4\r\nasks\r\n"
_TS = b"\r\n$2\r\nts\r\n"
_SEQ_ID = b"\r\n$5\r\nseqId\r\n"
_LIVE = b"\r\n$5\r\nstate\r\n$4\r\nlive\r\n"


class BookFeed:
    """Write side: merges, checks, and renders the hash once per batch, a best quote at once and when all have come."""

    _spells = False
    """Whether readers get books in another spelling than the exchange's."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = False
        self._route = route
        self._key = route.key
        self._levels = route.limits.book_depth or None
        self._full_form = 0 < route.topic.channel.depth <= _LARGEST_FULL
        self._book = OrderBook(route.topic.channel.depth)
        self.direct = route.topic.channel.depth == 1 and not self._spells
        # The newest book, if it was written at once: then `_book` does not have it yet. In which batch that was.
        self._quote: re.Match[bytes] | None = None
        self._written = 0
        self._hset = stem("HSET", route.key, "bids", more=9)
        self._publish_own = publish_to(route.own_row)
        # Whether a new subscription was asked for since the book was last live.
        self._asked = False
        # Why one must be asked for at the next chance.
        self._owed = ""
        # Whether there is something to render.
        self._changed = False

    @property
    def position(self) -> Position:
        """See route.Feed."""
        return self.last_ts, None

    def prepare(self, batch: Batch) -> None:
        """What an earlier session left there is stale until a snapshot."""
        batch.write("HSET", self._key, "state", "stale")

    def write(self, batch: Batch, push: Push) -> str:
        """Merge each data object; the reason for a new subscription is returned once for each time the book broke."""
        self.first_ts = 0
        self._take_quote()
        try:
            books = self._decoded(push)
            for book in books:
                self._apply(push.action, book)
        except (ValueError, BadPush) as problem:
            self._unreadable()
            if self._changed:
                batch.mark(self)
            raise BadPush(f"book of {self._route.topic.text}: {problem}") from None
        if self._route.publish_rows:
            for row in self._spelled(push):
                batch.publish(self._route.own_row, row)
        if self._changed:
            batch.mark(self)
        reason, self._owed = self._owed, ""
        return reason

    def write_row(self, batch: Batch, row: bytes) -> bool:
        """See route.Direct: as usual is a best quote that follows on a good one."""
        if not self.live or batch.serial == self._written:
            return False
        match, size = match_best_quote(row), len(row)
        if match is None or size >= len(LENGTHS):
            return False
        asks, ask, bids, bid, ts, seq_id = match.groups()
        # Where the nearest floats of two numbers differ, the numbers do so in the same way.
        if float(bid) >= float(ask):
            return False
        self._quote, self._written = match, batch.serial
        self.last_ts = self.first_ts = int(ts)
        # The fields of `_shown`, and the state.
        both = (self._hset, LENGTHS[len(bids)], bids, _ASKS, LENGTHS[len(asks)], asks)
        rest = (_TS, LENGTHS[len(ts)], ts, _SEQ_ID, LENGTHS[len(seq_id)], seq_id, _LIVE)
        batch.writes.append(b"".join(both + rest))
        if self._route.publish_rows:
            batch.publishes += (self._publish_own, LENGTHS[size], row, b"\r\n")
        return True

    def render(self, batch: Batch) -> None:
        """Write the book, or that it is stale: then its levels stay as they were last written."""
        self._take_quote()
        self._changed = False
        if not self.live:
            batch.write("HSET", self._key, "state", "stale")
            return
        batch.write("HSET", self._key, *self._shown(), "state", "live")

    def rewrite(self, batch: Batch) -> None:
        """Write the book once more."""
        batch.mark(self)

    def interrupted(self, batch: Batch) -> None:
        """Updates were missed: stale until a snapshot."""
        self._book.drop()
        self.live = False
        batch.mark(self)

    def known(self, arg: Arg) -> Known:
        """The book, while it is good."""
        self._take_quote()
        return KnownBook(self._book, self.last_ts) if self.live else []

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """Go on from another feed's book."""
        if isinstance(known, KnownBook):
            self._book.snapshot(known.book.asks, known.book.bids, known.book.seq_id)
            self.last_ts = known.ts
            self.live = self._changed = True
            batch.mark(self)

    def _spelled(self, push: Push) -> list[bytes]:
        """The data objects of a push that was merged, as readers get them."""
        return [bytes(raw) for raw in push.data]

    def _shown(self) -> tuple[str | int | bytes, ...]:
        """The fields of the hash, but its state."""
        book = self._book
        return (
            *("bids", msgspec.json.encode(book.bids[: self._levels])),
            *("asks", msgspec.json.encode(book.asks[: self._levels])),
            *("ts", self.last_ts or ""),
            *("seqId", "" if book.seq_id is None else book.seq_id),
        )

    def _take_quote(self) -> None:
        """Have the book be what was written at once."""
        if self._quote is not None:
            asks, _, bids, _, _, seq_id = self._quote.groups()
            self._book.snapshot(_side(asks), _side(bids), int(seq_id))
            self._quote = None

    def _decoded(self, push: Push) -> list[_Book]:
        if not self._full_form and push.action not in (*_SNAPSHOTS, "update"):
            raise BadPush(f"action {push.action!r}: snapshot and update are accepted")
        books = [_decoder.decode(raw) for raw in push.data]
        if any(book.asks is msgspec.UNSET and book.bids is msgspec.UNSET for book in books):
            raise BadPush("neither asks nor bids")
        return books

    def _apply(self, action: str, book: _Book) -> None:
        asks = [] if book.asks is msgspec.UNSET else book.asks
        bids = [] if book.bids is msgspec.UNSET else book.bids
        seq_id, checksum = _int(book.seqId), _int(book.checksum)
        if action == "update":
            outcome = self._book.update(asks, bids, seq_id, _int(book.prevSeqId), checksum)
        else:
            outcome = self._book.snapshot(asks, bids, seq_id, checksum)
        match outcome:
            case Outcome.APPLIED:
                self.live, self._asked, self._owed = True, False, ""
            case Outcome.IGNORED | Outcome.REPEAT:
                return
            case Outcome.CROSSED if self._book.following:
                self.live = False
            case Outcome.GAP | Outcome.BAD_CHECKSUM | Outcome.CROSSED:
                self._broke(outcome.value)
        if self.live:
            self.last_ts = ms(str(book.ts)) or self.last_ts
            self.first_ts = self.first_ts or self.last_ts
        self._changed = True

    def _unreadable(self) -> None:
        # A full book that cannot be read is followed by the next one; an update would be missing from the merged book.
        if not self._full_form:
            self._book.drop()
            self._broke("a message that could not be read")

    def _broke(self, reason: str) -> None:
        self.live = False
        self._changed = True
        if not self._asked and not self._full_form:
            self._asked, self._owed = True, reason


def read(key: str, n: int | None = None) -> Read:
    """`{"bids", "asks", "ts", "seqId", "state"}` with the best `n` levels a side (all if None); `{}` if there is none.

    Sides are lists of the exchange's own levels, best first; the rest are strings.
    """

    def shape(replies: list[Any]) -> dict[str, Any]:
        book: dict[str, Any] = dict(pairs(replies[0]))
        if "bids" not in book:
            return {}
        for side in ("bids", "asks"):
            book[side] = msgspec.json.decode(book[side])[:n]
        return book

    return Read([("HGETALL", key)], shape)


def _int(value: str | int | None) -> int | None:
    if isinstance(value, str):
        return int(value) if value.removeprefix("-").isascii() and value.removeprefix("-").isdigit() else None
    return value
