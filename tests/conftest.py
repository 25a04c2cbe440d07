"""Fixtures for every test: a real Redis, the simulator, the captured messages, free ports. Safe to run in parallel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from okws_celery import embedded
from okws_celery.simulator.certificate import Certificate, make_certificate

if TYPE_CHECKING:
    from okws_celery.simulator import Simulator


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.EmbeddedRedis]:
    """A Redis of this test process alone, on a free port. Tests that stop or fill it start one of their own."""
    with embedded.EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: embedded.EmbeddedRedis) -> str:
    """The address of an empty Redis database."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        client.config_resetstat()
    return redis_server.url


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """An OKX on this machine, without its rate limits."""
    from okws_celery.simulator import Simulator

    with Simulator(limits=False) as running:
        yield running


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of recorded OKX messages that OKWS_CAPTURES names. Set but wrong is a failure, not a skip."""
    named = os.environ.get("OKWS_CAPTURES")
    if not named:
        pytest.skip("OKWS_CAPTURES is not set: it names a folder of recorded OKX messages")
    folder = Path(named)
    assert any(folder.glob("*/replay.jsonl")), f"OKWS_CAPTURES {named}: no */replay.jsonl in it"
    return folder


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For wss on 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that names a TCP port of 127.0.0.1 on which nobody listens."""
    return embedded.free_port


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the OKWS_ and CELERY_ variables of the person who runs it, nor touches that person's secret key."""
    for variable in list(os.environ):
        if variable.startswith(("OKWS_", "CELERY_")) and variable != "OKWS_CAPTURES":
            monkeypatch.delenv(variable)
    monkeypatch.setenv("OKWS_SECRET_KEY_FILE", str(tmp_path_factory.getbasetemp() / "secret.key"))
