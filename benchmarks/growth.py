"""How the cost of a push grows: with instruments, with the levels of a book, with sessions of a worker, with workers.

Each gives lines of figures: CPU in us a message, times under way in us, memory in MB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
_SWEEPS = 3

Line = dict[str, Any]


def by_instruments(folder: Path, counts: Sequence[int], messages: int, seconds: float) -> list[Line]:
    """The same stream about ever more instruments, in one session; and beside it one who writes each ticker."""

    def measure(folder: Path, count: int) -> Line:
        plan = StagePlan(instruments=count)
        line = {"instruments": count} | _measured(folder / "ours", plan, messages, seconds)
        if not PICOWS.missing:
            other = _measured(folder / "picows", plan, messages, seconds, PICOWS)
            line |= {f"picows: {name}": value for name, value in other.items() if "CPU us" in name}
        return line

    return _swept(folder, counts, measure)


def by_levels(folder: Path, counts: Sequence[int], messages: int, seconds: float) -> list[Line]:
    """Updates of three levels a side, to books of ever more levels."""

    def measure(folder: Path, count: int) -> Line:
        plan = StagePlan(mix={"books": 1.0}, levels=count)
        # A book of 400 levels is 30 KB, which Redis has to take in for each update.
        return {"levels": count} | _measured(folder, plan, messages // 10, seconds, rate=1_000)

    return _swept(folder, counts, measure)


def _swept(folder: Path, counts: Sequence[int], measure: Callable[[Path, int], Line]) -> list[Line]:
    """A line for each count: medians over sweeps through all, so that none has a slow minute of the machine alone."""
    sweeps = [[measure(folder / f"{sweep}.{count}", count) for count in counts] for sweep in range(_SWEEPS)]
    return [{name: median(line[name] for line in lines) for name in lines[0]} for lines in zip(*sweeps, strict=True)]


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


def by_sessions(folder: Path, counts: Sequence[int], messages: int, seconds: float) -> list[Line]:
    """Ever more sessions of one worker, each with its own instruments: one stream in parts, or a stream for each."""

    def measure(folder: Path, count: int) -> Line:
        contestant = ours("pushes", sessions=count)
        plan = StagePlan(instruments=max(count, _SPREAD))
        with Stage(folder, plan) as stage, on_stage(stage, contestant, folder / "log") as process:
            idle, idle_mb = _idle(process), rss_mb(process)
            at_once = _bursts(stage, process, messages)
            shared = paced(stage, process, contestant, _RATE, seconds)
            alike = paced(stage, process, contestant, _RATE_OF_ONE * count, seconds)
        return {
            "sessions": count,
            "burst CPU us": at_once["cpu"],
            f"CPU us at {_RATE:,}/s in all": shared["cpu"],
            f"CPU us at {_RATE_OF_ONE}/s each": alike["cpu"],
            "p99 us then": alike["p99"],
            "idle, % of a core": idle,
            "idle RSS MB": idle_mb,
        }

    lines = _swept(folder, counts, measure)
    for line in lines:
        more = line["sessions"] - lines[0]["sessions"]
        grown = line["idle RSS MB"] - lines[0]["idle RSS MB"]
        line["MB per further session"] = grown / more if more else None
    return lines


def by_workers(folder: Path, counts: Sequence[int], sessions: int, messages: int, seconds: float) -> list[Line]:
    """The same sessions over ever more workers."""

    def measure(folder: Path, count: int) -> Line:
        contestant = ours("pushes", sessions=sessions, workers=count)
        plan = StagePlan(instruments=_SPREAD)
        with Stage(folder, plan) as stage, on_stage(stage, contestant, folder / "log") as process:
            at_once = _bursts(stage, process, messages)
            steady = paced(stage, process, contestant, _RATE, seconds)
            return {
                "workers": count,
                "sessions": sessions,
                "burst messages/s": at_once["rate"],
                "burst CPU us": at_once["cpu"],
                f"CPU us at {_RATE:,}/s": steady["cpu"],
                "p99 us": steady["p99"],
                "RSS MB": rss_mb(process),
            }

    return _swept(folder, counts, measure)


def _idle(process: psutil.Process) -> float:
    """CPU while nothing comes, % of a core."""
    before = cpu_s(process)
    time.sleep(_IDLE_S)
    return (cpu_s(process) - before) / _IDLE_S * 100
