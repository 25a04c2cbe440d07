"""What a process that holds sessions asks of Python's garbage collector."""

from __future__ import annotations

import gc
from functools import cache

__all__ = ["settle"]


@cache
def settle() -> None:
    """Leave out of further collections what was there before the first session: modules, Celery, everything imported.

    It stays until the end, and to look through it again and again costs a session more than all else that it does for
    some of its pushes. Done once in a process.
    """
    gc.collect()
    gc.freeze()
