"""What a listener does, as a conversation, and what it gives, without any I/O.

    state       event                                next
    -----       -----                                ----
    away        connected, every channel confirmed   reading     what comes is kept
    reading     the keys are read                    settling    their rows are given; of what comes, what they lack
    settling    the fence comes back                 listening   all that comes is given
    listening   the session has closed a gap         settling    what fills it is read and given
    listening   connection lost, no pong in time     away        a gap is owed
    any         the session publishes in other forms away        the same

The keys are read and the fence is published in one transaction: what comes before the fence on the listener's own
connection was published before the read, what comes after it was published after. So nothing is lost between the two
and nothing given twice, whatever it is. The pong that follows does as well, should the first fence not come.
"""

from __future__ import annotations

import json
import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from okws_celery.calls.following import MARGIN_MS, Following, Since, later_entry
from okws_celery.calls.subscribing import Topics
from okws_celery.calls.talk import Connect, Fetch, Hear, Pause, Talk, Tell
from okws_celery.errors import BadCommand, StoreError, StoreRefused
from okws_celery.feeds.route import Read
from okws_celery.feeds.rows import entries, text
from okws_celery.keys import ControlKeys, DataKeys, NamespaceKeys, check_name
from okws_celery.okx.topics import parse_topic
from okws_celery.settings import PUBLISH_FORMS, Settings

__all__ = ["Listening", "conversation"]

Item = dict[str, Any]

_HEAR_S = 0.5
_PING_S = 3.0
"""Of silence, before a ping is sent; as long as that is nothing but waiting for what the connection brings."""
_PONG_S = 5.0
"""In which anything must come after it."""
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 2.0
"""Between one attempt to connect and the next."""
_SPELLINGS = 10_000
_GAPS = 1_000
_FENCE_PING = "fence"

_log = logging.getLogger(__name__)


class _Head(msgspec.Struct):
    arg: msgspec.Raw = msgspec.Raw(b"")


_head = msgspec.json.Decoder(_Head)


