"""The short way: turns of a session's loop in which nothing comes but pushes of topics that are as they should be.

At some thousand pushes a second each comes when all code has gone cold since the one before, so that a turn costs what
it touches: here that is as little as there can be. Whatever is not as usual is left to the loop of `session.py`, which
does the same in more steps, and everything else.
"""

from __future__ import annotations

from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.exchange import Exchange
from okws_celery.session.poller import READ, Poller
from okws_celery.session.stream import LinkLost
from okws_celery.store.batch import Batch
from okws_celery.store.fence import Fence

__all__ = ["Flow"]


class Flow:
    """Belongs to a session's loop."""

    def __init__(
        self, poller: Poller, clock: Clock, exchange: Exchange, board: Board, batch: Batch, fence: Fence
    ) -> None:
        self._poller = poller
        self._clock = clock
        self._exchange = exchange
        self._board = board
        self._batch = batch
        self._fence = fence

    def run(self, until: float) -> list[tuple[int, int]]:
        """Serve pushes until that time, or until something else is to be done: what of the poller's findings is left.

        Raises WireLost.
        """
        wait, watches = self._poller.wait, self._poller.watches
        clock, exchange, board, batch, fence = self._clock, self._exchange, self._board, self._batch, self._fence
        if clock.now >= until:
            return wait(0)
        while True:
            # Since the last look at the clock only what a turn did has passed, which is nothing.
            ready = wait((until - clock.now) * 1000)
            now = clock.read()
            if len(ready) != 1 or now >= until:
                return ready
            descriptor, events = ready[0]
            _, _, _, link, stream = watches[descriptor]
            if link is None or stream is None or events != READ:
                return ready
            try:
                frames = stream.read(now)
                left = board.take(batch, frames, clock.ms, stream.serial)
                if left or board.stirred:
                    exchange.take(link, frames, left)
            except LinkLost as problem:
                exchange.lost(link, str(problem))
            if stream.unread:
                exchange.unread = True
            if exchange.stirred or exchange.unread:
                return []
            if batch.publishes or batch.writes or batch.marked:
                number = fence.sent
                whole = fence.pass_on(batch, now)
                if fence.sent != number:
                    board.flushing()
                if not whole:
                    return []
