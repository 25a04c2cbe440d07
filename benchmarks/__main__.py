"""`python -m benchmarks`: what is asked for, tables as they are done, all figures in a file, and a drawing of them.

peers    every contestant on the same stream of tickers and trades, round after round; ours over wss and deflated, too
kinds    those that store them, on a stream with order books, best quotes and candles
growth   our cost with more instruments, levels of a book, sessions in one worker, workers
drift    whether the time under way grows over minutes
reads    `get` beside the bare command of redis-py
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.drift import drift
from benchmarks.figure import draw
from benchmarks.growth import by_instruments, by_levels, by_sessions, by_workers
from benchmarks.reads import reads
from benchmarks.runs import Figures, run
from benchmarks.stage import KINDS, PRICES, Stage, StagePlan
from benchmarks.table import markdown, tables

RATES = (1_000, 5_000, 20_000)
SECTIONS = ("peers", "kinds", "growth", "drift", "reads")
INSTRUMENTS = (1, 10, 100, 1_000, 10_000)
LEVELS = (5, 25, 50, 100, 200, 400)
SESSIONS = (1, 2, 5, 10, 20, 50, 100, 200)
WORKERS = (1, 2, 3, 4)
SESSIONS_OF_WORKERS = 8
RESULTS = Path(".okws") / "bench.json"


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), metavar="SECTION", help="all if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="of each contestant (5)")
    parser.add_argument("--burst", type=int, default=30_000, help="messages of a burst (30000)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each rate (3)")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the drift (3)")
    parser.add_argument("--rates", type=int, nargs="*", default=list(RATES), help="messages a second")
    parser.add_argument("--only", nargs="*", default=[], help="contestants whose name has one of these words")
    parser.add_argument("--instruments", type=int, default=20, help="that the peers are compared with (20)")
    given = parser.parse_args()
    if unknown := [section for section in given.sections if section not in SECTIONS]:
        parser.error(f"{', '.join(unknown)}: {', '.join(SECTIONS)} are accepted")
    folder = Path(tempfile.mkdtemp(prefix="okws-bench-"))
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    for section in given.sections:
        print(f"\n## {section}\n", flush=True)
        found[section] = _section(section, given, folder)
        found["machine"] = {"python": platform.python_version(), "at": time.strftime("%Y-%m-%d", time.gmtime())}
        RESULTS.write_text(json.dumps(found, indent=1))
    if drawing := draw(found, RESULTS.parent):
        print(f"\n{RESULTS} has all figures, {drawing} shows them", flush=True)
    return 0


def _section(section: str, given: argparse.Namespace, folder: Path) -> Any:
    match section:
        case "peers":
            return _side_by_side(given, folder / section, PRICES, CONTESTANTS)
        case "kinds":
            chosen = [one for one in CONTESTANTS if one.kinds and not one.encrypted and "deflate" not in one.name]
            return _side_by_side(given, folder / section, KINDS, chosen)
        case "growth":
            burst, seconds = given.burst, given.seconds
            return {
                "instruments": _told(by_instruments(folder / "i", INSTRUMENTS, burst, seconds)),
                "levels": _told(by_levels(folder / "l", LEVELS, burst, seconds)),
                "sessions": _told(by_sessions(folder / "s", SESSIONS, burst, seconds)),
                "workers": _told(by_workers(folder / "w", WORKERS, SESSIONS_OF_WORKERS, burst, seconds)),
            }
        case "drift":
            return _told(drift(folder / section, given.minutes))
        case _:
            return _told(reads(folder / section, 9 * given.rounds))


def _side_by_side(
    given: argparse.Namespace, folder: Path, mix: dict[str, float], contestants: Sequence[Contestant]
) -> dict[str, Any]:
    chosen = [one for one in contestants if not given.only or any(word in one.name for word in given.only)]
    for one in chosen:
        if one.missing:
            print(f"left out, {one.missing} is not installed: {one.name}\n", flush=True)
    chosen = [one for one in chosen if not one.missing]
    rounds: dict[str, list[Figures]] = {one.name: [] for one in chosen}
    with ExitStack() as stack:
        stages = {
            encrypted: stack.enter_context(
                Stage(folder / f"wss{encrypted:d}", StagePlan(mix, given.instruments, encrypted=encrypted))
            )
            for encrypted in {one.encrypted for one in chosen}
        }
        for number in range(1, given.rounds + 1):
            for one in chosen:
                print(f"round {number} of {given.rounds}: {one.name}", file=sys.stderr, flush=True)
                log = folder / f"{one.program[0]}.log"
                figures = run(stages[one.encrypted], one, given.burst, given.rates, given.seconds, log)
                rounds[one.name].append(figures)
                if figures.lost and one.stores_all:
                    print(f"  {figures.lost} trades or tickers are missing", file=sys.stderr)
    print(tables(rounds, given.rates))
    return {name: [asdict(one) for one in figures] for name, figures in rounds.items()}


def _told(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    print(markdown(list(lines[0]), [[_cell(value) for value in line.values()] for line in lines]), end="\n\n")
    return lines


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
