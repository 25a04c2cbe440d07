"""Does the faults: lets them stand, does them at once, by chance or again and again. `faults` has their table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.faults import Fault
from okws_celery.simulator.misbehave import misbehave
from okws_celery.simulator.standing import StandingFaults
from okws_celery.simulator.upheaval import Upheaval

__all__ = ["Trouble"]


class Trouble:
    """All faults of one simulated exchange."""

    def __init__(self, connections: Mapping[str, Connection], standing: StandingFaults, upheaval: Upheaval) -> None:
        self.set_listening: Callable[[bool], object] | None = None
        """Set by the server: stops or resumes taking new connections."""
        self._connections = connections
        self._standing = standing
        self._upheaval = upheaval
        self._repeated: dict[int, asyncio.TimerHandle] = {}
        self._resuming: asyncio.TimerHandle | None = None

    def apply(self, fault: Fault) -> int:
        """Let a fault stand, or do it at once; gives the number of connections or subscriptions that it met."""
        if fault.name == "clear":
            self._clear()
            return 0
        if fault.stands:
            self._standing.add(fault)
            if fault.name != "trickle":
                return 0
            if fault.options["seconds"]:
                asyncio.get_running_loop().call_later(fault.options["seconds"], self.end, fault)
        met = self._do(fault)
        if fault.options.get("every_s"):
            self._repeat(fault)
        return met

    def end(self, fault: Fault) -> None:
        """End one fault that stands or repeats."""
        self._standing.remove(fault)
        timer = self._repeated.pop(id(fault), None)
        if timer is not None:
            timer.cancel()
        if fault.name == "trickle":
            for connection in self._aimed(fault):
                connection.trickle(None)

    def met_by(self, connection: Connection) -> None:
        """A new connection: what stands for all of them meets it, too."""
        fault = self._standing.trickle(connection.path, connection.conn_id)
        if fault is not None:
            fault.hits += 1
            connection.trickle(fault.options["pause_s"])

    def stop(self) -> None:
        """Do nothing any more, now or later."""
        self._repeat_nothing()
        if self._resuming is not None:
            self._resuming.cancel()

    def _do(self, fault: Fault) -> int:
        options = fault.options
        match fault.name:
            case "stop_listening" | "resume":
                self._listen(fault.name == "resume", options.get("seconds", 0))
                return 0
            case "key_changed":
                return self._upheaval.change_key(options["api_key"], deleted=options["deleted"])
            case "deliver":
                return self._upheaval.deliver(options["inst_id"])
            case "rename":
                return self._upheaval.rename(options["inst_id"], options["to"])
            case "renumber":
                return self._upheaval.renumber(options["inst_id"])
            case "topic_dead":
                return _silence(
                    subscription
                    for connection in self._aimed(fault)
                    for arg, subscription in connection.subscriptions.items()
                    if fault.concerns(arg) and fault.happens()
                )
        met = [connection for connection in self._aimed(fault) if fault.happens()]
        for connection in met:
            misbehave(connection, fault)
        return len(met)

    def _listen(self, listening: bool, seconds: float) -> None:
        """Take new connections or not; the opposite after so many seconds, if that is not 0."""
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if self.set_listening is not None:
            self.set_listening(listening)
        if seconds:
            self._resuming = asyncio.get_running_loop().call_later(seconds, self._listen, True, 0)

    def _repeat(self, fault: Fault) -> None:
        def again() -> None:
            fault.hits += self._do(fault)
            self._repeat(fault)

        self._repeated[id(fault)] = asyncio.get_running_loop().call_later(fault.options["every_s"], again)

    def _repeat_nothing(self) -> None:
        for timer in self._repeated.values():
            timer.cancel()
        self._repeated.clear()

    def _clear(self) -> None:
        self._standing.clear()
        self._repeat_nothing()
        for connection in self._connections.values():
            connection.trickle(None)

    def _aimed(self, fault: Fault) -> list[Connection]:
        return [one for one in self._connections.values() if fault.aims_at(one.path, one.conn_id)]


def _silence(subscriptions: Iterable[Subscription]) -> int:
    dying = list(subscriptions)
    for subscription in dying:
        subscription.dead = True
    return len(dying)
