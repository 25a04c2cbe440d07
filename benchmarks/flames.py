"""A flame graph of a loaded session, by py-spy: `python -m benchmarks.flames [RATE] [SECONDS]`, or `make profile`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contestants import OURS
from benchmarks.runs import on_stage
from benchmarks.stage import Stage, StagePlan

_SAMPLES = 500  # a second
_WHERE = Path(".okws") / "profile.svg"


def main(arguments: list[str]) -> int:
    """Draw it; 1 if the operating system does not let py-spy look into the worker."""
    if not shutil.which("py-spy"):
        print("py-spy is not on the PATH; `make profile` installs it", file=sys.stderr)
        return 1
    rate = int(arguments[0]) if arguments else 20_000
    seconds = int(arguments[1]) if len(arguments) > 1 else 10
    folder = Path(tempfile.mkdtemp(prefix="okws-profile-"))
    _WHERE.parent.mkdir(exist_ok=True)
    with Stage(folder / "redis", StagePlan()) as stage, on_stage(stage, OURS, folder / "worker.log") as process:
        stage.load(rate=rate)
        time.sleep(1.0)
        command = ["py-spy", "record", "--pid", str(process.pid), "--duration", str(seconds), "--rate", str(_SAMPLES)]
        done = subprocess.run([*command, "--output", str(_WHERE)], capture_output=True, text=True, check=False)
        stage.load(rate=0)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        print("py-spy has to look into another process: as root, or with kernel.yama.ptrace_scope=0", file=sys.stderr)
        return 1
    print(f"{_WHERE}: {seconds} s of a session at {rate:,} pushes/s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
