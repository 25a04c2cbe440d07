"""Real workers on a real Redis against the simulator: one that tests share, and as many as a test wants of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from houses import House, Shared
from workers import Worker

from okws_celery import embedded
from okws_celery.simulator import Simulator
from okws_celery.store.registry import Registry
from okws_celery.sync import Client


@pytest.fixture
def house(redis_url: str, simulator: Simulator, tmp_path: Path) -> House:
    """For tests that start and stop workers of their own."""
    return House(redis_url, simulator, tmp_path, str(tmp_path / "secret.key"))


@pytest.fixture
def registry(house: House) -> Iterator[Registry]:
    """The registry of `house`."""
    looked_at = house.registry()
    yield looked_at
    looked_at.redis.close()


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    """A client of `house`."""
    with house.client() as made:
        yield made


@pytest.fixture
def start(house: House, request: pytest.FixtureRequest) -> Iterator[Callable[..., Worker]]:
    """Starts workers of `house`; they are stopped after the test, and their logs shown if it failed."""
    started: list[Worker] = []

    def start(*options: str, name: str = "", wait: bool = True, **variables: str) -> Worker:
        worker = house.worker(*options, name=name, **variables)
        started.append(worker)
        return worker.start(wait=wait)

    yield start
    _stop(started, request.node)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The shared worker, with its own Redis. Use `shared`."""
    folder = tmp_path_factory.mktemp("shared")
    os.environ.setdefault("OKWS_SECRET_KEY_FILE", str(folder / "secret.key"))
    with embedded.EmbeddedRedis(folder / "redis") as server, Simulator(limits=False) as simulator:
        house = House(server.url, simulator, folder, str(folder / "secret.key"))
        variables = {"OKWS_PROFILE_DESK": '{"apiKey": "demo", "secret": "demo-secret", "password": "demo-pass"}'}
        with house.worker(name="shared", **variables) as worker, house.client() as client:
            registry = house.registry()
            yield Shared(house, worker, client, registry)
            registry.redis.close()


@pytest.fixture
def shared(running: Shared, request: pytest.FixtureRequest) -> Iterator[Shared]:
    """The shared worker; what it logged during a test is shown if the test failed."""
    before = len(running.worker.text())
    yield running
    if _failed(request.node):
        sys.stdout.write(f"--- log of {running.worker.name}\n{running.worker.text()[before:][-8000:]}\n")


@pytest.fixture
def name() -> str:
    """A session name that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}"


def _stop(workers: list[Worker], node: pytest.Item) -> None:
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGCONT)
            worker.process.send_signal(signal.SIGTERM)
    for worker in workers:
        family = psutil.Process(worker.process.pid).children(recursive=True) if worker.process.poll() is None else []
        try:
            worker.process.wait(15)
        except subprocess.TimeoutExpired:
            for process in [worker.process, *family]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            worker.process.wait()
    if _failed(node):
        for worker in workers:
            sys.stdout.write(f"--- log of {worker.name}\n{worker.text()[-8000:]}\n")


_REPORT = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember whether the test itself failed, for those who clean up after it."""
    report: pytest.TestReport = yield
    item.stash[_REPORT] = item.stash.get(_REPORT, False) or report.failed
    return report


def _failed(node: pytest.Item) -> bool:
    return node.stash.get(_REPORT, False)
