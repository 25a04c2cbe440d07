"""`open_ws`, the task that holds a session for as long as it lives, and `close_ws`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from celery import Task
from celery.worker.request import Request

from okws_celery.celery import app
from okws_celery.errors import (
    DONE,
    NO_CAPACITY,
    NO_SESSION,
    NO_WORKER,
    AlreadyOpen,
    Answer,
    NoCapacity,
    NoSession,
    OkwsError,
    StoreError,
    UnknownOutcome,
    answer,
)
from okws_celery.keys import check_name
from okws_celery.session import Ending, Plan, Session
from okws_celery.store.fence import new_token
from okws_celery.store.registry import Command, SessionRecord, now_ms
from okws_celery.tasks.base import answering, arguments_of, deadline_of, task, too_late
from okws_celery.tasks.opening import Opening, close_now
from okws_celery.tasks.options import checked_options, resolved_options
from okws_celery.tasks.reporter import Running, reporter

__all__ = ["close_ws", "open_ws"]

_AGAIN_S = 0.1
"""Before a full worker passes an open_ws on, s: long enough for another to be first at the queue."""
_CLOSED_POLL_S = 0.5

_log = logging.getLogger(__name__)


class SessionRequest(Request):  # type: ignore[misc]
    """How the worker's main process sees a held task."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Close the session, as any revoke does; by default a child would be killed, and threads cannot be."""
        name = next(iter(self.args), None) or self.kwargs.get("name")
        try:
            app.registry.close(check_name(name), self.id)
        except OkwsError as problem:
            # It is among the revoked ones by now, and the supervisor's next look finds it there.
            _log.warning("session %s could not be told to end: %s", name, problem)


class OpenWs(Task):  # type: ignore[misc]
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
            {key: given[key] for key in given.keys() - {"deadline", "generation", "reply_to"}},
            given.get("deadline") or deadline_of(options),
            given.get("reply_to") or "",
        )
        wire_args, wire_kwargs = opening.arguments
        return super().apply_async(wire_args, wire_kwargs, task_id=task_id, **(options | opening.shown))


@task("open_ws", bind=True, base=OpenWs, ignore_result=True, time_limit=0, soft_time_limit=0, acks_late=False)
def open_ws(
    self: Any,
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
        late = too_late(deadline)
        if late is not None:
            return late
        if reply_to and not app.registry.take(name, reply_to):
            return answer(NO_WORKER, "the caller has given up; nothing was done")
        wire = checked_options(app.okws, auth_params, options, sealing=False)
        if ticket is None:
            ticket = app.registry.draw_ticket(name)
        opening = Opening(name, ticket, deadline or 0, wire, reply_to)
        return _Holding(self, opening, generation).hold()
    except OkwsError as problem:
        said = problem.answer()
        _log.log(logging.DEBUG if generation is not None else logging.WARNING, "open_ws %s: %s", name, problem)
        if reply_to:
            app.registry.reply(name, reply_to, said)
        return said


class _Holding:
    """One run of open_ws, from the lease to its end."""

    def __init__(self, task_: Any, opening: Opening, generation: int | None) -> None:
        self._task = task_
        self._opening = opening
        self._generation = generation
        self._worker: str = task_.request.hostname
        self._name = opening.name
        self._token = new_token(self._worker)

    def hold(self) -> Answer:
        """Take the lease and a place, run the session, give both back."""
        registry = app.registry
        if not registry.acquire(self._name, self._token):
            raise AlreadyOpen(f"session {self._name!r} is open already")
        try:
            return self._with_lease()
        except _Full:
            registry.release(self._name, self._token)
            return self._pass_on()
        finally:
            registry.leave_place(self._worker, self._name)
            registry.release(self._name, self._token)

    def _with_lease(self) -> Answer:
        record = self._registered()
        if record is None:
            return self._answered(answer(NO_SESSION, f"session {self._name!r} was closed before it was open"))
        return self._run(record)
