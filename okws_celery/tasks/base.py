"""What all tasks share: how a call is sent, when it is too late, and how it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast

from celery import Task

from okws_celery.celery import app
from okws_celery.errors import NO_WORKER, Answer, OkwsError, answer
from okws_celery.store.registry import now_ms

__all__ = ["ANSWER_GOES_ELSEWHERE", "Call", "answering", "arguments_of", "deadline_of", "task", "too_late"]

T = TypeVar("T", bound=Callable[..., Any])

ANSWER_GOES_ELSEWHERE = "the answer goes to the caller's own key"


class Call(Task):  # type: ignore[misc]
    """A short task with a deadline in its arguments: after it nothing is done, and 80012 was not a lie."""

    abstract = True
    typing = True

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send it. Celery's `expires` moves the deadline, which is otherwise OKWS_TIMEOUT from now."""
        kwargs = dict(kwargs or {})
        kwargs.setdefault("deadline", deadline_of(options))
        return super().apply_async(args, kwargs, **options)


def task(name: str, **options: Any) -> Callable[[T], T]:
    """Register a task of this application under its public name. The result has Celery's `delay` and `apply_async`."""
    decorate = app.task(name=f"okws_celery.tasks.{name}", shared=False, max_retries=None, **options)
    return cast("Callable[[T], T]", decorate)


def answering(body: T) -> T:
    """Make a task answer what it raises on purpose; the caller gets the code and never a traceback."""

    @wraps(body)
    def guarded(*args: Any, **kwargs: Any) -> Answer:
        try:
            return cast("Answer", body(*args, **kwargs))
        except OkwsError as problem:
            return problem.answer()

    return cast("T", guarded)


def arguments_of(task_: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments of a call by name; TypeError if they do not fit, as when a function is called."""
    signature = inspect.signature(task_.run)
    return dict(signature.bind(*(args or ()), **(kwargs or {})).arguments)


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
