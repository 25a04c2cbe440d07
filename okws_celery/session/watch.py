"""What a session's selector waits for: a socket, in which direction, and who handles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Watch"]


class Watch(NamedTuple):
    """`socket` tells a new socket from an old one of the same descriptor; the handler gets the selector's mask."""

    socket: object
    descriptor: int
    wants_write: bool
    handler: Callable[[int], None]
