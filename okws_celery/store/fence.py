"""The fenced writer: who lost the lease cannot write (DESIGN 3, one holder).

Each batch is `MULTI ... EXEC, WATCH lease, GET lease` in one pipeline. EXEC answers nil if the lease changed hands
since the WATCH of the batch before. At most one batch is under way, as one sent earlier would run under the new WATCH.

    DOWN      no connection                      -> LOOKING when one is attached
    LOOKING   WATCH, GET and the registry asked  -> READY (ours) | LOOKING (gone: taken again) | LOST (another's)
    READY     the next batch may be sent         -> BUSY
    BUSY      a batch is under way               -> READY | LOOKING (EXEC nil) | REFUSED | LOST
    REFUSED   Redis refuses to write (full ...)  -> BUSY when tried again; the lease is renewed by a script meanwhile
    LOST      another holds the lease, or the session was closed: the end
"""

from __future__ import annotations

import logging
import ssl
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import hiredis
import msgspec

from okws_celery.keys import ControlKeys
from okws_celery.store.batch import PUBLISH_PARTS, Batch, OnReply, pack, stem
from okws_celery.store.wire import ERROR, Usual, Wire, WireLost

__all__ = ["LEASE_MS", "Fence", "FenceState", "Holder", "Ownership", "new_token"]

LEASE_MS = 10_000
_APPLIED_MS = 6 * LEASE_MS
_RENEW_S = 1.0
"""The lease is renewed with the first batch that goes out this long, s, after it was last renewed."""

_REPLY_S = 5.0
"""A reply that takes longer, s, means that the connection is half-open."""
_RETRY_S = 1.0
_TEMPORARY = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "BUSY", "CLUSTERDOWN")
"""Refusals of a whole MULTI that pass: the batch is kept for them and dropped for all others."""

_RENEW_SCRIPT = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[2], ARGV[2]) "
    "return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)

_log = logging.getLogger(__name__)
_MULTI = pack("MULTI")
_EXEC = pack("EXEC")
_KEEPING = b"\r\n$7\r\nKEEPTTL\r\n"
"""What follows on the value of a SET that leaves the expiry as it is."""
_READ_BYTES = 32 * 1024
_MAX_QUEUED = 2_000
_NOTHING_ASKED: dict[int, OnReply] = {}
_USUAL_KEPT = 64


class FenceState(Enum):
    """The states of the table above."""

    DOWN = "down"
    LOOKING = "looking"
    READY = "ready"
    BUSY = "busy"
    REFUSED = "refused"
    LOST = "lost"


_READY, _BUSY = FenceState.READY, FenceState.BUSY


class Holder(Protocol):
    """Who owns the fence, and is told what its replies mean."""

    def fence_regained(self) -> None:
        """The lease was gone and is ours again: whatever Redis held may be gone too; write everything again."""

    def fence_lost(self, reason: str) -> None:
        """Another holds the lease or the session was closed: write nothing, end."""

    def fence_dropped(self, reason: str) -> None:
        """A batch was refused for good or could not be kept; what was in it is not in Redis."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """What makes this process the holder: the open_ws it came from and the generation of its dispatch."""

    generation: int
    ticket: int


@dataclass(slots=True)
class FenceCounters:
    """Shown by `inspect sessions`."""

    errors: int = 0
    refused: int = 0
    dropped: int = 0
    regained: int = 0
    last_error: str = ""


class _Sent(msgspec.Struct, frozen=True, gc=False):
    """A sealed batch, kept until Redis has confirmed it."""

    number: int
    parts: list[bytes]
    """Its commands in Redis' wire form, whole or in pieces."""
    count: int
    """How many commands these are."""
    asked: dict[int, OnReply]
    on_done: Callable[[], None] | None


