"""One contestant on the stage: a burst, then set rates; what each costs, and whether everything arrived."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.contestants import Contestant
from benchmarks.stage import Stage

__all__ = ["Figures", "burst", "cpu_s", "family", "on_stage", "paced", "rss_mb", "run", "under_way"]

_START_S = 600.0
_WARM_MESSAGES = 5_000
_LAST_MESSAGES = 2_000
_TOGETHER = 500
"""Of these, that the exchange sends at one time."""
_QUIET_S = 0.6
_QUIET_COMMANDS = 30
"""Commands in a look at Redis up to which a contestant counts as having nothing more to store."""
_PATIENCE_S = 120.0
_CPUCLOCK_SCHED = 2
_BEHIND_S = 1.0
"""A contestant that needs longer than this to store the rest, when a rate ends, has not kept up with it."""


@dataclass
class Figures:
    """What was measured in one round; CPU in us a message, times under way in us, memory in MB."""

    burst: dict[str, float] = field(default_factory=dict)
    paced: dict[int, dict[str, float]] = field(default_factory=dict)
    rss_mb: float = 0.0
    lost: int = 0
    """Trades that are not in Redis, or once too often, and instruments whose last ticker is not there."""


def run(
    stage: Stage, contestant: Contestant, messages: int, rates: Sequence[int], seconds: float, log: Path
) -> Figures:
    """One round of one contestant, from its start to its end."""
    figures = Figures()
    stage.redis.flushall()
    with on_stage(stage, contestant, log) as process:
        sent_before = _trades(stage)
        burst(stage, process, _WARM_MESSAGES)  # the first time everything is new
        figures.burst = burst(stage, process, messages)
        for rate in rates:
            figures.paced[rate] = paced(stage, process, contestant, rate, seconds)
            if figures.paced[rate]["behind"]:
                break
        figures.rss_mb = rss_mb(process)
        burst(stage, process, _LAST_MESSAGES)
        figures.lost = _lost(stage, contestant, _trades(stage) - sent_before)
    return figures


def _lost(stage: Stage, contestant: Contestant, trades: int) -> int:
    stored = [stage.redis.xlen(contestant.trades.format(name)) for name in stage.plan.names]
    # They go round the instruments.
    share = trades // len(stored)
    wrong = sum(max(share - count, count - share - 1, 0) for count in stored)
    # The last messages of a burst go out at one time, and among them is a ticker of each instrument, or of so many.
    mix = stage.plan.mix
    last = min(len(stored), int(_TOGETHER * mix["tickers"] / sum(mix.values())))
    sent_us = stage.load()["last_sent_us"]
    tickers = [contestant.time_of_last(stage.redis, contestant.latest.format(name)) for name in stage.plan.names]
    return max(wrong, abs(trades - sum(stored))) + max(0, last - sum(us // 1000 == sent_us // 1000 for us in tickers))


@contextmanager
def on_stage(stage: Stage, contestant: Contestant, log: Path) -> Iterator[psutil.Process]:
    """The contestant's process, which has subscribed everything and has had a second to come to rest."""
    module, *arguments = contestant.program
    command = [contestant.python, "-m", f"benchmarks.peers.{module}", *arguments, stage.ws_url, stage.redis_url]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, *stage.plan.topics],
            stdout=output,
            stderr=output,
            env=stage.environment | dict(contestant.environment),
        )
    try:
        end = time.monotonic() + _START_S
        while stage.load()["subscriptions"] < len(stage.plan.topics):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{contestant.name} did not subscribe; its output is in {log}")
            time.sleep(0.1)
        time.sleep(1.0)
        yield psutil.Process(process.pid)
    finally:
        _end(process)
        while stage.load()["subscriptions"]:
            time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    everyone = family(psutil.Process(process.pid)) if process.poll() is None else []
    for one in everyone:
        one.terminate()
    for one in psutil.wait_procs(everyone, 15)[1]:
        one.kill()
    process.wait()


def burst(stage: Stage, process: psutil.Process, count: int) -> dict[str, float]:
    """So many messages at once, until all are stored."""
    cpu, redis_cpu = cpu_s(process), stage.redis_cpu_s()
    began = time.monotonic()
    stage.load(burst=count)
    took = _until_stored(stage, began)
    return {
        "rate": count / took,
        "cpu": (cpu_s(process) - cpu) / count * 1e6,
        "redis_cpu": (stage.redis_cpu_s() - redis_cpu) / count * 1e6,
    }


def paced(stage: Stage, process: psutil.Process, contestant: Contestant, rate: int, seconds: float) -> dict[str, float]:
    """So many messages a second for so long."""
    stage.load(rate=rate)
    time.sleep(1.0)
    cpu, redis_cpu, sent = cpu_s(process), stage.redis_cpu_s(), stage.load()["sent_in_all"]
    if contestant.publishes:
        said = under_way(stage, seconds, contestant.session)
    else:
        time.sleep(seconds)
        said = {}
    count = stage.load()["sent_in_all"] - sent
    measured = {
        "cpu": (cpu_s(process) - cpu) / count * 1e6,
        "redis_cpu": (stage.redis_cpu_s() - redis_cpu) / count * 1e6,
        **{name: said[name] for name in ("p50", "p99", "p999") if name in said},
    }
    stage.load(rate=0)
    took = _until_stored(stage, time.monotonic())
    return measured | {"behind": float(took > _BEHIND_S)}


def under_way(stage: Stage, seconds: float, session: str = "bench") -> dict[str, float]:
    """Shares of the times, us, that pushes take from their sending to a pub/sub reader: p50, p99, p999."""
    channels = [f"okex/{session}/{channel}" for channel in stage.plan.mix]
    reader = [sys.executable, "-m", "benchmarks.reader", stage.redis_url, str(seconds), *channels]
    said: dict[str, Any] = json.loads(subprocess.run(reader, capture_output=True, check=True).stdout)
    return {name: float(value) for name, value in said.items()}


def _until_stored(stage: Stage, began: float) -> float:
    """How long, s, it takes until a contestant has nothing more to store."""
    commands, last_rise = stage.redis_commands(), time.monotonic()
    while True:
        time.sleep(0.02)
        now_commands, now = stage.redis_commands(), time.monotonic()
        if now_commands - commands > _QUIET_COMMANDS:
            last_rise = now
        commands = now_commands
        burst = stage.load()["burst"] if now - last_rise > _QUIET_S else {"sent": 0, "wanted": 1}
        if burst["sent"] >= burst["wanted"]:
            return max(last_rise - began, 0.001)
        if now - began > _PATIENCE_S:
            return now - began


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and those that it has started."""
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """CPU time so far, s, of a process and those that it has started."""
    return sum(_cpu_s(one) for one in family(process))


def _cpu_s(process: psutil.Process) -> float:
    # Linux has a clock for each process that counts in ns (clock_getcpuclockid(3)). Elsewhere, and in its /proc, ticks
    # of 10 ms are counted, each of which is 3 us a message when 3,000 are looked at.
    if sys.platform == "linux":
        try:
            return time.clock_gettime(~process.pid << 3 | _CPUCLOCK_SCHED)
        except OSError:  # it has just ended
            return 0.0
    used = process.cpu_times()
    return float(used.user + used.system)


def rss_mb(process: psutil.Process) -> float:
    """Memory, MB, of a process and those that it has started."""
    return sum(one.memory_info().rss for one in family(process)) / 1e6


def _trades(stage: Stage) -> int:
    """How many the exchange has sent so far."""
    return int(stage.load()["sent"].get("trades", 0))
