"""Sessions held in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from session.holding import Held

from okws_celery.simulator import Simulator


@pytest.fixture
def hold(redis_url: str, simulator: Simulator) -> Iterator[Callable[..., Held]]:
    """Opens sessions against the simulator; all are closed at the end."""
    held: list[Held] = []

    def open_session(name: str = "tests", **options: Any) -> Held:
        options.setdefault("redis_url", redis_url)
        options.setdefault("ws_url", simulator.ws_url)
        options.setdefault("rest_url", simulator.rest_url)
        held.append(Held(name=name, **options))
        return held[-1]

    yield open_session
    for session in held:
        session.registry.close(session.name)
    for session in held:
        assert session.join() is not None, f"session {session.name} did not end"
