"""One path of OKX: its connection's life, keep-alive, login and subscriptions.

state       event                               next
CLOSED      something is wanted, pause over     CONNECTING   a helper thread connects
CONNECTING  connected                           LOGIN if a login is needed, else UP
CONNECTING  failed                              CLOSED, with a pause
LOGIN       login ack                           UP
LOGIN       refused for good                    CLOSED; the session ends
LOGIN, UP   lost, silent, refused for now       CLOSED, first without a pause, then with one that grows
UP          a channel wants a login             LOGIN
UP          nothing subscribed for 20 s         CLOSING; OKX would close it after 30 (PROTOCOL 2)
CLOSING     the exchange closed too, or 1 s     CLOSED, without a pause
"""

from __future__ import annotations

import itertools
import logging
import math
import random
from collections.abc import Callable
from enum import Enum
from functools import partial

import websocket

from okws_celery.session.stream import LinkLost, Stream
from okws_celery.session.subscriptions import Subscriptions

__all__ = ["Link", "LinkLost", "LinkState"]

_PING_AFTER_S = 20.0
_PONG_S = 8.0
_LOGIN_S = 10.0
_CONNECTING_S = 30.0
_CLOSING_S = 1.0
_IDLE_S = 20.0
_PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_STEADY_S = 60.0
"""A connection that lived this long, s, was a good one: the next failure starts with no pause again."""

_log = logging.getLogger(__name__)
_serials = itertools.count(1)


