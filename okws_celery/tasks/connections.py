"""`open_ws`, the task that holds a session for as long as it lives, and `close_ws`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from billiard import current_process
from celery import Task
from celery.worker import state
from celery.worker.request import Request

from okws_celery import interpreter
from okws_celery.calls.drivers import Driver
from okws_celery.calls.opening import Opening, close_now, until_closed
from okws_celery.calls.options import checked_options, resolved_options, shown_options
from okws_celery.celery import app
from okws_celery.errors import (
    DONE,
    NO_SESSION,
    NO_WORKER,
    AlreadyOpen,
    Answer,
    BadCommand,
    NoCapacity,
    NoSession,
    OkwsError,
    StoreError,
    answer,
)
from okws_celery.keys import check_name
from okws_celery.session import Ending, Plan, Session
from okws_celery.store.fence import LEASE_MS, new_token
from okws_celery.tasks.base import arguments_of, deadline_of, task, too_late
from okws_celery.tasks.reporter import Running, reporter

__all__ = ["close_ws", "open_ws"]

_AGAIN_S = 0.1
"""Before a full worker passes an open_ws on, s: long enough for another to be first at the queue."""
_CLOSING_S = 0.05
"""Between two looks whether a session that was closed has ended, s."""

_log = logging.getLogger(__name__)


class SessionRequest(Request):  # type: ignore[misc]  # Celery has no types
    """How the worker's main process sees a held task."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Close the session, as any revoke does; by default a child would be killed, and threads cannot be."""
        name = next(iter(self.args), None) or self.kwargs.get("name")
        try:
            app.registry.close(check_name(name), self.id)
        except OkwsError as problem:
            # It is among the revoked ones by now, and the supervisor's next look finds it there.
            _log.warning("session %s could not be told to end: %s", name, problem)


class OpenWs(Task):  # type: ignore[misc]  # Celery has no types
    """Sends an open_ws: checked, sealed, with a ticket and under an id of its own."""

    abstract = True
    Request = f"{__name__}:SessionRequest"

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        **options: Any,
    ) -> Any:
        """Send it; BadCommand (80010) if something is wrong, before anything is sent.

        Not begun within OKWS_TIMEOUT, or Celery's `expires`, it never is.
        """
        given = arguments_of(self, args, kwargs)
        if given.get("ticket") is not None:  # it was on its way before
            options.pop("expires", None)
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        opening = Opening.prepared(
            app.registry,
            given.pop("name"),
            given.pop("auth_params", None),
            {key: given[key] for key in given.keys() - {"ticket", "deadline", "generation", "reply_to"}},
            given.get("deadline") or deadline_of(options),
            given.get("reply_to") or "",
        )
        wire_args, wire_kwargs = opening.arguments
        return super().apply_async(wire_args, wire_kwargs, task_id=task_id, **(options | opening.shown))


@task("open_ws", base=OpenWs, ignore_result=True, time_limit=0, soft_time_limit=0, acks_late=False)
def open_ws(
    name: str,
    auth_params: Mapping[str, Any] | None = None,
    *,
    profile: str | None = None,
    region: str | None = None,
    demo: bool | None = None,
    proxy: str | None = None,
    ws_url: str | None = None,
    rest_url: str | None = None,
    publish: str | None = None,
    ticket: int | None = None,
    generation: int | None = None,
    deadline: int | None = None,
    reply_to: str = "",
) -> Answer:
    """Hold the session `name` until it is closed; with credentials, or a profile of the worker, it logs in.

    `auth_params` has `apiKey`, `secret` and `password`; it is encrypted before it is sent. The last four arguments are
    the wire's own. What it returns is logged and not kept.
    """
    options = {
        "profile": profile,
        "region": region,
        "demo": demo,
        "proxy": proxy,
        "ws_url": ws_url,
        "rest_url": rest_url,
        "publish": publish,
    }
    try:
        check_name(name)
        if open_ws.request.hostname is None:
            raise BadCommand("open_ws holds its caller for as long as the session lives: use open_ws.delay(...)")
        late = too_late(deadline)
        if late is not None:
            return late
        if reply_to and not app.registry.take(name, reply_to):
            return answer(NO_WORKER, "the caller has given up; nothing was done")
        checked = checked_options(app.okws, auth_params, options, sealing=False)
        if ticket is None:
            ticket = app.registry.draw_ticket(name)
        return _Holding(Opening(name, ticket, deadline or 0, checked, reply_to), generation).hold()
    except OkwsError as problem:
        # The supervisor's copies may well find that another was faster.
        faster = generation is not None and isinstance(problem, AlreadyOpen | NoSession)
        _log.log(logging.DEBUG if faster else logging.WARNING, "open_ws %s: %s", name, problem)
        with suppress(StoreError):
            app.registry.arrived(name)
        raise


class _Full(Exception):
    """This worker has no place for one more session."""


