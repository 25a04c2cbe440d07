"""`python -m benchmarks`: every contestant, round after round, and the table at the end."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.contestants import CONTESTANTS
from benchmarks.runs import Figures, run
from benchmarks.stage import Stage, StagePlan
from benchmarks.table import table

RATES = (1_000, 5_000, 20_000)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--burst", type=int, default=50_000, help="messages of a burst (50000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate (5)")
    parser.add_argument("--rates", type=int, nargs="*", default=list(RATES), help="messages a second")
    parser.add_argument("--only", nargs="*", default=[], help="contestants whose name has one of these words")
    parser.add_argument("--instruments", type=int, default=20)
    given = parser.parse_args()
    chosen = [one for one in CONTESTANTS if not given.only or any(word in one.name for word in given.only)]
    for one in chosen:
        if one.missing:
            print(f"left out, {one.missing} is not installed: {one.name}", file=sys.stderr)
    chosen = [one for one in chosen if not one.missing]
    rounds: dict[str, list[Figures]] = {one.name: [] for one in chosen}
    folder = Path(tempfile.mkdtemp(prefix="okws-bench-"))
    with Stage(folder / "redis", StagePlan(instruments=given.instruments)) as stage:
        for number in range(1, given.rounds + 1):
            for one in chosen:
                print(f"round {number} of {given.rounds}: {one.name}", file=sys.stderr, flush=True)
                figures = run(stage, one, given.burst, given.rates, given.seconds, folder / f"{one.program[0]}.log")
                rounds[one.name].append(figures)
                if figures.lost and one.stores_all:
                    print(f"  {figures.lost} trades are missing", file=sys.stderr)
    print(table(rounds, given.rates))
    return 0


if __name__ == "__main__":
    sys.exit(main())
