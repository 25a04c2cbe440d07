"""A server within a program of one's own, or by itself: a worker that opens what the config file names.

    await asyncio.gather(okws.server.run(), client())      # from okws_celery import aio as okws

    with okws_celery.server.running():                     # without asyncio
        ...

    python -m okws_celery.server -c okws.ini

`server_quit()` of any client of the namespace ends all of them. The worker is a child process, which ends with its
parent in every case.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from okws_celery.background import in_thread
from okws_celery.serving import START_S, Server, ServerError

__all__ = ["Running", "ServerError", "main", "run", "running"]

_LOOK_S = 0.05


async def run(config: str | os.PathLike[str] | None = None) -> None:
    """Hold a worker until `server_quit`; cancelled, it returns when the worker has ended.

    `config` wins over OKWS_CONFIG. ConfigError, StoreError if no Redis answers, ServerError if the worker does not
    come up or ends by itself. It needs no main thread. What the worker logs goes to the logger `okws_celery.server`.
    """
    server = Server(config)
    stop = threading.Event()
    working = asyncio.wrap_future(in_thread(lambda: server.serve(stop.wait)))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        while not working.done():  # who cancels twice waits all the same: nothing is left behind
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        working.exception()
        raise


class Running:
    """A server in the background; see `running`."""

    def __init__(self, working: Future[None]) -> None:
        self._working = working

    @property
    def alive(self) -> bool:
        """Whether it still runs; after `server_quit` it does not."""
        return not self._working.done()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most `timeout` seconds; whether it has. ServerError if it ended by itself."""
        try:
            self._working.result(timeout)
        except TimeoutError:
            return False
        return True


@contextmanager
def running(config: str | os.PathLike[str] | None = None, *, timeout: float = START_S) -> Iterator[Running]:
    """A server for as long as the block lasts, or until `server_quit`; the block begins when its worker takes tasks.

    ServerError if that takes longer than `timeout` seconds, with the end of the worker's log; else as `run`. If the
    worker ends by itself, the block is not interrupted; its end raises ServerError.
    """
    server = Server(config)
    stop, ready = threading.Event(), threading.Event()
    working = in_thread(lambda: server.serve(stop.wait, ready.set, start_s=timeout))
    try:
        while not ready.wait(_LOOK_S) and not working.done():
            pass
        if working.done():
            working.result()
        yield Running(working)
    except BaseException:
        stop.set()
        working.exception()
        raise
    stop.set()
    working.result()


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m okws_celery.server`, which is `okws server`; the exit status."""
    from okws_celery.cli import main as okws  # the command's house stands above this one

    return okws(["server", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
