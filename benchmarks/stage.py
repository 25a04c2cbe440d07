"""What every contestant runs against: a Redis and the simulator in load mode, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from okws_celery.embedded import EmbeddedRedis

__all__ = ["Stage", "StagePlan"]


@dataclass(frozen=True)
class StagePlan:
    """What is streamed: shares of channels, number of instruments, TLS and compression."""

    mix: dict[str, float] = field(default_factory=lambda: {"tickers": 70.0, "trades": 30.0})
    instruments: int = 20
    deflate: bool = False
    certificate: tuple[Path, Path] | None = None
    """Files of the certificate and its key; without them the stream is not encrypted."""

    @property
    def topics(self) -> list[str]:
        """What a contestant subscribes, as `channel:instId`."""
        return [f"{channel}:L{number:04d}-USDT" for number in range(1, self.instruments + 1) for channel in self.mix]


class Stage:
    """Both processes, for as long as a `with` block lasts."""

    def __init__(self, folder: Path, plan: StagePlan) -> None:
        self.plan = plan
        self._embedded = EmbeddedRedis(folder)
        self._simulator: subprocess.Popen[bytes] | None = None
        self.ws_url = ""
        self._control = ""

    def __enter__(self) -> Self:
        self._embedded.__enter__()
        self.redis_url = self._embedded.url
        self.redis = redis.Redis.from_url(self.redis_url, decode_responses=True)
        mix = ",".join(f"{channel}={share:g}" for channel, share in self.plan.mix.items())
        command = [sys.executable, "-m", "okws_celery", "simulator", "--port", "0", "--no-limits", "--load", "0"]
        command += ["--mix", mix, "--instruments", str(self.plan.instruments)]
        if not self.plan.deflate:
            command.append("--no-deflate")
        if self.plan.certificate:
            command += ["--cert", str(self.plan.certificate[0]), "--key", str(self.plan.certificate[1])]
        self._simulator = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._simulator.stdout is not None
        said = json.loads(self._simulator.stdout.readline())
        self.ws_url, self._control = said["ws"], said["rest"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._simulator is not None:
            self._simulator.terminate()
            self._simulator.wait(10)
        self.redis.close()
        self._embedded.__exit__(kind, problem, trace)

    def load(self, **change: Any) -> dict[str, Any]:
        """Ask for a rate or a burst; what was asked for and sent so far."""
        body = json.dumps(change).encode() if change else None
        context = None
        if self._control.startswith("https"):
            import ssl

            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(f"{self._control}/control/load", data=body, timeout=30, context=context) as said:
            answer: dict[str, Any] = json.load(said)
            return answer

    def redis_commands(self) -> int:
        """Commands that Redis has executed so far."""
        return int(self.redis.info("stats")["total_commands_processed"])

    def redis_cpu_s(self) -> float:
        """CPU time of Redis so far, s."""
        used = self.redis.info("cpu")
        return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])
