"""One Redis socket that never blocks: packed commands out, replies matched to those who wait for them, in order."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import hiredis

from okws_celery.errors import StoreError
from okws_celery.store.batch import Pack, pack
from okws_celery.store.connect import BareConnection

__all__ = ["ERROR", "Usual", "Wire", "WireLost"]

_READ_BYTES = 32 * 1024
ERROR = b"\r\n-"
"""How an error among replies begins; in text, line ends are as good as never followed by a minus."""


class WireLost(StoreError):
    """The connection to Redis broke; whatever was under way has an unknown outcome."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How awaited replies look in bytes if all is well: then nothing in them need be looked at."""

    begin: bytes
    end: bytes
    """Between the two there is no error."""
    on_usual: Callable[[], None]
    """Called when they are so."""
    replies: int
    """How many there are, for when they are not."""
    on_replies: Callable[[list[Any]], None]


class Wire:
    """Owned by one loop, which calls `readable` and `writable` when its selector says so.

    With `on_push` the connection is a subscriber: every reply goes there (RESP2 pub/sub).
    """

    def __init__(self, connection: BareConnection, on_push: Callable[[Any], None] | None = None) -> None:
        self._connection = connection
        self.socket = connection.sock
        """Non-blocking."""
        self.sock_recv, self.sock_send = self.socket.recv, self.socket.send
        """Of it, for the short way (`Fence.pass_on`)."""
        self._reader = hiredis.Reader()
        self._out: deque[memoryview] = deque()
        self.wants_write = False
        """Whether bytes wait because the socket's buffer was full."""
        self.usual: Usual | None = None
        """The replies that are awaited first, if they may be told by their bytes."""
        self._waiting: deque[tuple[int, list[Any], Callable[[list[Any]], None]]] = deque()
        self._on_push = on_push

    def fileno(self) -> int:
        """For selectors."""
        return self.socket.fileno()

    def send(self, packed: Iterable[bytes], replies: int, on_replies: Callable[[list[Any]], None]) -> None:
        """Send packed commands; a later `readable` calls `on_replies` with that many replies, errors as values."""
        if self._on_push is None:
            self._look_closely()
            self._waiting.append((replies, [], on_replies))
        self._transmit(b"".join(packed))

    def send_usual(self, data: bytes, usual: Usual) -> None:
        """The same if no reply is awaited yet: if all of them come at once and are as usual, nothing is parsed."""
        if self._waiting or self.usual is not None:
            self.send((data,), usual.replies, usual.on_replies)
            return
        self.usual = usual
        self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        try:
            sent = 0 if self._out else self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as problem:
            raise WireLost(f"Redis: {problem}") from problem
        if sent != len(data):
            self.keep(data, sent)

    def keep(self, data: bytes, sent: int) -> None:
        """The socket has taken so many of these bytes only; `writable` sends the rest."""
        self._out.append(memoryview(data)[sent:])
        self.wants_write = True

    def _look_closely(self) -> None:
        """What is awaited must be parsed, as it is not all that comes, or not as usual."""
        usual, self.usual = self.usual, None
        if usual is not None:
            self._waiting.append((usual.replies, [], usual.on_replies))

    def send_command(self, *command: Pack) -> None:
        """Send one command of a subscriber, whose replies come as pushes."""
        self.send([pack(*command)], 0, lambda replies: None)

    def writable(self) -> None:
        """Send what waits, as far as the socket takes it. WireLost if it is broken."""
        while self._out:
            data = self._out[0]
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as problem:
                raise WireLost(f"Redis: {problem}") from problem
            if sent < len(data):
                self._out[0] = data[sent:]
                return
            self._out.popleft()
        self.wants_write = False

    def readable(self) -> None:
        """Read what is there and hand out every complete group of replies. WireLost if the connection is gone."""
        while True:
            try:
                data = self.socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as problem:
                raise WireLost(f"Redis: {problem}") from problem
            usual = self.usual
            if usual is not None and data.startswith(usual.begin) and data.endswith(usual.end) and ERROR not in data:
                self.usual = None
                usual.on_usual()
                return
            self.take(data)
            # A full read may have left bytes inside the TLS object, which no selector would see.
            if len(data) < _READ_BYTES and not self._pending():
                return

    def close(self) -> None:
        """Close the socket; nobody who waits is called."""
        self._waiting.clear()
        self.usual = None
        self._connection.close()

    def _pending(self) -> int:
        return self.socket.pending() if isinstance(self.socket, ssl.SSLSocket) else 0

    def take(self, data: bytes) -> None:
        """Hand out every group of replies that these bytes complete. WireLost if they are none, or make no sense."""
        if not data:
            raise WireLost("Redis closed the connection")
        self._look_closely()
        try:
            self._reader.feed(data)
            self._hand_out_replies()
        except hiredis.ProtocolError as problem:
            raise WireLost(f"Redis: {problem}") from problem

    def _hand_out_replies(self) -> None:
        next_reply = self._reader.gets
        if self._on_push is not None:
            while (reply := next_reply()) is not False:
                self._on_push(reply)
            return
        while (reply := next_reply()) is not False:
            if not self._waiting:
                raise WireLost("Redis sent a reply that nobody asked for")
            count, group, on_replies = self._waiting[0]
            group.append(reply)
            while len(group) < count:
                if (reply := next_reply()) is False:
                    return
                group.append(reply)
            self._waiting.popleft()
            on_replies(group)
