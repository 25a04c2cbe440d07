"""`servers`, `redis_clear` and `server_quit`: what concerns all sessions at once."""

from __future__ import annotations

from okws_celery.celery import app
from okws_celery.errors import DONE, Answer, answer
from okws_celery.store import upkeep
from okws_celery.tasks.base import task, too_late

__all__ = ["redis_clear", "server_quit", "servers"]


@task("servers")
def servers(*, deadline: int | None = None) -> Answer:
    """The names of the live sessions, in `message`. `deadline` is the wire's own."""
    return too_late(deadline) or answer(DONE, app.registry.live())


@task("redis_clear")
def redis_clear(path: str = "", *, deadline: int | None = None) -> Answer:
    """Delete the data keys that match `path` (default `okex/*`); live sessions write theirs again afterwards."""
    return too_late(deadline) or upkeep.clear(app.registry, path)


@task("server_quit")
def server_quit(*, deadline: int | None = None) -> Answer:
    """Close every session for good, and tell the servers of this namespace to end. Workers stay up."""
    return too_late(deadline) or upkeep.close_all(app.registry, app.okws.timeout_s)
