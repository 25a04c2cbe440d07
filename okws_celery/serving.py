"""A server: one Celery worker as a child process, from its start until `server_quit` or until it is told to stop.

The child is started and watched by the thread that calls `serve`, whichever that is; it ends by itself when the
process that started it has gone (see server_worker.py).
"""

from __future__ import annotations

import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from okws_celery.config_sessions import planned
from okws_celery.errors import ConfigError, OkwsError, StoreError
from okws_celery.settings import load
from okws_celery.store import connect, servers
from okws_celery.store.registry import Registry

__all__ = ["START_S", "Server", "ServerError"]

START_S = 60.0
"""How long the worker may take to be ready; a slow machine imports Celery in 10 s."""
_REDIS_S = 5.0
"""How long a Redis that does not answer is waited for."""
_TIMEOUT_S = 1.0
_LOOK_S = 0.2
_STOP_S = 20.0
"""How long the worker may take to end; its own patience with sessions is 8 s."""
_HURRY_S = 0.5
_TAIL = 15
"""Lines of the worker's log that an error quotes."""

_LOG_LINE = re.compile(r"\[[^\]]*: (DEBUG|INFO|WARNING|ERROR|CRITICAL)/[^\]]*\] (.*)")
_log = logging.getLogger("okws_celery.server")


class ServerError(OkwsError):
    """The worker of a server did not come up, or ended by itself; the text has the end of its log."""


class Server:
    """One server. `config` wins over OKWS_CONFIG; ConfigError, before anything is started, if something is wrong.

    With `relay` what the worker logs goes to the logger `okws_celery.server` of this process; without, it is printed
    where this process prints.
    """

    def __init__(
        self, config: str | os.PathLike[str] | None = None, *, loglevel: str = "info", relay: bool = True
    ) -> None:
        self._environ = dict(os.environ)
        if config is not None:
            self._environ["OKWS_CONFIG"] = _path(config)
        self.settings = load(self._environ)
        planned(self.settings)
        self._loglevel = loglevel
        self._relay = relay
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._registry = Registry(self.settings, connect.impatient_client(self.settings.redis_url, _TIMEOUT_S))
        self._quit_before = ""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def serve(
        self,
        wait: Callable[[float | None], bool],
        on_ready: Callable[[], object] = lambda: None,
        hurry: Callable[[], bool] = lambda: False,
        start_s: float = START_S,
    ) -> None:
        """Hold a worker until `server_quit`, or until `wait`, which is given seconds, says that it is to end.

        `on_ready` is called when the worker takes tasks. StoreError if no Redis answers, ServerError if the worker is
        not ready after `start_s` seconds or ends by itself. `hurry` true means that it is to be killed.
        """
        try:
            if self._find_redis(wait) and self._start(wait, start_s):
                on_ready()
                self._watch(wait)
        finally:
            self._stop(hurry)
            with suppress(StoreError):
                servers.note_started(self._registry)
            self._registry.redis.close()

    def _find_redis(self, wait: Callable[[float | None], bool]) -> bool:
        """False if told to stop while it waits for one."""
        deadline = time.monotonic() + _REDIS_S
        while True:
            try:
                self._quit_before = servers.quit_mark(self._registry)
                servers.note_starting(self._registry)
                return True
            except StoreError as problem:
                if time.monotonic() > deadline:
                    raise StoreError(f"{problem}; a server needs one (OKWS_REDIS_URL)") from None
            if wait(_LOOK_S):
                return False

    def _start(self, wait: Callable[[float | None], bool], start_s: float) -> bool:
        """Whether the worker is ready; False if told to stop, or to quit, before it was."""
        ready, ready_child = os.pipe()
        try:
            try:
                self._process = self._popen(ready_child)
            finally:
                os.close(ready_child)
            if self._process.stdout is not None:
                self._reader = threading.Thread(target=self._relay_lines, daemon=True)
                self._reader.start()
            deadline = time.monotonic() + start_s
            while not _has_data(ready):
                self._complain_if_ended(self._process)
                if wait(_LOOK_S / 4) or self._told_to_quit():
                    return False
                with suppress(StoreError):
                    servers.note_starting(self._registry)
                if time.monotonic() > deadline:
                    raise ServerError(f"the worker was not ready within {start_s:g} s{self._last_lines()}")
            with suppress(StoreError):
                servers.note_started(self._registry)
            return True
        finally:
            os.close(ready)

    def _popen(self, ready_child: int) -> subprocess.Popen[str]:
        node = f"okws-server-{os.getpid()}-{uuid.uuid4().hex[:6]}@%h"
        arguments = [str(os.getpid()), str(ready_child), "-n", node, "-l", self._loglevel]
        return subprocess.Popen(
            [sys.executable, "-m", "okws_celery.server_worker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._relay else None,
            stderr=subprocess.STDOUT if self._relay else None,
            env=self._environ | {"PYTHONUNBUFFERED": "1"},
            pass_fds=(ready_child,),
            start_new_session=True,  # Ctrl-C on the terminal is for us, and we tell it
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def _watch(self, wait: Callable[[float | None], bool]) -> None:
        while not wait(_LOOK_S):
            if self._process is not None:
                self._complain_if_ended(self._process)
            if self._told_to_quit():
                _log.info("server_quit: the worker ends")
                return

    def _told_to_quit(self) -> bool:
        try:
            mark = servers.quit_mark(self._registry)
        except StoreError:  # the worker waits for its Redis to come back, and so do we
            return False
        return mark not in ("", self._quit_before)

    def _complain_if_ended(self, process: subprocess.Popen[str]) -> None:
        status = process.poll()
        if status is None:
            return
        if self._reader is not None:
            self._reader.join(_TIMEOUT_S)  # for the last lines
        raise ServerError(f"the worker ended by itself with status {status}{self._last_lines()}")

    def _stop(self, hurry: Callable[[], bool]) -> None:
        process = self._process
        if process is None:
            return
        deadline = time.monotonic() + _STOP_S
        if process.poll() is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # one that was stopped by SIGSTOP has to wake up to end
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
            if hurry():
                deadline = min(deadline, time.monotonic() + _HURRY_S)
        with suppress(ProcessLookupError):  # its own children, if it has a pool of processes and died before them
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self._reader is not None:
            self._reader.join(_TIMEOUT_S)

    def _relay_lines(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        level = logging.INFO
        with self._process.stdout as lines:
            for line in filter(None, map(str.rstrip, lines)):
                self._tail.append(line)
                found = _LOG_LINE.match(line)
                if found:  # other lines, those of a traceback, go on with the record before
                    level = logging.getLevelNamesMapping()[found[1]]
                _log.log(level, "%s", found[2] if found else line)

    def _last_lines(self) -> str:
        return "".join(f"\n    {line}" for line in self._tail)


def _path(config: str | os.PathLike[str]) -> str:
    """Absolute. The first argument of okws' `run` was the URL of Redis, which may hold a password."""
    if not isinstance(config, str | os.PathLike):
        raise ConfigError(f"config of a server: the path of a file is accepted, not a {type(config).__name__}")
    if "://" in (text := str(config)):
        what = f"{connect.shown(text)!r}: the path of a config file is accepted"
        raise ConfigError(f"config of a server: {what}; the Redis is OKWS_REDIS_URL, or redis_url in the file")
    return str(Path(config).expanduser().absolute())


def _has_data(descriptor: int) -> bool:
    """Whether the worker has written that it is ready. That it has closed its end without a word is no data."""
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable) and os.read(descriptor, 1) != b""
