"""How Python itself is set in a process that holds sessions."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

__all__ = ["holding"]

_SHARE_S = 0.0001
"""What each session adds to the time after which a thread is asked to give the interpreter up, s."""
_MOST_S = 0.002
"""That time at most, s: a busy session waits so long beside any number of others, and they may all be idle."""
_USUAL_S = sys.getswitchinterval()

_lock = Lock()
_sessions = 0


@contextmanager
def holding() -> Iterator[None]:
    """While a session runs in this process.

    A thread that has the interpreter gives it up sooner than after Python's 5 ms when another waits for it: that long
    a push would wait whenever the worker's own threads have something to do. But each such change costs, and of many
    busy sessions nearly always one waits: so the time is in proportion to them, up to a limit.
    """
    _leave_alone()
    _count(+1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _sessions
    with _lock:
        _sessions += change
        sys.setswitchinterval(min(_sessions * _SHARE_S, _MOST_S) if _sessions else _USUAL_S)


@cache
def _leave_alone() -> None:
    """Leave what was there before (modules, Celery, everything imported) out of further garbage collections.

    It stays until the end, and looking through it again and again cost a session a third of its time.
    """
    gc.collect()
    gc.freeze()
