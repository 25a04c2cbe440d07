"""What every contestant runs against: a Redis and the simulator in load mode, each a process of its own."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from okws_celery.embedded import EmbeddedRedis
from okws_celery.simulator.certificate import Certificate, make_certificate

__all__ = ["KINDS", "PRICES", "Stage", "StagePlan"]

PRICES = {"tickers": 70.0, "trades": 30.0}
"""The stream that every contestant can store: shares of channels."""

KINDS = {"tickers": 45.0, "trades": 20.0, "bbo-tbt": 20.0, "books": 10.0, "candle1m": 5.0}
"""The stream with order books to be merged and candles to be replaced."""


_STORING = ("hset", "xadd", "zadd", "publish")


@dataclass(frozen=True)
class StagePlan:
    """What is streamed: shares of channels, number of instruments, levels of a book, TLS and compression."""

    mix: dict[str, float] = field(default_factory=lambda: dict(PRICES))
    instruments: int = 20
    levels: int = 400
    encrypted: bool = False

    @property
    def names(self) -> list[str]:
        """The instruments."""
        return [f"L{number:04d}-USDT" for number in range(1, self.instruments + 1)]

    @property
    def topics(self) -> list[str]:
        """What a contestant subscribes, as `channel:instId`."""
        return [f"{channel}:{name}" for name in self.names for channel in self.mix]


class Stage:
    """Both processes, for as long as a `with` block lasts."""

    def __init__(self, folder: Path, plan: StagePlan) -> None:
        self.plan = plan
        self._folder = folder
        self._embedded = EmbeddedRedis(folder)
        self._simulator: subprocess.Popen[bytes] | None = None
        self._certificate: Certificate | None = None
        self._context: ssl.SSLContext | None = None
        self.ws_url = ""
        self._control = ""

    def __enter__(self) -> Self:
        self._embedded.__enter__()
        self.redis_url = self._embedded.url
        self.redis = redis.Redis.from_url(self.redis_url, decode_responses=True)
        mix = ",".join(f"{channel}={share:g}" for channel, share in self.plan.mix.items())
        command = [sys.executable, "-m", "okws_celery", "simulator", "--port", "0", "--no-limits", "--load", "0"]
        command += ["--mix", mix, "--instruments", str(self.plan.instruments), "--levels", str(self.plan.levels)]
        if self.plan.encrypted:
            self._certificate = make_certificate(self._folder)
            self._context = ssl.create_default_context(cafile=self._certificate.cert)
            command += ["--cert", self._certificate.cert, "--key", self._certificate.key]
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
            try:
                self._simulator.wait(60)
            except subprocess.TimeoutExpired:
                self._simulator.kill()
                self._simulator.wait()
        self.redis.close()
        self._embedded.__exit__(kind, problem, trace)

    @property
    def environment(self) -> dict[str, str]:
        """For contestants: they trust the certificate, each in its own way."""
        if self._certificate is None:
            return dict(os.environ)
        trusting = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "OKWS_CA_FILE")
        return os.environ | dict.fromkeys(trusting, self._certificate.cert)

    def load(self, **change: Any) -> dict[str, Any]:
        """Ask for a rate or a burst; what was asked for and sent so far."""
        body = json.dumps(change).encode() if change else None
        url = f"{self._control}/control/load"
        with urllib.request.urlopen(url, data=body, timeout=30, context=self._context) as said:
            answer: dict[str, Any] = json.load(said)
            return answer

    def redis_commands(self) -> int:
        """Commands so far that store or publish what came: hundreds of idle sessions send others all the time."""
        told = self.redis.info("commandstats")
        return sum(told.get(f"cmdstat_{command}", {}).get("calls", 0) for command in _STORING)

    def redis_cpu_s(self) -> float:
        """CPU time of Redis so far, s."""
        used = self.redis.info("cpu")
        return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])
