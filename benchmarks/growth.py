"""How the cost of a push grows: with instruments, with the levels of a book, with sessions of a worker, with workers.

Each gives lines of figures: CPU in us a message, times under way in us, memory in MB.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.contestants import OURS, PICOWS, Contestant, ours
from benchmarks.runs import burst, cpu_s, on_stage, paced, rss_mb
from benchmarks.stage import Stage, StagePlan

__all__ = ["by_instruments", "by_levels", "by_sessions", "by_workers"]

_RATE = 5_000
_RATE_OF_ONE = 100
"""Of each session, where every one is as busy as the others, however many there are."""
_SPREAD = 200
"""Instruments that sessions share: as many as there are sessions at most, so that memory is compared like with like."""
_IDLE_S = 10.0
_BURSTS = 3

Line = dict[str, Any]


def by_instruments(folder: Path, counts: Iterable[int], messages: int, seconds: float) -> list[Line]:
    """The same stream about ever more instruments, in one session; and beside it one who writes each ticker."""
    lines = []
    for count in counts:
        plan = StagePlan(instruments=count)
        line = {"instruments": count} | _measured(folder / f"i{count}", plan, messages, seconds)
        if not PICOWS.missing:
            other = _measured(folder / f"p{count}", plan, messages, seconds, PICOWS)
            line |= {f"picows: {name}": value for name, value in other.items() if "CPU us" in name}
        lines.append(line)
    return lines


def by_levels(folder: Path, counts: Iterable[int], messages: int, seconds: float) -> list[Line]:
    """Updates of three levels a side, to books of ever more levels."""
    lines = []
    for count in counts:
        plan = StagePlan(mix={"books": 1.0}, levels=count)
        # A book of 400 levels is 30 KB, which Redis has to take in for each update.
        lines.append({"levels": count} | _measured(folder / f"l{count}", plan, messages // 10, seconds, rate=1_000))
    return lines


def _measured(
    folder: Path, plan: StagePlan, messages: int, seconds: float, contestant: Contestant = OURS, rate: int = _RATE
) -> Line:
    with Stage(folder, plan) as stage, on_stage(stage, contestant, folder / "log") as process:
        at_once = _bursts(stage, process, messages)
        steady = paced(stage, process, contestant, rate, seconds)
        return {
            "burst CPU us": at_once["cpu"],
            "burst Redis us": at_once["redis_cpu"],
            f"CPU us at {rate:,}/s": steady["cpu"],
            "p50 us": steady["p50"],
            "p99 us": steady["p99"],
            "RSS MB": rss_mb(process),
        }


def _bursts(stage: Stage, process: psutil.Process, messages: int) -> dict[str, float]:
    """Medians over some bursts, after one in which everything is new: each instrument has a trade in it, the rarest."""
    burst(stage, process, max(messages, 4 * stage.plan.instruments))
    rounds = [burst(stage, process, messages) for _ in range(_BURSTS)]
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def by_sessions(folder: Path, counts: Iterable[int], messages: int, seconds: float) -> list[Line]:
    """Ever more sessions of one worker, each with its own instruments: one stream in parts, or a stream for each."""
    lines: list[Line] = []
    for count in counts:
        contestant = ours("pushes", sessions=count)
        plan = StagePlan(instruments=max(count, _SPREAD))
        with (
            Stage(folder / f"s{count}", plan) as stage,
            on_stage(stage, contestant, folder / f"s{count}" / "log") as process,
        ):
            idle, idle_mb = _idle(process), rss_mb(process)
            at_once = _bursts(stage, process, messages)
            shared = paced(stage, process, contestant, _RATE, seconds)
            alike = paced(stage, process, contestant, _RATE_OF_ONE * count, seconds)
        first = lines[0] if lines else {"sessions": count, "idle RSS MB": idle_mb}
        more = count - first["sessions"]
        lines.append(
            {
                "sessions": count,
                "burst CPU us": at_once["cpu"],
                f"CPU us at {_RATE:,}/s in all": shared["cpu"],
                f"CPU us at {_RATE_OF_ONE}/s each": alike["cpu"],
                "p99 us then": alike["p99"],
                "idle, % of a core": idle,
                "idle RSS MB": idle_mb,
                "MB per further session": (idle_mb - first["idle RSS MB"]) / more if more else None,
            }
        )
    return lines


def by_workers(folder: Path, counts: Iterable[int], sessions: int, messages: int, seconds: float) -> list[Line]:
    """The same sessions over ever more workers."""
    lines = []
    for count in counts:
        contestant = ours("pushes", sessions=sessions, workers=count)
        plan = StagePlan(instruments=_SPREAD)
        with (
            Stage(folder / f"w{count}", plan) as stage,
            on_stage(stage, contestant, folder / f"w{count}" / "log") as process,
        ):
            at_once = _bursts(stage, process, messages)
            steady = paced(stage, process, contestant, _RATE, seconds)
            lines.append(
                {
                    "workers": count,
                    "sessions": sessions,
                    "burst messages/s": at_once["rate"],
                    "burst CPU us": at_once["cpu"],
                    f"CPU us at {_RATE:,}/s": steady["cpu"],
                    "p99 us": steady["p99"],
                    "RSS MB": rss_mb(process),
                }
            )
    return lines


def _idle(process: psutil.Process) -> float:
    """CPU while nothing comes, % of a core."""
    before = cpu_s(process)
    time.sleep(_IDLE_S)
    return (cpu_s(process) - before) / _IDLE_S * 100
