"""Whether the time that pushes are under way grows with time: a steady rate for minutes, looked at piece by piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contestants import OURS
from benchmarks.runs import on_stage, rss_mb, under_way
from benchmarks.stage import Stage, StagePlan

__all__ = ["drift"]

_RATE = 5_000
_PIECE_S = 30.0


def drift(folder: Path, minutes: float) -> list[dict[str, Any]]:
    """A line for each half minute: times under way in us, memory in MB."""
    lines: list[dict[str, Any]] = []
    with Stage(folder, StagePlan()) as stage, on_stage(stage, OURS, folder / "log") as process:
        stage.load(rate=_RATE)
        for number in range(1, max(1, round(minutes * 60 / _PIECE_S)) + 1):
            said = under_way(stage, _PIECE_S)
            share = said["count"] / (_RATE * _PIECE_S)
            line = {"after s": number * _PIECE_S, "p50 us": said["p50"], "p99 us": said["p99"]}
            lines.append(line | {"of the rate": share, "RSS MB": rss_mb(process)})
        stage.load(rate=0)
    return lines
