"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from benchmarks.contestants import OURS
from benchmarks.runs import Figures

__all__ = ["markdown", "tables"]

Rounds = Mapping[str, Sequence[Figures]]
"""The figures of every round, by contestant; the first is ours, with which the others are compared."""


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def tables(rounds: Rounds, rates: Sequence[int]) -> str:
    """Medians over the rounds; in brackets the lowest and the highest. CPU and times under way in us, memory in MB."""
    told = [_burst(rounds)]
    told += [f"{rate:,} messages/s\n\n{_paced(rounds, rate)}" for rate in rates]
    return "\n\n".join(told)


def _burst(rounds: Rounds) -> str:
    ours = _ours(rounds, lambda one: one.burst.get("cpu"))
    lines = []
    for name, figures in rounds.items():
        lost = any(one.lost > 0 for one in figures)
        cpu = _values(figures, lambda one: one.burst.get("cpu"))
        lines.append(
            [
                name + (" (loses messages)" if lost else ""),
                _said(_values(figures, lambda one: one.burst.get("rate"))),
                _spread(cpu),
                _times(cpu, ours),
                _said(_values(figures, lambda one: one.burst.get("redis_cpu"))),
                _said(_values(figures, lambda one: one.rss_mb)),
            ]
        )
    return "A burst\n\n" + markdown(["contestant", "messages/s", "CPU us", "ours = 1", "Redis us", "RSS MB"], lines)


def _paced(rounds: Rounds, rate: int) -> str:
    ours = _ours(rounds, _of(rate, "cpu"))
    lines = []
    for name, figures in rounds.items():
        if any(one.paced.get(rate, {"behind": 1.0})["behind"] for one in figures):
            lines.append([name, "falls behind", *["-"] * 5])
            continue
        cpu, p99 = _values(figures, _of(rate, "cpu")), _values(figures, _of(rate, "p99"))
        redis = _said(_values(figures, _of(rate, "redis_cpu")))
        p50, p999 = (_said(_values(figures, _of(rate, what))) for what in ("p50", "p999"))
        lines.append([name, _spread(cpu), _times(cpu, ours), redis, p50, _spread(p99), p999])
    return markdown(["contestant", "CPU us", "ours = 1", "Redis us", "p50 us", "p99 us", "p99.9 us"], lines)


def _of(rate: int, what: str) -> Callable[[Figures], float | None]:
    return lambda one: one.paced.get(rate, {}).get(what)


def _values(figures: Sequence[Figures], pick: Callable[[Figures], float | None]) -> list[float]:
    return [value for value in map(pick, figures) if value is not None]


def _ours(rounds: Rounds, pick: Callable[[Figures], float | None]) -> float:
    """What the others are compared with; 0 if it was left out of the run."""
    values = _values(rounds.get(OURS.name, []), pick)
    return median(values) if values else 0.0


def _said(values: Sequence[float]) -> str:
    return _number(median(values)) if values else "-"


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return _said(values)
    return f"{_said(values)} ({_number(min(values))} to {_number(max(values))})"


def _times(values: Sequence[float], ours: float) -> str:
    return f"{median(values) / ours:.2f}" if values and ours else "-"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
