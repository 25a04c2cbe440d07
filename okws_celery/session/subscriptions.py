"""Makes one connection's subscriptions agree with what is wanted: pure logic, no socket, no clock of its own.

    state      event                        next
    WAITING    its time has come, link up   ASKED      a subscribe request goes out
    ASKED      ack                          LIVE       (LEAVING at once if it is wanted no more)
    ASKED      error that may pass          WAITING    after a pause
    ASKED      error for good               PARKED     until somebody asks anew
    ASKED      no answer within 10 s        WAITING if wanted, else forgotten
    ASKED      its request was not parsed   WAITING if wanted, else forgotten; asked for in a request of its own
    LIVE       wanted no more, or broken    LEAVING    an unsubscribe request goes out
    LIVE       late error                   WAITING or PARKED, as above
    LIVE       the exchange ended it        PARKED
    LEAVING    ack, or none within 10 s     WAITING if wanted, else forgotten
    any        link down                    WAITING if wanted, else forgotten; PARKED stays

One request at most is unanswered for each arg, so an old ack is never taken for a new one (PROTOCOL 4).
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter

from okws_celery.okx.messages import Event
from okws_celery.okx.topics import Arg

__all__ = ["Change", "State", "Subscriptions"]

ANSWER_S = 10.0
_PASSING = frozenset({60011, 60014, 60023, 63999, 64007, 50001, 50011, 50013, 50026})
"""Errors that may pass: not logged in (yet), too frequent, internal."""
_NOT_UNDERSTOOD = 60012
_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_MAX_TEXT = 32 * 1024
"""Bytes of args in one request; OKX closes the connection above 64 KB (PROTOCOL 2)."""
_MAX_ARGS = 200
_BUDGET = 470
"""Requests an hour on one connection, a little below OKX's 480."""


class State(StrEnum):
    """The states of the table above."""

    WAITING = "waiting"
    ASKED = "asked"
    LIVE = "live"
    LEAVING = "leaving"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Change:
    """What the caller should know: `kind` is live, refused, retry, broken or gone; code and text are OKX's own."""

    kind: str
    arg: Arg
    code: int = 0
    text: str = ""


@dataclass(slots=True)
class _Subscription:
    arg: Arg
    state: State = State.WAITING
    wanted: bool = True
    renewing: bool = False
    alone: bool = False
    """Asked for in a request of its own: one that it shared was refused as a whole."""
    not_before: float = 0.0
    asked_at: float = 0.0
    attempts: int = 0


_state_of = attrgetter("state")


@dataclass(slots=True)
class _Request:
    """A request under way: the args it asked for that are not answered, and errors that no arg could be given to."""

    op: str
    args: list[Arg]
    open: set[Arg]
    errors: list[Event] = field(default_factory=list)


