"""What the topics of one state channel remember together: how new each row is, what ended, what the log has already.

Topics of a channel share its hash and its log (`orders:SPOT` and `orders:ANY` both bring an order of the spot market),
so none of them can tell alone whether a row is news.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from okws_celery.feeds.route import BadPush
from okws_celery.feeds.rows import RowReader, entries, is_error
from okws_celery.feeds.state_rows import Item, Time
from okws_celery.store.batch import Batch

__all__ = ["Ledger"]

_TAIL = 1_000  # entries of the log that are read back at a start
_REMEMBERED = 20_000  # rows, of each kind of memory
_CANCELED = ("canceled", "mmp_canceled")

_read_order = RowReader("ordId", "state", "tradeId", "reqId", "amendResult", "fillTime", "uTime")


class Ledger:
    """Belongs to the session's loop."""

    def __init__(self, *, final: bool = False) -> None:
        """`final`: what ended never comes back, as an order does not, and the log tells of it."""
        self._final = final
        self.prepared = True
        """What the log holds is known."""
        self.inherited_ms = 0
        """Exchange ms of the newest row of orders that an earlier session left in the log; 0 if there is none."""
        self._asked = False
        self._versions: dict[str, Time] = {}
        self._ended: dict[str, Time] = {}
        self._logged: dict[str | bytes, None] = {}
        # Log rows that are not known to be in Redis, each with its number.
        self._count = 0
        self._unconfirmed: deque[tuple[int, tuple[Any, ...]]] = deque()

    # -- rows of the hash

    def takes(self, item: Item) -> bool:
        """Whether a row is not older than what is known of its identity; what ended comes back only with newer ones."""
        if self._final and item.ended:
            return True
        if item.field in self._ended and not item.ended:
            gone = self._ended[item.field]
            if self._final or (gone[0] and item.time[0] and item.time <= gone):
                return False
        return not _older(item.time, self._versions.get(item.field, (0, 0)))

    def is_newer(self, item: Item) -> bool:
        """Whether a row of REST says something that is not known: a later change, or an end that was missed."""
        if item.field in self._ended:
            return False
        if self._final and item.ended:
            return True
        known = self._versions.get(item.field)
        if known is None or not (known[0] and item.time[0]):
            return known is None or item.ended
        return item.time[0] > known[0] or (item.ended and item.time[0] == known[0])

    def took(self, item: Item) -> None:
        """A row is in the hash, or has left it."""
        if item.time != (0, 0):
            _remember(self._versions, item.field, item.time)
        if item.ended:
            _remember(self._ended, item.field, item.time)
        else:
            self._ended.pop(item.field, None)

    # -- the log

    def prepare(
        self,
        batch: Batch,
        log_key: str,
        channel: str,
        restored: Callable[[bytes], bytes],
        items: Callable[[bytes], Iterable[Item]],
    ) -> None:
        """Ask for the tail of the log, so that nothing in it is written again, nor what ended there begins anew.

        `restored` makes of a row of the log one of the channel, as far as that can be; `items` takes that apart.
        """
        if not self._asked:
            self._asked, self.prepared = True, False
            command = ("XREVRANGE", log_key, "+", "-", "COUNT", _TAIL)
            batch.ask(lambda reply: self._learn(reply, batch, log_key, channel, restored, items), *command)

    def is_news(self, channel: str, row: bytes) -> bool:
        """Whether a row is not in the log yet; it is taken as being there from now on.

        Of orders the exchange repeats events, also with another time (PROTOCOL 5.3): the first of each counts.
        """
        key = _key(row) if channel == "orders" else _digest(row)
        if key in self._logged:
            return False
        _remember(self._logged, key, None)
        return True

    def has_trade(self, ord_id: str, trade_id: str) -> bool:
        """Whether the log has this execution of an order."""
        return f"trade {ord_id} {trade_id}" in self._logged

    def log(self, batch: Batch, *command: Any) -> None:
        """Add to the log by this command; written again if the batch turns out not to be in Redis."""
        self._count += 1
        self._unconfirmed.append((self._count, command))
        if len(self._unconfirmed) > _REMEMBERED:
            self._unconfirmed.popleft()
        batch.write(*command)

    @property
    def mark(self) -> int:
        """How far the log has been written, for `confirm`."""
        return self._count

    def confirm(self, mark: int) -> None:
        """Everything up to the mark is in Redis."""
        while self._unconfirmed and self._unconfirmed[0][0] <= mark:
            self._unconfirmed.popleft()

    def again(self, batch: Batch) -> None:
        """What is not confirmed did not reach Redis, nor did a question that was not answered: `prepare` asks anew."""
        if not self.prepared:
            self._asked = False
        lost, self._unconfirmed = self._unconfirmed, deque()
        for _, command in lost:
            self.log(batch, *command)

    def _learn(
        self,
        reply: Any,
        batch: Batch,
        log_key: str,
        channel: str,
        restored: Callable[[bytes], bytes],
        items: Callable[[bytes], Iterable[Item]],
    ) -> None:
        if reply is None:
            self._asked = False
            self.prepare(batch, log_key, channel, restored, items)
            return
        self.prepared = True
        before = dict(self._logged)
        for _, fields in reversed(list(entries([] if is_error(reply) else reply))):
            try:
                row = restored(fields.get("data", "").encode())
                order = channel == "orders"
                _remember(self._logged, _key(row) if order else _digest(row), None)
                self.inherited_ms = max(self.inherited_ms, _time(row) if order else 0)
            except BadPush:
                continue
            for item in items(row) if self._final else ():
                if item.ended:
                    _remember(self._ended, item.field, item.time)
        self._logged.update(before)


def _older(time: Time, known: Time) -> bool:
    if time[0] != known[0]:
        return bool(time[0] and known[0]) and time[0] < known[0]
    return bool(time[1] and known[1]) and time[1] < known[1]


def _key(row: bytes) -> str | bytes:
    """What makes an event of an order the same event, whatever else it says (PROTOCOL 5.3)."""
    ord_id, state, trade_id, req_id, amended, _, _ = _read_order(row)
    if state in _CANCELED:
        return f"canceled {ord_id}"
    if trade_id and trade_id != "0":
        return f"trade {ord_id} {trade_id}"
    if state == "filled":
        return f"filled {ord_id}"
    if req_id and amended:
        return f"amended {ord_id} {req_id}"
    return _digest(row)


def _time(row: bytes) -> int:
    *_, fill_time, u_time = _read_order(row)
    return max((int(text) for text in (fill_time, u_time) if text.isdecimal()), default=0)


def _digest(row: bytes) -> bytes:
    return blake2b(row, digest_size=16).digest()


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]
