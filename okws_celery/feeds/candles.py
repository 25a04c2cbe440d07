"""Candles: the bars of one instrument in a sorted set (candle*, mark-price-candle*, index-candle*, sprd-candle*).

Redis: `okex/N/candle1m:BTC-USDT`, score = start of the bar in ms, member = the row as sent, newest `max_rows` kept.
Pub/sub: each candle once, when it has closed, in order, as an object with named fields.

A candle is closed by its row with confirm "1" or, where that never came, by the first row of a later candle; its last
known row is then what is published, confirm "0" and all. That is not done across an interruption, when the last known
row may be far from the last: such a candle is published only if its confirmed row arrives before a later one closes.

After an interruption rows wait (`hold`) until REST has told which candles closed meanwhile: those are published, in
order, before what waits. History from before the first row that ever came is stored and not published: it is no news.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from okws_celery.feeds.route import BadPush, Filled, Known, Position, Read, Route
from okws_celery.feeds.rows import is_error, ms, text
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg
from okws_celery.store.batch import LENGTHS, Batch, pack, stem

__all__ = ["Candle", "CandleFeed", "columns", "named", "read"]

_PRICES = ("ts", "o", "h", "l", "c")
_REMEMBERED = 60  # rows that can be written again
_HELD = 10_000  # rows that wait, before nothing is waited for any more

_cells = msgspec.json.Decoder(list[msgspec.Raw])


class Candle(NamedTuple):
    ts: int
    """Start of the bar, exchange ms."""
    row: bytes
    """As it is stored: as sent, or as v3 spells it."""
    cells: list[bytes]
    """The values as sent, as JSON."""
    confirmed: bool


def columns(channel: str) -> tuple[str, ...]:
    """Names of a row's values, in order (PROTOCOL 5.1, 5.2); rows of old servers are shorter at the end."""
    if channel.startswith(("mark-price-candle", "index-candle")):
        return (*_PRICES, "confirm")
    if channel.startswith("sprd-candle"):
        return (*_PRICES, "vol", "confirm")
    return (*_PRICES, "vol", "volCcy", "volCcyQuote", "confirm")


