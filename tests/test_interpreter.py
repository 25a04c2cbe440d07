"""How Python is set while sessions run in a process."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from okws_celery.interpreter import holding


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_the_interpreter_is_given_up_sooner_for_few_sessions() -> None:
    """0.1 ms for each session, 2 ms at most, and as before when the last has ended."""
    usual_s = sys.getswitchinterval()
    with holding():
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        with holding():
            assert sys.getswitchinterval() == pytest.approx(0.0002)
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        with ExitStack() as many:
            for _ in range(200):
                many.enter_context(holding())
            assert sys.getswitchinterval() == pytest.approx(0.002)
    assert sys.getswitchinterval() == usual_s


def test_a_session_that_fails_does_not_count() -> None:
    """Whatever ends it."""
    usual_s = sys.getswitchinterval()
    with pytest.raises(OSError, match="cut"), holding():
        raise OSError("cut")
    assert sys.getswitchinterval() == usual_s


def test_what_was_there_before_is_left_out_of_collections() -> None:
    """In a process that runs a session for the first time."""
    program = "import gc, okws_celery.interpreter as it\nwith it.holding(): print(gc.get_freeze_count() > 1000)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "True"
