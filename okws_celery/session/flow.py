"""The short way: nearly every wake-up brings pushes of topics that are as they should be, and nothing else is due.

At a thousand pushes a second each comes when all code has gone cold since the one before, so that a turn costs what it
touches, above all functions and objects. So the way from the socket to the batch is one function here, and that from
the batch to Redis another (`Fence.pass_on`). Whatever is not as usual they leave to those who do the same in more steps
and for every case: `Exchange.take` for messages, `Session` for everything else that is to be done in a turn.
"""

from __future__ import annotations

import time

from okws_celery.okx.messages import decode_push
from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.exchange import READS, Exchange
from okws_celery.session.link import Link
from okws_celery.session.poller import READ, Poller
from okws_celery.session.stream import LinkLost, Stream
from okws_celery.store.batch import LENGTHS, Batch
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

        What came last may still be in the batch. Raises WireLost.
        """
        wait, watches, monotonic = self._poller.wait, self._poller.watches, time.monotonic
        clock, exchange, batch, fence = self._clock, self._exchange, self._batch, self._fence
        now = clock.now
        if now >= until:
            return wait(0)
        unread: list[tuple[Link, Stream]] = []
        while True:
            # Since the last look at the clock only what a turn did has passed, which is nothing.
            ready = wait(0 if unread else (until - now) * 1000)
            clock.ms = clock.time_ns() // 1_000_000
            clock.now = now = monotonic()
            others = []
            if unread:
                unread = [(link, stream) for link, stream in unread if self._serve(link, stream, now)]
            for found in ready:
                _, _, _, link, stream = watches[found[0]]
                if link is None or stream is None or found[1] != READ:
                    others.append(found)
                elif self._serve(link, stream, now):
                    unread.append((link, stream))
            if others or now >= until or exchange.stirred:
                exchange.unread = bool(unread)
                return others
            if batch.publishes or batch.writes or batch.marked:
                number = fence.sent
                whole = fence.pass_on(batch, now)
                if fence.sent != number:
                    self._board.flushing()
                if not whole:
                    exchange.unread = bool(unread)
                    return others

    def _serve(self, link: Link, stream: Stream, now: float) -> bool:
        """Take what there is to read, as far as one turn admits; whether there is more."""
        if link.stream is not stream:
            return False
        exchange, board, batch, serial, now_ms = self._exchange, self._board, self._batch, stream.serial, self._clock.ms
        known, touched, publishes = board.alone, board.touched, batch.publishes
        try:
            for _ in range(READS):
                for frame in stream.read(now):
                    route = None
                    if frame.isascii():
                        try:
                            push = decode_push(frame)
                            route = known.get(bytes(push.arg))
                        except (ValueError, RecursionError):
                            pass
                    if route is None or route[0].steady != serial:
                        exchange.take(link, frame)
                        continue
                    entry, feed, publish = route
                    try:
                        fault = feed.write(batch, push)
                    except Exception:  # it is met with again there, and then it is said
                        exchange.take(link, frame)
                        continue
                    if publish:
                        size = len(frame)
                        length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
                        publishes.append(b"".join((publish, length, frame, b"\r\n")))
                    entry.seen = entry.heard = now_ms
                    touched[entry] = None
                    board.pushes += 1
                    if not feed.live:
                        exchange.settle(link, entry, fault)
                if not stream.unread:
                    return False
        except LinkLost as problem:
            exchange.lost(link, str(problem))
        return stream is link.stream
