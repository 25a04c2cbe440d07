"""Connections to Redis, made by redis-py from OKWS_REDIS_URL: clients for callers, bare sockets for sessions."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from okws_celery.errors import ConfigError, StoreError, StoreRefused

__all__ = [
    "BareConnection",
    "async_client",
    "async_impatient_client",
    "async_listening_connection",
    "bare_connection",
    "check_url",
    "client",
    "impatient_client",
    "listening_connection",
    "shown",
    "store_error",
    "talking",
]

SCHEMES = ("redis", "rediss", "unix")
_TIMEOUT_S = 5.0
_NO_LIMIT = 1 << 30
"""Of connections of a client: there are as many as there are threads or coroutines in a call at once."""


def client(url: str) -> redis.Redis:
    """A client whose replies are text. It survives a restart of Redis; safe for threads."""
    check_url(url)
    return redis.Redis.from_url(
        url, decode_responses=True, health_check_interval=15, max_connections=_NO_LIMIT, **_timeouts(url)
    )


def async_client(url: str) -> redis.asyncio.Redis:
    """The same for coroutines of one event loop."""
    check_url(url)
    return redis.asyncio.Redis.from_url(
        url, decode_responses=True, health_check_interval=15, max_connections=_NO_LIMIT, **_timeouts(url)
    )


def impatient_client(url: str, timeout_s: float = _TIMEOUT_S) -> redis.Redis:
    """A client that fails at once where the others would try again: for one who tries again himself."""
    check_url(url)
    timeouts = dict.fromkeys({"socket_timeout", "socket_connect_timeout"} & _timeouts(url).keys(), timeout_s)
    return redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0), **(_timeouts(url) | timeouts))


def async_impatient_client(url: str) -> redis.asyncio.Redis:
    """The same for coroutines."""
    check_url(url)
    return redis.asyncio.Redis.from_url(url, decode_responses=True, retry=AsyncRetry(NoBackoff(), 0), **_timeouts(url))


def listening_connection(url: str) -> Any:
    """A redis-py connection for pub/sub, not connected yet. It never connects again by itself, which would hide a gap;
    replies are bytes."""
    check_url(url)
    pool: Any = redis.ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), **_timeouts(url))
    return pool.make_connection()


def async_listening_connection(url: str) -> Any:
    """The same for coroutines."""
    check_url(url)
    retry = AsyncRetry(NoBackoff(), 0)
    pool: Any = redis.asyncio.ConnectionPool.from_url(url, protocol=2, retry=retry, **_timeouts(url))
    return pool.make_connection()


@contextmanager
def talking(url: str) -> Iterator[None]:
    """Within it what redis-py raises becomes a StoreError that names the Redis."""
    try:
        yield
    except redis.RedisError as problem:
        raise store_error(url, problem) from problem


class BareConnection:
    """A connected, authenticated Redis socket that the owner reads and writes without redis-py.

    redis-py has made it (TLS, ACL, database) and keeps it alive; `sock` does not block.
    """

    def __init__(self, connection: Any) -> None:
        connection.connect()
        # redis-py offers no public way to its socket; the attribute has had this name in every release so far.
        sock: socket.socket | None = getattr(connection, "_sock", None)
        if sock is None:
            raise StoreError("redis-py made a connection without a socket")
        sock.setblocking(False)
        self.sock = sock
        self._connection = connection

    def close(self) -> None:
        """Close the socket."""
        self._connection.disconnect()


def bare_connection(url: str) -> BareConnection:
    """Connect, blocking for at most some seconds; StoreError says why it could not."""
    check_url(url)
    pool = redis.ConnectionPool.from_url(
        url,
        protocol=2,  # in RESP3 replies may be interleaved with pushes that nobody here asked for
        socket_read_size=1024,  # the buffer for its own replies, which are those of the handshake
        # A retried command could be written twice, or by one who has lost the lease: never here.
        retry=Retry(NoBackoff(), 0),
        **_timeouts(url),
    )
    try:
        return BareConnection(pool.make_connection())
    except (redis.RedisError, OSError) as problem:
        raise StoreError(f"Redis at {shown(url)}: {problem}") from problem


def _timeouts(url: str) -> dict[str, Any]:
    if url.startswith("unix:"):  # which has nothing to be kept alive
        return {"socket_timeout": _TIMEOUT_S}
    return {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S, "socket_keepalive": True}


def check_url(url: str) -> None:
    """ConfigError if this is not a URL that Redis can be reached by."""
    try:
        parts = urlsplit(url)
        database = parts.path.strip("/")
        usable = parts.scheme == "unix" or (
            parts.scheme in SCHEMES and (parts.port is None or parts.port > 0) and (not database or database.isdigit())
        )
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"OKWS_REDIS_URL {shown(url)!r}: redis://host:port/0, rediss://host:port/0 or unix:///path is accepted"
        )


def shown(url: str) -> str:
    """The URL without its password, fit for messages and logs."""
    scheme, mark, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    if "@" in place:
        place = f"***@{place.rpartition('@')[2]}"
    return scheme + mark + place + slash + re.sub(r"(password=)[^&]*", r"\1***", path)


def store_error(url: str, problem: Exception) -> StoreError:
    """What redis-py raised, as an error of ours that names the Redis at `url` without its password."""
    refused = isinstance(problem, redis.ResponseError | redis.AuthenticationError)
    return (StoreRefused if refused else StoreError)(f"Redis at {shown(url)}: {problem}")
