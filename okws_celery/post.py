"""How a client's tasks reach a worker: through Celery, which the first command imports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from okws_celery.errors import NoWorker, UnknownOutcome
from okws_celery.settings import Settings

if TYPE_CHECKING:
    from okws_celery.celery import App

__all__ = ["CeleryPost"]


class CeleryPost:
    """See calls.commands.Post."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._made: App | None = None

    def prepare(self) -> None:
        """See Post."""
        _ = self._app

    def send(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any], shown: Mapping[str, str]) -> None:
        """See Post."""
        from kombu.exceptions import OperationalError

        try:
            self._app.send_task(task, args=args, kwargs=kwargs, ignore_result=True, **shown)
        except OperationalError as problem:
            if _never_connected(problem):
                raise NoWorker(f"the broker cannot be reached: {problem}") from problem
            raise UnknownOutcome(f"the broker does not say whether it took {task}: {problem}") from problem

    def revoke(self, task_id: str) -> None:
        """See Post. The session itself ends without it."""
        from kombu.exceptions import OperationalError

        with suppress(OperationalError):
            self._app.control.revoke(task_id)

    def close(self) -> None:
        """See Post."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    @property
    def _app(self) -> App:
        with self._lock:
            if self._made is None:
                from okws_celery.celery import app, make_app

                self._made = app if app.okws == self._settings else make_app(self._settings)
            return self._made


def _never_connected(problem: BaseException | None) -> bool:
    """Whether nothing can have been sent. A connection that breaks, or is silent, may have carried it all."""
    while problem is not None:
        if isinstance(problem, ConnectionRefusedError | FileNotFoundError | socket.gaierror):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
