"""How Python is set while sessions run in a process."""

from __future__ import annotations

import gc
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
    """0.1 ms for each session, never longer than without any, and as before when the last has ended."""
    usual_s = sys.getswitchinterval()
    with holding():
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        with holding():
            assert sys.getswitchinterval() == pytest.approx(0.0002)
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        with ExitStack() as many:
            for _ in range(200):
                many.enter_context(holding())
            assert sys.getswitchinterval() == usual_s
    assert sys.getswitchinterval() == usual_s


def test_a_session_that_fails_does_not_count() -> None:
    """Whatever ends it."""
    usual_s = sys.getswitchinterval()
    with pytest.raises(OSError, match="cut"), holding():
        raise OSError("cut")
    assert sys.getswitchinterval() == usual_s
