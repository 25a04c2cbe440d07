"""How large a pool is made, and which cannot hold a session."""

from __future__ import annotations

import pytest

from okws_celery.errors import ConfigError
from okws_celery.supervisor import checked_concurrency, pool_kind


@pytest.mark.parametrize(
    ("pool", "kind"),
    [("threads", "threads"), ("processes", "prefork"), ("prefork", "prefork"), ("solo", "solo")],
)
def test_kinds(pool: str, kind: str) -> None:
    """Celery has several names for a pool."""
    assert pool_kind(pool) == kind


def test_none_given() -> None:
    """Threads cost nothing until they are used: room for every session and for short tasks. Processes do cost."""
    assert checked_concurrency("threads", None, 256) == 272
    assert 2 <= (checked_concurrency("prefork", None, 256) or 0) < 256


def test_given() -> None:
    """A person's own number is taken."""
    assert checked_concurrency("threads", 40, 256) == 40
    assert checked_concurrency("prefork", "8", 256) == 8
    assert checked_concurrency("prefork", "auto", 256) is None


@pytest.mark.parametrize(("pool", "given"), [("solo", None), ("threads", 16), ("gevent", 10), ("prefork", 1)])
def test_no_room(pool: str, given: int | None) -> None:
    """A pool in which sessions would starve the short tasks is refused."""
    with pytest.raises(ConfigError, match="short tasks|starve"):
        checked_concurrency(pool, given, 256)
