"""Does the faults: lets them stand, does them at once, by chance or again and again. `faults` has their table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.faults import Fault
from okws_celery.simulator.misbehave import misbehave
from okws_celery.simulator.standing import StandingFaults

__all__ = ["Scene", "Trouble"]


class Scene(Protocol):
    """What faults happen to."""

    @property
    def connections(self) -> Mapping[str, Connection]:
        """All live connections, oldest first."""

    @property
    def set_listening(self) -> Callable[[bool], object] | None:
        """Stops or resumes taking new connections."""

    def change_key(self, api_key: str, *, deleted: bool) -> int:
        """An API key was changed or deleted; gives the number of connections that end."""

    def deliver(self, inst_id: str) -> int:
        """An instrument expires; gives the number of subscriptions that fall silent."""

    def rename(self, inst_id: str, to: str) -> int:
        """An instrument gets another name; gives the number of subscriptions that fall silent."""


class Trouble:
    """All faults of one simulated exchange."""

    def __init__(self, scene: Scene) -> None:
        self.standing = StandingFaults()
        self._scene = scene
        self._repeated: dict[int, asyncio.TimerHandle] = {}

    def apply(self, fault: Fault) -> int:
        """Let a fault stand, or do it at once; gives the number of connections or subscriptions that it met."""
        if fault.name == "clear":
            self._clear()
            return 0
        if fault.stands:
            self.standing.add(fault)
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
        self.standing.remove(fault)
        timer = self._repeated.pop(id(fault), None)
        if timer is not None:
            timer.cancel()
        if fault.name == "trickle":
            for connection in self._aimed(fault):
                connection.trickle(None)

    def met_by(self, connection: Connection) -> None:
        """A new connection: what stands for all of them meets it, too."""
        fault = self.standing.trickle(connection.path, connection.conn_id)
        if fault is not None:
            fault.hits += 1
            connection.trickle(fault.options["pause_s"])

    def stop(self) -> None:
        """Repeat nothing any more."""
        for timer in self._repeated.values():
            timer.cancel()
        self._repeated.clear()

    def _do(self, fault: Fault) -> int:
        scene, options = self._scene, fault.options
        match fault.name:
            case "stop_listening" | "resume":
                if scene.set_listening is not None:
                    scene.set_listening(fault.name == "resume")
                return 0
            case "key_changed":
                return scene.change_key(options["api_key"], deleted=options["deleted"])
            case "deliver":
                return scene.deliver(options["inst_id"])
            case "rename":
                return scene.rename(options["inst_id"], options["to"])
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

    def _repeat(self, fault: Fault) -> None:
        def again() -> None:
            fault.hits += self._do(fault)
            self._repeat(fault)

        self._repeated[id(fault)] = asyncio.get_running_loop().call_later(fault.options["every_s"], again)

    def _clear(self) -> None:
        self.standing.clear()
        self.stop()
        for connection in self._scene.connections.values():
            connection.trickle(None)

    def _aimed(self, fault: Fault) -> list[Connection]:
        return [one for one in self._scene.connections.values() if fault.aims_at(one.path, one.conn_id)]


def _silence(subscriptions: Iterable[Subscription]) -> int:
    dying = list(subscriptions)
    for subscription in dying:
        subscription.dead = True
    return len(dying)
