"""Writes what OKX sends as a recording (`replay.jsonl`) that the simulator can play. It needs neither Redis nor Celery.

One object a line: `recv` (Unix s), `dir` ("open", "out" or "in"), `line` (its number), `path`, and `raw`, the text of
the frame exactly as it came. `ping`, `pong` and login requests are left out; a connection that was lost is made again,
which shows as another "open". Private data are written as they come.
"""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import websocket

from okws_celery.errors import BadCommand, OkwsError, Refused
from okws_celery.okx.endpoints import Endpoints
from okws_celery.okx.login import HINTS, REFUSED_FOR_GOOD, Credentials, login_request
from okws_celery.okx.topics import Topic
from okws_celery.session.connector import open_websocket

__all__ = ["NotWritten", "Recorder"]

PING_AFTER_S = 20.0
_PONG_WITHIN_S = 10.0
_ARGS_AT_ONCE = 100
_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_NO_NETWORK = (OSError, websocket.WebSocketException)

_log = logging.getLogger(__name__)


class NotWritten(OkwsError):
    """The file takes no more, as on a disk that is full; what it has are whole lines."""


class Recorder:
    """Records topics until it is stopped, one thread for each path that they are on.

    BadCommand if the file is there already and `overwrite` is not given, or if a topic needs a login and there are no
    credentials. `failure` is set, and `on_end` called, when recording cannot go on: OKX refused the login, or the file
    takes no more.
    """

    def __init__(
        self,
        topics: Iterable[Topic],
        file: str | Path,
        endpoints: Endpoints,
        credentials: Credentials | None = None,
        *,
        proxy: str = "",
        ca_file: str = "",
        overwrite: bool = False,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.received: Counter[str] = Counter()
        """Messages written, by channel; events by their name, with a colon before it."""
        self.failure: OkwsError | None = None
        self._endpoints = endpoints
        self._credentials = credentials
        self._proxy = proxy
        self._ca_file = ca_file
        self._on_end = on_end
        self._by_path: dict[str, list[Topic]] = {}
        for topic in {topic.arg: topic for topic in topics}.values():
            self._by_path.setdefault(topic.channel.path, []).append(topic)
        private = [topic.text for topics in self._by_path.values() for topic in topics if topic.channel.login]
        if private and credentials is None:
            raise BadCommand(f"topic {private[0]!r} needs a login: name a profile that has credentials")
        self._file = _opened(Path(file), overwrite=overwrite, secret=bool(private))
        self._lines = 0
        self._bytes = 0
        """Of whole lines."""
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._live: dict[str, websocket.WebSocket] = {}
        self._threads = [
            threading.Thread(target=self._record, args=(path, topics), name=f"record-{path}", daemon=True)
            for path, topics in self._by_path.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End, with every line whole."""
        self._end.set()
        with self._lock:
            for live in self._live.values():
                if live.sock is not None:
                    with suppress(OSError):
                        live.sock.shutdown(socket.SHUT_RDWR)  # ends a recv of another thread, which a close does not
        for thread in self._threads:
            thread.join()
        self._file.close()

    # -- one path

    def _record(self, path: str, topics: list[Topic]) -> None:
        failures = 0
        while not self._end.is_set():
            try:
                for text in self._messages(path, topics):
                    failures = 0
                    self._write(path, "in", text)
                    self._count(text)
            except (Refused, NotWritten) as problem:
                self.failure = self.failure or problem
                self._end.set()
                if self._on_end is not None:
                    self._on_end()
                return
            except _NO_NETWORK as problem:
                if not self._end.is_set():
                    _log.warning("%s: %s; connecting again", path, problem or type(problem).__name__)
            self._end.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    def _messages(self, path: str, topics: list[Topic]) -> Iterator[str]:
        """Everything that one connection brings."""
        live = open_websocket(self._endpoints.ws(path), self._proxy, self._ca_file)
        try:
            with self._lock:
                self._live[path] = live
            if self._end.is_set():
                return
            self._write(path, "open")
            if any(topic.channel.login for topic in topics):
                yield from self._log_in(live)
            for start in range(0, len(topics), _ARGS_AT_ONCE):
                args = [topic.arg_object for topic in topics[start : start + _ARGS_AT_ONCE]]
                request = json.dumps({"op": "subscribe", "args": args}, separators=(",", ":"))
                self._write(path, "out", request)
                live.send(request)
            while True:
                text = _next(live)
                if text != "pong":
                    yield text
        finally:
            with self._lock:
                self._live.pop(path, None)
            live.shutdown()  # type: ignore[no-untyped-call]  # websocket-client has no annotation here

    def _log_in(self, live: websocket.WebSocket) -> Iterator[str]:
        assert self._credentials is not None
        live.send(login_request(self._credentials, time.time()))
        while True:
            text = _next(live)
            said = _parsed(text)
            if said.get("event") == "login":
                yield text
                return
            if said.get("event") == "error":
                code = int(said["code"]) if str(said.get("code")).isdecimal() else 0
                text = self._credentials.masked(str(said.get("msg", "")))
                if code in REFUSED_FOR_GOOD:
                    raise Refused(code, text, HINTS.get(code, ""))
                raise websocket.WebSocketException(f"login: {code} {text}")

    # -- the file

    def _write(self, path: str, direction: str, raw: str | None = None) -> None:
        recv = time.time()
        if raw is not None and self._credentials is not None and self._credentials.shows_in(raw.encode()):
            raw = self._credentials.masked(raw)
        with self._lock:
            if self._file.closed:
                return
            self._lines += 1
            line: dict[str, Any] = {"recv": recv, "dir": direction, "line": self._lines, "path": path}
            if raw is not None:
                line["raw"] = raw
            self._append((json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n").encode())

    def _append(self, line: bytes) -> None:
        done = 0
        try:
            while done < len(line):
                done += self._file.write(line[done:]) or 0
        except OSError as problem:
            with suppress(OSError):
                self._file.truncate(self._bytes)
            raise NotWritten(f"file {str(self._file.name)!r}: {problem.strerror}; it has what came before") from None
        self._bytes += done

    def _count(self, text: str) -> None:
        said = _parsed(text)
        if "event" in said:
            self.received[f":{said['event']}"] += 1
            if said["event"] == "error":
                _log.warning("OKX says: %s %s", said.get("code"), said.get("msg"))
        elif isinstance(said.get("arg"), dict):
            self.received[str(said["arg"].get("channel"))] += 1


def _next(live: websocket.WebSocket) -> str:
    """The next message; WebSocketTimeoutException when not even a ping is answered."""
    live.settimeout(PING_AFTER_S)
    try:
        data = live.recv_data()[1]
    except websocket.WebSocketTimeoutException:
        live.send("ping")
        live.settimeout(_PONG_WITHIN_S)
        data = live.recv_data()[1]
    return bytes(data).decode(errors="replace")


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _opened(file: Path, *, overwrite: bool, secret: bool) -> io.FileIO:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
    try:
        return io.FileIO(file, "w", opener=lambda path, _: os.open(path, flags, 0o600 if secret else 0o666))
    except FileExistsError:
        raise BadCommand(f"file {str(file)!r} is there already; --force writes over it") from None
    except OSError as problem:
        raise BadCommand(f"file {str(file)!r}: {problem.strerror}") from None
