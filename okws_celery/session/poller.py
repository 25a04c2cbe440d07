"""Waits for a session's sockets, of which there are few: what is ready is handed to who handles it."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from okws_celery.session.link import Link
    from okws_celery.session.stream import Stream

__all__ = ["READ", "WRITE", "Poller", "Watch", "mask_of"]

READ = select.POLLIN
WRITE = select.POLLOUT


@dataclass(frozen=True, slots=True)
class Watch:
    """What is waited for: a socket, in which direction, and who handles it."""

    descriptor: int
    wants_write: bool
    handler: Callable[[int], None]
    """Is told which of READ and WRITE can be done."""
    link: Link | None = None
    """Whose it is, if it is a link's: then what comes is a reason to do something else only if its handler says so."""
    stream: Stream | None = None
    """The link's connection, if it is up."""


class Poller:
    """poll(2), as a wait is made for every push: no other call costs less for a handful of sockets."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.wait = self._poll.poll
        """Those that are ready within so many ms: pairs of a descriptor and what can be done, which `mask_of` reads."""
        self.watches: dict[int, Watch] = {}
        """What is waited for, by descriptor."""
        self.streams: dict[tuple[int, int], tuple[Link, Stream]] = {}
        """Of these, the links that are up, by what is found when there is something to read."""

    def watch(self, wanted: list[Watch]) -> None:
        """From here on wait for these, and nothing else."""
        before, self.watches = self.watches, {watch.descriptor: watch for watch in wanted}
        self.streams.clear()
        for watch in wanted:
            if watch.link is not None and watch.stream is not None:
                self.streams[watch.descriptor, READ] = watch.link, watch.stream
        for descriptor in before.keys() - self.watches.keys():
            self._poll.unregister(descriptor)
        for descriptor, watch in self.watches.items():
            self._poll.register(descriptor, READ | WRITE if watch.wants_write else READ)


def mask_of(events: int) -> int:
    """READ, WRITE or both. An error alone is found by who reads."""
    return events & (READ | WRITE) or READ
