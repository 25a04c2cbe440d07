"""How Python itself is set in a process that holds sessions."""

from __future__ import annotations

import gc
import sys
from functools import cache

__all__ = ["settle"]

_SWITCH_S = 0.0005


@cache
def settle() -> None:
    """Once in a process, when it begins with its first session.

    What was there before (modules, Celery, everything imported) is left out of further garbage collections: it stays
    until the end, and looking through it again and again cost a session a third of its time. And a thread that has the
    interpreter gives it up sooner than after Python's 5 ms when another waits for it: that long a push would wait
    whenever the worker's own threads have something to do.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_S)
