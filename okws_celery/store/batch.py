"""What goes to Redis as one transaction: writes in their order, keys that only hold the latest once, publishes last."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import hiredis

__all__ = [
    "DATA_FIELD",
    "LENGTHS",
    "PUBLISH_PARTS",
    "Batch",
    "OnReply",
    "Pack",
    "Renderer",
    "pack",
    "publish_to",
    "stem",
]

Pack = str | bytes | int | float
"""What a Redis command is made of."""

OnReply = Callable[[Any], None]


# hiredis' stub admits tuples of one element only.
_pack_command: Any = hiredis.pack_command


def pack(*command: Pack) -> bytes:
    """One command in Redis' wire form."""
    packed: bytes = _pack_command(command)
    return packed


def stem(*constant: Pack, more: int) -> bytes:
    """A command in Redis' wire form up to its last arguments, of which `more` follow, each behind its length."""
    arguments = pack(*constant).partition(b"\r\n")[2]
    return b"*%d\r\n%b" % (len(constant) + more, arguments)


@lru_cache(maxsize=8192)
def publish_to(channel: str) -> bytes:
    """The stem of what publishes on a channel."""
    return stem("PUBLISH", channel, more=1)


LENGTHS = [b"$%d\r\n" % length for length in range(4096)]
"""The line before an argument, by the argument's length."""

PUBLISH_PARTS = 4
"""Of each command that publishes, in `Batch.publishes`; they are joined with everything else that goes out."""

DATA_FIELD = b"\r\n$4\r\ndata\r\n"
"""Within the command that appends to a stream, what stands between the id and the value of the field `data`."""


class Renderer(Protocol):
    """Something whose keys are written once per batch, however often it changed (`Batch.mark`)."""

    def render(self, batch: Batch) -> None:
        """Add the commands that make Redis show the present state."""


class Batch:
    """Commands collected until the store can take them. Not thread-safe: a session's loop owns it."""

    __slots__ = ("_measured", "_size", "asked", "marked", "publishes", "serial", "writes")

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        """Commands that change keys, in Redis' wire form; those that are prepared are appended as they are."""
        self.publishes: list[bytes] = []
        """What goes out after them: of each PUBLISH four parts, its stem, the length of the payload, that, the end."""
        self.marked: dict[Renderer, None] = {}
        """What is to be rendered before this batch is sent."""
        self.asked: dict[int, OnReply] = {}
        """Who hears the reply to a write, by its position."""
        self.serial = 1
        """Which batch this is: rises when what was collected is taken away."""
        # Bytes of how many commands, of those lists.
        self._size = 0
        self._measured = self.writes, 0, 0

    def __bool__(self) -> bool:
        return bool(self.writes or self.publishes or self.marked)

    @property
    def size(self) -> int:
        """Bytes packed so far; what is marked is not counted, as it is bounded by itself."""
        of, writes, publishes = self._measured
        if of is not self.writes:
            self._size = writes = publishes = 0
        self._size += sum(map(len, self.writes[writes:])) + sum(map(len, self.publishes[publishes:]))
        self._measured = self.writes, len(self.writes), len(self.publishes)
        return self._size

    def write(self, *command: Pack) -> None:
        """Append one command that changes a key."""
        self.writes.append(pack(*command))

    def append_entry(self, xadd: bytes, entry_id: bytes, data: bytes) -> None:
        """Append an entry with the field `data` to a stream: `xadd` is the stem of that command, for three more."""
        size = len(data)
        length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
        entry = (xadd, LENGTHS[len(entry_id)], entry_id, DATA_FIELD, length, data, b"\r\n")
        self.writes.append(b"".join(entry))

    def ask(self, on_reply: OnReply, *command: Pack) -> None:
        """Append one command whose reply is wanted: a value, a `hiredis.ReplyError`, or None if the reply was lost."""
        self.asked[len(self.writes)] = on_reply
        self.write(*command)

    def publish(self, channel: str, payload: str | bytes) -> None:
        """Publish after every write of this batch: who is woken by it finds that state or a newer one."""
        body = payload.encode() if isinstance(payload, str) else payload
        size = len(body)
        length = LENGTHS[size] if size < 4096 else b"$%d\r\n" % size
        self.publishes += (publish_to(channel), length, body, b"\r\n")

    def mark(self, renderer: Renderer) -> None:
        """Have `renderer.render` called once before this batch is sent."""
        self.marked[renderer] = None

    def clear(self) -> None:
        """Forget everything."""
        self.serial += 1
        self.writes, self.publishes, self.marked, self.asked = [], [], {}, {}

    def seal(self) -> tuple[list[bytes], dict[int, OnReply]]:
        """The packed commands in their final order and the reply handlers by position; the batch is empty after it."""
        if self.marked:
            marked, self.marked = self.marked, {}
            for renderer in marked:
                renderer.render(self)
        commands, asked = self.writes, self.asked
        parts = iter(self.publishes)
        commands += map(b"".join, zip(*[parts] * PUBLISH_PARTS, strict=True))
        self.writes, self.publishes, self.asked = [], [], {}
        self.serial += 1
        return commands, asked
