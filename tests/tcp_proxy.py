"""A TCP proxy before a server, which can go deaf without a word or cut what goes through it."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["TcpProxy"]


class TcpProxy:
    """Forwards connections to `host:port` from a free port of 127.0.0.1; every method may be called from any thread.

    `port` is where it listens, `connections` how many were taken so far.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._deaf: set[socket.socket] = set()
        self._refusing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)

    def black_hole(self) -> int:
        """Let nothing through on the connections that live, in either direction, and close none: as when a cable is
        pulled. Later connections are forwarded. Gives their number."""
        with self._lock:
            met = [one for one in self._peers if one not in self._deaf]
            for one in met:
                self._deaf.add(one)
                with suppress(KeyError):
                    self._selector.unregister(one)
        return len(met) // 2

    def cut(self) -> int:
        """Close the connections that live; gives their number."""
        with self._lock:
            met = list(self._peers)
            for one in met:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        return len(met) // 2

    def refuse(self, refusing: bool = True) -> None:
        """Close new connections at once, or forward them again."""
        self._refusing = refusing

    def __enter__(self) -> Self:
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._wake.send(b"x")
        self._thread.join()
        for one in (*self._peers, self._server, self._wake, self._woken):
            one.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.1):
                ready: socket.socket = key.fileobj
                if ready is self._server:
                    self._accept()
                elif ready is not self._woken:
                    self._forward(ready)

    def _accept(self) -> None:
        near, _ = self._server.accept()
        if self._refusing:
            near.close()
            return
        far = socket.create_connection(self._target)
        self.connections += 1
        with self._lock:
            self._peers |= {near: far, far: near}
            for one in (near, far):
                self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, ready: socket.socket) -> None:
        with self._lock:
            peer = self._peers.get(ready)
            if peer is None or ready in self._deaf:
                return
        try:
            data = ready.recv(1 << 16)
            peer.sendall(data)
        except OSError:
            data = b""
        if not data:
            with self._lock:
                for one in (ready, peer):
                    self._peers.pop(one, None)
                    with suppress(KeyError, ValueError):
                        self._selector.unregister(one)
                    one.close()
