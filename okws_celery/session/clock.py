"""The time of one turn of a session's loop: read once, the same for everybody."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """`now` is monotonic, in s, for waiting; `ms` is Unix time in ms, for what others read."""

    __slots__ = ("ms", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.ms = 0
        self.read()

    def read(self) -> float:
        """Look at the clocks; what `now` is."""
        self.ms = time.time_ns() // 1_000_000
        self.now = now = time.monotonic()
        return now
