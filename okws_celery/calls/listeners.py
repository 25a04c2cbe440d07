"""Listeners: iterators that carry the conversation of calls/listening.py out, one for threads and one for coroutines.

Each has a connection of its own, and for the time of a read a second one: what is amiss with a client's other
connections does not hold it up.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import redis
import redis.asyncio

from okws_celery.calls.drivers import async_fetch
from okws_celery.calls.listening import Listening, conversation
from okws_celery.calls.talk import Connect, Effect, Fetch, Hear, Pause, Tell
from okws_celery.errors import BadCommand, OkwsError, StoreError
from okws_celery.query import fetch
from okws_celery.store.connect import (
    async_impatient_client,
    async_listening_connection,
    impatient_client,
    listening_connection,
    store_error,
)

__all__ = ["AsyncListener", "Listener", "Listeners"]

T = TypeVar("T", bound=object)

_MANY = 256
"""Messages taken over at a time."""
_NOT_YET = object()
"""No outcome yet: the effect is tried again."""


class Listeners(Generic[T]):
    """The listeners of a client that somebody still has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, listener: T) -> T:
        """Remember one, for as long as it is used."""
        with self._lock:
            self._members.add(listener)
        return listener

    def __iter__(self) -> Iterator[T]:
        with self._lock:
            return iter(list(self._members))


class _Listener:
    """What both have: the conversation, how far it has come, and when to stop waiting."""

    def __init__(self, listening: Listening, url: str, timeout: float | None) -> None:
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0):
            raise BadCommand(f"timeout {timeout!r}: a number of seconds above 0 is accepted")
        self._listening = listening
        self._url = url
        self._timeout = timeout
        self._talk = conversation(listening)
        self._effect: Effect | None = None
        self._connection: Any = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was closed, or failed for good."""
        return self._closed

    def _begins(self) -> bool:
        """Whether it still makes its first attempt to connect."""
        return not (self._closed or self._listening.attached or isinstance(self._effect, Pause))

    def _end(self) -> float:
        return time.monotonic() + (1e9 if self._timeout is None else self._timeout)

    def _time_is_up(self) -> None:
        """StoreError if Redis is away; else nothing has come, which is no error."""
        if not self._listening.attached:
            raise StoreError(self._listening.trouble or f"{self._url}: not connected yet")

    def _next_effect(self) -> Effect:
        if self._effect is None:
            self._effect = next(self._talk)
        return self._effect

    def _went_well(self, outcome: Any) -> None:
        self._effect = self._talk.send(outcome)

    def _went_wrong(self, problem: OkwsError) -> None:
        self._effect = self._talk.throw(problem)


class Listener(_Listener):
    """An iterator over dicts, see `Client.listen`. `close` may be called from any thread; it is a context manager."""

    def __init__(self, listening: Listening, url: str, timeout: float | None = None) -> None:
        super().__init__(listening, url, timeout)
        self._lock = threading.Lock()
        self._client = impatient_client(url)

    def begin(self) -> Self:
        """Subscribe and read what is there, unless Redis is away: then it is tried again while one iterates."""
        with self._lock:
            while self._begins():
                self._advance(self._end())
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        with self._lock:
            end = self._end()
            while not self._closed and not self._listening.ready:
                if time.monotonic() >= end:
                    self._time_is_up()
                    raise StopIteration
                self._advance(end)
            if self._closed:
                self._release()
                raise StopIteration
            return self._listening.ready.popleft()

    def close(self) -> None:
        """End it: who iterates in another thread is let go within a second."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _advance(self, end: float) -> None:
        effect = self._next_effect()
        try:
            try:
                outcome = self._do(effect, end)
            except OkwsError as problem:
                self._went_wrong(problem)
            else:
                if outcome is not _NOT_YET:
                    self._went_well(outcome)
        except OkwsError:
            self._closed = True
            self._release()
            raise

    def _do(self, effect: Effect, end: float) -> Any:
        left = max(0.0, end - time.monotonic())
        match effect:
            case Fetch(read):
                try:
                    return fetch(self._client, self._url, read)
                finally:
                    self._client.close()
            case Pause(seconds):
                return time.sleep(min(seconds, left))
        try:
            match effect:
                case Hear(seconds):
                    messages = self._hear(min(seconds, left))
                    # Not waited for as long as was asked: it is no silence.
                    return messages if messages or left > seconds else _NOT_YET
                case Tell(command):
                    return self._connection.send_command(*command)
                case Connect():
                    self._disconnect()
                    self._connection = listening_connection(self._url)
                    return self._connection.connect()
        except (redis.RedisError, OSError) as problem:
            raise store_error(self._url, problem) from problem
        raise TypeError(f"{effect!r}: not for a listener")

    def _hear(self, seconds: float) -> list[Any]:
        connection = self._connection
        messages: list[Any] = []
        try:
            while len(messages) < _MANY and connection.can_read(timeout=0 if messages else seconds):
                messages.append(connection.read_response(disconnect_on_error=False))
        except (redis.RedisError, OSError):
            if not messages:
                raise  # else what came before it is given first, and the next look meets it again
        return messages

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _release(self) -> None:
        self._disconnect()
        self._talk.close()


