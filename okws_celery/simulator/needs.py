"""What the simulator needs beyond the package itself, and the one line that says so when it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needed"]


@contextmanager
def needed() -> Iterator[None]:
    """Turn a missing aiohttp into an ImportError that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "aiohttp":
            raise
        raise ImportError("the simulator needs aiohttp: pip install 'okws_celery[simulator]'", name="aiohttp") from None
