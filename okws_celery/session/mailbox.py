"""How helper threads hand their results to a session's loop: a queue, and a socket that wakes the poller."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

__all__ = ["Mailbox"]

_log = logging.getLogger(__name__)


class Mailbox:
    """`fileno` goes into the poller; `open` runs what has arrived, in the loop's own thread."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    def fileno(self) -> int:
        """For the poller."""
        return self._inside.fileno()

    def post(self, letter: Callable[[], None]) -> None:
        """From any thread: have `letter` called by the loop. After `close` it is never called."""
        self._queue.put(letter)
        with self._lock:
            if not self._closed:
                try:
                    self._outside.send(b"!")
                except BlockingIOError:
                    pass  # enough wake-ups are waiting already

    def open(self, mask: int = 0) -> None:
        """Call every letter that has arrived."""
        try:
            self._inside.recv(4096)
        except BlockingIOError:
            pass
        while True:
            try:
                letter = self._queue.get_nowait()
            except Empty:
                return
            letter()

    def close(self) -> None:
        """No more letters are taken."""
        with self._lock:
            self._closed = True
            self._inside.close()
            self._outside.close()

    def run(self, work: Callable[[], Callable[[], None]], name: str) -> None:
        """Run `work` on a helper thread; what it returns is called by the loop. It must handle its own errors."""

        def helper() -> None:
            try:
                self.post(work())
            except Exception:
                _log.exception("%s: a helper thread failed", name)

        threading.Thread(target=helper, name=name, daemon=True).start()