class AsyncListener(_Listener):
    """An async iterator over dicts, see `aio.Client.listen`; it is an async context manager.

    Cancelling who waits for the next item, by asyncio.wait_for for one, loses nothing.
    """

    def __init__(self, listening: Listening, url: str, timeout: float | None = None) -> None:
        super().__init__(listening, url, timeout)
        self._client = async_impatient_client(url)
        # What is done outlives the one who waits for it.
        self._doing: asyncio.Task[Any] | None = None

    async def begin(self) -> Self:
        """Subscribe and read what is there, unless Redis is away: then it is tried again while one iterates."""
        while self._begins():
            await self._advance(self._end())
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        end = self._end()
        while not self._closed and not self._listening.ready:
            if time.monotonic() >= end:
                self._time_is_up()
                raise StopAsyncIteration
            await self._advance(end)
        if self._closed:
            await self.close()
            raise StopAsyncIteration
        return self._listening.ready.popleft()

    async def close(self) -> None:
        """End it: a task that waits for the next item is let go within a second."""
        self._closed = True
        doing, self._doing = self._doing, None
        try:
            if doing is not None:
                doing.cancel()
                await asyncio.wait([doing])  # which tells its cancellation from that of who closes
                with suppress(asyncio.CancelledError, OkwsError):
                    doing.result()
        finally:
            self._talk.close()
            await self._disconnect()
            await self._client.aclose(close_connection_pool=True)  # a read may have been cancelled while it did so

    aclose = close

    async def __aenter__(self) -> Self:
        try:
            return await self.begin()
        except BaseException:
            await self.close()  # cancelled on the way in, a block is never left, and so not closed
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _advance(self, end: float) -> None:
        effect = self._next_effect()
        left = max(0.0, end - time.monotonic())
        try:
            try:
                if isinstance(effect, Hear):
                    outcome = await self._hear(min(effect.seconds, left))
                    if not outcome and left <= effect.seconds:
                        return  # not waited for as long as was asked: it is no silence
                else:
                    doing = self._doing = self._doing or asyncio.ensure_future(self._do(effect))
                    done, _ = await asyncio.wait([doing], timeout=left)
                    if self._closed or not done:
                        return
                    self._doing = None
                    outcome = doing.result()
            except OkwsError as problem:
                if not self._closed:
                    self._went_wrong(problem)
            else:
                if not self._closed:
                    self._went_well(outcome)
        except OkwsError:
            await self.close()
            raise

    async def _hear(self, seconds: float) -> list[Any]:
        try:
            reply = await self._connection.read_response(timeout=seconds, disconnect_on_error=False)
            return [] if reply is None else [reply]
        except (redis.RedisError, OSError) as problem:
            raise store_error(self._url, problem) from problem

    async def _do(self, effect: Effect) -> Any:
        match effect:
            case Fetch(read):
                try:
                    return await async_fetch(self._client, self._url, read)
                finally:
                    await self._client.aclose(close_connection_pool=True)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
        try:
            match effect:
                case Tell(command):
                    return await self._connection.send_command(*command)
                case Connect():
                    await self._disconnect()
                    self._connection = async_listening_connection(self._url)
                    return await self._connection.connect()
        except (redis.RedisError, OSError) as problem:
            raise store_error(self._url, problem) from problem
        raise TypeError(f"{effect!r}: not for a listener")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
