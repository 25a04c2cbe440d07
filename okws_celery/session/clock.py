"""The time of one turn of a session's loop: read once, the same for everybody."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """`now` is monotonic, in s, for waiting; `ms` is Unix time in ms, for what others read.

    One look at a clock is enough for both: what lies between them is measured at every `read`, so that a clock that is
    put right shows within a second.
    """

    __slots__ = ("_time_ns", "behind", "now")

    def __init__(self, time_ns: Callable[[], int] = time.time_ns) -> None:
        """`time_ns` tells Unix time in ns."""
        self._time_ns = time_ns
        self.now = 0.0
        self.behind = 0.0
        """How far `now` is behind Unix time, s."""
        self.read()

    def read(self) -> None:
        """Look at the clocks."""
        self.now = time.monotonic()
        self.behind = self._time_ns() / 1e9 - self.now

    @property
    def ms(self) -> int:
        """Unix time."""
        return int((self.now + self.behind) * 1000)
