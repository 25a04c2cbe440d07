"""What goes to Redis as one transaction: writes in their order, keys that only hold the latest once, publishes last."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import hiredis

__all__ = ["Batch", "OnReply", "Pack", "Renderer", "pack"]

Pack = str | bytes | int | float
"""What a Redis command is made of."""

OnReply = Callable[[Any], None]


# hiredis' stub admits tuples of one element only.
_pack_command: Any = hiredis.pack_command


def pack(*command: Pack) -> bytes:
    """One command in Redis' wire form."""
    packed: bytes = _pack_command(command)
    return packed


@lru_cache(maxsize=8192)
def _publish_to(channel: str) -> bytes:
    """A PUBLISH to this channel in Redis' wire form, up to the length of what is published: the same for every push."""
    name = channel.encode()
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$" % (len(name), name)


class Renderer(Protocol):
    """Something whose keys are written once per batch, however often it changed (`Batch.mark`)."""

    def render(self, batch: Batch) -> None:
        """Add the commands that make Redis show the present state."""


class Batch:
    """Commands collected until the store can take them. Not thread-safe: a session's loop owns it."""

    __slots__ = ("_asked", "_marked", "_publishes", "_writes", "size")

    def __init__(self) -> None:
        self._writes: list[bytes] = []
        self._publishes: list[bytes] = []
        self._marked: dict[Renderer, None] = {}
        self._asked: dict[int, OnReply] = {}
        self.size = 0
        """Bytes packed so far; what is marked is not counted, as it is bounded by itself."""

    def __bool__(self) -> bool:
        return bool(self._writes or self._publishes or self._marked)

    def write(self, *command: Pack) -> None:
        """Append one command that changes a key."""
        packed = pack(*command)
        self._writes.append(packed)
        self.size += len(packed)

    def ask(self, on_reply: OnReply, *command: Pack) -> None:
        """Append one command whose reply is wanted: a value, a `hiredis.ReplyError`, or None if the reply was lost."""
        self._asked[len(self._writes)] = on_reply
        self.write(*command)

    def publish(self, channel: str, payload: str | bytes) -> None:
        """Publish after every write of this batch: who is woken by it finds that state or a newer one."""
        body = payload if isinstance(payload, bytes) else payload.encode()
        packed = b"%b%d\r\n%b\r\n" % (_publish_to(channel), len(body), body)
        self._publishes.append(packed)
        self.size += len(packed)

    def mark(self, renderer: Renderer) -> None:
        """Have `renderer.render` called once before this batch is sent."""
        self._marked[renderer] = None

    def clear(self) -> None:
        """Forget everything."""
        self._writes, self._publishes, self._marked, self._asked, self.size = [], [], {}, {}, 0

    def seal(self) -> tuple[list[bytes], dict[int, OnReply]]:
        """The packed commands in their final order and the reply handlers by position; the batch is empty after it."""
        marked, self._marked = self._marked, {}
        for renderer in marked:
            renderer.render(self)
        commands = self._writes + self._publishes
        asked = self._asked
        self._writes, self._publishes, self._asked, self.size = [], [], {}, 0
        return commands, asked
