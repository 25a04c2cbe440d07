"""How the cost of a push grows: with instruments, with sessions in one worker, with workers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.contestants import OURS
from benchmarks.runs import burst, cpu_s, family, on_stage, paced
from benchmarks.stage import Stage, StagePlan

__all__ = ["by_instruments", "by_sessions"]

_RATE = 5_000
_IDLE_S = 10.0


def by_instruments(folder: Path, counts: Iterable[int], messages: int, seconds: float) -> str:
    """A table in Markdown: the same stream about ever more instruments, in one session."""
    lines = [
        f"| instruments | burst: CPU us a message | CPU at {_RATE:,}/s | p50 us | p99 us | RSS MB |",
        "| --- " * 6 + "|",
    ]
    for count in counts:
        with (
            Stage(folder / f"i{count}", StagePlan(instruments=count)) as stage,
            on_stage(stage, OURS, folder / "log") as process,
        ):
            burst(stage, process, messages)  # the first time everything is new
            at_once = burst(stage, process, messages)
            steady = paced(stage, process, OURS, _RATE, seconds)
            rss_mb = sum(one.memory_info().rss for one in family(process)) / 1e6
        cells = [f"{count:,}", f"{at_once['cpu']:.1f}", f"{steady['cpu']:.1f}"]
        lines.append(_row(*cells, f"{steady['p50']:,.0f}", f"{steady['p99']:,.0f}", f"{rss_mb:.0f}"))
    return "\n".join(lines)


def by_sessions(folder: Path, counts: Iterable[int], messages: int, seconds: float) -> str:
    """The same stream over ever more sessions of one worker, each with its own instruments."""
    lines = [
        f"| sessions | burst: CPU us a message | CPU at {_RATE:,}/s | RSS MB | idle, % of a core |",
        "| --- " * 5 + "|",
    ]
    for count in counts:
        plan = StagePlan(instruments=max(count, 200))
        contestant = replace(OURS, program=(OURS.program[0], OURS.program[1], str(count)))
        with Stage(folder / f"s{count}", plan) as stage, on_stage(stage, contestant, folder / "log") as process:
            idle = _idle(process)
            burst(stage, process, messages)
            at_once = burst(stage, process, messages)
            steady = paced(stage, process, replace(contestant, publishes=False), _RATE, seconds)
            rss_mb = sum(one.memory_info().rss for one in family(process)) / 1e6
        lines.append(
            _row(f"{count:,}", f"{at_once['cpu']:.1f}", f"{steady['cpu']:.1f}", f"{rss_mb:.0f}", f"{idle:.1f}")
        )
    return "\n".join(lines)


def _idle(process: psutil.Process) -> float:
    """CPU while nothing comes, % of a core."""
    before = cpu_s(process)
    time.sleep(_IDLE_S)
    return (cpu_s(process) - before) / _IDLE_S * 100


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
