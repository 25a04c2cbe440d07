"""A Redis, an exchange and a worker that tests run against, and programs that use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge import make_client
from workers import ROOT, Worker

from okws_celery.settings import load
from okws_celery.simulator import Simulator
from okws_celery.store.registry import Registry
from okws_celery.sync import Client

__all__ = ["ACCOUNT", "CELERY", "Finished", "House", "Shared", "account_of"]

ACCOUNT = {"apiKey": "demo", "secret": "demo-secret", "password": "demo-pass"}
"""The simulator's own account."""
CELERY = (sys.executable, "-m", "celery", "-A", "okws_celery")
"""The command `celery -A okws_celery`."""


def account_of(oktest: str) -> tuple[dict[str, object], bool]:
    """The account for private tests, and whether it is one of the real exchange: that of the variable `oktest`, as in
    okws, if it is complete (`region`, `demo` and `proxy` may stand in it as well), else the simulator's."""
    try:
        given = json.loads(oktest or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise AssertionError('oktest: a JSON object is accepted, {"apiKey": "", "secret": "", "password": ""}')
    complete = all(given.get(part) for part in ("apiKey", "secret", "password"))
    return (given, True) if complete else (dict(ACCOUNT), False)


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class House:
    """A Redis, an exchange, and what a process needs in its environment to use them."""

    redis_url: str
    simulator: Simulator
    folder: Path
    secret_key_file: str
    real: bool = False
    """Whether the exchange is OKX itself, and not the simulator."""

    @property
    def variables(self) -> dict[str, str]:
        """The settings of a process."""
        mine = {"OKWS_REDIS_URL": self.redis_url, "OKWS_SECRET_KEY_FILE": self.secret_key_file}
        if self.real:
            return mine
        return mine | {"OKWS_WS_URL": self.simulator.ws_url, "OKWS_REST_URL": self.simulator.rest_url}

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process that uses this house."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OKWS_", "CELERY_"))}
        return kept | self.variables | {"PYTHONPATH": str(ROOT)}

    def worker(self, *options: str, name: str = "", **variables: str) -> Worker:
        """A worker that is not started yet. It says everything that it can say."""
        given = {key: value for key, value in (self.variables | variables).items() if key != "OKWS_REDIS_URL"}
        return Worker(self.folder, self.redis_url, "-l", "debug", *options, name=name, **given)

    def client(self, timeout: float = 10.0, kind: str = "threads") -> Client:
        """A client of this Redis, one of bridge.KINDS."""
        return make_client(kind, load(self.variables).with_(timeout_s=timeout))

    def registry(self) -> Registry:
        """The registry, to look at."""
        return Registry(load(self.variables))

    def run(self, *command: str, timeout: float = 60.0, cwd: Path | None = None, **variables: str) -> Finished:
        """Run a program with these settings, from a folder that has nothing of this project."""
        done = subprocess.run(
            command,
            env=self.environment | variables,
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def python(self, program: str, timeout: float = 60.0, cwd: Path | None = None, **variables: str) -> str:
        """What a Python program printed; it must end well."""
        done = self.run(sys.executable, "-c", textwrap.dedent(program), timeout=timeout, cwd=cwd, **variables)
        assert done.status == 0, done.errors
        return done.output

    def celery(self, *arguments: str, **variables: str) -> Finished:
        """Run `celery -A okws_celery ...`."""
        return self.run(*CELERY, *arguments, **variables)

    @contextmanager
    def running(self, name: str, *command: str, **variables: str) -> Iterator[Path]:
        """A program with these settings for as long as the block lasts; the path of its log."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=self.environment | variables, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield log
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Shared:
    """A house with a worker that many tests use: they take names of their own and leave it as they found it."""

    house: House
    worker: Worker
    client: Client
    registry: Registry