class Listening:
    """One listener: `conversation` feeds it, and what is to be given stands in `ready`."""

    def __init__(self, settings: Settings, name: str, topic: Topics, since: int | str | None, events: bool) -> None:
        """BadCommand (80010) if one of the arguments is wrong."""
        self.ready: deque[Item] = deque()
        self.attached = False
        """Whether the keys were read over the connection that is there."""
        self.trouble = ""
        """Why there is none."""
        self.name = check_name(name)
        self._settings = settings
        self._data = DataKeys(settings.prefix, name)
        self._events = events
        begin = None if since is None else Since(since)
        self._since = begin
        self.followings = [Following(one, self._data, begin) for one in _topics(topic)]
        self._fence = NamespaceKeys(settings.namespace).fence(uuid.uuid4().hex)
        self._form = ""
        # How many times keys were read, and whether what comes was published after the last time.
        self._fences = self._attached_at = 0
        self._settled = False
        self._ever = False
        self._kept: list[tuple[str, bytes]] = []
        # Which topics pushes with this arg concern, and which rows of a channel do; whether all rows do.
        self._by_arg: dict[tuple[str, bytes], list[tuple[Following, bool]]] = {}
        self._by_text: dict[str, bool] = {}
        # Gaps that were heard of, and the newest entry of the stream of gaps that was read.
        self._gaps: dict[bytes, None] = {}
        self._gap_entry = "0-0"
        # The clock of Redis against this machine's, ms; and when the connection was last known to live.
        self._offset_ms = 0
        self.heard_ms = 0
        self.doubtful = False
        """Whether the session may publish in another form from now on."""
        self.filled: dict[Following, tuple[int, int]] = {}
        """Topics of which a gap was closed: since when, in exchange ms and by the clock of Redis."""
        # When gaps that are open were announced, by the clock of Redis.
        self._opened: dict[str, int] = {}

    # -- how the session publishes

    @property
    def form_read(self) -> Read:
        """The session's form of publishing: of the one that is held, else as it was opened, else as set here."""
        keys = ControlKeys(self._settings.namespace, self.name)

        def shape(replies: list[Any]) -> str:
            for reply in replies:
                try:
                    form = json.loads(text(reply) or "{}").get("publish")
                except (ValueError, AttributeError):
                    continue
                if form in PUBLISH_FORMS:
                    return str(form)
            return self._settings.publish

        return Read([("GET", keys.counters), ("HGET", keys.session, "options")], shape)

    def take_form(self, form: str) -> None:
        """Listen to what is published in this form; BadCommand (80010) if nothing is."""
        self.doubtful = False
        if form == "none":
            raise BadCommand(
                f"listen: session {self.name!r} publishes nothing; both, pushes or rows is accepted for OKWS_PUBLISH "
                "where its worker runs, or for open_ws(publish=)"
            )
        if form == self._form:
            return
        if self._form:
            raise StoreError(f"session {self.name!r} publishes {form}")
        self._form = form

    @property
    def channels(self) -> list[str]:
        """What to subscribe."""
        own = [one.row_channel for one in self.followings if self._rows]
        own = own or [one.route.pushes for one in self.followings]
        return [self._fence, self._data.event, *dict.fromkeys(channel for channel in own if channel[-1] != "*")]

    @property
    def patterns(self) -> list[str]:
        """What to subscribe by pattern."""
        return list(
            dict.fromkeys(one.row_channel for one in self.followings if self._rows and one.row_channel[-1] == "*")
        )

    @property
    def _rows(self) -> bool:
        return self._form == "rows"

    # -- what is read

    @property
    def read(self) -> Read:
        """All keys at once; its shape takes what was read over."""
        again = self._ever or self._since is not None
        gaps = ("XRANGE", self._gaps_start(), "+") if again else ("XREVRANGE", "+", "-", "COUNT", 1)
        beside: list[tuple[str | int, ...]] = [("TIME",), (gaps[0], self._data.gaps, *gaps[1:])]

        def take_over(replies: list[Any]) -> None:
            self._offset_ms = _redis_ms(replies[0]) - _now_ms()
            self.ready += list(self._missed(replies[1], again))
            self.filled.clear()
            self._ever = self.attached = True
            self._attached_at = self._fences
            self.trouble = ""
            self.alive()
            kept, self._kept = self._kept, []
            for channel, payload in kept:
                self._give(channel, payload)

        return self._fenced([one.read() for one in self.followings], beside, take_over)

    @property
    def refill(self) -> Read:
        """What was put into Redis for the gaps that have been closed, and was not published as pushes."""
        filled, self.filled = self.filled, {}
        return self._fenced([one.refill(*since) for one, since in filled.items()], [], lambda replies: None)

    def _fenced(
        self, reads: list[Read], beside: list[tuple[str | int, ...]], then: Callable[[list[Any]], None]
    ) -> Read:
        """Reads of topics, others beside them, and the fence behind all."""
        commands = [*beside, *(command for read in reads for command in read.commands)]
        self._fences += 1
        number = str(self._fences)

        def shape(replies: list[Any]) -> None:
            at = len(beside)
            for read in reads:
                self.ready += read.shape(replies[at : at + len(read.commands)])
                at += len(read.commands)
            self._settled = False
            then(replies)

        return Read([*commands, ("PUBLISH", self._fence, number)], shape)

    def _gaps_start(self) -> str:
        if not self._ever and self._since is not None:
            return str(self._since.ms)
        return later_entry(self._gap_entry, self.heard_ms + self._offset_ms - MARGIN_MS)

    def _missed(self, reply: Any, again: bool) -> Iterator[Item]:
        for self._gap_entry, fields in entries(reply):
            if again:
                yield from self._gap(fields.get("data", "").encode())

    # -- what comes

    def alive(self) -> None:
        """Something came: the connection lives."""
        self.heard_ms = _now_ms()

    def lost(self, trouble: str) -> None:
        """The connection is no good any more."""
        self.attached, self.trouble = False, trouble
        self._form = ""
        self._kept.clear()
        self._by_arg.clear()
        self.filled.clear()
        if self._ever:
            for one in self.followings:
                one.lost(self.heard_ms + self._offset_ms)

    def heard(self, channel: str, payload: bytes) -> None:
        """A message of pub/sub."""
        if channel == self._fence:
            self._settled = self._settled or payload == str(self._fences).encode()
        elif self.attached:
            self._give(channel, payload)
        else:
            self._kept.append((channel, payload))

    def settled(self) -> None:
        """What comes now was published after the keys were read over this connection."""
        self._settled = self._settled or self._fences == self._attached_at

    def _give(self, channel: str, payload: bytes) -> None:
        try:
            if channel == self._data.event:
                self.ready += self._event(payload)
            elif self._rows:
                self._give_row(channel, payload)
            else:
                self._give_push(channel, payload)
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, ValueError) as problem:
            _log.warning("listener of session %s: %s: %r: %s", self.name, channel, payload[:80], problem)

    def _give_push(self, channel: str, payload: bytes) -> None:
        spelling = (channel, bytes(_head.decode(payload).arg))
        concerned = self._by_arg.get(spelling)
        if concerned is None:
            concerned = self._concerned(*spelling)
        if concerned:
            message = msgspec.json.decode(payload)
            for one, whole in concerned:
                self.ready += one.push(message, whole, not self._settled)

    def _give_row(self, channel: str, payload: bytes) -> None:
        row = msgspec.json.decode(payload)
        for one in self.followings:
            wanted = one.row_channel
            if channel == wanted or (wanted[-1] == "*" and channel.startswith(wanted[:-1])):
                self.ready += one.row(row, not self._settled)

    def _concerned(self, channel: str, spelling: bytes) -> list[tuple[Following, bool]]:
        if len(self._by_arg) >= _SPELLINGS:
            self._by_arg.clear()
        arg = msgspec.json.decode(spelling) if spelling else {}
        found = []
        for one in self.followings:
            if one.route.pushes == channel:
                # v3 pushes have no arg: their rows say what they are about.
                concerned = one.concerns(arg) if isinstance(arg, Mapping) and arg else None
                if concerned is not False:
                    found.append((one, bool(concerned)))
        self._by_arg[channel, spelling] = found
        return found

    def _event(self, payload: bytes) -> Iterator[Item]:
        event = msgspec.json.decode(payload)
        op = event.get("op", event.get("event"))
        if op == "GAP":
            yield from self._gap(payload)
            return
        if op in ("READY", "CONNECTED"):
            self.doubtful = True
        if self._events and ("topic" not in event or self._is_about(event["topic"])):
            yield event

    def _gap(self, payload: bytes) -> Iterator[Item]:
        if payload in self._gaps:
            return
        self._gaps[payload] = None
        if len(self._gaps) > _GAPS:
            del self._gaps[next(iter(self._gaps))]
        gap = msgspec.json.decode(payload)
        topic = str(gap.get("topic"))
        if self._is_about(topic):
            yield gap
            now_ms = _now_ms() + self._offset_ms
            if gap.get("to") is None:
                self._opened.setdefault(topic, now_ms)
                return
            opened_ms = self._opened.pop(topic, now_ms)
            for one in self.followings:
                if one.is_about(topic):
                    self.filled[one] = (int(gap.get("from") or 0), opened_ms)

    def _is_about(self, topic: Any) -> bool:
        known = self._by_text.get(str(topic))
        if known is None:
            if len(self._by_text) >= _SPELLINGS:
                self._by_text.clear()
            known = self._by_text[str(topic)] = any(one.is_about(str(topic)) for one in self.followings)
        return known


