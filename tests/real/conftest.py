"""A real worker process and a simulator that replays a capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from workers import Worker

import okws_celery
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate
from okws_celery.sync import Client


class Replay(NamedTuple):
    """A capture on its way through a real worker."""

    simulator: Simulator
    client: Client
    redis_url: str


@pytest.fixture
def replay(redis_url: str, certificate: Certificate, tmp_path: Path) -> Iterator[Callable[..., Replay]]:
    """Starts a simulator that replays a capture, a worker connected to it, and opens the session `real`."""
    with ExitStack() as running:

        def start(capture: Path, *, wss: bool = False, pace: str = "max") -> Replay:
            simulator = running.enter_context(
                Simulator(replay=capture / "replay.jsonl", pace=pace, limits=False, tls=certificate if wss else None)
            )
            variables = {"OKWS_WS_URL": simulator.ws_url, "OKWS_REST_URL": simulator.rest_url}
            if wss:
                variables["OKWS_CA_FILE"] = certificate.cert
            running.enter_context(Worker(tmp_path, redis_url, **variables))
            client = running.enter_context(okws_celery.client(redis_url))
            account = {"apiKey": "demo", "secret": "demo-secret", "password": "demo-pass"}
            said = client.open_ws("real", account)
            assert said["errorCode"] == 80000, said
            return Replay(simulator, client, redis_url)

        yield start