class CandleFeed:
    """Write side. However many rows of one candle a batch brings, it is written at most twice: at once with the first,
    and with the last when all have come."""

    _spells = False
    """Whether rows are stored in another spelling than the exchange's."""

    def __init__(self, route: Route) -> None:
        self.last_ts = 0
        self.first_ts = 0
        self.live = True
        self.direct = not self._spells
        self.holding = False
        self.prepared = True
        self.deep = False
        """History was filled in, and has been followed since."""
        self._route = route
        self._key = route.key
        self._columns = columns(route.topic.v5.channel.name)
        self._last: Candle | None = None
        # The last candle went on unseen for a while, so its last known row may not be its last.
        self._doubtful = False
        # Start of the newest candle that was published, or need not be; and that which an earlier session had reached.
        self._published = self._inherited = 0
        # Start of the candle whose row came first.
        self._began = 0
        self._held: list[Candle] = []
        self._dirty: dict[int, bytes] = {}
        self._grew = False
        self._recent: dict[int, bytes] = {}
        self._open_row = _open_row(len(self._columns))
        # The batch that was written to at once; the two commands that do so up to the row, and for which candle.
        self._written = 0
        self._out, self._in, self._for = b"", b"", 0

    def prepare(self, batch: Batch) -> None:
        """Ask for the newest candle that is there, so that none is published again after a restart."""
        self.prepared = False
        batch.ask(lambda reply: self._learn(reply, batch), "ZRANGE", self._key, -1, -1)

    def write(self, batch: Batch, push: Push) -> str:
        """Store the rows that are news, publish the candles that they close."""
        candles = [self._parsed(bytes(row)) for row in push.data]
        candles.sort(key=lambda candle: candle.ts)
        self.first_ts = 0
        self._began = self._began or (candles[0].ts if candles else 0)
        self._held += candles
        if (self.prepared and not self.holding) or len(self._held) >= _HELD:
            self.prepared, self.holding = True, False
            self._take_held(batch)
            if self._dirty:
                batch.mark(self)
        return ""

    def write_row(self, batch: Batch, row: bytes) -> bool:
        """See route.Direct: as usual is a row of the candle that is open and stays so."""
        last = self._last
        if last is None or last.confirmed or self._doubtful or self._dirty or batch.serial == self._written:
            return False
        if not self.prepared or self.holding or self._held:
            return False
        match = self._open_row(row)
        if match is None:
            return False
        ts = int(match[1])
        size = len(row)
        if ts != last.ts or size >= len(LENGTHS):
            return False
        if ts != self._for:
            self._out = pack("ZREMRANGEBYSCORE", self._key, ts, ts)
            self._in, self._for = stem("ZADD", self._key, ts, more=1), ts
        self._last = Candle(ts, row, row[1:-1].split(b","), False)
        self._began, self._written = self._began or ts, batch.serial
        self.last_ts = self.first_ts = ts
        self._recent[ts] = row
        batch.writes += (self._out, b"".join((self._in, LENGTHS[size], row, b"\r\n")))
        return True

    def render(self, batch: Batch) -> None:
        """Write each candle that changed: out with the row of its time, in with the new one."""
        if self.prepared and not self.holding:
            self._take_held(batch)
        pairs: list[int | bytes] = []
        for ts, row in self._dirty.items():
            batch.write("ZREMRANGEBYSCORE", self._key, ts, ts)
            pairs += (ts, row)
        if pairs:
            batch.write("ZADD", self._key, *pairs)
        if self._grew:
            batch.write("ZREMRANGEBYRANK", self._key, 0, -self._route.limits.max_rows - 1)
        self._dirty.clear()
        self._grew = False

    def rewrite(self, batch: Batch) -> None:
        """Write the newest candles once more, as far as they are remembered; ask again what was not answered."""
        self._dirty.update(self._recent)
        self._grew = True
        batch.mark(self)
        if not self.prepared:
            self.prepare(batch)

    def interrupted(self, batch: Batch) -> None:
        """From here on the open candle's last known row may not be its last."""
        self._doubtful = True

    def known(self, arg: Arg) -> Known:
        """The last row, unless the candle went on unseen since."""
        return [_list(self._last.cells)] if self._last is not None and not self._doubtful else []

    def seed(self, batch: Batch, arg: Arg, known: Known) -> None:
        """Take the open candle over; the subscription speaks again when it changes."""
        if isinstance(known, list) and known:
            self.write(batch, Push(msgspec.Raw(b""), [msgspec.Raw(row) for row in known]))

    # -- candles that were missed

    def hold(self) -> None:
        """See Refillable."""
        self.holding = True

    @property
    def waits(self) -> bool:
        """See Refillable."""
        return bool(self._held)

    @property
    def reached(self) -> int:
        """Start, in exchange ms, of the newest candle that need not be asked for; 0 if none is known."""
        return self._published

    def behind(self, rows: list[bytes]) -> bool:
        """REST has not opened the candle whose row came first: one that closed before it may still be missing there."""
        if not self._held:
            return False
        return max((candle.ts for candle in self._readable(rows)), default=0) < self._held[0].ts

    def fill(self, batch: Batch, rows: list[bytes]) -> Filled:
        """Closed candles under what is newer; those after the last one published are published."""
        closed = sorted((candle for candle in self._readable(rows) if candle.confirmed), key=lambda one: one.ts)
        news_after = self._published
        if closed and not news_after:
            self._published = self._began - 1 if self._began else closed[-1].ts
        first_ts = 0
        for candle in closed:
            if candle.ts > news_after:
                first_ts = first_ts or candle.ts
            self._put(batch, candle)
        self.deep = True
        complete = not news_after or bool(closed and closed[0].ts <= news_after)
        self.release(batch)
        return Filled(complete, first_ts)

    def release(self, batch: Batch) -> None:
        """See Refillable."""
        self.first_ts = 0
        self.holding = False
        if self.prepared:
            self._take_held(batch)
        batch.mark(self)

    @property
    def position(self) -> Position:
        """See route.Feed."""
        return self.last_ts, self._published

    def undo(self, mark: int) -> None:
        """See Refillable."""
        self._published = max(mark, self._inherited)
        self._doubtful = True

    def emptied(self) -> None:
        """See Refillable."""
        self.deep = False

    def _readable(self, rows: list[bytes]) -> list[Candle]:
        readable = []
        for row in rows:
            try:
                readable.append(self._parsed(row))
            except BadPush:
                continue
        return readable

    def _put(self, batch: Batch, candle: Candle) -> None:
        """A closed candle from REST: it never takes the place of one that the exchange has pushed as closed."""
        last = self._last
        known = self._recent.get(candle.ts)
        if known is not None and self._restored(known).confirmed:
            self._publish(batch, self._restored(known))
            return
        if last is None or candle.ts >= last.ts:
            self._last, self._doubtful = candle, False
            self.last_ts = candle.ts
        self._store(candle)
        self._grew = True
        self._publish(batch, candle)

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
        try:
            last = self._restored(text(reply[0]).encode())
        except BadPush:
            return
        self._last, self._doubtful = last, True
        # A later candle closes an earlier one in the same batch, so whatever is older than the newest was published.
        self._published = self._inherited = last.ts if last.confirmed else last.ts - 1

    def _parsed(self, row: bytes) -> Candle:
        try:
            cells = [bytes(cell) for cell in _cells.decode(row)]
        except ValueError as problem:
            raise BadPush(f"candle {row[:80]!r}: {problem}") from None
        ts = ms(cells[0].strip(b'"').decode()) if cells else 0
        if len(cells) < len(_PRICES) or not ts or any(cell[:1] not in b'"-0123456789' for cell in cells):
            raise BadPush(f"candle {row[:80]!r}: at least {', '.join(_PRICES)} are needed, as text or numbers")
        at = len(self._columns) - 1
        return Candle(ts, row, cells, len(cells) > at and cells[at].strip(b'"') == b"1")

    def _take_held(self, batch: Batch) -> None:
        held, self._held = self._held, []
        for candle in held:
            self._take(batch, candle)

    def _take(self, batch: Batch, candle: Candle) -> None:
        last = self._last
        if last is None or candle.ts > last.ts:
            if last is not None and not self._doubtful:
                self._publish(batch, last)
            self._last, self._doubtful, self._grew = candle, False, True
            self.last_ts = candle.ts
        elif candle.ts == last.ts:
            if last.confirmed and not candle.confirmed:
                return
            self._last, self._doubtful = candle, False
            self.last_ts = candle.ts
        elif not candle.confirmed:
            # An open row of a bar that is over is older than what is known of it.
            return
        else:
            self._grew = True
        self.first_ts = self.first_ts or candle.ts
        self._store(candle)
        if candle.confirmed:
            self._publish(batch, candle)

    def _store(self, candle: Candle) -> None:
        self._dirty[candle.ts] = self._recent[candle.ts] = candle.row
        if len(self._recent) > _REMEMBERED:
            del self._recent[min(self._recent)]

    def _publish(self, batch: Batch, candle: Candle) -> None:
        if candle.ts <= self._published:
            return
        self._published = candle.ts
        if self._route.publish_rows:
            batch.publish(self._route.own_row, self._closed(candle))

    def _closed(self, candle: Candle) -> bytes:
        """What is published of a candle that has closed."""
        return named(self._columns, candle.cells)

    def _restored(self, member: bytes) -> Candle:
        """A candle from what is stored of it; BadPush if it is none of ours."""
        return self._parsed(member)


