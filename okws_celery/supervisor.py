"""A bootstep of every worker: opens what should be open and nobody holds; ends its own sessions when the worker stops.

One tick a second, a few round trips to Redis. It dispatches by the task's name and imports no task.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import redis
from celery import bootsteps
from celery.concurrency import get_implementation
from celery.signals import worker_ready
from celery.worker import state
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from okws_celery.config_sessions import ConfigSessions
from okws_celery.errors import ConfigError, StoreError
from okws_celery.store.registry import Registry, SessionRecord, Survey, now_ms

__all__ = ["OPEN_WS", "Supervisor", "checked_concurrency", "pool_kind"]

OPEN_WS = "okws_celery.tasks.open_ws"

_RESERVE = {"threads": 16, "gevent": 16, "eventlet": 16, "prefork": 1}
"""How much of a pool's concurrency is kept for short tasks."""
_TICK_S = 1.0
_PAUSE_S = 5.0
"""After an error of Redis the next tick waits so long: each may hold up the worker's main loop for _TIMEOUT_S."""
_TIMEOUT_S = 1.0
_AT_ONCE = 20
"""Sessions dispatched in one tick at most."""
_STOP_S = 8.0
"""How long a stopping worker waits for its sessions to end."""
_POKE_S = 0.5
_HEARTBEAT_S = 5.0
"""How often a worker tells those who watch events that it lives, s; each time a push may wait for it."""

_log = logging.getLogger(__name__)


def pool_kind(pool: Any) -> str:
    """threads, prefork, gevent, eventlet or solo, from any of the names and classes by which Celery knows a pool."""
    kind = get_implementation(pool).__module__.rpartition(".")[2]
    return "threads" if kind == "thread" else str(kind)


def checked_concurrency(pool: str, given: Any, max_sessions: int) -> int | None:
    """The concurrency to use: as given, or what suits the pool; None leaves it to Celery.

    ConfigError if no session could be held beside the short tasks, which it would starve.
    """
    from billiard import cpu_count

    if pool == "solo":
        raise ConfigError("the solo pool does one thing at a time: a session would starve all else; use threads")
    reserve = _RESERVE.get(pool, 1)
    if not given:
        return max(2, cpu_count()) if pool == "prefork" else max_sessions + reserve
    if str(given).isdigit() and int(given) <= reserve:
        raise ConfigError(
            f"concurrency {given}: {pool} keeps {reserve} for short tasks; {reserve + 1} or more is accepted"
        )
    return int(given) if str(given).isdigit() else None


