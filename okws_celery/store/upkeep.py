"""What is done to all sessions at once: clear their data, close them all. No worker is needed for either."""

from __future__ import annotations

import time
from typing import Any

import redis

from okws_celery.errors import DONE, Answer, BadCommand, StoreError, UnknownOutcome, answer
from okws_celery.store import servers
from okws_celery.store.connect import shown
from okws_celery.store.registry import Command, Registry, now_ms

__all__ = ["clear", "close_all"]

_BATCH = 1000
_REWRITE_MS = 60_000
_POLL_S = 0.05


def clear(registry: Registry, pattern: str = "") -> Answer:
    """Delete the data keys that match a pattern of Redis (default: all), then have live sessions write theirs again.

    BadCommand (80010) if the pattern reaches beyond the data keys.
    """
    start = f"{registry.settings.prefix}/"
    pattern = pattern or f"{start}*"
    if not isinstance(pattern, str) or not pattern.startswith(start):
        raise BadCommand(f"redis_clear: {pattern!r}; a pattern that begins with {start} is accepted, such as {start}*")
    try:
        deleted = _delete(registry.redis, pattern)
    except redis.RedisError as problem:
        raise StoreError(f"Redis at {shown(registry.settings.redis_url)}: {problem}") from problem
    for name in registry.live():
        registry.send(name, Command("rewrite", now_ms() + _REWRITE_MS))
    return answer(DONE, f"{deleted} keys deleted", deleted=deleted)


def close_all(registry: Registry, timeout_s: float) -> Answer:
    """Close every session and publish QUIT on `okws/info`; UnknownOutcome (80014) if one still has a holder then.

    What was sent to be opened before is not opened any more.
    """
    names = list(registry.sessions())
    for name in {*names, *registry.coming()}:
        registry.mark_closed(name, registry.draw_ticket(name))
        registry.close(name)
    end = time.monotonic() + timeout_s
    left = registry.holders(names)
    while left := {name: token for name, token in left.items() if not registry.let_go(name, token)}:
        if time.monotonic() > end:
            break
        time.sleep(_POLL_S)
    servers.quit_all(registry)
    registry.announce("QUIT")
    if left:
        raise UnknownOutcome(f"closed, but not let go of by their workers yet: {', '.join(sorted(left))}")
    return answer(DONE, f"{len(names)} sessions closed")


def _delete(client: Any, pattern: str) -> int:
    """In batches and without KEYS, so that Redis is not held up by many keys."""
    deleted = 0
    batch: list[str] = []
    for key in client.scan_iter(match=pattern, count=_BATCH):
        batch.append(key)
        if len(batch) >= _BATCH:
            deleted += client.unlink(*batch)
            batch.clear()
    return deleted + (client.unlink(*batch) if batch else 0)
