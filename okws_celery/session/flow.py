"""The short way: nearly every wake-up brings pushes of topics that are as they should be, and nothing else is due.

At a thousand pushes a second each comes when all code has gone cold since the one before, so that a turn costs what it
touches, above all functions and objects. So the way from the socket to the batch is one function here, and that from
the batch to Redis another (`Fence.pass_on`). Whatever is not as usual they leave to those who do the same in more steps
and for every case: `Stream` for what was read, `Exchange.take` for messages, `Session` for everything else in a turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from okws_celery.okx.frames import HEADERS, ROOM
from okws_celery.okx.messages import decode_push
from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.entry import Entry
from okws_celery.session.exchange import READS, Exchange
from okws_celery.session.poller import Poller
from okws_celery.session.stream import LinkLost
from okws_celery.store.batch import LENGTHS, Batch
from okws_celery.store.fence import Fence

__all__ = ["Flow"]

_DATA: Final = b',"data":['
_END: Final = b"]}"
_NOBODY: tuple[Callable[[Batch, bytes], bool], Entry | None] = (lambda batch, row: False), None


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
        wait, monotonic, serving = self._poller.wait, time.monotonic, self._poller.streams.get
        clock, exchange, board, batch, fence = self._clock, self._exchange, self._board, self._batch, self._fence
        direct, alone, pass_on = board.direct.get, board.alone.get, fence.pass_on
        clock.read()
        now = clock.now
        others: list[tuple[int, int]] = []
        # As the poller would find them; but what waits inside TLS objects wakes nobody.
        unread = [found for found, (_, stream) in self._poller.streams.items() if stream.unread]
        while True:
            # Since the last look at the clock only what a turn did has passed, which is nothing.
            ready = wait(0 if unread or now >= until else (until - now) * 1000)
            clock.now = now = monotonic()
            now_ms = int((now + clock.behind) * 1000)
            if unread:
                ready += [found for found in unread if found not in ready]
                unread.clear()
            publishes, touched = batch.publishes, board.touched
            for found in ready:
                served = serving(found)
                if served is None:
                    others.append(found)
                    continue
                link, stream = served
                if link.stream is not stream:
                    continue
                serial, reads = stream.serial, READS
                try:
                    while True:
                        frames: Sequence[bytes]
                        if stream.plain:
                            data = stream.recv(ROOM)
                            size = len(data)
                            frame = data.removeprefix(HEADERS[size])
                            if frame is not data:
                                # One message, alone: nothing need be cut.
                                stream.heard_at = now
                                stream.bytes += size
                                stream.frames += 1
                                frames = (frame,)
                            else:
                                frames = stream.received(data, now)
                        else:
                            frames = stream.read(now)
                        for frame in frames:
                            entry = fault = None
                            if frame.isascii():
                                try:
                                    head, _, rows = frame.partition(_DATA)
                                    write_row, entry = direct(head, _NOBODY)
                                    if entry is not None and entry.steady == serial:
                                        if entry not in touched:
                                            touched[entry] = entry.feed.position
                                        row = rows.removesuffix(_END)
                                        if row is rows or not write_row(batch, row):
                                            entry = None
                                    else:
                                        entry = None
                                    if entry is None:
                                        push = decode_push(frame)
                                        entry = alone(bytes(push.arg))
                                        if entry is not None and entry.steady == serial:
                                            if entry not in touched:
                                                touched[entry] = entry.feed.position
                                            fault = entry.feed.write(batch, push)
                                            if entry.feed.live:
                                                fault = None
                                        else:
                                            entry = None
                                except Exception:  # whatever it is is met with again there, and then it is said
                                    entry = None
                            if entry is None:
                                exchange.take(link, frame)
                                continue
                            publish = entry.publish
                            if publish:
                                size = len(frame)
                                length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
                                publishes += (publish, length, frame, b"\r\n")
                            entry.seen = now_ms
                            board.pushes += 1
                            if fault is not None:  # what readers find is not good; "" if nothing need be done
                                exchange.settle(link, entry, fault)
                        if not stream.unread:
                            break
                        reads -= 1
                        if not reads:
                            unread.append(found)
                            break
                except BlockingIOError:
                    pass
                except (LinkLost, OSError) as problem:
                    exchange.lost(link, str(problem))
            if others or now >= until or exchange.stirred:
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
                    return others
