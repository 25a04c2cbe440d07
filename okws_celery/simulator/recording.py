"""A recorded session as a file, and what can be had of it: the frames of data of each subscribed argument.

A recording is a `replay.jsonl`: one object a line, `{"recv", "dir": "open" | "out" | "in", "line", "raw"}`; `recv` is
Unix time in s, `raw` the text of a frame exactly as it came (inflated, if it came deflated). More keys may stand in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.topics import Arg
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, named

__all__ = ["Frame", "Recording", "v3_arg"]

_NOT_IN_A_REQUEST = ("uid",)
_V3_FILTERS = ("instrument_id", "underlying", "currency")


@dataclass(frozen=True, slots=True)
class Frame:
    """One recorded frame; `at_s` is its time since the first frame of data."""

    index: int
    at_s: float
    text: str


class Recording:
    """The frames of data of a recorded session, by argument. It is the venue of a simulator that replays.

    A v3 topic is the argument `(("channel", "spot/ticker:BTC-USDT"),)`.
    """

    def __init__(self, path: str | Path) -> None:
        self.frames: dict[Arg, list[Frame]] = {}
        self.span_s = 0.0
        """From the first frame of data to the last."""
        topics: dict[str, None] = {}
        self._acked: dict[Arg, None] = {}
        began: float | None = None
        latest = 0.0
        for index, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if entry["dir"] != "in":
                    continue
                text, received_s = entry["raw"], float(entry["recv"])
            except (ValueError, KeyError, TypeError):
                raise BadCommand(f"replay {str(path)!r}, line {index}: not a line of a recording") from None
            arg = _recorded_arg(text, topics, self._acked)
            if arg is None:
                continue
            began = received_s if began is None else began
            latest = max(latest, received_s)  # frames stay in their order, though the recorder's clock was set back
            self.span_s = latest - began
            self.frames.setdefault(arg, []).append(Frame(index, latest - began, text))
        if not self.frames:
            raise BadCommand(f"replay {str(path)!r}: no frame of data is in it")
        for topic in topics:
            self.frames.setdefault(v3_arg(topic), [])
        for arg in self._acked:
            if not self._part_of(arg):
                self.frames.setdefault(arg, [])

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """Whatever was recorded can be had on every path and without login, in silence if it was silent.

        The rest is 60018.
        """
        arg = _arg(said)
        if arg in self._acked and arg not in self.frames:
            arg = self._part_of(arg)
        if arg not in self.frames or "/" in str(said.get("channel", "")):
            return Refusal(60018, TEXTS[60018].format(arg=named(said)))
        return Offer(arg, str(said.get("channel", "")), str(said.get("instId", "")))

    def _part_of(self, acked: Arg) -> Arg:
        """Under which argument the pushes of one came, if keys of the request were left out (PROTOCOL 4); or ()."""
        return next((arg for arg in self.frames if arg not in self._acked and set(arg) < set(acked)), ())

    def has_v3(self, topic: str) -> bool:
        """Whether a topic of the v3 API was recorded."""
        return "/" in topic and v3_arg(topic) in self.frames


def v3_arg(topic: str) -> Arg:
    """What stands for a topic of the v3 API where others have an argument."""
    return (("channel", topic),)


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8 text"
        raise BadCommand(f"replay {str(path)!r}: {reason}") from None


def _recorded_arg(text: str, topics: dict[str, None], acked: dict[Arg, None]) -> Arg | None:
    """The argument of a push; None for what is none. `topics` and `acked` collect what was acked, of v3 and of v5."""
    try:
        said = json.loads(text)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    if said.get("event") == "subscribe" and isinstance(said.get("channel"), str):
        topics[said["channel"]] = None
    elif said.get("event") == "subscribe" and isinstance(said.get("arg"), dict):
        acked[_arg(said["arg"])] = None
    if "event" in said:
        return None
    if isinstance(said.get("table"), str):
        return v3_arg(_v3_topic(said, topics))
    return _arg(said["arg"]) if isinstance(said.get("arg"), dict) else None


def _v3_topic(said: Mapping[str, Any], topics: Mapping[str, None]) -> str:
    """The v3 topic of a push: its table, and what its first row is about; what was acked decides in a doubt."""
    table: str = said["table"]
    rows = said.get("data")
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    possible = [f"{table}:{row[key]}" for key in _V3_FILTERS if isinstance(row.get(key), str)]
    return next((topic for topic in possible if topic in topics), possible[0] if possible else table)


def _arg(said: Mapping[str, Any]) -> Arg:
    return tuple(sorted((str(key), str(value)) for key, value in said.items() if key not in _NOT_IN_A_REQUEST))