class LinkState(Enum):
    """The states of the table above."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    LOGIN = "login"
    UP = "up"
    CLOSING = "closing"


class Link:
    """The link to `path`. Owned by the session's loop; `now` is time.monotonic()."""

    def __init__(self, path: str, url: str, name: str, on_ready: Callable[[Link, int], None]) -> None:
        self.path = path
        self.serial = next(_serials)
        """Of two links to one path, the one with the higher number replaces the other."""
        self.url = url
        self.handler = partial(on_ready, self)
        """For the poller."""
        self.stream: Stream | None = None
        """Its connection, while it has one."""
        self.subscriptions = Subscriptions()
        self.state = LinkState.CLOSED
        self.logged_in = False
        self.wants_login = False
        """A channel of this link needs a login, or the session is to find out whether its key is good."""
        self.held_open = False
        """Connect even if nothing is subscribed yet."""
        self.not_before = 0.0
        self.connects = 0
        self.attempt = 0
        """Number of the present attempt: a helper's result that comes too late belongs to an older one."""
        self._name = f"session {name}, /{path}"
        self._failures = 0
        self._up_at = 0.0
        self._login_at = 0.0
        self._pinged_at = 0.0
        self._idle_since = 0.0
        self._closing_at = 0.0
        self._connecting_at = 0.0
        # Of connections that it has no more.
        self._frames_before = 0
        self._bytes_before = 0

    # -- for the poller

    def fileno(self) -> int:
        """The socket's; -1 while there is none."""
        return self.stream.fileno() if self.stream is not None else -1

    @property
    def connected(self) -> bool:
        """Whether there is a socket."""
        return self.stream is not None

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait because the socket was full."""
        return self.stream is not None and self.stream.wants_write

    @property
    def frames(self) -> int:
        """How many have come, over all its connections."""
        return self._frames_before + (self.stream.frames if self.stream is not None else 0)

    @property
    def bytes(self) -> int:
        """How many have come, over all its connections."""
        return self._bytes_before + (self.stream.bytes if self.stream is not None else 0)

    @property
    def complete(self) -> bool:
        """Whether it is up, and logged in if it should be."""
        return self.state is LinkState.UP and (self.logged_in or not self.wants_login)

    @property
    def needed(self) -> bool:
        """Whether the session is not complete without this link."""
        return self.held_open or self.subscriptions.needed

    # -- connecting

    def due(self, now: float, asked_for: bool = False) -> bool:
        """Whether a helper should connect now; `asked_for` by an op, though nothing is subscribed."""
        return self.state is LinkState.CLOSED and (self.needed or asked_for) and now >= self.not_before

    def connecting(self) -> int:
        """A helper waits for its turn to connect; the number of its attempt."""
        self.state = LinkState.CONNECTING
        self._connecting_at = math.inf
        self.attempt += 1
        return self.attempt

    def turn_has_come(self, attempt: int, now: float) -> None:
        """The helper connects now; from here on its time counts."""
        if attempt == self.attempt:
            self._connecting_at = now

    def opened(self, ws: websocket.WebSocket, now: float, *, compressed: bool = False) -> None:
        """The helper connected: take over its socket, which from here on does not block. The server may compress."""
        self.stream = Stream(ws, self.serial, now, compressed=compressed)
        self._up_at = self._idle_since = now
        self._pinged_at = 0.0
        self.logged_in = False
        self.connects += 1
        self.state = LinkState.UP
        _log.info("%s: connected to %s", self._name, self.url)

    def failed(self, reason: str, now: float) -> None:
        """Not connected, or lost: pause, a little longer each time, before the next attempt."""
        if self.stream is not None and now - self._up_at >= _STEADY_S:
            self._failures = 0
        pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)] * random.uniform(0.5, 1.0)
        self._failures += 1
        self.not_before = now + pause
        _log.warning("%s: %s; connecting again in %.1f s", self._name, reason, pause)
        self._shut()

    def close(self, reason: str, now: float) -> None:
        """Leave in good order: unsubscribe, send a close frame, and go on reading until the exchange closes too.

        Closing the socket with pushes unread would reset the connection, and the close frame might be lost with it.
        """
        if self.state is LinkState.CONNECTING:
            self.attempt += 1  # what the helper brings is not wanted any more
            self.shut()
        stream = self.stream
        if stream is None or self.state is LinkState.CLOSING:
            return
        self.state = LinkState.CLOSING
        self._closing_at = now
        _log.info("%s: closing, %s", self._name, reason)
        try:
            for request in self.subscriptions.leave_all():
                stream.send(request)
            stream.send_close()
        except (LinkLost, websocket.WebSocketException):
            self.shut()

    def shut(self) -> None:
        """Close the socket at once; the next connection may be made without a pause."""
        self._failures = 0
        self.not_before = 0.0
        self._shut()

    def _shut(self) -> None:
        if self.stream is not None:
            self._frames_before, self._bytes_before = self.frames, self.bytes
            self.stream.close()
            self.stream = None
        self.logged_in = False
        self.state = LinkState.CLOSED

    # -- login

    def login(self, request: str, now: float) -> None:
        """Send a login; subscriptions wait for its ack (PROTOCOL 3)."""
        self.state = LinkState.LOGIN
        self._login_at = now
        self.send(request)

    def login_acknowledged(self) -> None:
        """The exchange said yes."""
        self.state = LinkState.UP
        self.logged_in = True
        self.subscriptions.touched = True
        _log.info("%s: logged in", self._name)

    def send(self, text: str) -> None:
        """Send one text frame; LinkLost if the exchange has stopped reading."""
        if self.stream is None:
            raise LinkLost("not connected")
        self.stream.send(text)

    # -- time

    def tick(self, now: float) -> None:
        """Keep-alive (PROTOCOL 2); LinkLost if the exchange has fallen silent."""
        if self.state is LinkState.CONNECTING and now - self._connecting_at > _CONNECTING_S:
            self.attempt += 1
            raise LinkLost(f"not connected within {_CONNECTING_S:g} s")
        if self.stream is None:
            return
        if self.state is LinkState.CLOSING:
            if now - self._closing_at > _CLOSING_S:
                self.shut()
            return
        if self.state is LinkState.LOGIN and now - self._login_at > _LOGIN_S:
            raise LinkLost(f"no answer to the login within {_LOGIN_S:g} s")
        heard_at = self.stream.heard_at
        if heard_at > self._pinged_at:
            self._pinged_at = 0.0
        if self._pinged_at and now - self._pinged_at > _PONG_S:
            raise LinkLost(f"silent for {now - heard_at:.0f} s, no pong")
        if not self._pinged_at and now - heard_at > _PING_AFTER_S:
            self._pinged_at = now
            self.send("ping")
        if self.subscriptions:
            self._idle_since = now

    def idle(self, now: float) -> bool:
        """Whether nothing has been subscribed for so long that it should be closed."""
        return self.state is LinkState.UP and now - self._idle_since > _IDLE_S
