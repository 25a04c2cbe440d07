"""Asks OKX's REST, blocking, on a session's helper threads: proxy, TLS, pacing over all workers, a few tries."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import redis
import urllib3

from okws_celery.okx.endpoints import Endpoints
from okws_celery.okx.login import Credentials
from okws_celery.okx.rest import TIMESTAMP_EXPIRED, RestError, RestRequest, parse_answer, time_request
from okws_celery.session.proxying import proxy_for
from okws_celery.session.trust import trusting
from okws_celery.store.pacing import rest_delay_s
from okws_celery.store.registry import Registry

__all__ = ["RestClient"]

_CONNECT_S = 3.0
_READ_S = 5.0
_TRIES = 3
_CONNECTIONS = 8  # kept open: more than ever ask at once
_PAUSE_S = 0.5
_MOST_DELAY_S = 10.0


class _Time(msgspec.Struct):
    ts: str = ""


class RestClient:
    """How one session asks. Safe for several threads."""

    def __init__(
        self,
        registry: Registry,
        endpoints: Endpoints,
        credentials: Credentials | None = None,
        *,
        proxy: str = "",
        ca_file: str = "",
    ) -> None:
        self.offset_s = 0.0
        """By how much the exchange's clock was ahead of ours when it was last measured, s; 0 before."""
        self.measured_at: float | None = None
        """When that was, by time.monotonic(); None before."""
        self._registry = registry
        self._endpoints = endpoints
        self._credentials = credentials
        self._proxy = proxy
        self._ca_file = ca_file

    def get(self, request: RestRequest) -> list[bytes]:
        """The rows of the answer, each as raw JSON; RestError says why there are none.

        What OKX says may pass (busy, too frequent) is tried again; a connection that fails is not, as somebody waits.
        A signed request that came with a wrong time is sent once more, after the clock was measured.
        """
        who = self._credentials if request.signed else None
        for attempt in range(1, _TRIES):
            try:
                return self._once(request, who)
            except RestError as problem:
                if problem.code in TIMESTAMP_EXPIRED and attempt == 1:
                    self.measure_clock()
                elif problem.passing:
                    time.sleep(_PAUSE_S * attempt)
                else:
                    raise
        return self._once(request, who)

    def measure_clock(self) -> float:
        """Measure `offset_s` anew; as it was if the exchange cannot be asked, which is a RestError."""
        request = time_request()
        self._wait_for_turn(request)
        begun, at = time.monotonic(), time.time()
        rows = self._answer(request, None)
        took_s = time.monotonic() - begun
        try:
            server_s = int(msgspec.json.decode(rows[0], type=_Time).ts) / 1000
        except (IndexError, ValueError):
            raise RestError(f"REST at {self._endpoints.rest_url}: its time was not understood") from None
        # The answer says the time of its middle, as far as we know.
        self.offset_s = server_s - (at + took_s / 2)
        self.measured_at = time.monotonic()
        return self.offset_s

    def close(self) -> None:
        """Close the connections that are kept."""
        if "_pool" in self.__dict__:  # it is made with the first request, and that may have failed
            self._pool.clear()

    def _once(self, request: RestRequest, who: Credentials | None) -> list[bytes]:
        self._wait_for_turn(request)
        return self._answer(request, who)

    def _answer(self, request: RestRequest, who: Credentials | None) -> list[bytes]:
        headers = request.headers(who, self._endpoints.demo, time.time() + self.offset_s)
        try:
            answer = self._pool.request("GET", self._endpoints.rest_url + request.target, headers=headers)
        except (urllib3.exceptions.HTTPError, OSError) as problem:
            # Its text may name the proxy with its password.
            raise RestError(f"REST at {self._endpoints.rest_url}: {type(problem).__name__}") from None
        return parse_answer(answer.status, answer.data)

    def _wait_for_turn(self, request: RestRequest) -> None:
        host = urlsplit(self._endpoints.rest_url).netloc
        try:
            delay_s = rest_delay_s(self._registry, host, request.path, request.a_second, _MOST_DELAY_S)
        except redis.RedisError:
            delay_s = 1 / request.a_second
        if delay_s > _MOST_DELAY_S:
            raise RestError(f"REST at {host}: {request.path} has no turn free for {delay_s:.0f} s")
        time.sleep(delay_s)

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            "retries": False,
            "maxsize": _CONNECTIONS,
            "ssl_context": trusting(self._ca_file, "rest"),
        }
        proxy = proxy_for(self._endpoints.rest_url, self._proxy)
        if not proxy:
            return urllib3.PoolManager(**options)
        parts = urlsplit(proxy)
        if parts.scheme.startswith("socks"):
            from urllib3.contrib.socks import SOCKSProxyManager

            return SOCKSProxyManager(proxy, **options)
        if parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=login)
        return urllib3.ProxyManager(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", **options)
