"""The simulator as its own tests want it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from okws_celery.simulator import Simulator


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator of the synthetic market, without OKX's limits of rate."""
    with Simulator(seed=7, limits=False) as running:
        yield running