def conversation(listening: Listening) -> Talk[None]:
    """Connect, subscribe, read, hear; and again after every loss, for ever.

    BadCommand (80010) where the session publishes nothing; StoreError if Redis refuses the first attempt for good.
    """
    pause_s, ever = _FIRST_PAUSE_S, False
    while True:
        try:
            yield Connect()
            listening.take_form((yield Fetch(listening.form_read)))
            yield from _subscribe(listening)
            yield Fetch(listening.read)
            yield Tell(("PING", _FENCE_PING))
            pause_s, ever = _FIRST_PAUSE_S, True
            yield from _hear(listening)
        except StoreError as problem:
            if isinstance(problem, StoreRefused) and not ever:
                raise
            if not listening.trouble:
                _log.warning("listener of session %s: %s; connecting again", listening.name, problem)
            listening.lost(str(problem))
        yield Pause(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(pause_s * 2, _LAST_PAUSE_S)


def _subscribe(listening: Listening) -> Talk[None]:
    """Until every subscription is confirmed."""
    channels, patterns = listening.channels, listening.patterns
    yield Tell(("SUBSCRIBE", *channels))
    if patterns:
        yield Tell(("PSUBSCRIBE", *patterns))
    missing, idle_s = {*channels, *patterns}, 0.0
    while missing:
        messages = yield Hear(_HEAR_S)
        idle_s = 0.0 if messages else idle_s + _HEAR_S
        if idle_s > _PONG_S:
            raise StoreError("Redis did not confirm a subscription in time")
        for kind, channel, payload in _read(messages):
            if kind.endswith("subscribe"):
                missing.discard(channel)
            else:
                listening.heard(channel, payload)


def _hear(listening: Listening) -> Talk[None]:
    """Until the connection is lost, or found to be dead: only what was waited for in vain counts as silence."""
    idle_s, pinged = 0.0, True
    while True:
        messages = yield Hear(_HEAR_S)
        if messages:
            idle_s, pinged = 0.0, False
            listening.alive()
            for kind, channel, payload in _read(messages):
                if kind == "pong":
                    if payload == _FENCE_PING.encode():
                        listening.settled()
                else:
                    listening.heard(channel, payload)
            if listening.doubtful:
                listening.take_form((yield Fetch(listening.form_read)))
            if listening.filled:
                yield Fetch(listening.refill)
            continue
        idle_s += _HEAR_S
        if not pinged and idle_s >= _PING_S:
            yield Tell(("PING",))
            idle_s, pinged = 0.0, True
        elif pinged and idle_s >= _PONG_S:
            raise StoreError(f"Redis did not answer a ping within {_PONG_S:g} s")


def _read(messages: Iterable[Any]) -> Iterator[tuple[str, str, bytes]]:
    """Replies of a subscribed connection as kind, channel and payload."""
    for message in messages:
        match message:
            case [b"message", channel, payload] | [b"pmessage", _, channel, payload]:
                yield "message", channel.decode(), payload
            case [b"pong", payload]:
                yield "pong", "", payload
            case [kind, bytes() as channel, _]:
                yield text(kind), channel.decode(), b""


def _topics(topic: Topics) -> list[Any]:
    several = [topic] if isinstance(topic, str | Mapping) else topic
    if not isinstance(several, Iterable) or not (several := list(several)):
        raise BadCommand(f"topic {topic!r}: a topic or a list of topics is accepted")
    parsed = [parse_topic(one, partial=True) for one in several]
    return list({one.text: one for one in parsed}.values())


def _redis_ms(reply: Any) -> int:
    """TIME as sent, or as redis-py shapes it."""
    seconds, micros = reply
    return int(seconds) * 1_000 + int(micros) // 1_000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
