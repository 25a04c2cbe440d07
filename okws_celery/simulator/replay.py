"""Replay of a recorded session: for each subscribed argument exactly the frames that were recorded for it.

Recorded acks are not sent again; the exchange gives its own. The clock of an argument starts with the request that
subscribes it, so the arguments of one request come in the order in which they were recorded, and one that is subscribed
again begins anew.

Looped, the next round begins where the recording ends: a round lasts as long as the recording (at least a second), and
brings the same bytes again, so that times and sequence numbers jump back. A book begins its round with its snapshot.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from okws_celery.errors import BadCommand
from okws_celery.okx.topics import Arg
from okws_celery.simulator.recording import Recording

if TYPE_CHECKING:
    from okws_celery.simulator.connection import Connection

__all__ = ["MAX", "RECORDED", "Player", "Players", "parse_pace"]

RECORDED = 1.0
MAX = 0.0
"""Pace: no pause between frames but those that the reader needs."""

_WRITE_CHARS = 32 * 1024
_SHORTEST_ROUND_S = 1.0


def parse_pace(given: str | float) -> float:
    """How many times faster than recorded, from `recorded`, `max` or a number; BadCommand for anything else."""
    if given in ("recorded", "max"):
        return RECORDED if given == "recorded" else MAX
    try:
        pace = float(given)
    except ValueError:
        pace = -1.0
    if not 0 < pace < 1e9:
        raise BadCommand(f"pace {given!r}: recorded, max or a factor above 0 is accepted")
    return pace


class _Due(NamedTuple):
    """A frame that waits. Its order is that of sending."""

    at_s: float
    round: int
    line: int
    arg: Arg
    text: str


class Player:
    """Plays the subscribed arguments to one connection, merged, at a pace."""

    def __init__(
        self,
        recording: Recording,
        pace: float,
        send: Callable[[list[tuple[Arg, str]]], None],
        steady: Callable[[], Awaitable[None]],
        *,
        loop: bool = False,
    ) -> None:
        self._recording = recording
        self._pace = pace
        self._send = send
        self._steady = steady
        self._loop = loop
        self._round_s = max(recording.span_s, _SHORTEST_ROUND_S) / pace if pace else 0.0
        self._due: list[_Due] = []
        self._more = asyncio.Event()
        self._request_s = 0.0
        self._task = asyncio.get_running_loop().create_task(self._play())

    @property
    def pending(self) -> int:
        """Frames that are still to be sent; of a loop, in the present round."""
        return len(self._due)

    def request(self, now_s: float) -> None:
        """A request is being answered: the arguments that it starts share its clock."""
        self._request_s = now_s

    def start(self, arg: Arg) -> None:
        """Play an argument from its first frame."""
        self.stop(arg)
        self._due += self._frames(arg, self._request_s, self._due[0].round if self._due else 0)
        heapq.heapify(self._due)
        self._more.set()

    def stop(self, arg: Arg) -> None:
        """Play an argument no more."""
        self._due = [one for one in self._due if one.arg != arg]
        heapq.heapify(self._due)

    def cancel(self) -> None:
        """End."""
        self._task.cancel()

    def _frames(self, arg: Arg, begin_s: float, number: int) -> list[_Due]:
        """All frames of an argument in one round."""
        return [
            _Due(begin_s + frame.at_s / self._pace if self._pace else 0.0, number, frame.index, arg, frame.text)
            for frame in self._recording.frames[arg]
        ]

    async def _play(self) -> None:
        while True:
            if not self._due:
                self._more.clear()
                await self._more.wait()
                await asyncio.sleep(0)  # all acks of the request go out before its first frame
                continue
            wait_s = self._due[0].at_s - time.monotonic()
            if wait_s > 0:
                self._more.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), wait_s)
                continue
            self._send(self._take_due())
            await asyncio.sleep(0)
            await self._steady()

    def _take_due(self) -> list[tuple[Arg, str]]:
        """What is due by now, in its order, up to as much as goes out in one write."""
        now_s, taken, size = time.monotonic(), [], 0
        while self._due and self._due[0].at_s <= now_s and size < _WRITE_CHARS:
            due = heapq.heappop(self._due)
            taken.append((due.arg, due.text))
            size += len(due.text)
            if self._loop:
                self._again(due)
        return taken

    def _again(self, due: _Due) -> None:
        """After the last frame of an argument comes its first, in the next round."""
        frames = self._recording.frames[due.arg]
        if due.line == frames[-1].index:
            began_s = due.at_s - frames[-1].at_s / self._pace if self._pace else 0.0
            self._due += self._frames(due.arg, began_s + self._round_s, due.round + 1)
            heapq.heapify(self._due)


class Players:
    """The players of all connections."""

    def __init__(
        self,
        recording: Recording | None,
        pace: float,
        send: Callable[[Connection, list[tuple[Arg, str]]], None],
        *,
        loop: bool,
    ) -> None:
        self._recording = recording
        self._pace = pace
        self._send = send
        self._loop = loop
        self._players: dict[Connection, Player] = {}

    @property
    def pending(self) -> int:
        """Frames that are still to be sent."""
        return sum(player.pending for player in self._players.values())

    def request(self, connection: Connection) -> None:
        """A connection made a request."""
        if connection in self._players:
            self._players[connection].request(time.monotonic())

    def start(self, connection: Connection, arg: Arg) -> None:
        """Play an argument to a connection."""
        assert self._recording is not None
        player = self._players.get(connection)
        if player is None:
            send = partial(self._send, connection)
            player = Player(self._recording, self._pace, send, connection.steady, loop=self._loop)
            self._players[connection] = player
            player.request(time.monotonic())
        player.start(arg)

    def stop(self, connection: Connection, arg: Arg) -> None:
        """Play it no more."""
        if connection in self._players:
            self._players[connection].stop(arg)

    def end(self, connection: Connection) -> None:
        """A connection is gone."""
        player = self._players.pop(connection, None)
        if player is not None:
            player.cancel()
