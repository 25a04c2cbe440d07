"""The figures of a run as a drawing: who needs how much CPU, and how ours grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["draw"]

_OURS, _OTHERS = "#1f77b4", "#b0b0b0"


def draw(found: Mapping[str, Any], folder: Path) -> Path | None:
    """`bench.svg` in the folder; None if there is nothing to draw, or nothing to draw it with."""
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    if "peers" not in found or not {"instruments", "sessions"} <= found.get("growth", {}).keys():
        return None
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "okws"  # the same figures, the same file
    from matplotlib import pyplot as plt

    drawing, ((bars, late), (instruments, sessions)) = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    _burst(bars, found["peers"])
    _late(late, found["peers"])
    _grown(instruments, found["growth"]["instruments"], "instruments")
    _grown(sessions, found["growth"]["sessions"], "sessions")
    path = folder / "bench.svg"
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)
    return path


def _burst(axes: Any, peers: Mapping[str, Any]) -> None:
    cpu = {name: median(one["burst"]["cpu"] for one in rounds) for name, rounds in peers.items()}
    names = sorted(cpu, key=lambda name: -cpu[name])
    colours = [_OURS if name.startswith("okws") else _OTHERS for name in names]
    bars = axes.barh(names, [cpu[name] for name in names], color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set(xscale="log", title="a burst: CPU of ingestion, us a message (log)")
    axes.margins(x=0.2)


def _late(axes: Any, peers: Mapping[str, Any]) -> None:
    for name, rounds in peers.items():
        if "wss" in name or "deflate" in name:
            continue
        points = {}
        for rate in rounds[0]["paced"]:
            said = [one["paced"].get(rate, {}) for one in rounds]
            if all("p99" in one and not one["behind"] for one in said):
                points[int(rate)] = median(one["p99"] for one in said)
        if points:
            axes.plot(list(points), list(points.values()), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="messages/s", title="from send to a pub/sub reader: p99, us")
    axes.legend(fontsize="small")


def _grown(axes: Any, lines: list[dict[str, Any]], by: str) -> None:
    for name in lines[0]:
        if "CPU us" in name:
            how = {"color": _OTHERS, "linestyle": "--" if "burst" in name else "-"} if name.startswith("picows") else {}
            axes.plot([line[by] for line in lines], [line[name] for line in lines], marker="o", label=name, **how)
    axes.set(xscale="log", ylim=(0, None), xlabel=by, title=f"by {by}: CPU, us a message")
    axes.legend(fontsize="small")
