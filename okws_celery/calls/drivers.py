"""What carries conversations out: `Driver` for threads, `AsyncDriver` for the coroutines of one event loop."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import redis

from okws_celery.calls.talk import Effect, Fetch, Pause, Step, Talk, Wait
from okws_celery.errors import OkwsError
from okws_celery.feeds.route import Read
from okws_celery.query import fetch
from okws_celery.store.connect import async_client, store_error
from okws_celery.store.registry import Registry

__all__ = ["AsyncDriver", "Driver", "async_fetch"]

T = TypeVar("T")

_READING = 32
"""Connections that reads of one async client share."""
_WAITING = 256
"""Connections on which its calls wait for their answers; each is busy for 2 s at most."""
_THREADS = 8
"""For work that blocks: the registry and the broker."""


class Driver:
    """Carries conversations out in the calling thread. Safe for threads."""

    def __init__(self, registry: Registry) -> None:
        self._url = registry.settings.redis_url
        self._redis = registry.redis

    def run(self, talk: Talk[T]) -> T:
        """A conversation to its end; what it returns, or raises."""
        try:
            effect = next(talk)
            while True:
                try:
                    outcome = self.do(effect)
                except OkwsError as problem:
                    effect = talk.throw(problem)
                else:
                    effect = talk.send(outcome)
        except StopIteration as ended:
            value: T = ended.value
            return value

    def do(self, effect: Effect) -> Any:
        """One effect."""
        match effect:
            case Step(work):
                return work()
            case Pause(seconds):
                return time.sleep(seconds)
            case Fetch(read):
                return self.fetch(read)
            case Wait(key, seconds):
                return fetch(self._redis, self._url, _wait(key, seconds))
        raise TypeError(f"{effect!r}: only a listener has a connection to listen on")

    def fetch(self, read: Read) -> Any:
        """A read that is no part of a conversation: what its `shape` makes of the replies."""
        return fetch(self._redis, self._url, read)


class AsyncDriver:
    """Carries conversations out in coroutines: Redis natively, what blocks in threads of its own."""

    def __init__(self, registry: Registry) -> None:
        self._url = registry.settings.redis_url
        self._reading: Any = async_client(self._url)
        self._waiting: Any = async_client(self._url)
        # Who finds all connections busy waits for one; redis-py's pool that does so costs a tenth of a read.
        self._reads, self._waits = asyncio.Semaphore(_READING), asyncio.Semaphore(_WAITING)
        self._threads = _threads()

    async def run(self, talk: Talk[T]) -> T:
        """A conversation to its end; what it returns, or raises."""
        try:
            effect = next(talk)
            while True:
                try:
                    outcome = await self.do(effect)
                except OkwsError as problem:
                    effect = talk.throw(problem)
                else:
                    effect = talk.send(outcome)
        except StopIteration as ended:
            value: T = ended.value
            return value

    async def do(self, effect: Effect) -> Any:
        """One effect."""
        match effect:
            case Step(work):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Fetch(read):
                return await self.fetch(read)
            case Wait(key, seconds):
                async with self._waits:
                    return await async_fetch(self._waiting, self._url, _wait(key, seconds))
        raise TypeError(f"{effect!r}: only a listener has a connection to listen on")

    async def fetch(self, read: Read) -> Any:
        """A read that is no part of a conversation: what its `shape` makes of the replies."""
        async with self._reads:
            return await async_fetch(self._reading, self._url, read)

    async def close(self) -> None:
        """Close the connections; what runs in a thread may come to its end there. A later call opens new ones."""
        threads, self._threads = self._threads, _threads()
        threads.shutdown(wait=False)
        await self._reading.aclose(close_connection_pool=True)
        await self._waiting.aclose(close_connection_pool=True)


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="okws")


async def async_fetch(client: Any, url: str, read: Read) -> Any:
    """What query.fetch does, on a client for coroutines."""
    try:
        if len(read.commands) == 1:
            return read.shape([await client.execute_command(*read.commands[0])])
        async with client.pipeline() as pipe:
            for command in read.commands:
                pipe.execute_command(*command)
            replies = await pipe.execute()
    except redis.RedisError as problem:
        raise store_error(url, problem) from problem
    return read.shape(replies)


def _wait(key: str, seconds: float) -> Read:
    return Read([("BLPOP", key, f"{seconds:.3f}")], _popped)


def _popped(replies: list[Any]) -> Any:
    return replies[0][1] if replies[0] else None
