"""Replay of a recorded session: for each subscribed argument exactly the frames that were recorded for it.

The recording is a `replay.jsonl`: one object a line, `{"recv", "dir": "open" | "out" | "in", "line", "raw"}`. Recorded
acks are not sent again; the exchange gives its own. The clock of an argument starts with the request that subscribes
it, so the arguments of one request come in the order in which they were recorded, and one that is subscribed again
begins anew.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.topics import Arg
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, named

__all__ = ["MAX", "RECORDED", "Player", "Recording", "parse_pace"]

RECORDED = 1.0
MAX = 0.0
"""Pace: no pause between frames but those that the reader needs."""

_WRITE_CHARS = 32 * 1024
_NOT_IN_A_REQUEST = ("uid",)


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


@dataclass(frozen=True, slots=True)
class _Frame:
    index: int
    at_s: float
    """Since the first frame of data."""
    text: str


class Recording:
    """The frames of data of a recorded session, by argument. It is the venue of a simulator that replays."""

    def __init__(self, path: str | Path) -> None:
        self.frames: dict[Arg, list[_Frame]] = {}
        began: float | None = None
        for index, line in enumerate(_lines(path), start=1):
            try:
                entry = json.loads(line)
                if entry["dir"] != "in":
                    continue
                text, received_s = entry["raw"], float(entry["recv"])
            except (ValueError, KeyError, TypeError):
                raise BadCommand(f"replay {str(path)!r}, line {index}: not a line of a recording") from None
            arg = _recorded_arg(text)
            if arg is None:
                continue
            began = received_s if began is None else began
            self.frames.setdefault(arg, []).append(_Frame(index, received_s - began, text))
        if not self.frames:
            raise BadCommand(f"replay {str(path)!r}: no frame of a v5 channel is in it")

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """Whatever was recorded can be had on every path and without login; the rest is 60018."""
        arg = _arg(said)
        if arg not in self.frames:
            return Refusal(60018, TEXTS[60018].format(arg=named(said)))
        return Offer(arg, str(said.get("channel", "")), str(said.get("instId", "")))


class Player:
    """Plays the subscribed arguments to one connection, merged, at a pace."""

    def __init__(
        self,
        recording: Recording,
        pace: float,
        send: Callable[[list[tuple[Arg, str]]], None],
        steady: Callable[[], Awaitable[None]],
    ) -> None:
        self._recording = recording
        self._pace = pace
        self._send = send
        self._steady = steady
        self._due: list[tuple[float, int, Arg, str]] = []
        self._more = asyncio.Event()
        self._request_s = 0.0
        self._task = asyncio.get_running_loop().create_task(self._play())

    @property
    def pending(self) -> int:
        """Frames that are still to be sent."""
        return len(self._due)

    def request(self, now_s: float) -> None:
        """A request is being answered: the arguments that it starts share its clock."""
        self._request_s = now_s

    def start(self, arg: Arg) -> None:
        """Play an argument from its first frame."""
        self.stop(arg)
        for frame in self._recording.frames[arg]:
            due_s = self._request_s + frame.at_s / self._pace if self._pace else 0.0
            self._due.append((due_s, frame.index, arg, frame.text))
        heapq.heapify(self._due)
        self._more.set()

    def stop(self, arg: Arg) -> None:
        """Play an argument no more."""
        self._due = [one for one in self._due if one[2] != arg]
        heapq.heapify(self._due)

    def cancel(self) -> None:
        """End."""
        self._task.cancel()

    async def _play(self) -> None:
        while True:
            if not self._due:
                self._more.clear()
                await self._more.wait()
                await asyncio.sleep(0)  # all acks of the request go out before its first frame
                continue
            wait_s = self._due[0][0] - time.monotonic()
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
        while self._due and self._due[0][0] <= now_s and size < _WRITE_CHARS:
            _, _, arg, text = heapq.heappop(self._due)
            taken.append((arg, text))
            size += len(text)
        return taken


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8 text"
        raise BadCommand(f"replay {str(path)!r}: {reason}") from None


def _recorded_arg(text: str) -> Arg | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    if not isinstance(said, dict) or "event" in said or not isinstance(said.get("arg"), dict):
        return None
    return _arg(said["arg"])


def _arg(said: Mapping[str, Any]) -> Arg:
    return tuple(sorted((str(key), str(value)) for key, value in said.items() if key not in _NOT_IN_A_REQUEST))
