"""What all tasks share: how a call is sent, when it is too late, and how it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, Protocol, cast

from celery import Task
from kombu.exceptions import OperationalError

from okws_celery.celery import app
from okws_celery.errors import BAD_COMMAND, NO_WORKER, Answer, OkwsError, StoreError, answer
from okws_celery.store.registry import now_ms

__all__ = ["Call", "TaskOf", "arguments_of", "deadline_of", "task", "too_late"]

P = ParamSpec("P")


class TaskOf(Protocol[P]):
    """A Celery task as type checkers see it: the function, and the ways to have a worker call it."""

    name: str
    request: Any
    retry: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Call it here and now, in this process."""
        ...

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Have a worker call it; a Celery AsyncResult."""
        ...

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """The same with Celery's options."""
        ...

    def s(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """A Celery signature, for chains and the like."""
        ...


class Call(Task):  # type: ignore[misc]  # Celery has no types
    """A short task. Most have a deadline in their arguments: after it nothing is done, so that 80012 was no lie."""

    abstract = True

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send it. The deadline is OKWS_TIMEOUT from now, or when Celery's `expires` says."""
        given = arguments_of(self, args, kwargs)
        if "deadline" in inspect.signature(self.run).parameters:
            kwargs = {**(kwargs or {}), "deadline": given.get("deadline") or deadline_of(options)}
        try:
            return super().apply_async(args, kwargs, **options)
        except (OperationalError, ConnectionError) as problem:
            raise StoreError(f"{self.name} was not sent: {problem}") from problem
        except RuntimeError as problem:
            # How Celery says it of the result backend, with advice to restart that is not true here.
            raise StoreError(f"{self.name} was not sent: the result backend does not answer") from problem


def task(name: str, base: type = Call, **options: Any) -> Callable[[Callable[P, Answer]], TaskOf[P]]:
    """Register a task of this application. What it raises on purpose it answers: the caller sees no traceback."""

    def decorate(body: Callable[P, Answer]) -> TaskOf[P]:
        @wraps(body)
        def answering(*args: Any, **kwargs: Any) -> Answer:
            try:
                given = inspect.signature(body).bind(*args, **kwargs).arguments
            except TypeError as problem:
                return answer(BAD_COMMAND, f"{name}: {problem}")
            try:
                return body(*args, **kwargs)
            except OkwsError as problem:
                if given.get("reply_to"):
                    app.registry.reply(str(given.get("name")), str(given["reply_to"]), problem.answer())
                return problem.answer()

        register = app.task(name=f"okws_celery.tasks.{name}", base=base, shared=False, max_retries=None, **options)
        return cast("TaskOf[P]", register(answering))

    return decorate


def arguments_of(called: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments of a call by name; TypeError if they do not fit, as when a function is called."""
    return dict(inspect.signature(called.run).bind(*(args or ()), **(kwargs or {})).arguments)


def deadline_of(options: dict[str, Any]) -> int:
    """Until when, in Unix ms, a call may be begun, by its Celery options. Takes `expires` out of them.

    Celery's own `expires` would put the id of a task that came too late among the revoked ones.
    """
    begins = now_ms()
    if isinstance(options.get("eta"), datetime):
        begins = _ms(options["eta"])
    elif options.get("countdown"):
        begins += int(options["countdown"] * 1000)
    expires = options.pop("expires", None)
    if isinstance(expires, datetime):
        return _ms(expires)
    return begins + int((app.okws.timeout_s if expires is None else float(expires)) * 1000)


def too_late(deadline: int | None) -> Answer | None:
    """The answer to a call whose deadline has passed, else None."""
    if deadline is not None and now_ms() > deadline:
        return answer(NO_WORKER, "no worker took this in time; it was not carried out")
    return None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
