"""Closing and revoking, in the threads pool and in prefork alike; and how a worker ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest
from houses import House
from waiting import eventually
from workers import Worker

from okws_celery.celery import App, make_app
from okws_celery.errors import DONE, NO_SESSION
from okws_celery.settings import load
from okws_celery.store.registry import Registry
from okws_celery.sync import Client

POOLS = {
    "threads": ((), "celery.concurrency.thread:TaskPool"),
    "prefork": (("-P", "processes", "-c", "4"), "celery.concurrency.prefork:TaskPool"),
}
"""Pool -> the options that choose it (`-P prefork` is ignored by Celery), and what `inspect stats` calls it."""


@pytest.fixture(params=POOLS)
def worker(request: pytest.FixtureRequest, start: Callable[..., Worker], app: App) -> Worker:
    """A worker of each pool."""
    options, implementation = POOLS[request.param]
    started = start(*options)
    stats = eventually(lambda: app.control.inspect([started.name], timeout=2).stats())[started.name]
    assert stats["pool"]["implementation"] == implementation
    return started


@pytest.fixture
def app(house: House) -> Iterator[App]:
    """The application, as an operator's own program would make it."""
    made = make_app(load(house.variables))
    yield made
    made.close()


def opened(client: Client, name: str) -> str:
    """Open a session with data that flow."""
    assert client.open_ws(name)["errorCode"] == DONE
    assert client.subscribe(name, "tickers:BTC-USDT")["errorCode"] == DONE
    return name


def ended(client: Client, registry: Registry, name: str) -> bool:
    """Whether a session was closed in good order, and is not wanted any more."""
    closed = client.status(name)["status"] == "EXIT" and not registry.holder(name)
    return closed and name not in registry.sessions()


def test_every_way_to_close(worker: Worker, app: App, client: Client, registry: Registry, house: House) -> None:
    """close_ws, a revoke, a revoke that terminates (Flower's button), `celery control`: each is a close."""
    control = app.control

    opened(client, "a")
    assert client.close_ws("a")["errorCode"] == DONE
    assert ended(client, registry, "a")

    opened(client, "b")
    control.revoke(registry.sessions()["b"])
    eventually(lambda: ended(client, registry, "b"), timeout=5)

    opened(client, "c")
    control.revoke(registry.sessions()["c"], terminate=True)
    eventually(lambda: ended(client, registry, "c"), timeout=5)

    opened(client, "d")
    control.revoke(registry.sessions()["d"], terminate=True, signal="SIGKILL")
    eventually(lambda: ended(client, registry, "d"), timeout=5)

    opened(client, "e")
    house.celery("control", "terminate", "SIGTERM", registry.sessions()["e"])
    eventually(lambda: ended(client, registry, "e"), timeout=5)

    # None of them comes back, and the worker is none the worse for it.
    opened(client, "a")
    assert client.servers()["message"] == ["a"]
    assert "Traceback" not in worker.text()

    worker.signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert "a" in registry.sessions()
    assert "Traceback" not in worker.text()


def test_shutdown(worker: Worker, client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """SIGTERM ends the sessions in good order and the worker within seconds; they open again in the next worker."""
    for name in ("a", "b"):
        opened(client, name)
    assert worker.stop(timeout=10) == 0
    assert registry.holders(["a", "b"]) == {"a": "", "b": ""}
    assert client.status("a")["status"] == "DISCONNECTED"
    assert set(registry.sessions()) == {"a", "b"}

    start()
    for name in ("a", "b"):
        eventually(lambda name=name: client.topics(name)["tickers:BTC-USDT"]["state"] == "live", timeout=15)


def test_close_during_shutdown(
    worker: Worker, client: Client, registry: Registry, start: Callable[..., Worker]
) -> None:
    """DEMAND story 15, with a worker that is stopping: the close holds after the next start."""
    opened(client, "a")
    worker.signal(signal.SIGTERM)
    assert client.close_ws("a")["errorCode"] == DONE
    assert worker.wait() == 0
    assert registry.sessions() == {}
    start()
    opened(client, "b")  # by now the new worker has looked for what should be open
    eventually(lambda: registry.workers())
    assert client.servers()["message"] == ["b"]
    assert client.close_ws("a")["errorCode"] == NO_SESSION