class _Holding:
    """One run of open_ws: it takes the lease and a place, runs the session, and gives both back."""

    def __init__(self, opening: Opening, generation: int | None) -> None:
        request = open_ws.request
        self._opening = opening
        self._generation = generation
        self._name = opening.name
        self._worker: str = request.hostname
        self._token = new_token(self._worker)
        self._parent = os.getppid()
        self._running = Running(
            request.id, open_ws.name, repr((opening.name,)), shown_options(opening.options), self._worker
        )

    def hold(self) -> Answer:
        """Until the session has ended; what became of it."""
        if self._generation is None:
            resolved_options(app.okws, self._opening.options)  # so that nothing is begun that cannot be
        if not self._acquire():
            return self._pass_on()
        ending: Ending | None
        session: Session | None = None
        try:
            self._take_place()
            session = self._session()
            app.registry.arrived(self._name)
            with interpreter.holding():
                ending = session.run()
        except _Full:
            ending = None
        finally:
            reporter(app).report(self._running, "")
            token = session.token if session is not None else self._token
            with suppress(StoreError):  # then both expire by themselves
                app.registry.leave_place(self._worker, self._name)
                app.registry.release(self._name, token)
        return self._pass_on() if ending is None else self._ended(ending)

    def _acquire(self) -> bool:
        """Take the lease, from a session that was closed when it has ended; False if this worker stops meanwhile."""
        end = time.monotonic() + LEASE_MS / 1000
        while not app.registry.acquire(self._name, self._token):
            if self._generation is not None or not app.registry.is_closing(self._name):
                raise AlreadyOpen(f"session {self._name!r} is open already")
            if time.monotonic() > end or too_late(self._opening.deadline or None):
                raise AlreadyOpen(f"session {self._name!r} was closed, but its worker has not let go of it yet")
            if self._worker_stops():
                return False
            time.sleep(_CLOSING_S)
        return True

    def _take_place(self) -> None:
        capacity = app.registry.capacity(self._worker)
        if capacity is None:
            capacity = app.okws.max_sessions
        if not app.registry.take_place(self._worker, self._name, capacity):
            raise _Full
        # A worker that stops says so and then waits for those who have a place: either it sees ours, or we see this.
        if app.registry.capacity(self._worker) == 0:
            raise _Full

    def _session(self) -> Session:
        opening = self._opening
        record = app.registry.open(
            self._name,
            ticket=opening.ticket,
            task_id=self._running.id,
            options=opening.options,
            generation=self._generation,
        )
        if record is None:
            raise NoSession(f"session {self._name!r} was closed, or dispatched again, before this copy began")
        try:
            who, options = resolved_options(app.okws, record.options)
            record = replace(record, options=options)
            plan = Plan(self._name, self._token, record, who, self._worker, opening.reply_to)
            return Session(plan, app.okws, app.registry, self._on_status, self._worker_stops)
        except OkwsError:
            if self._generation is None:
                app.registry.close(self._name, self._running.id)
            raise

    def _worker_stops(self) -> bool:
        # Celery's marks of a shutdown: None or False until it begins, then an exit status, which may be 0. A prefork
        # child never sees them; there the supervisor ends what does not hear the bus, and a child whose worker was
        # killed finds itself with another parent.
        if current_process().name != "MainProcess":
            return os.getppid() != self._parent
        return any(mark is not None and mark is not False for mark in (state.should_stop, state.should_terminate))

    def _on_status(self, status: str) -> None:
        if status != "EXIT":
            reporter(app).report(self._running, status)

    def _pass_on(self) -> Answer:
        """Send it once more, to be taken by a worker that has a place; NoCapacity (80013) if there is none."""
        others = [worker for worker in app.registry.workers() if worker.name != self._worker]
        if not any(worker.held < worker.capacity for worker in others) or too_late(self._opening.deadline or None):
            raise NoCapacity(f"session {self._name!r}: every worker holds as many sessions as it may")
        time.sleep(_AGAIN_S)
        raise open_ws.retry(countdown=0)

    def _ended(self, ending: Ending) -> Answer:
        match ending:
            case Ending.CLOSED:
                return answer(DONE, f"session {self._name} was closed")
            case Ending.SHUTDOWN:
                return answer(DONE, f"session {self._name} ended with its worker and will be opened by another")
            case Ending.REFUSED:
                record = app.registry.session(self._name)
                return answer(record.code, record.msg, hint=record.hint) if record else answer(NO_SESSION, "refused")
            case Ending.LOST:
                said = answer(NO_SESSION, f"session {self._name} was closed, or gave way to another holder")
                if (
                    self._opening.reply_to
                ):  # without the lease the session could not say so; a second answer is not read
                    with suppress(StoreError):
                        app.registry.reply(self._name, self._opening.reply_to, said)
                return said


class CloseWs(Task):  # type: ignore[misc]  # Celery has no types
    """A close takes effect where it is called, before it is sent: it holds with no worker alive as well."""

    abstract = True

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Close, then send what is left to do."""
        given = arguments_of(self, args, kwargs)
        try:
            name = check_name(given["name"])
        except BadCommand:
            return super().apply_async(args, kwargs, **options)  # answered like every other bad call
        closed = close_now(app.registry, name)
        return super().apply_async((name,), {"closed_task": closed}, **options)


@task("close_ws", base=CloseWs)
def close_ws(name: str, *, closed_task: str | None = None) -> Answer:
    """Close a session for good: it is not open after any restart either. NoSession (80011) if it was not open.

    `closed_task` is the wire's own: the id of the task that held it, "" if none did.
    """
    check_name(name)
    if closed_task is None:
        closed_task = close_now(app.registry, name)
    if not closed_task:
        raise NoSession(f"session {name!r} is not open")
    app.control.revoke(closed_task)
    return Driver(app.registry).run(until_closed(app.registry, name, app.okws.timeout_s))
