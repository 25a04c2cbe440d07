"""One Redis socket that never blocks: packed commands out, replies matched to those who wait for them, in order."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import hiredis

from okws_celery.errors import StoreError
from okws_celery.store.batch import Pack, pack
from okws_celery.store.connect import BareConnection

__all__ = ["Wire", "WireLost"]

_READ_BYTES = 32 * 1024


class WireLost(StoreError):
    """The connection to Redis broke; whatever was under way has an unknown outcome."""


class Wire:
    """Owned by one loop, which calls `readable` and `writable` when its selector says so.

    With `on_push` the connection is a subscriber: every reply goes there (RESP2 pub/sub).
    """

    def __init__(self, connection: BareConnection, on_push: Callable[[Any], None] | None = None) -> None:
        self._connection = connection
        self._reader = hiredis.Reader()
        self._out: deque[memoryview] = deque()
        self._waiting: deque[tuple[int, list[Any], Callable[[list[Any]], None]]] = deque()
        self._on_push = on_push

    def fileno(self) -> int:
        """For selectors."""
        return self._connection.sock.fileno()

    @property
    def wants_write(self) -> bool:
        """True while bytes wait because the socket's buffer was full."""
        return bool(self._out)

    def send(self, packed: Iterable[bytes], replies: int, on_replies: Callable[[list[Any]], None]) -> None:
        """Send packed commands; a later `readable` calls `on_replies` with that many replies, errors as values."""
        if self._on_push is None:
            self._waiting.append((replies, [], on_replies))
        self._out.append(memoryview(b"".join(packed)))
        self.writable()

    def send_command(self, *command: Pack) -> None:
        """Send one command of a subscriber, whose replies come as pushes."""
        self.send([pack(*command)], 0, lambda replies: None)

    def writable(self) -> None:
        """Send what waits, as far as the socket takes it. WireLost if it is broken."""
        try:
            while self._out:
                data = self._out[0]
                sent = self._connection.sock.send(data)
                if sent < len(data):
                    self._out[0] = data[sent:]
                    return
                self._out.popleft()
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as problem:
            raise WireLost(f"Redis: {problem}") from problem

    def readable(self) -> None:
        """Read what is there and hand out every complete group of replies. WireLost if the connection is gone."""
        while True:
            try:
                data = self._connection.sock.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as problem:
                raise WireLost(f"Redis: {problem}") from problem
            if not data:
                raise WireLost("Redis closed the connection")
            self._reader.feed(data)
            try:
                self._hand_out()
            except hiredis.ProtocolError as problem:
                raise WireLost(f"Redis: {problem}") from problem
            # A full read may have left bytes inside the TLS object, which no selector would see.
            if len(data) < _READ_BYTES and not self._pending():
                return

    def close(self) -> None:
        """Close the socket; nobody who waits is called."""
        self._waiting.clear()
        self._connection.close()

    def _pending(self) -> int:
        sock = self._connection.sock
        return sock.pending() if isinstance(sock, ssl.SSLSocket) else 0

    def _hand_out(self) -> None:
        while (reply := self._reader.gets()) is not False:
            if self._on_push is not None:
                self._on_push(reply)
                continue
            if not self._waiting:
                raise WireLost("Redis sent a reply that nobody asked for")
            count, group, on_replies = self._waiting[0]
            group.append(reply)
            if len(group) == count:
                self._waiting.popleft()
                on_replies(group)
