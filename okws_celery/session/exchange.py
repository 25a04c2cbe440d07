"""A session's side towards OKX: its links, their logins and subscriptions, and what each message means."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec
import websocket

from okws_celery.errors import BAD_COMMAND, DONE, answer
from okws_celery.feeds.route import BadPush
from okws_celery.feeds.state import StateFeed
from okws_celery.keys import DataKeys
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.endpoints import Endpoints
from okws_celery.okx.login import Credentials
from okws_celery.okx.messages import BadMessage, Event, Push, Reply, decode
from okws_celery.okx.topics import Arg, Topic
from okws_celery.session.better_books import better, in_the_way, usual
from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.connector import Connector, compresses
from okws_celery.session.entry import Entry
from okws_celery.session.link import Link, LinkLost, LinkState
from okws_celery.session.links import Links
from okws_celery.session.logins import Logins
from okws_celery.session.logins import Owner as LoginOwner
from okws_celery.session.mailbox import Mailbox
from okws_celery.session.other_paths import at_first, elsewhere
from okws_celery.session.parked import Parked
from okws_celery.session.poller import READ, WRITE, Watch
from okws_celery.session.refill import Refill
from okws_celery.session.rest_client import RestClient
from okws_celery.session.sender import Sender
from okws_celery.session.subscriptions import Change, State
from okws_celery.session.waiters import Waiters
from okws_celery.store.batch import Batch
from okws_celery.store.registry import Command

__all__ = ["NEEDS_LOGIN", "READS", "Exchange", "Owner"]

NEEDS_LOGIN = "this channel needs a login, and the session was opened without credentials"
_WILL_CLOSE = 64008
_NOT_LOGGED_IN = 60011
_KINDS_COUNTED = 100
READS = 16
"""Reads in one turn: a link in full flow must not hold up the others."""
_PUSHED_AT_ONCE = (Kind.LATEST, Kind.CANDLES, Kind.BOOK)
"""Kinds whose channels send what there is with the ack: a `get` right after `subscribe` is to find it."""
_SNAPSHOTS = frozenset({"account", "positions", "balance_and_position", "algo-advance", "account-greeks"})
"""Channels of state that do so too, in pages perhaps."""
_FIRST_PUSH_S = 1.0

_log = logging.getLogger(__name__)


class Owner(LoginOwner, Protocol):
    """The session, as far as the exchange concerns it."""

    def unreachable(self) -> None:
        """A connection could not be made."""

    def after_flush(self, action: Callable[[], None]) -> None:
        """Have `action` called when everything written so far is known to be in Redis."""


class Exchange:
    """Everything between the session's topics and OKX's sockets. Belongs to the session's loop."""

    def __init__(
        self,
        name: str,
        endpoints: Endpoints,
        connector: Connector,
        credentials: Credentials | None,
        data: DataKeys,
        board: Board,
        waiters: Waiters,
        batch: Batch,
        mailbox: Mailbox,
        clock: Clock,
        owner: Owner,
        sender: Sender,
        rest: RestClient,
        candles: int,
    ) -> None:
        """`candles` is how many closed ones REST adds to a topic of candles."""
        self._name = name
        self._connector = connector
        self._credentials = credentials
        self._events = data.event
        self._board = board
        self._waiters = waiters
        self._batch = batch
        self._mailbox = mailbox
        self._clock = clock
        self._owner = owner
        self._sender = sender
        self._links = Links(name, endpoints, board, self._ready)
        self._rest = rest
        self._logins = Logins(name, credentials, rest, mailbox, clock, owner)
        self._parked = Parked()
        self._refill = Refill(name, rest, mailbox, clock, board, batch, candles, self._is_live, self._listed)
        self._leaving: dict[Arg, str] = {}
        # Topics that are acknowledged and whose callers wait for the first push, and until when.
        self._first_push: dict[str, float] = {}
        self.rubbish: Counter[str] = Counter()
        """Messages that were not understood, by what was wrong with them."""
        self.stirred = True
        """Whether anything has come since `drive` but rows of topics that are as they should be."""

    # -- what the session asks for

    def prove_login(self) -> None:
        """Connect and log in at once, so that open_ws can say whether the key is good."""
        link = self._links.of("private")
        link.held_open = link.wants_login = True

    def spelled(self, topic: Topic) -> Topic:
        """A topic as this session subscribes it."""
        return topic if self._credentials is None else better(topic, self._board)

    def join(self, entry: Entry) -> None:
        """Subscribe a topic that is on the board, with all that its data come from."""
        topic = entry.topic
        if topic.arg in self._leaving:
            self._gone(self._leaving.pop(topic.arg))  # it will be left and subscribed again
        if topic.channel.login and self._credentials is None:
            self._board.refused(self._batch, topic.arg, 0, NEEDS_LOGIN, self._clock.ms)
            self._refill.left(topic.text)
            return
        for other in in_the_way(topic, self._board):
            self._fall_back(other)
        for source in topic.sources:
            self._want(entry, source)
        self._refill.joined(entry)

    def _want(self, entry: Entry, source: Topic) -> None:
        link = self._links.of(source.channel.path)
        may_need_it = source.channel.login or (not source.channel.known and self._credentials is not None)
        link.wants_login = link.wants_login or may_need_it
        state = link.subscriptions.state(source.arg)
        link.subscriptions.want(source.arg, self._clock.now)
        if not self._board.shared(source.arg):
            # Left and wanted again before the exchange was told: only a new subscription brings a snapshot.
            link.subscriptions.renew(source.arg)
        elif state is State.LIVE:
            self._board.share(self._batch, entry, source.arg, self._clock.ms)
        elif state is State.PARKED:
            for other in self._board.of_arg(source.arg):
                self._board.pending(self._batch, other, self._clock.ms)

    def leave(self, topic: Topic) -> None:
        """Unsubscribe a topic that was taken off the board; what other topics have as well stays subscribed."""
        self._refill.left(topic.text)
        gone = True
        for source in topic.sources:
            if self._board.uses(source.arg):
                continue
            at_once = self._links.of(source.channel.path).subscriptions.unwant(source.arg)
            if source.arg == topic.arg:
                gone = at_once
        if gone:
            self._gone(topic.text)
        else:
            self._leaving[topic.arg] = topic.text

    def leaving(self, text: str) -> bool:
        """Whether the exchange has still to acknowledge that this topic is left."""
        return text in self._leaving.values()

    def ask_for(self, entry: Entry) -> None:
        """Somebody waits for this topic: tell what is known already, and try a refused one once more."""
        topic = entry.topic
        if topic.channel.login and self._credentials is None:
            said = answer(BAD_COMMAND, f"{topic.text}: {NEEDS_LOGIN}")
            self._waiters.settle(self._batch, topic.text, "subscribe", said)
            return
        subscriptions = self._links.of(topic.channel.path).subscriptions
        match subscriptions.state(topic.arg):
            case State.LIVE:
                self._first_push.setdefault(topic.text, self._clock.now + _FIRST_PUSH_S)
            case State.PARKED | None:
                for other in self._board.of_arg(topic.arg):
                    self._board.pending(self._batch, other, self._clock.ms)
                subscriptions.want(topic.arg, self._clock.now)
                self._refill.joined(entry)

    def send(self, command: Command) -> None:
        """Carry out an op on the link that it belongs to, which is opened and logged in for it."""
        path = self._sender.accept(command)
        if path:
            self._links.of(path).wants_login = True

    def fetch_again(self) -> None:
        """Redis was emptied on purpose: ask REST anew for what the topics begin with."""
        self._refill.again()

    def close(self, reason: str) -> None:
        """Leave every link in good order; `closed` says when that is done."""
        for link in self._links.every():
            link.close(reason, self._clock.now)

    def shut(self) -> None:
        """Close every socket at once."""
        for link in self._links.every():
            link.shut()
        self._rest.close()

    # -- how it stands

    @property
    def closed(self) -> bool:
        """Whether no socket is left."""
        return not any(link.connected for link in self._links.every())

    @property
    def complete(self) -> bool | None:
        """Whether every link that is needed is up and logged in; None if none is needed."""
        return self._links.complete

    @property
    def settled(self) -> bool:
        """Whether no answer and no connection is waited for."""
        waiting = bool(self._first_push or self._sender) or not self._refill.settled
        return not waiting and all(
            link.subscriptions.settled
            and link.state in (LinkState.UP, LinkState.CLOSED)
            and not link.due(self._clock.now)
            for link in self._links.current()
        )

    def counters(self) -> dict[str, dict[str, Any]]:
        """Path -> what `inspect sessions` shows of the link."""
        return {
            link.path: {
                "state": link.state.value,
                "logged_in": link.logged_in,
                "connects": link.connects,
                "frames": link.frames,
                "bytes": link.bytes,
                "subscriptions": link.subscriptions.counts(),
            }
            for link in self._links.current()
        }

    # -- the loop's turns

    def watches(self) -> Iterator[Watch]:
        """For the poller."""
        for link in self._links.every():
            if link.connected:
                stream = link.stream if link.state is LinkState.UP else None
                yield Watch(link.fileno(), link.wants_write, link.handler, link, stream)

    def unread(self) -> list[Link]:
        """Links that have more to read than one turn admits. What waits inside TLS objects wakes nobody."""
        return [link for link in self._links.every() if link.stream is not None and link.stream.unread]

    def read_on(self, links: Iterable[Link]) -> None:
        """Go on with them."""
        for link in links:
            self._ready(link, READ)

    def tick(self) -> None:
        """Keep-alives, deadlines, idle links."""
        for link in self._links.every():
            try:
                link.tick(self._clock.now)
                if link.wants_write and self._sender.overdue(link):
                    # What still waits on our side must not go out after its deadline.
                    raise LinkLost("the exchange does not read what we send")
            except LinkLost as problem:
                self.lost(link, str(problem))
            self._apply(link, link.subscriptions.overdue(self._clock.now))
            if link.idle(self._clock.now) and not self._sender.busy(link):
                link.close("nothing is subscribed", self._clock.now)
        self._sender.tick()

    def look_after(self, entries: Iterable[Entry]) -> None:
        """Subscribe those of some topics again that have been silent for too long."""
        for entry in self._board.silent(self._batch, entries, self._clock.ms):
            self.stirred = True
            link = self._links.of(entry.topic.channel.path)
            if link.subscriptions.state(entry.topic.arg) is State.LIVE:
                self._renew(link, entry)

    def drive(self) -> None:
        """Connect, log in and send requests where that is due."""
        self.stirred = False
        for link in self._links.current():
            try:
                if link.due(self._clock.now, self._sender.waiting(link.path)):
                    self._connect(link)
                if link.state is LinkState.UP:
                    self._drive(link)
            except LinkLost as problem:
                self.lost(link, str(problem))
        if self._sender:
            self._send_ops()
        self._refill.drive()
        self._settle_subscribed()
        for link, changes in self._links.leave_replaced(self._clock.now, self._sender.busy):
            self._apply(link, changes, "the exchange closes the connection")

    def _settle_subscribed(self) -> None:
        """Tell those who wait for an acknowledged topic, with its first push or when that stays away."""
        for text, due in list(self._first_push.items()):
            entry = self._board.get(text)
            if (entry is None or _has_begun(entry) or self._clock.now >= due) and not self._refill.pending(text):
                del self._first_push[text]
                self._waiters.settle(self._batch, text, "subscribe", answer(DONE, f"subscribed {text}"))

    def _drive(self, link: Link) -> None:
        if link.wants_login and not link.logged_in and self._credentials is not None:
            self._logins.send(link)
        elif link.subscriptions.touched or link.subscriptions.due(self._clock.now):
            for request in link.subscriptions.requests(self._clock.now):
                _log.debug("session %s, /%s: sends %s", self._name, link.path, request)
                link.send(request)

    def _send_ops(self) -> None:
        # While a link is being replaced, the old one still takes them.
        for link in self._links.every():
            try:
                if link.state is LinkState.UP and link.logged_in and self._sender.waiting(link.path):
                    self._sender.serve(link)
            except LinkLost as problem:
                self.lost(link, str(problem))

    # -- links

    def _connect(self, link: Link) -> None:
        attempt = link.connecting()

        def begin() -> bool:
            self._mailbox.post(lambda: link.turn_has_come(attempt, self._clock.now))
            return link.attempt == attempt

        def work() -> Callable[[], None]:
            try:
                ws = self._connector.connect(link.url, begin)
                compressed = compresses(ws)
            except Exception as problem:  # each proxy and TLS library has errors of its own
                reason = f"cannot connect to {link.url}: {_one_line(problem)}"
                return lambda: self._failed(link, attempt, reason)
            return lambda: self._connected(link, attempt, ws, compressed)

        self._mailbox.run(work, f"okws-connect-{self._name}")

    def _connected(self, link: Link, attempt: int, ws: websocket.WebSocket, compressed: bool) -> None:
        if link.attempt == attempt and link.state is LinkState.CONNECTING:
            link.opened(ws, self._clock.now, compressed=compressed)
            self._logins.connected()
        elif ws.sock is not None:
            ws.sock.close()

    def _failed(self, link: Link, attempt: int, reason: str) -> None:
        if link.attempt == attempt and link.state is LinkState.CONNECTING:
            link.failed(reason, self._clock.now)
            self._owner.unreachable()

    def lost(self, link: Link, reason: str) -> None:
        """A link is of no more use, or has ended as it should."""
        self.stirred = True
        left = link.state is LinkState.CLOSING
        if left or self._links.retiring(link):
            link.shut()
        else:
            link.failed(reason, self._clock.now)
        # What we left ourselves has not broken off.
        changes = [change for change in link.subscriptions.link_down() if not left or change.kind == "gone"]
        self._apply(link, changes, reason)
        self._sender.lost(link)

    def _ready(self, link: Link, mask: int) -> None:
        try:
            stream = link.stream
            if stream is not None and mask & WRITE:
                stream.writable()
                self.stirred = True
            if stream is not None and mask & READ:
                for _ in range(READS):
                    for frame in stream.read(self._clock.now):
                        self.take(link, frame)
                    if not stream.unread or link.stream is not stream:
                        return
        except LinkLost as problem:
            self.lost(link, str(problem))

    # -- messages

    def take(self, link: Link, frame: bytes) -> None:
        """A message of a link, whatever it is."""
        try:
            self._other(link, decode(frame), frame)
        except (BadMessage, BadPush) as problem:
            self._count(f"{type(problem).__name__}: {problem}")
        except LinkLost:
            raise
        except Exception:
            # The loop's edge: whatever one message does to us, the session and its other topics live on.
            self._count("unexpected")
            _log.exception("session %s: a message of /%s could not be handled", self._name, link.path)
        if self._board.stirred:
            self._board.stirred, self.stirred = False, True

    def settle(self, link: Link, entry: Entry, fault: str) -> None:
        """A push of a steady topic was written, and what readers find is not good any more."""
        self.stirred = True
        broken = self._board.settle(self._batch, entry, fault, link.serial, self._clock.ms)
        if broken is not None:
            self._renew(link, broken)

    def _other(self, link: Link, message: Push | Event | Reply, frame: bytes) -> None:
        # Of one that is replaced, what was under way before the other was subscribed is still news.
        left = link.state is LinkState.CLOSING and not self._links.retiring(link)
        if left and not self._sender.busy(link):
            return
        if type(message) is Reply:
            if not self._sender.replied(link, message):
                self._count("the reply to an op for which nobody waits")
        elif left:
            pass
        elif type(message) is Push:
            broken = self._board.push(self._batch, message, frame, self._clock.ms, link.serial)
            if broken is not None:
                self._renew(link, broken)
            if self._parked.texts:
                self._try_again(self._parked.heard(message))
        elif type(message) is Event:
            self._event(link, message, frame)
        self.stirred = self.stirred or type(message) is not Push

    def _count(self, what: str) -> None:
        kind = what[:80]
        if kind not in self.rubbish and len(self.rubbish) >= _KINDS_COUNTED:
            kind = "other"
        self.rubbish[kind] += 1
        if self.rubbish[kind] == 1:
            _log.warning("session %s: a message was not understood: %s", self._name, kind)

    def _renew(self, link: Link, entry: Entry) -> None:
        _log.info("session %s: %s is broken (%s); subscribing again", self._name, entry.topic.text, entry.reason)
        # That the topic is stale must be in Redis before anything is done about it.
        self._owner.after_flush(lambda: link.subscriptions.renew(entry.topic.arg))

    def _event(self, link: Link, event: Event, frame: bytes) -> None:
        if self._credentials is not None and self._credentials.shows_in(frame):
            # OKX echoes a request that it does not understand (PROTOCOL 2.5), also a login with everything in it.
            event = msgspec.structs.replace(event, text=self._credentials.masked(event.text))
            frame = self._credentials.masked(frame.decode(errors="replace")).encode()
        _log.debug("session %s, /%s: hears %r", self._name, link.path, frame)
        if event.kind == "error" and self._sender.refused(link, event, frame):
            return
        match event.kind:
            case "subscribe" | "unsubscribe" if event.arg is not None:
                arg = tuple(sorted((key, str(value)) for key, value in event.arg.items() if key != "uid"))
                self._apply(link, link.subscriptions.acknowledged(event, arg))
            case "login":
                self._logins.acknowledged(link)
            case "error" if link.state is LinkState.LOGIN and not event.id:
                if self._logins.refused(link, event):
                    self._wait_for_clock(link)
            case "error":
                self._apply(link, link.subscriptions.failed(event, self._clock.now))
            case "channel-conn-count-error":
                self._apply(link, link.subscriptions.channel_refused(_too_many(event), self._clock.now))
            case "notice":
                _log.info("session %s, /%s: notice %d: %s", self._name, link.path, event.code, event.text)
                if event.code == _WILL_CLOSE:
                    self._links.replace(link, self._clock.now)
            case "channel-conn-count":
                pass
            case _:
                self._count(f"event {event.kind}")
        self._batch.publish(self._events, frame)

    def _wait_for_clock(self, link: Link) -> None:
        link.shut()
        link.not_before = self._logins.measuring_until
        self._apply(link, link.subscriptions.link_down(), "the clock is measured")

    def _apply(self, link: Link, changes: list[Change], reason: str = "") -> None:
        for change in self._links.concern(link, changes):
            texts = [entry.topic.text for entry in self._board.of_arg(change.arg)]
            match change.kind:
                case "live":
                    self._board.acknowledged(self._batch, change.arg, self._clock.ms, link.serial)
                    self._first_push |= dict.fromkeys(texts, self._clock.now + _FIRST_PUSH_S)
                case "refused":
                    self._refused(link, change)
                case "retry" if self._will_never_do(change):
                    link.subscriptions.unwant(change.arg)
                    self._refused(link, change)
                case "retry" | "broken":
                    why = reason or f"{change.code} {change.text}"
                    # While the link that this one replaces still serves the topic, nothing is missing.
                    source = link.serial if change.kind == "broken" or self._links.replaces(link) else 0
                    self._board.broken(self._batch, change.arg, why, self._clock.ms, source)
                case "gone":
                    for text in [self._leaving.pop(change.arg)] if change.arg in self._leaving else texts:
                        self._gone(text)
                case _:
                    raise AssertionError(change.kind)

    def _will_never_do(self, change: Change) -> bool:
        """Whether a channel that is not in the catalogue turns out to need a login that this session has not."""
        lacking = change.code == _NOT_LOGGED_IN and self._credentials is None
        return lacking and not all(entry.topic.channel.known for entry in self._board.of_arg(change.arg))

    def _refused(self, link: Link, change: Change) -> None:
        for entry in self._board.of_arg(change.arg):
            other = elsewhere(entry.topic, change.code, logged_in=self._credentials is not None)
            if other is not None:
                link.subscriptions.unwant(change.arg)
                self._board.turn_to(self._batch, entry, other, self._clock.ms)
                self._want(entry, other)
                return
        _log.warning("session %s: %s refused: %d %s", self._name, dict(change.arg), change.code, change.text)
        self._board.refused(self._batch, change.arg, change.code, change.text, self._clock.ms, link.serial)
        for entry in self._board.of_arg(change.arg):
            text = entry.topic.text
            self._first_push.pop(text, None)
            if usual(entry.topic) is not entry.topic:
                self._fall_back(entry)
                continue
            if at_first(entry.topic) != entry.topic:
                link.subscriptions.unwant(change.arg)
                entry.topic = at_first(entry.topic)
            self._refill.left(text)
            self._parked.refused(entry.topic)
            self._waiters.settle(self._batch, text, "subscribe", answer(change.code, change.text))

    def _fall_back(self, entry: Entry) -> None:
        """What a login may give is not given to this account, or not beside another topic."""
        left = entry.topic
        self._board.turn_to(self._batch, entry, usual(left), self._clock.ms)
        if not self._board.uses(left.arg):
            self._links.of(left.channel.path).subscriptions.unwant(left.arg)
        self._want(entry, entry.topic.v5)

    def _is_live(self, entry: Entry) -> bool:
        arg, path = entry.topic.arg, entry.topic.channel.path
        return any(link.path == path and link.subscriptions.state(arg) is State.LIVE for link in self._links.every())

    def _listed(self, inst_ids: tuple[str, ...]) -> None:
        self._try_again(self._parked.listed(inst_ids))

    def _try_again(self, texts: list[str]) -> None:
        """These topics were refused, and what they are about is listed by now."""
        self.stirred = self.stirred or bool(texts)
        for text in texts:
            entry = self._board.get(text)
            if entry is not None and entry.state == "refused":
                self.ask_for(entry)

    def _gone(self, text: str) -> None:
        self._waiters.settle(self._batch, text, "unsubscribe", answer(DONE, f"unsubscribed {text}"))


def _has_begun(entry: Entry) -> bool:
    """Whether what the exchange pushes with its ack is there."""
    if isinstance(entry.feed, StateFeed):
        return entry.topic.v5.channel.name not in _SNAPSHOTS or (entry.seen > 0 and not entry.feed.under_way)
    return entry.seen > 0 or entry.topic.channel.kind not in _PUSHED_AT_ONCE


def _too_many(event: Event) -> Event:
    text = f"{event.channel}: too many connections subscribe this channel (OKX allows 30 a sub-account)"
    return Event(kind="error", code=event.code, text=text, channel=event.channel)


def _one_line(problem: BaseException) -> str:
    # websocket-client adds the headers of a refused handshake, cookies and all, behind this mark.
    return " ".join(str(problem).partition("-+-+-")[0].split())[:200] or type(problem).__name__
