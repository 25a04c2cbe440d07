"""Tells Celery's monitors what state the sessions of this process are in.

From a thread of its own, so that no session waits for the broker, and again every half minute, since a Flower that
starts late knows only what it hears from then on.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from okws_celery.celery import App

__all__ = ["Reporter", "Running", "reporter"]

EVENTS = {
    "READY": "task-connecting",
    "CONNECTED": "task-connected",
    "DISCONNECTED": "task-reconnecting",
    "REFUSED": "task-refused",
}
"""The session's status -> the event, by which Flower shows a state of the same name."""
_AGAIN_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A held task as monitors show it."""

    id: str
    name: str
    args: str
    kwargs: str
    hostname: str


class Reporter:
    """One thread for all sessions of a process, started with the first."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._queue: queue.SimpleQueue[tuple[Running, str]] = queue.SimpleQueue()
        self._last: dict[Running, str] = {}
        threading.Thread(target=self._run, name="okws-reporter", daemon=True).start()

    def report(self, task: Running, status: str) -> None:
        """The session of this task has a new status; returns at once. "" ends the reports."""
        self._queue.put((task, status))

    def _run(self) -> None:
        again_at = time.monotonic() + _AGAIN_S
        while True:
            try:
                task, status = self._queue.get(timeout=max(0.0, again_at - time.monotonic()))
            except queue.Empty:
                again_at = time.monotonic() + _AGAIN_S
                for task, event in list(self._last.items()):
                    self._send(task, event)
                continue
            if status in EVENTS:
                self._last[task] = EVENTS[status]
                self._send(task, EVENTS[status])
            else:
                self._last.pop(task, None)

    def _send(self, task: Running, event: str) -> None:
        fields: dict[str, Any] = {"uuid": task.id, "name": task.name, "args": task.args, "kwargs": task.kwargs}
        try:
            with self._app.events.default_dispatcher(hostname=task.hostname) as dispatcher:
                dispatcher.send(event, retry=False, **fields)
        except Exception as problem:
            # Each transport has errors of its own; whichever it is, the next event is tried again.
            _log.debug("event %s of %s was not sent: %s", event, task.id, problem)


_lock = threading.Lock()
_of_process: tuple[int, Reporter] | None = None


def reporter(app: App) -> Reporter:
    """The reporter of this process; a child of the prefork pool has its own."""
    global _of_process
    with _lock:
        if _of_process is None or _of_process[0] != os.getpid():
            _of_process = os.getpid(), Reporter(app)
        return _of_process[1]
