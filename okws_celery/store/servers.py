"""What servers and clients of one namespace tell each other: a server is starting; all servers are to end.

Both stand in keys rather than in messages alone, so that nobody misses them. Every function is one round trip and
raises StoreError when Redis does not answer.
"""

from __future__ import annotations

import uuid

from okws_celery.store.connect import talking
from okws_celery.store.registry import Registry

__all__ = ["STARTING_MS", "is_starting", "note_started", "note_starting", "quit_all", "quit_mark"]

STARTING_MS = 5_000
"""How long one `note_starting` holds: a server that dies while it starts keeps nobody waiting."""


def note_starting(registry: Registry) -> None:
    """A server is starting its worker: a call that finds none may wait."""
    with talking(registry.settings.redis_url):
        registry.redis.set(registry.shared.starting, "1", px=STARTING_MS)


def note_started(registry: Registry) -> None:
    """A worker is up, or will not be."""
    with talking(registry.settings.redis_url):
        registry.redis.delete(registry.shared.starting)


def is_starting(registry: Registry) -> bool:
    """Whether a server is starting its worker."""
    with talking(registry.settings.redis_url):
        return bool(registry.redis.exists(registry.shared.starting))


def quit_all(registry: Registry) -> None:
    """Tell every server of the namespace to end."""
    with talking(registry.settings.redis_url):
        registry.redis.set(registry.shared.quit, uuid.uuid4().hex)


def quit_mark(registry: Registry) -> str:
    """Another text than before means that the servers are to end; "" says nothing: Redis may have been emptied."""
    with talking(registry.settings.redis_url):
        return str(registry.redis.get(registry.shared.quit) or "")