class Supervisor(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Lives in the worker's main process, whatever its pool."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        from okws_celery import inspection, logs

        inspection.register()
        logs.keep_to_one_line()
        self.app = worker.app
        self.worker_name: str = worker.hostname
        _calm(worker.options)
        self.capacity = 0
        self._timer: Any = None
        self._down = False
        self._not_before = 0.0
        self._registry: Registry
        self._config: ConfigSessions

    def start(self, worker: Any) -> None:
        """Say that this worker is there, before it takes its first task; then look once a second."""
        reserve = _RESERVE.get(pool_kind(worker.pool_cls), 1)
        self.capacity = max(0, min(self.app.okws.max_sessions, worker.min_concurrency - reserve))
        self._registry = Registry(self.app.okws, _impatient_client(self.app.registry))
        self._config = ConfigSessions(self._registry)
        self._down = True  # of a Redis that is not there yet Celery itself says so
        self.tick()
        self._timer = worker.timer.call_repeatedly(_TICK_S, self.tick)

    def stop(self, worker: Any) -> None:
        """End this worker's sessions and wait for them; they stay desired, so that another worker opens them."""
        if self._timer is not None:
            self._timer.cancel()
            self._end_sessions(worker, _STOP_S)

    def terminate(self, worker: Any) -> None:
        """As `stop`, with less patience."""
        if self._timer is not None:
            self._timer.cancel()
            self._end_sessions(worker, _STOP_S / 4)

    def info(self, worker: Any) -> dict[str, Any]:
        """What `inspect stats` shows of it."""
        return {"okws": {"capacity": self.capacity, "pool": pool_kind(worker.pool_cls)}}

    def tick(self) -> None:
        """One look. An error is logged when it begins, not every second."""
        if time.monotonic() < self._not_before:
            return
        try:
            self._look()
        except (StoreError, OperationalError) as problem:
            self._not_before = time.monotonic() + _PAUSE_S
            if not self._down:
                _log.error("supervisor: %s; trying again", problem)
            self._down = True
        else:
            self._down = False

    def _look(self) -> None:
        self._config.look()
        survey = self._registry.survey(self.worker_name, self.capacity)
        self._close_revoked(survey)
        orphans = [
            name for name, token in survey.tokens.items() if not token and survey.task_ids[name] not in state.revoked
        ]
        room = min(_AT_ONCE, self.capacity - len(survey.held))
        for name in orphans[: max(0, room)]:
            record = self._registry.dispatch_again(name)
            if record is not None:
                self._dispatch(name, record)

    def _close_revoked(self, survey: Survey) -> None:
        """A revoke by anyone, from anywhere, is a close."""
        for name, task_id in survey.task_ids.items():
            if task_id in state.revoked:
                survey.tokens.pop(name, None)
                if self._registry.close(name, task_id) is not None:
                    _log.info("session %s: closed, its task was revoked", name)

    def _dispatch(self, name: str, record: SessionRecord) -> None:
        """Send the session's task again under the id that it always had, so that this id still revokes it.

        Without Celery's `expires`, which would put the id among the revoked ones; the generation does that work.
        """
        _log.info("session %s: nobody holds it, dispatched again (generation %d)", name, record.generation)
        arguments = {"ticket": record.ticket, "generation": record.generation, "deadline": now_ms() + 30_000}
        self.app.send_task(
            OPEN_WS,
            args=(name,),
            kwargs=arguments,
            task_id=record.task_id,
            ignore_result=True,
            argsrepr=repr((name,)),
            retry=False,
        )

    def _end_sessions(self, worker: Any, patience_s: float) -> None:
        end = time.monotonic() + patience_s
        poked_at = 0.0
        held: list[str] = []
        try:
            # A task that takes a place looks at the capacity afterwards: it sees the 0, or we see its place.
            self._registry.worker_seen(self.worker_name, 0)
            while (held := self._registry.held(self.worker_name)) and time.monotonic() < end:
                if time.monotonic() - poked_at >= _POKE_S:
                    poked_at = time.monotonic()
                    for name in held:
                        self._registry.poke(name, "shutdown")
                time.sleep(0.05)
            self._registry.worker_gone(self.worker_name)
        except StoreError as problem:
            _log.error("supervisor: the sessions could not be told to end: %s", problem)
            if pool_kind(worker.pool_cls) == "prefork":
                # Sessions in threads see by themselves that the worker stops; children would be waited for for ever.
                worker.pool.terminate()
        if held:
            _log.warning("supervisor: not ended within %g s: %s", patience_s, ", ".join(held))


def _calm(options: dict[str, Any]) -> None:
    """Spare the worker's main thread, for which sessions wait, what Celery does every second or two.

    `options` are those of the command line, from which the worker's parts that begin later take theirs. Gossip would
    read the heartbeats of every worker, for elections that nobody here holds.
    """
    options["heartbeat_interval"] = options.get("heartbeat_interval") or _HEARTBEAT_S
    options["without_gossip"] = True


def _impatient_client(registry: Registry) -> redis.Redis:
    """A client on the same Redis that gives up soon: the worker's main loop waits for it."""
    kwargs = dict(registry.redis.connection_pool.connection_kwargs)
    kwargs |= {name: _TIMEOUT_S for name in ("socket_timeout", "socket_connect_timeout") if name in kwargs}
    kwargs |= {"retry": Retry(NoBackoff(), 0)}
    pool = redis.ConnectionPool(connection_class=registry.redis.connection_pool.connection_class, **kwargs)
    return redis.Redis(connection_pool=pool)


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _announce(sender: Any, **_: Any) -> None:
    """Tell clients that a worker is up."""
    registry = getattr(sender.app, "registry", None)
    if isinstance(registry, Registry):
        try:
            registry.announce("CONNECTED")
        except StoreError as problem:
            _log.error("supervisor: %s", problem)
