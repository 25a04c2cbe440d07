"""Opens WebSocket connections with websocket-client: DNS, proxy, TLS and handshake, blocking, on a helper thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
import websocket

from okws_celery.okx.deflate import OFFER, agreed
from okws_celery.okx.endpoints import check_proxy
from okws_celery.session.proxying import proxy_for
from okws_celery.session.trust import trusting
from okws_celery.store.pacing import connect_delay_s
from okws_celery.store.registry import Registry

__all__ = ["CONNECT_S", "Connector", "compresses", "open_websocket"]

CONNECT_S = 10.0
"""How long a connection may take, s, after its turn has come."""
_NOBODY = "-"
_EXTENSIONS = "Sec-WebSocket-Extensions"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connector:
    """How one session reaches the exchange."""

    registry: Registry
    proxy: str = ""
    ca_file: str = ""
    deflate: bool = False

    def connect(self, url: str, begin: Callable[[], bool]) -> websocket.WebSocket:
        """A connected WebSocket. Whatever is raised says why there is none, and is for a retry.

        `begin` is called when its turn has come, which after an outage of many links takes a while; it says whether
        the connection is still wanted.
        """
        self._wait_for_turn(urlsplit(url).netloc)
        if not begin():
            raise ConnectionAbortedError("not wanted any more")
        return open_websocket(url, proxy_for(url, self.proxy), self.ca_file, deflate=self.deflate)

    def _wait_for_turn(self, host: str) -> None:
        try:
            time.sleep(connect_delay_s(self.registry, host))
        except redis.RedisError as problem:
            _log.debug("no pacing of connections, Redis does not answer: %s", problem)
            time.sleep(1.0)


def open_websocket(url: str, proxy: str = "", ca_file: str = "", *, deflate: bool = False) -> websocket.WebSocket:
    """A connected WebSocket, or what websocket-client, ssl or the operating system raises.

    With `deflate` the server is offered to compress what it sends; `compresses` says whether it does.
    """
    options: dict[str, Any] = {"timeout": CONNECT_S, "skip_utf8_validation": True, "enable_multithread": False}
    if deflate:
        options["header"] = {_EXTENSIONS: OFFER}
    if url.startswith("wss:"):
        options["sslopt"] = {"context": trusting(ca_file, "websocket")}
    if proxy:
        options |= _proxy_options(proxy)
    return websocket.create_connection(url, **options)


def compresses(ws: websocket.WebSocket) -> bool:
    """Whether the server has agreed to compress; BadDeflate if it does what it was not offered."""
    headers = ws.getheaders() or {}
    return agreed(str(headers.get(_EXTENSIONS.lower(), "")))


def _proxy_options(proxy: str) -> dict[str, Any]:
    parts = urlsplit(check_proxy(proxy))
    options: dict[str, Any] = {
        "proxy_type": parts.scheme,
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port,
        "http_proxy_timeout": CONNECT_S,
        "http_no_proxy": [_NOBODY],  # an empty list would have NO_PROXY looked at, which we have done
    }
    if parts.username:
        options["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return options
