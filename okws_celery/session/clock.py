"""The time of one turn of a session's loop: read once, the same for everybody."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """`now` is monotonic, in s, for waiting; `ms` is Unix time in ms, for what others read."""

    __slots__ = ("ms", "now", "time_ns")

    def __init__(self, time_ns: Callable[[], int] = time.time_ns) -> None:
        """`time_ns` tells Unix time in ns."""
        self.time_ns = time_ns
        self.now = 0.0
        self.ms = 0
        self.read()

    def read(self) -> None:
        """Look at the clocks."""
        self.ms = self.time_ns() // 1_000_000
        self.now = time.monotonic()
