"""The figures of all rounds as a table: medians, and how many times ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.runs import Figures

__all__ = ["table"]


def table(rounds: Mapping[str, Sequence[Figures]], rates: Sequence[int]) -> str:
    """Markdown; CPU in us a message, times under way in us, `(n x)` is the ratio to the first row."""
    head = ["contestant", "burst: messages/s", "CPU", "Redis CPU", "RSS MB"]
    for rate in rates:
        head += [f"CPU at {rate:,}/s", "p50", "p99", "p99.9"]
    lines = [head, ["---"] * len(head)]
    first = next(iter(rounds.values()), [])
    for name, figures in rounds.items():
        line = [name + (" (loses messages)" if any(one.lost > 0 for one in figures) else "")]
        line.append(_cell(figures, lambda one: one.burst.get("rate")))
        line.append(_cell(figures, lambda one: one.burst.get("cpu"), first))
        line.append(_cell(figures, lambda one: one.burst.get("redis_cpu")))
        line.append(_cell(figures, lambda one: one.rss_mb))
        for rate in rates:
            behind = any(one.paced.get(rate, {"behind": 1.0})["behind"] for one in figures)
            line.append("falls behind" if behind else _cell(figures, _of(rate, "cpu"), first))
            line += ["-" if behind else _cell(figures, _of(rate, what)) for what in ("p50", "p99", "p999")]
        lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _of(rate: int, what: str) -> Callable[[Figures], float | None]:
    return lambda one: one.paced.get(rate, {}).get(what)


def _cell(
    figures: Sequence[Figures], pick: Callable[[Figures], float | None], first: Sequence[Figures] | None = None
) -> str:
    values = [value for value in map(pick, figures) if value is not None]
    if not values:
        return "-"
    middle = median(values)
    said = f"{middle:,.0f}" if middle >= 100 else f"{middle:.1f}"
    if first is not None:
        ours = [value for value in map(pick, first) if value is not None]
        if ours and median(ours):
            said += f" ({middle / median(ours):.1f} x)"
    return said