@lru_cache
def _open_row(columns: int) -> Callable[[bytes], re.Match[bytes] | None]:
    """Tells rows with so many columns, all of them plain numbers, of a candle that has not closed: group 1 is its
    start."""
    return re.compile(rb'\["([1-9][0-9]{0,14})"(?:,"[0-9]++(?:\.[0-9]++)?+"){%d},"0"\]' % (columns - 2)).fullmatch


def named(columns: Sequence[str], cells: Sequence[bytes]) -> bytes:
    """Values as a JSON object with their names."""
    pairs = (b'"%b":%b' % (name.encode(), cell) for name, cell in zip(columns, cells, strict=False))
    return b"{" + b",".join(pairs) + b"}"


def _list(cells: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(cells) + b"]"


def read(key: str, n: int | None = None) -> Read:
    """The newest `n` rows (all that are kept if None), oldest first, each as the exchange's list of strings."""

    def shape(replies: list[Any]) -> list[list[str]]:
        members = replies[0] or ()
        try:
            joined = ",".join(members)
        except TypeError:  # of a client that does not decode
            joined = ",".join(map(text, members))
        rows: list[list[str]] = msgspec.json.decode(f"[{joined}]")
        return rows

    return Read([("ZRANGE", key, -n if n else 0, -1)], shape)
