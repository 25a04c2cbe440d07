"""A simulated OKX as a pytest fixture, for tests of whatever speaks to OKX.

pytest_plugins = ["okws_celery.simulator.pytest_plugin"]      # in the conftest.py at the root of your tests

def test_my_bot(okx_simulator):
    bot = Bot(okx_simulator.ws_url + "/public", okx_simulator.rest_url)
    okx_simulator.wait_subscribed("books:BTC-USDT")
    okx_simulator.fault("gap", arg="books:BTC-USDT")
    ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from okws_celery.simulator import Simulator

__all__ = ["okx_simulator", "okx_simulator_options"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "okx_simulator(**options): options of the fixture okx_simulator, those of Simulator"
    )


@pytest.fixture
def okx_simulator_options() -> dict[str, Any]:
    """Options of every `okx_simulator`; a fixture of your own with this name changes them."""
    return {"limits": False, "seed": 1}


@pytest.fixture
def okx_simulator(request: pytest.FixtureRequest, okx_simulator_options: dict[str, Any]) -> Iterator[Simulator]:
    """An OKX of this test alone, on a free port of 127.0.0.1; `@pytest.mark.okx_simulator(...)` adds options."""
    options = dict(okx_simulator_options)
    for marker in reversed(list(request.node.iter_markers("okx_simulator"))):
        options |= marker.kwargs
    with Simulator(**options) as running:
        yield running
