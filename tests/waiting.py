"""Waiting for a condition, with a deadline instead of a guess."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], timeout: float = 10.0, what: str = "") -> T:
    """Call `check` until its value is truthy and return it; after `timeout` s fail with `what` and the last value.

    An AssertionError or LookupError from `check` counts as "not yet": the last one is named when time is up.
    """
    deadline = time.monotonic() + timeout
    pause_s = 0.005
    while True:
        last: object
        try:
            value = check()
            if value:
                return value
            last = value
        except (AssertionError, LookupError) as problem:
            last = problem
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or check}; last seen: {last!r}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
