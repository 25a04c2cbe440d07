"""A real `celery -A okws_celery worker` process for a test: started, watched, stopped by its id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from waiting import eventually

ROOT = Path(__file__).parent.parent


class Worker:
    """As a context manager: ready when entered, stopped when left. `variables` are added to its environment."""

    def __init__(self, folder: Path, redis_url: str, *options: str, name: str = "", **variables: str) -> None:
        self.name = f"{name or 'w' + uuid.uuid4().hex[:8]}@test"
        self.log = folder / f"{self.name}.log"
        self._redis_url = redis_url
        self._command = [sys.executable, "-m", "celery", "-A", "okws_celery", "worker", "-n", self.name, *options]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OKWS_", "CELERY_"))}
        self._environment = kept | {
            "OKWS_REDIS_URL": redis_url,
            "OKWS_SECRET_KEY_FILE": os.environ["OKWS_SECRET_KEY_FILE"],
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        self.process: subprocess.Popen[bytes]

    def start(self, *, wait: bool = True) -> Self:
        """Start it; with `wait`, return when it takes tasks."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, cwd=self.log.parent, stdout=log, stderr=subprocess.STDOUT
            )
        if wait:
            eventually(self._ready, timeout=30, what=f"worker {self.name} is ready: {self.log.read_text()[-3000:]}")
        return self

    def _ready(self) -> bool:
        assert self.process.poll() is None, f"worker ended: {self.log.read_text()[-3000:]}"
        with redis.Redis.from_url(self._redis_url, decode_responses=True) as store:
            seen = store.hget("okws/workers", self.name)
            return bool(seen and json.loads(seen)["capacity"])

    def stop(self, timeout: float = 20.0) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 20.0) -> int:
        """The exit status; killed if it does not end in time."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"worker did not end within {timeout:g} s: {self.text()[-3000:]}") from None

    def signal(self, number: int) -> None:
        """Send a signal to the main process."""
        self.process.send_signal(number)

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            if kind is not None:
                print(f"--- log of {self.name}\n{self.text()[-5000:]}")