class Fence:
    """Sends batches for one session. All methods belong to the session's loop; `now` is time.monotonic()."""

    def __init__(self, keys: ControlKeys, status_key: str, token: str, owner: Ownership, holder: Holder) -> None:
        self.state = FenceState.DOWN
        self.idle = False
        """Whether the next batch may be sent now."""
        self.patient = False
        """Whether nothing depends on the replies that are awaited, if any are, but that the next batch may be sent."""
        self.counters = FenceCounters()
        self._keys = keys
        self._status_key = status_key
        self._owner = owner
        self._holder = holder
        self.wire: Wire | None = None
        """The connection, None while there is none."""
        self._kept: _Sent | None = None
        self.sent = self.arrived = 0
        """Numbers of the last batch that was sent, and of the last that is known to be in Redis."""
        self._sent_at = 0.0
        self._renewed_at = 0.0
        self._refused_at = 0.0
        self._hold(token)

    @property
    def token(self) -> str:
        """The token of the lease as it is now: another than at the start if the lease was gone and taken again."""
        return self._token.decode()

    def attach(self, wire: Wire, now: float) -> None:
        """Use a new connection: look whether the lease is still ours before anything is written."""
        self.wire = wire
        self._look(now)

    def detach(self) -> None:
        """The connection broke. A batch under way is kept, and sent again after the next look if it did not arrive."""
        if self.wire is not None:
            self.wire.close()
            self.wire = None
        if self.state is not FenceState.LOST:
            self._be(FenceState.DOWN)

    def send(self, batch: Batch, now: float, on_done: Callable[[], None] | None = None) -> None:
        """Send everything in `batch` as one transaction, with the lease renewed inside if that is due. Only if `idle`.

        `on_done` is called when Redis has confirmed it, however often it had to be sent.
        """
        self.sent += 1
        commands, asked = batch.seal()
        self._transmit(_Sent(self.sent, commands, len(commands), asked, on_done), now)

    @property
    def blocked(self) -> bool:
        """Whether the socket did not take all of what was sent."""
        return self.wire is not None and self.wire.wants_write

    def pass_on(self, batch: Batch, now: float) -> bool:
        """Send a batch if the replies to the one before are there and as usual; whether all of it went out. WireLost.

        `sent` has risen if the batch is taken over, even if the connection broke. It does what `Wire.readable` and
        `send` do, for batches that nobody asks anything of, and in less.
        """
        wire = self.wire
        if wire is None:
            return False
        if not self.idle:
            usual = wire.usual
            if usual is None or not self.patient:
                return False
            try:
                data = wire.sock_recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError as problem:
                raise WireLost(f"Redis: {problem}") from problem
            if not (data.startswith(usual.begin) and data.endswith(usual.end) and ERROR not in data):
                wire.take(data)
                return False
            wire.usual = None
            self.arrived = self.sent
        if batch.marked:
            marked, batch.marked = batch.marked, {}
            for renderer in marked:
                renderer.render(batch)
        parts = batch.writes
        count = len(parts) + len(batch.publishes) // PUBLISH_PARTS
        usual = self._usual.get(count)
        if batch.asked or usual is None or now - self._renewed_at >= _RENEW_S:
            self.send(batch, now)
            return self.patient and not wire.wants_write
        parts += batch.publishes
        batch.writes, batch.publishes = [], []
        batch.serial += 1
        self.sent = number = self.sent + 1
        self._kept = _Sent(number, parts, count, _NOTHING_ASKED, None)
        if self.idle:
            self.state, self.idle = _BUSY, False
        self._sent_at = now
        if number >= self._lengthens_at:
            self._lengthen(number)
        data = b"".join([b"%b%d%b" % (self._until_number, number, _KEEPING), *parts, self._end])
        wire.usual = usual
        try:
            sent = wire.sock_send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as problem:
            raise WireLost(f"Redis: {problem}") from problem
        if sent != len(data):
            wire.keep(data, sent)
            return False
        return True

    def release(self, batch: Batch, now: float) -> None:
        """Send the last batch of this session and give the lease up within it."""
        batch.ask(self._released, "DEL", self._keys.lease)
        self.send(batch, now)

    def _released(self, _: Any) -> None:
        self._lose("released")

    def tick(self, now: float) -> None:
        """Give up a silent connection (WireLost); try a refused batch again, renewing the lease by other means."""
        if self.state in (FenceState.BUSY, FenceState.LOOKING) and now - self._sent_at > _REPLY_S:
            raise WireLost(f"Redis: no reply within {_REPLY_S:g} s")
        if self.state is FenceState.REFUSED and now - self._refused_at >= _RETRY_S:
            self._renew_by_script(now)

    def _be(self, state: FenceState) -> None:
        self.state = state
        self.idle = self.patient = state is FenceState.READY

    # -- looking

    def _hold(self, token: str) -> None:
        self._token = token.encode()
        lease = self._keys.lease
        self._watch = pack("WATCH", lease) + pack("GET", lease)
        self._watched = b"+OK\r\n$%d\r\n%b\r\n" % (len(self._token), self._token)
        # The expiry of this key stays: it is set with that of the lease, as setting it costs more than the value.
        self._begin = _MULTI + stem("SET", self._keys.applied, more=2)
        self._end = _EXEC + self._watch
        # The same with the value up to the batch's number, and the first number that has more digits than it is for.
        self._until_number = b""
        self._lengthens_at = 0
        renewed = {lease: LEASE_MS, self._status_key: LEASE_MS, self._keys.applied: _APPLIED_MS}
        self._renew = [pack("PEXPIRE", key, ms) for key, ms in renewed.items()]
        # How the replies look to a batch of so many commands that does not renew the lease; made when it is met with.
        self._usual: dict[int, Usual] = {}

    def _lengthen(self, number: int) -> None:
        digits = len(str(number))
        self._until_number = b"%b$%d\r\n%b:" % (self._begin, len(self._token) + 1 + digits, self._token)
        self._lengthens_at = 10**digits

    def _look(self, now: float) -> None:
        self._be(FenceState.LOOKING)
        self._sent_at = now
        look = [
            self._watch,
            pack("GET", self._keys.applied),
            pack("HMGET", self._keys.session, "state", "generation"),
            pack("GET", self._keys.closed),
        ]
        assert self.wire is not None
        self.wire.send(look, 5, lambda replies: self._looked(replies, now))

    def _looked(self, replies: list[Any], now: float) -> None:
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise WireLost(f"Redis: {reply}")
        _, token, applied, (state, generation), closed = replies
        if state == b"closed" or int(closed or 0) > self._owner.ticket:
            return self._lose("the session was closed")
        if generation is not None and int(generation) > self._owner.generation:
            return self._lose("the session was dispatched anew")
        if token is None:
            return self._take_again(now)
        if token != self._token:
            return self._lose("another worker holds the session")
        kept, self._kept = self._kept, None
        self._be(FenceState.READY)
        if kept is not None and applied != self._mark(kept.number):
            self._transmit(kept, now)
        elif kept is not None:
            self._arrived_unread(kept)
        return None

    def _take_again(self, now: float) -> None:
        self._hold(new_token(self._token.decode().partition("/")[0]))
        self.counters.regained += 1
        take = pack("SET", self._keys.lease, self._token, "NX", "PX", LEASE_MS)
        assert self.wire is not None
        # What was kept belongs to a Redis that has lost its keys; everything is written again instead.
        self._kept = None
        self._renewed_at = 0.0  # the expiries are gone with the keys
        self._sent_at = now
        self.wire.send([take, self._watch], 3, self._taken)

    def _taken(self, replies: list[Any]) -> None:
        if isinstance(replies[0], hiredis.ReplyError):
            raise WireLost(f"Redis: {replies[0]}")
        if replies[2] != self._token:
            return self._lose("another worker holds the session")
        self._be(FenceState.READY)
        self._holder.fence_regained()
        return None

    def _lose(self, reason: str) -> None:
        self._be(FenceState.LOST)
        self._holder.fence_lost(reason)

    # -- sending

    def _mark(self, number: int) -> bytes:
        return b"%s:%d" % (self._token, number)

    def _transmit(self, sent: _Sent, now: float) -> None:
        mark = self._mark(sent.number)
        parts = [self._begin, b"$%d\r\n%b%b" % (len(mark), mark, _KEEPING)]
        queued = 1 + sent.count
        if now - self._renewed_at >= _RENEW_S:
            parts += self._renew
            queued += len(self._renew)
            self._renewed_at = now
        self._kept = sent
        self.state, self.idle, self.patient = _BUSY, False, not (sent.asked or sent.on_done)
        self._sent_at = now
        assert self.wire is not None
        data = b"".join([*parts, *sent.parts, self._end])
        if sent.asked or queued > _MAX_QUEUED:
            self.wire.send([data], 1 + queued + 3, self._answered)
        else:
            self.wire.send_usual(data, self._usual_of(queued))

    def _usual_of(self, queued: int) -> Usual:
        """How the replies look if Redis takes so many commands, ours included, and nobody asks for their results."""
        usual = self._usual.get(queued - 1)
        if usual is None:
            begin = b"+OK\r\n%b*%d\r\n" % (b"+QUEUED\r\n" * queued, queued)
            usual = Usual(begin, self._watched, self._arrived, 1 + queued + 3, self._answered)
            if len(self._usual) < _USUAL_KEPT:
                self._usual[queued - 1] = usual
        return usual

    def _answered(self, replies: list[Any]) -> None:
        sent, now = self._kept, self._sent_at
        assert sent is not None
        done, token = replies[-3], replies[-1]
        extra = len(replies) - sent.count - 4  # MULTI, EXEC, WATCH, GET
        if isinstance(done, hiredis.ReplyError):
            return self._aborted(sent, replies, done, now)
        if done is None:
            # Nothing was written. Either the lease changed hands, or somebody touched it: look before anything else.
            self._renewed_at = 0.0
            return self._look(now)
        for result in done:
            if isinstance(result, hiredis.ReplyError):
                self.counters.errors += 1
                self.counters.last_error = str(result)
        self._arrived([done[extra + position] for position in sent.asked])
        # A handler may have ended it all.
        if token != self._token and self.idle:
            self._look(now)
        return None

    def _arrived(self, results: Sequence[Any] = ()) -> None:
        """A batch is in Redis; with the results of those commands that were asked for them."""
        sent, self._kept = self._kept, None
        assert sent is not None
        self.arrived = sent.number
        self.state, self.idle, self.patient = _READY, True, True
        if sent.asked:
            for on_reply, result in zip(sent.asked.values(), results, strict=True):
                on_reply(result)
        if sent.on_done is not None:
            sent.on_done()

    def _arrived_unread(self, sent: _Sent) -> None:
        """It is in Redis, but its replies went down with the connection: who asked something hears None."""
        self.arrived = sent.number
        for on_reply in sent.asked.values():
            on_reply(None)
        if sent.on_done is not None:
            sent.on_done()

    def _aborted(self, sent: _Sent, replies: list[Any], abort: Exception, now: float) -> None:
        reason = next((str(r) for r in replies[1:-3] if isinstance(r, hiredis.ReplyError)), str(abort))
        self.counters.refused += 1
        self.counters.last_error = reason
        self._renewed_at = 0.0  # PEXPIRE was refused with the rest
        if reason.startswith("READONLY"):
            raise WireLost(f"Redis: {reason}")
        if reason.startswith(_TEMPORARY):
            if self.state is not FenceState.REFUSED:
                self._be(FenceState.REFUSED)
                self._refused_at = now
            return
        _log.error("Redis refused a batch of %d commands: %s", sent.count, reason)
        self._kept = None
        self.counters.dropped += 1
        self._be(FenceState.READY)
        self._holder.fence_dropped(reason)

    def _renew_by_script(self, now: float) -> None:
        # A script that touches the lease while WATCH is set would make our own next EXEC nil, so UNWATCH comes first.
        renew = [
            pack("UNWATCH"),
            pack("EVAL", _RENEW_SCRIPT, 2, self._keys.lease, self._status_key, self._token, LEASE_MS),
            self._watch,
        ]
        self._be(FenceState.BUSY)
        self._sent_at = self._refused_at = now
        assert self.wire is not None
        self.wire.send(renew, 4, lambda replies: self._renewed(replies, now))

    def _renewed(self, replies: list[Any], now: float) -> None:
        if replies[3] != self._token:
            return self._look(now)
        kept = self._kept
        if kept is None:
            self._be(FenceState.READY)
            return None
        return self._transmit(kept, now)

    def drop_kept(self) -> None:
        """Forget a batch that waits for a connection or for room in Redis: too much has come after it."""
        if self.state in (FenceState.DOWN, FenceState.REFUSED) and self._kept is not None:
            self._kept = None
            self.counters.dropped += 1
            self._holder.fence_dropped("too much waits for Redis")


def new_token(worker: str) -> str:
    """A fencing token that no other process can have; its first part names the worker."""
    return f"{worker}/{uuid.uuid4().hex}"
