from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from okws_celery.simulator import Simulator


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator of the synthetic market, without OKX's limits of rate."""
    with Simulator(seed=7, limits=False) as running:
        yield running


@pytest.fixture
def captures() -> Path:
    """The folder of recorded sessions."""
    folder = os.environ.get("OKWS_CAPTURES", "")
    if not folder:
        pytest.skip("OKWS_CAPTURES is not set: no recorded sessions to replay")
    return Path(folder)
