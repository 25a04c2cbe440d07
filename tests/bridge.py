"""The client for coroutines, called as the client for threads is: one test shows a behaviour of both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from okws_celery import aio
from okws_celery.calls.listeners import AsyncListener
from okws_celery.settings import Settings
from okws_celery.sync import Client

__all__ = ["KINDS", "Bridge", "BridgedListener", "Loop", "make_client"]

T = TypeVar("T")

KINDS = ("threads", "coroutines")
"""The clients that there are."""


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry a coroutine out there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Bridge:
    """Its methods are those of `aio.Client`; each call waits for its outcome."""

    def __init__(self, settings: Settings) -> None:
        self._closed = False
        self._loop = Loop()
        self._client = self._loop.run(aio.client(settings=settings))

    def __getattr__(self, name: str) -> Any:
        wanted = getattr(self._client, name)
        if not inspect.iscoroutinefunction(wanted):
            return wanted
        call: Callable[..., Coroutine[Any, Any, Any]] = wanted
        return lambda *args, **kwargs: self._loop.run(call(*args, **kwargs))

    def listen(self, *args: Any, **kwargs: Any) -> BridgedListener:
        """A listener that has begun, as that of the other client has."""
        made: list[AsyncListener] = []

        async def begin() -> None:
            made.append(await self._client.listen(*args, **kwargs).begin())

        self._loop.run(begin())
        return BridgedListener(made[0], self._loop)

    def close(self) -> None:
        """Close the client and its loop."""
        if not self._closed:
            self._closed = True
            self._loop.run(self._client.close())
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BridgedListener:
    """An async listener as an iterator."""

    def __init__(self, listener: AsyncListener, loop: Loop) -> None:
        self._listener = listener
        self._loop = loop

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        async def following() -> dict[str, Any] | None:
            return await anext(self._listener, None)

        item = self._loop.run(following())
        if item is None:
            raise StopIteration
        return item

    def close(self) -> None:
        """Close the listener."""
        self._loop.run(self._listener.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_client(kind: str, settings: Settings) -> Client:
    """One of KINDS."""
    return Client(settings) if kind == "threads" else cast("Client", Bridge(settings))
