"""The short way: nearly every wake-up brings pushes of topics that are as they should be, and nothing else is due.

At a thousand pushes a second each comes when all code has gone cold since the one before, so that a turn costs what it
touches, above all functions and objects. So the way from the socket to the batch is one function here, and that from
the batch to Redis another (`Fence.pass_on`). Whatever is not as usual they leave to those who do the same in more steps
and for every case: `Stream` for what was read, `Exchange.take` for messages, `Session` for everything else in a turn.
"""

from __future__ import annotations

import time

from okws_celery.okx.frames import TEXT_16
from okws_celery.okx.messages import decode_push
from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.exchange import READS, Exchange
from okws_celery.session.poller import READ, Poller
from okws_celery.session.stream import LinkLost
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
        clock, exchange, board, batch, fence = self._clock, self._exchange, self._board, self._batch, self._fence
        alone, pass_on = board.alone, fence.pass_on
        clock.read()
        now = clock.now
        others: list[tuple[int, int]] = []
        unread: list[tuple[int, int]] = []
        while True:
            # Since the last look at the clock only what a turn did has passed, which is nothing.
            ready = wait(0 if unread or now >= until else (until - now) * 1000)
            clock.now = now = monotonic()
            if unread:
                ready += [found for found in unread if found not in ready]
                unread = []
            publishes, touched = batch.publishes, board.touched
            for found in ready:
                watch = watches[found[0]]
                link, stream = watch.link, watch.stream
                if link is None or stream is None or found[1] != READ:
                    others.append(found)
                    continue
                if link.stream is not stream:
                    continue
                serial, reads = stream.serial, READS
                try:
                    while True:
                        if stream.plain:
                            data = stream.recv(stream.room)
                            size = len(data)
                            if data.startswith(TEXT_16) and size > 3 and (data[2] << 8 | data[3]) == size - 4:
                                # One message, alone: nothing need be cut.
                                stream.heard_at = now
                                stream.bytes += size
                                stream.frames += 1
                                frames = [data[4:]]
                            else:
                                frames = stream.received(data, now)
                        else:
                            frames = stream.read(now)
                        for frame in frames:
                            entry = None
                            if frame.isascii():
                                try:
                                    push = decode_push(frame)
                                    entry = alone.get(bytes(push.arg))
                                except (ValueError, RecursionError):
                                    pass
                            if entry is None or entry.steady != serial:
                                exchange.take(link, frame)
                                continue
                            feed = entry.feed
                            if entry not in touched:
                                touched[entry] = feed.position
                            try:
                                fault = feed.write(batch, push)
                            except Exception:  # it is met with again there, and then it is said
                                exchange.take(link, frame)
                                continue
                            if entry.publish:
                                size = len(frame)
                                length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
                                publishes.append(b"".join((entry.publish, length, frame, b"\r\n")))
                            entry.seen = int((now + clock.behind) * 1000)
                            board.pushes += 1
                            if not feed.live:
                                exchange.settle(link, entry, fault)
                        if not stream.unread:
                            break
                        reads -= 1
                        if not reads:
                            unread.append((found[0], READ))
                            break
                except BlockingIOError:
                    pass
                except (LinkLost, OSError) as problem:
                    exchange.lost(link, str(problem))
            if others or now >= until or exchange.stirred:
                exchange.unread = bool(unread)
                return others
            if publishes or batch.writes or batch.marked:
                number = fence.sent
                try:
                    whole = pass_on(batch, now)
                finally:  # also if the connection broke meanwhile: the batch is the fence's
                    if fence.sent != number:
                        if board.ledgers:
                            board.flushing()
                        else:
                            board.under_way, board.touched = board.touched, {}
                if not whole:
                    exchange.unread = bool(unread)
                    return others
