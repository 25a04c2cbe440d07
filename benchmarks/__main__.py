"""`python -m benchmarks`: what is asked for, and tables at the end.

peers    every contestant on the same stream, round after round
growth   our cost with more instruments, and with more sessions in one worker
reads    `get` beside the bare command of redis-py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.contestants import CONTESTANTS
from benchmarks.growth import by_instruments, by_sessions
from benchmarks.reads import reads
from benchmarks.runs import Figures, run
from benchmarks.stage import Stage, StagePlan
from benchmarks.table import table

RATES = (1_000, 5_000, 20_000)


SECTIONS = ("peers", "growth", "reads")
INSTRUMENTS = (1, 10, 100, 1_000, 10_000)
SESSIONS = (1, 2, 5, 10, 20, 50, 100, 200)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), metavar="SECTION", help="all if none is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--burst", type=int, default=50_000, help="messages of a burst (50000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate (5)")
    parser.add_argument("--rates", type=int, nargs="*", default=list(RATES), help="messages a second")
    parser.add_argument("--only", nargs="*", default=[], help="contestants whose name has one of these words")
    parser.add_argument("--instruments", type=int, default=20, help="that the peers are compared with (20)")
    given = parser.parse_args()
    if unknown := [section for section in given.sections if section not in SECTIONS]:
        parser.error(f"{', '.join(unknown)}: {', '.join(SECTIONS)} are accepted")
    folder = Path(tempfile.mkdtemp(prefix="okws-bench-"))
    for section in given.sections:
        print(f"\n{section}\n", flush=True)
        match section:
            case "peers":
                print(_peers(given, folder))
            case "growth":
                print(by_instruments(folder, INSTRUMENTS, given.burst, given.seconds), end="\n\n")
                print(by_sessions(folder, SESSIONS, given.burst, given.seconds))
            case "reads":
                print(reads(folder / "reads", 15 * given.rounds))
    return 0


def _peers(given: argparse.Namespace, folder: Path) -> str:
    chosen = [one for one in CONTESTANTS if not given.only or any(word in one.name for word in given.only)]
    for one in chosen:
        if one.missing:
            print(f"left out, {one.missing} is not installed: {one.name}", file=sys.stderr)
    chosen = [one for one in chosen if not one.missing]
    rounds: dict[str, list[Figures]] = {one.name: [] for one in chosen}
    with Stage(folder / "redis", StagePlan(instruments=given.instruments)) as stage:
        for number in range(1, given.rounds + 1):
            for one in chosen:
                print(f"round {number} of {given.rounds}: {one.name}", file=sys.stderr, flush=True)
                figures = run(stage, one, given.burst, given.rates, given.seconds, folder / f"{one.program[0]}.log")
                rounds[one.name].append(figures)
                if figures.lost and one.stores_all:
                    print(f"  {figures.lost} trades are missing", file=sys.stderr)
    return table(rounds, given.rates)


if __name__ == "__main__":
    sys.exit(main())
