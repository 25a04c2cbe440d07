"""A small real proxy: HTTP (CONNECT, and plain requests by absolute URL) and SOCKS5 on one port, with or without login.

It reaches only what `hosts` names, whatever the name: tests see that names are looked up by the proxy, and nothing
leaves this machine.
"""

from __future__ import annotations

import base64
import socket
import socketserver
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

__all__ = ["Asked", "Proxy"]

_LIMIT_S = 20.0


@dataclass(frozen=True)
class Asked:
    """What a client asked for. `kind` is connect, plain or socks5; `user` is "" without a login."""

    kind: str
    host: str
    port: int
    user: str = ""


class Proxy:
    """Runs in threads for as long as the `with` block lasts."""

    def __init__(self, hosts: dict[str, str] | None = None, login: tuple[str, str] | None = None) -> None:
        """`hosts`: a name or address as asked for -> the address to connect to; the port stays."""
        self.hosts = hosts or {}
        self.login = login
        self.asked: list[Asked] = []
        self.refused_logins = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self

    def url(self, scheme: str, login: tuple[str, str] | None = None) -> str:
        """Its URL; with `login` in place of the right one."""
        user = login or self.login
        place = f"{quote(user[0], safe='')}:{quote(user[1], safe='')}@" if user else ""
        return f"{scheme}://{place}127.0.0.1:{self._server.server_address[1]}"

    @property
    def places(self) -> set[tuple[str, int]]:
        """The hosts and ports that were asked for."""
        return {(one.host, one.port) for one in self.asked}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy


class _Handler(socketserver.StreamRequestHandler):
    """One client."""

    server: _Server

    def handle(self) -> None:
        """Tell by the first byte what it speaks."""
        self.connection.settimeout(_LIMIT_S)
        try:
            first = self.connection.recv(1, socket.MSG_PEEK)
            if first == b"\x05":
                self._socks()
            elif first:
                self._http()
        except (OSError, EOFError):
            pass

    def _http(self) -> None:
        request = self.rfile.readline().decode("latin-1").split()
        headers: dict[str, str] = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        user = self._user_of(headers.pop("proxy-authorization", ""))
        if user is None:
            self.server.proxy.refused_logins += 1
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, target = request[0], request[1]
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = parts.hostname or "", parts.port or 80
        upstream = self._reach(Asked("connect" if method == "CONNECT" else "plain", host, port, user))
        if upstream is None:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
            upstream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self._pump(upstream)

    def _user_of(self, header: str) -> str | None:
        """The user who logged in, "" if none has to, None if it is refused."""
        if self.server.proxy.login is None:
            return ""
        given = base64.b64decode(header.removeprefix("Basic ")).decode()
        return self.server.proxy.login[0] if given == ":".join(self.server.proxy.login) else None

    def _socks(self) -> None:
        methods = self._exactly(self._exactly(2)[1])
        user = ""
        if self.server.proxy.login is None:
            self.wfile.write(b"\x05\x00")
        elif 2 not in methods:
            self.server.proxy.refused_logins += 1
            self.wfile.write(b"\x05\xff")
            return
        else:
            self.wfile.write(b"\x05\x02")
            name = self._exactly(self._exactly(2)[1]).decode()
            word = self._exactly(self._exactly(1)[0]).decode()
            right = (name, word) == self.server.proxy.login
            self.wfile.write(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                self.server.proxy.refused_logins += 1
                return
            user = name
        _, _, _, kind = self._exactly(4)
        if kind == 3:
            host = self._exactly(self._exactly(1)[0]).decode()
        else:
            family, length = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, self._exactly(length))
        (port,) = struct.unpack("!H", self._exactly(2))
        upstream = self._reach(Asked("socks5", host, port, user))
        self.wfile.write(bytes((5, 0 if upstream else 4, 0, 1, 0, 0, 0, 0, 0, 0)))
        if upstream:
            self._pump(upstream)

    def _exactly(self, count: int) -> bytes:
        got = self.rfile.read(count)
        if len(got) < count:
            raise EOFError
        return got

    def _reach(self, asked: Asked) -> socket.socket | None:
        self.server.proxy.asked.append(asked)
        address = self.server.proxy.hosts.get(asked.host)
        return socket.create_connection((address, asked.port), timeout=_LIMIT_S) if address else None

    def _pump(self, upstream: socket.socket) -> None:
        for one in (self.connection, upstream):
            one.settimeout(None)
        back = threading.Thread(target=_copy, args=(upstream, self.connection), daemon=True)
        back.start()
        _copy(self.connection, upstream)
        back.join(_LIMIT_S)
        upstream.close()


def _copy(source: Any, target: Any) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            end.shutdown(how)
        except OSError:
            pass
