"""One order book, merged from snapshots and updates and proven by sequence numbers and checksum (PROTOCOL 6).

Rows stay as the exchange sent them; prices are compared as decimals.

    what comes                          test                                                       what becomes of it
    ----------                          ----                                                       ------------------
    snapshot                                                                                       replaces the book
    update, no snapshot yet                                                                        IGNORED
    update without prevSeqId            none (a missing prevSeqId is not 0)                        merged
    update, the book has no seqId       none (there is nothing to compare with)                    merged
    update, normal                      prevSeqId == last, seqId > last                            merged
    update, heartbeat                   prevSeqId == last, seqId == last, both sides empty         HEARTBEAT
    update, maintenance reset           prevSeqId == last, seqId < last                            merged, last = seqId
    update, the last one again          prevSeqId != last, seqId == last                           REPEAT
    update, else                        prevSeqId != last                                          GAP
    merged or replaced, then            checksum given, not 0, and wrong                           BAD_CHECKSUM
    merged, then                        best bid >= best ask, and it was not so before             CROSSED
    replaced, or merged while crossed   best bid >= best ask                                       CROSSED
    else                                                                                           APPLIED

After GAP, BAD_CHECKSUM and a book that an update crossed, updates are ignored until a snapshot. A snapshot that is
itself crossed (a call auction) is no sign of a loss: updates go on being merged, and when it is crossed no longer they
are APPLIED.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache

__all__ = ["BadLevel", "Level", "OrderBook", "Outcome", "checksum_of"]

Level = Sequence[str | int]
"""A row as the exchange sent it: price, size and more. v5 rows are strings, v3 rows may hold whole numbers."""

_CHECKED_LEVELS = 25
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


class BadLevel(ValueError):
    """A row without a price and a size that are numbers. The book is as it was before the message."""


class Outcome(Enum):
    """What became of a message; the table above says when."""

    APPLIED = "applied"
    HEARTBEAT = "heartbeat"
    REPEAT = "repeat"
    IGNORED = "ignored"
    GAP = "sequence gap"
    BAD_CHECKSUM = "bad checksum"
    CROSSED = "crossed"


class OrderBook:
    """A book of at most `depth` levels a side (0: no limit).

    The cost of a message is that of its own rows: levels are found by bisection.
    """

    __slots__ = ("_asks", "_bids", "_crossed", "_depth", "following", "seq_id")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._asks = _Side(descending=False)
        self._bids = _Side(descending=True)
        self.following = False
        """Whether updates can be merged: there was a snapshot, and nothing was lost since."""
        self._crossed = False
        self.seq_id: int | None = None
        """`seqId` of the last message merged; None if it had none."""

    @property
    def asks(self) -> list[Level]:
        """Rows, lowest price first. The book's own list: read it before the next message, do not change it."""
        return self._asks.rows

    @property
    def bids(self) -> list[Level]:
        """Rows, highest price first. The book's own list: read it before the next message, do not change it."""
        return self._bids.rows

    def drop(self) -> None:
        """Ignore what comes until a snapshot: something may have been missed. The levels stay readable."""
        self.following = False

    def snapshot(
        self, asks: Sequence[Level], bids: Sequence[Level], seq_id: int | None = None, checksum: int | None = None
    ) -> Outcome:
        """Replace the book. Raises BadLevel."""
        new_asks, new_bids = _parsed(asks), _parsed(bids)
        self._asks.clear()
        self._bids.clear()
        return self._merge(new_asks, new_bids, seq_id, checksum, replaced=True)

    def update(
        self,
        asks: Sequence[Level],
        bids: Sequence[Level],
        seq_id: int | None = None,
        prev_seq_id: int | None = None,
        checksum: int | None = None,
    ) -> Outcome:
        """Merge changed levels, sizes being absolute and 0 a deletion. Raises BadLevel."""
        new_asks, new_bids = _parsed(asks), _parsed(bids)
        if not self.following:
            return Outcome.IGNORED
        last = self.seq_id
        if prev_seq_id is not None and last is not None:
            if prev_seq_id != last:
                if seq_id == last:
                    return Outcome.REPEAT
                self.drop()
                return Outcome.GAP
            if seq_id == last and not asks and not bids:
                return Outcome.HEARTBEAT
        return self._merge(new_asks, new_bids, last if seq_id is None else seq_id, checksum, replaced=False)

    def _merge(
        self, asks: list[_Parsed], bids: list[_Parsed], seq_id: int | None, checksum: int | None, *, replaced: bool
    ) -> Outcome:
        self._asks.merge(asks, self._depth)
        self._bids.merge(bids, self._depth)
        self.seq_id = seq_id
        if checksum and checksum != checksum_of(self.asks, self.bids):
            self.drop()
            return Outcome.BAD_CHECKSUM
        was_crossed, self._crossed = self._crossed, self._is_crossed()
        self.following = replaced or was_crossed or not self._crossed
        return Outcome.CROSSED if self._crossed else Outcome.APPLIED

    def _is_crossed(self) -> bool:
        # Keys of bids are negated prices, so that both sides ascend.
        return bool(self._asks.keys and self._bids.keys) and -self._bids.keys[0] >= self._asks.keys[0]


def checksum_of(asks: Sequence[Level], bids: Sequence[Level]) -> int:
    """Signed CRC-32 over `bid:size:ask:size:...` of the best 25 a side, strings as sent (PROTOCOL 6.4)."""
    best_bids, best_asks = bids[:_CHECKED_LEVELS], asks[:_CHECKED_LEVELS]
    both = min(len(best_bids), len(best_asks))
    parts = [f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in zip(best_bids, best_asks, strict=False)]
    parts += [f"{row[0]}:{row[1]}" for row in (*best_bids[both:], *best_asks[both:])]
    crc = zlib.crc32(":".join(parts).encode())
    return crc - (1 << 32) if crc >> 31 else crc


_Parsed = tuple[Decimal, bool, Level]
"""Price, whether the row deletes, the row."""


class _Side:
    """One side: sort keys and rows in parallel lists, best first."""

    __slots__ = ("_descending", "keys", "rows")

    def __init__(self, *, descending: bool) -> None:
        self._descending = descending
        self.keys: list[Decimal] = []
        self.rows: list[Level] = []

    def clear(self) -> None:
        self.keys.clear()
        self.rows.clear()

    def merge(self, levels: list[_Parsed], depth: int) -> None:
        keys, rows = self.keys, self.rows
        for price, deletes, row in levels:
            key = price.copy_negate() if self._descending else price  # unlike -price, exact at any length
            at = bisect_left(keys, key)
            found = at < len(keys) and keys[at] == key
            if found and deletes:
                del keys[at], rows[at]
            elif found:
                rows[at] = row
            elif not deletes:
                keys.insert(at, key)
                rows.insert(at, row)
        if depth and len(keys) > depth:
            del keys[depth:], rows[depth:]


def _parsed(levels: Sequence[Level]) -> list[_Parsed]:
    parsed = []
    for row in levels:
        if len(row) < 2:
            raise BadLevel(f"level {row!r}: a price and a size are needed")
        parsed.append((_decimal(row[0]), not _decimal(row[1]), row))
    return parsed


@lru_cache(maxsize=1 << 16)
def _decimal(text: str | int) -> Decimal:
    # Prices and sizes recur: with the cache a row costs a look-up.
    if not _NUMBER.fullmatch(str(text)):
        raise BadLevel(f"{text!r} is not a number")
    return Decimal(text)
