"""A session's two connections to Redis: the fenced writer and the control bus, kept alive without ever blocking."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from okws_celery.session.clock import Clock
from okws_celery.session.mailbox import Mailbox
from okws_celery.session.poller import READ, WRITE, Watch
from okws_celery.store.batch import Batch
from okws_celery.store.connect import BareConnection, bare_connection
from okws_celery.store.fence import Fence, FenceState
from okws_celery.store.wire import Wire, WireLost

__all__ = ["RedisSide"]

_PAUSE_S = 0.5
_PING_S = 10.0
_PONG_S = 5.0
_IN_VAIN = 3
"""Wake-ups in a row that found nothing to send, after which replies wake nobody any more."""

_log = logging.getLogger(__name__)


class RedisSide:
    """`on_word` gets each word of the control bus; it also hears "look" when the bus was away and is back."""

    def __init__(
        self,
        name: str,
        url: str,
        bus: str,
        fence: Fence,
        mailbox: Mailbox,
        clock: Clock,
        batch: Batch,
        on_word: Callable[[str], None],
    ) -> None:
        self._name = name
        self._url = url
        self._channel = bus
        self._fence = fence
        self._mailbox = mailbox
        self._clock = clock
        self._batch = batch
        self._on_word = on_word
        self._connecting = False
        self._listening = True
        self._in_vain = 0
        self.changed = True
        """Whether `watches` may be others than they were."""
        self._away = False
        self._not_before = 0.0
        self._bus: Wire | None = None
        self._bus_connecting = False
        self._heard_at = 0.0
        self._pinged = False

    def watches(self) -> Iterator[Watch]:
        """For the poller.

        A wake-up costs more than all else that is done for a push, so nobody is woken by replies that nothing depends
        on: they are read before the next batch is sent (`collect`), or at the next tick.
        """
        wire = self._fence.wire
        waited_for = self._listening or not self._fence.patient or (self._batch and not self._fence.idle)
        if wire is not None and (waited_for or wire.wants_write):
            yield Watch(wire.fileno(), wire.wants_write, self._woken)
        if self._bus is not None:
            yield Watch(self._bus.fileno(), self._bus.wants_write, self._bus_ready)

    def tick(self) -> None:
        """Connect what is not connected; notice a peer that has fallen silent."""
        self._listen()
        if not self._fence.idle:
            self.collect()
        try:
            self._fence.tick(self._clock.now)
        except WireLost as problem:
            self.lost(str(problem))
        if self._away and self._fence.idle:
            self._away = False
            _log.warning("session %s: Redis is back", self._name)
        ready = self._clock.now >= self._not_before
        if self._fence.state is FenceState.DOWN and not self._connecting and ready:
            self._connecting = True
            self._connect(self._connected)
        if self._bus is None and not self._bus_connecting:
            self._bus_connecting = True
            self._connect(self._bus_connected)
        self._ping_bus()

    def collect(self) -> None:
        """Read the replies that are there, as a batch waits for them; if they are not, be woken when they come."""
        wire = self._fence.wire
        if wire is not None:
            try:
                wire.readable()
            except WireLost as problem:
                self.lost(str(problem))
        if not self._fence.idle:
            self._listen()

    def _listen(self) -> None:
        if not self._listening:
            self._listening = self.changed = True
        self._in_vain = 0

    def lost(self, reason: str) -> None:
        """The writer's connection is of no more use."""
        self.changed = True
        if not self._away:
            self._away = True
            _log.warning("session %s: %s; connecting again until it is back", self._name, reason)
        else:
            self._not_before = self._clock.now + _PAUSE_S  # it is there, and of no use
        self._fence.detach()

    def close(self) -> None:
        """Close both connections."""
        self._fence.detach()
        if self._bus is not None:
            self._bus.close()

    # -- the writer

    def _connect(self, connected: Callable[[BareConnection | None], None]) -> None:
        def work() -> Callable[[], None]:
            connection: BareConnection | None = None
            try:
                connection = bare_connection(self._url)
            except Exception as problem:  # whatever it is, the next try may go better
                _log.debug("session %s: %s", self._name, problem)
                time.sleep(_PAUSE_S)
            return lambda: connected(connection)

        self._mailbox.run(work, f"okws-redis-{self._name}")

    def _connected(self, connection: BareConnection | None) -> None:
        self._connecting = False
        if connection is None:
            return
        try:
            self._fence.attach(Wire(connection), self._clock.now)
        except WireLost as problem:
            self.lost(str(problem))

    def _woken(self, mask: int) -> None:
        self._ready(mask)
        if self._listening and self._fence.idle and not self._batch:
            self._in_vain += 1
            if self._in_vain >= _IN_VAIN:
                self._listening, self.changed = False, True

    def _ready(self, mask: int) -> None:
        wire = self._fence.wire
        if wire is None:
            return
        try:
            _serve(wire, mask)
        except WireLost as problem:
            self.lost(str(problem))

    # -- the control bus

    def _bus_connected(self, connection: BareConnection | None) -> None:
        self._bus_connecting = False
        if connection is None:
            return
        self._bus = Wire(connection, on_push=self._said)
        self._heard_at, self._pinged = self._clock.now, False
        self._bus_send("SUBSCRIBE", self._channel)

    def _bus_send(self, *command: str) -> None:
        if self._bus is not None:
            try:
                self._bus.send_command(*command)
            except WireLost as problem:
                self._bus_lost(str(problem))

    def _bus_ready(self, mask: int) -> None:
        if self._bus is None:
            return
        try:
            _serve(self._bus, mask)
        except WireLost as problem:
            self._bus_lost(str(problem))

    def _ping_bus(self) -> None:
        if self._bus is None:
            return
        silent_s = self._clock.now - self._heard_at
        if silent_s > _PING_S + _PONG_S and self._pinged:
            self._bus_lost("no pong")
        elif silent_s > _PING_S and not self._pinged:
            self._pinged = True
            self._bus_send("PING")

    def _bus_lost(self, reason: str) -> None:
        _log.info("session %s: control bus: %s", self._name, reason)
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def _said(self, said: Any) -> None:
        self._heard_at, self._pinged = self._clock.now, False
        if isinstance(said, list) and said[0] == b"message":
            self._on_word(said[2].decode())
        elif isinstance(said, list) and said[0] == b"subscribe":
            self._on_word("look")  # what was said before nobody heard


def _serve(wire: Wire, mask: int) -> None:
    if mask & WRITE:
        wire.writable()
    if mask & READ:
        wire.readable()
