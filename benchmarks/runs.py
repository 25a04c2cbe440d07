"""One contestant on the stage: a burst, then set rates; what each costs, and whether everything arrived."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.contestants import Contestant
from benchmarks.stage import Stage

__all__ = ["Figures", "burst", "cpu_s", "family", "on_stage", "paced", "run"]

_START_S = 180.0
_QUIET_S = 0.6
_QUIET_COMMANDS = 30
"""Commands in a look at Redis up to which a contestant counts as having nothing more to store."""
_PATIENCE_S = 120.0


@dataclass
class Figures:
    """What was measured in one round; CPU in us a message, times under way in us, memory in MB."""

    burst: dict[str, float] = field(default_factory=dict)
    paced: dict[int, dict[str, float]] = field(default_factory=dict)
    rss_mb: float = 0.0
    lost: int = 0
    """Trades that were sent and are not in Redis."""


def run(stage: Stage, contestant: Contestant, messages: int, rates: list[int], seconds: float, log: Path) -> Figures:
    """One round of one contestant, from its start to its end."""
    figures = Figures()
    stage.redis.flushall()
    with on_stage(stage, contestant, log) as process:
        sent_before = _trades(stage.load())
        figures.burst = burst(stage, process, messages)
        for rate in rates:
            figures.paced[rate] = paced(stage, process, contestant, rate, seconds)
            if figures.paced[rate]["behind"]:
                break
        figures.rss_mb = sum(one.memory_info().rss for one in family(process)) / 1e6
        stored = sum(
            stage.redis.xlen(contestant.trades.format(f"L{number:04d}-USDT"))
            for number in range(1, stage.plan.instruments + 1)
        )
        figures.lost = _trades(stage.load()) - sent_before - stored
    return figures


@contextmanager
def on_stage(stage: Stage, contestant: Contestant, log: Path) -> Iterator[psutil.Process]:
    module, *arguments = contestant.program
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", *arguments, stage.ws_url, stage.redis_url]
    with log.open("ab") as output:
        process = subprocess.Popen([*command, *stage.plan.topics], stdout=output, stderr=output)
    try:
        end = time.monotonic() + _START_S
        while stage.load()["subscriptions"] < len(stage.plan.topics):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{contestant.name} did not subscribe; its output is in {log}")
            time.sleep(0.1)
        time.sleep(1.0)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        while stage.load()["subscriptions"]:
            time.sleep(0.05)


def burst(stage: Stage, process: psutil.Process, count: int) -> dict[str, float]:
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
    stage.load(rate=rate)
    time.sleep(1.0)
    channels = [f"okex/bench/{channel}" for channel in stage.plan.mix]
    reader = [sys.executable, "-m", "benchmarks.reader", stage.redis_url, str(seconds), *channels]
    cpu, redis_cpu, sent = cpu_s(process), stage.redis_cpu_s(), stage.load()["sent_in_all"]
    if contestant.publishes:
        said: dict[str, float] = json.loads(subprocess.run(reader, capture_output=True, check=True).stdout)
    else:
        time.sleep(seconds)
        said = {}
    count = stage.load()["sent_in_all"] - sent
    measured = {
        "cpu": (cpu_s(process) - cpu) / count * 1e6,
        "redis_cpu": (stage.redis_cpu_s() - redis_cpu) / count * 1e6,
        **{name: float(said[name]) for name in ("p50", "p99", "p999") if name in said},
    }
    stage.load(rate=0)
    took = _until_stored(stage, time.monotonic())
    return measured | {"behind": float(took > 1.0)}


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
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in family(process))


def _trades(state: dict[str, Any]) -> int:
    return int(state["sent"].get("trades", 0))
