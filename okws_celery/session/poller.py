"""Waits for a session's sockets, of which there are few: what is ready is handed to who handles it."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["READ", "WRITE", "Poller", "Watch"]

READ = select.POLLIN
WRITE = select.POLLOUT


class Watch(NamedTuple):
    """What is waited for: a socket, in which direction, and who handles it."""

    descriptor: int
    wants_write: bool
    handler: Callable[[int], None]
    """Is told which of READ and WRITE can be done."""
    stirs: bool = True
    """Whether what comes may be a reason to do something else. Data alone are none."""


class Poller:
    """poll(2), as a wait is made for every push: no other call costs less for a handful of sockets."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._watches: dict[int, Watch] = {}

    def watch(self, wanted: list[Watch]) -> None:
        """From here on wait for these, and nothing else."""
        before, self._watches = self._watches, {watch.descriptor: watch for watch in wanted}
        for descriptor in before.keys() - self._watches.keys():
            self._poll.unregister(descriptor)
        for descriptor, watch in self._watches.items():
            self._poll.register(descriptor, READ | WRITE if watch.wants_write else READ)

    def wait(self, timeout: float) -> list[tuple[Watch, int]]:
        """Those that are ready within so many seconds, each with READ, WRITE or both."""
        ready = []
        for descriptor, events in self._poll.poll(timeout * 1000):
            # An error alone is found by who reads.
            ready.append((self._watches[descriptor], events & (READ | WRITE) or READ))
        return ready