class Subscriptions:
    """The subscriptions of one link."""

    def __init__(self) -> None:
        self._by_arg: dict[Arg, _Subscription] = {}
        self._requests: dict[str, _Request] = {}
        self._sent_at: deque[float] = deque()
        self._finished: deque[tuple[str, list[Arg]]] = deque(maxlen=64)
        self._count = 0
        self._next_due = 0.0
        # Before this no answer is overdue.
        self._overdue_at = math.inf
        self.touched = False
        """Whether `requests` may have something to send since it was last asked."""

    # -- what is wanted

    def want(self, arg: Arg, now: float) -> None:
        """Have this arg subscribed. One that was parked is tried again at once: somebody asks anew."""
        found = self._by_arg.setdefault(arg, _Subscription(arg))
        found.wanted = self.touched = True
        if found.state is State.PARKED:
            found.state, found.not_before, found.attempts = State.WAITING, now, 0

    def unwant(self, arg: Arg) -> bool:
        """Leave this arg. True if it is gone at once, else a Change "gone" follows."""
        found = self._by_arg.get(arg)
        if found is None:
            return True
        found.wanted = False
        self.touched = True
        if found.state in (State.WAITING, State.PARKED):
            del self._by_arg[arg]
            return True
        return False

    def renew(self, arg: Arg) -> None:
        """Unsubscribe and subscribe again, for a new snapshot; nothing if that is under way already."""
        found = self._by_arg.get(arg)
        if found is not None and found.state is State.LIVE:
            found.renewing = self.touched = True

    def wanted(self) -> list[Arg]:
        """What is subscribed here, or should be, and was not refused."""
        return [item.arg for item in self._by_arg.values() if item.wanted and item.state is not State.PARKED]

    def state(self, arg: Arg) -> State | None:
        """The state of an arg, None if it is not known."""
        found = self._by_arg.get(arg)
        return found.state if found else None

    @property
    def needed(self) -> bool:
        """Whether anything is, or should be, subscribed here."""
        return any(item.wanted and item.state is not State.PARKED for item in self._by_arg.values())

    @property
    def settled(self) -> bool:
        """Whether nothing waits for an answer."""
        return not self._requests

    def counts(self) -> dict[str, int]:
        """How many args are in each state."""
        return dict(Counter(map(_state_of, self._by_arg.values())))

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._by_arg)

    # -- the link

    def link_down(self) -> list[Change]:
        """The connection is gone, and with it everything that was subscribed or asked on it."""
        self._requests.clear()
        self._sent_at.clear()
        changes = []
        for item in list(self._by_arg.values()):
            if item.state is State.PARKED:
                continue
            if not item.wanted:
                del self._by_arg[item.arg]
                changes.append(Change("gone", item.arg))
                continue
            if item.state in (State.LIVE, State.LEAVING):
                changes.append(Change("broken", item.arg))
            item.state, item.not_before, item.renewing = State.WAITING, 0.0, False
        self.touched = True
        return changes

    def leave_all(self) -> Iterator[str]:
        """Unsubscribe requests for everything that is live, for an orderly end."""
        live = [item.arg for item in self._by_arg.values() if item.state is State.LIVE]
        for args in _chunks(live):
            yield self._request("unsubscribe", args)

    def due(self, now: float) -> bool:
        """Whether one that was to wait may be asked for now."""
        if now < self._next_due:
            return False
        waits = State.WAITING
        waiting = [item.not_before for item in self._by_arg.values() if item.state is waits and item.wanted]
        self._next_due = max(now + 0.2, min(waiting, default=now + 1.0))
        return any(not_before <= now for not_before in waiting)

    def requests(self, now: float) -> Iterator[str]:
        """The requests to send now, as text, as far as the hourly budget goes."""
        self.touched = False
        leave, ask = [], []
        for item in self._by_arg.values():
            if item.state is State.LIVE and (not item.wanted or item.renewing):
                leave.append(item)
            elif item.state is State.WAITING and item.wanted and item.not_before <= now:
                ask.append(item)
        for op, items, state in (("unsubscribe", leave, State.LEAVING), ("subscribe", ask, State.ASKED)):
            together = [item.arg for item in items if not item.alone]
            for args in [*_chunks(together), *([item.arg] for item in items if item.alone)]:
                if not self._spend(now):
                    self.touched = True
                    return
                for arg in args:
                    item = self._by_arg[arg]
                    item.state, item.asked_at, item.renewing = state, now, False
                self._overdue_at = min(self._overdue_at, now + ANSWER_S)
                yield self._request(op, args)

    # -- answers

    def acknowledged(self, event: Event, arg: Arg) -> list[Change]:
        """The exchange said subscribe or unsubscribe for an arg."""
        item = self._by_arg.get(arg)
        self._answered(arg, event.kind)
        if item is None:
            if event.kind == "subscribe":
                # An answer that was given up comes after all: leave what nobody wants any more.
                self._by_arg[arg] = _Subscription(arg, State.LIVE, wanted=False)
                self.touched = True
            return []
        if event.kind == "subscribe" and item.state is State.ASKED:
            item.state, item.attempts = State.LIVE, 0
            self.touched = self.touched or not item.wanted
            return [Change("live", arg)]
        if event.kind == "unsubscribe":
            if item.state is State.LEAVING:
                return self._left(item)
            if item.state is State.LIVE:
                item.state = State.PARKED
                text = "the exchange ended this subscription"
                return [Change("refused", arg, event.code, event.text or text)]
        return []

    def failed(self, event: Event, now: float) -> list[Change]:
        """An error event, which carries no arg: find whom it means by id, by its text, by what is unanswered."""
        request = self._requests.get(event.id)
        if request is None and event.id:
            return self._late(event, now)
        requests = [request] if request else list(self._requests.values())
        open_args = [arg for r in requests for arg in r.args if arg in r.open]
        shared = [arg for r in requests if len(r.args) > 1 for arg in r.args if arg in r.open]
        if event.code == _NOT_UNDERSTOOD and shared:
            return self._ask_alone(shared, event, now)
        # The most particular one: a text that names orders of one instrument names its instType as well.
        named = sorted((arg for arg in open_args if _names(event.text, arg)), key=len, reverse=True)
        if named or len(open_args) == 1:
            return self._refuse((named or open_args)[:1], event, now)
        if request is not None:
            request.errors.append(event)
            return self._exhausted(request, now)
        return self._late(event, now) if not open_args else []

    def channel_refused(self, event: Event, now: float) -> list[Change]:
        """`channel-conn-count-error`: every subscription to its channel on this connection is dead (PROTOCOL 2.3)."""
        live = [arg for arg, item in self._by_arg.items() if item.state is State.LIVE]
        args = [arg for arg in live if dict(arg)["channel"] == event.channel]
        return self._refuse(args, event, now)

    def overdue(self, now: float) -> list[Change]:
        """Give up on answers that do not come."""
        if now < self._overdue_at:
            return []
        changes = []
        # There may be thousands, and hardly any waits.
        asked, leaving = State.ASKED, State.LEAVING
        waiting = [item for item in self._by_arg.values() if item.state is asked or item.state is leaving]
        self._overdue_at = min((item.asked_at for item in waiting if now - item.asked_at < ANSWER_S), default=math.inf)
        self._overdue_at += ANSWER_S
        for item in waiting:
            if now - item.asked_at < ANSWER_S:
                continue
            self._answered(item.arg, "subscribe" if item.state is State.ASKED else "unsubscribe")
            if item.state is State.LEAVING or not item.wanted:
                changes += self._left(item)
            else:
                self._again(item, now)
                changes.append(Change("retry", item.arg, 0, f"the exchange did not answer within {ANSWER_S:g} s"))
        return changes

    # -- within

    def _request(self, op: str, args: list[Arg]) -> str:
        self._count += 1
        request_id = f"{op[0]}{self._count}"
        self._requests[request_id] = _Request(op, args, set(args))
        body = {"id": request_id, "op": op, "args": [dict(arg) for arg in args]}
        return json.dumps(body, separators=(",", ":"))

    def _spend(self, now: float) -> bool:
        while self._sent_at and now - self._sent_at[0] >= 3600.0:
            self._sent_at.popleft()
        if len(self._sent_at) >= _BUDGET:
            return False
        self._sent_at.append(now)
        return True

    def _answered(self, arg: Arg, op: str) -> None:
        for request_id, request in list(self._requests.items()):
            if request.op == op and arg in request.open:
                request.open.discard(arg)
                if not request.open:
                    del self._requests[request_id]
                    self._finished.append((request_id, request.args))
                return

    def _exhausted(self, request: _Request, now: float) -> list[Change]:
        # As many errors as unanswered args: now it is known whom they mean, if not which error means which.
        if len(request.errors) < len(request.open):
            return []
        changes: list[Change] = []
        for arg, event in zip([a for a in request.args if a in request.open], list(request.errors), strict=False):
            changes += self._refuse([arg], event, now)
        return changes

    def _late(self, event: Event, now: float) -> list[Change]:
        # An error after the ack (60011, 64004). Without a name in it, it means the one arg of its request, or, where
        # asking again does no harm, all of them.
        live = {arg for arg, item in self._by_arg.items() if item.state is State.LIVE}
        named = [arg for arg in live if _names(event.text, arg)]
        asked = next((args for request_id, args in self._finished if request_id == event.id), [])
        meant = named[:1] or (
            [arg for arg in asked if arg in live] if len(asked) == 1 or event.code in _PASSING else []
        )
        return self._refuse(meant, event, now)

    def _ask_alone(self, args: list[Arg], event: Event, now: float) -> list[Change]:
        # The request could not be parsed, which fails it whole (PROTOCOL 4), and its text echoes all of it.
        changes = []
        for arg in args:
            self._answered(arg, "subscribe")
            self._answered(arg, "unsubscribe")
            item = self._by_arg[arg]
            item.alone = True
            if item.state is State.LEAVING:
                item.state = State.LIVE
            elif not item.wanted:
                changes += self._left(item)
                continue
            else:
                item.state, item.not_before = State.WAITING, now
            changes.append(Change("retry", arg, event.code, event.text))
        self.touched = True
        return changes

    def _refuse(self, args: Iterable[Arg], event: Event, now: float) -> list[Change]:
        changes = []
        for arg in args:
            item = self._by_arg.get(arg)
            if item is None:
                continue
            self._answered(arg, "unsubscribe" if item.state is State.LEAVING else "subscribe")
            if item.state is State.LEAVING:
                changes += self._left(item)
            elif not item.wanted:
                del self._by_arg[arg]
                changes.append(Change("gone", arg))
            elif event.code in _PASSING:
                self._again(item, now)
                changes.append(Change("retry", arg, event.code, event.text))
            else:
                item.state = State.PARKED
                changes.append(Change("refused", arg, event.code, event.text))
        return changes

    def _again(self, item: _Subscription, now: float) -> None:
        item.state = State.WAITING
        item.renewing = False
        item.not_before = now + _PAUSES_S[min(item.attempts, len(_PAUSES_S) - 1)]
        self._next_due = min(self._next_due, item.not_before)
        item.attempts += 1

    def _left(self, item: _Subscription) -> list[Change]:
        if item.wanted:
            item.state, item.not_before = State.WAITING, 0.0
            self.touched = True
            return []
        del self._by_arg[item.arg]
        return [Change("gone", item.arg)]


def _names(text: str, arg: Arg) -> bool:
    """Whether an error's text speaks of this arg: its channel and every other value of it stand there as words."""
    for mark in "{}[]:,\"'()=":
        text = text.replace(mark, " ")
    words = set(text.split())
    return all(value in words for _, value in arg)


def _chunks(args: list[Arg]) -> Iterator[list[Arg]]:
    chunk: list[Arg] = []
    size = 0
    for arg in args:
        length = sum(len(key) + len(value) + 6 for key, value in arg)
        if chunk and (len(chunk) >= _MAX_ARGS or size + length > _MAX_TEXT):
            yield chunk
            chunk, size = [], 0
        chunk.append(arg)
        size += length
    if chunk:
        yield chunk
