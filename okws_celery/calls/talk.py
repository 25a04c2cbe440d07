"""Calls as conversations: generators that yield what is to be done and are given its outcome, and so do no I/O.

One driver for threads and one for coroutines carry them out; whatever a call has of logic is written once. What went
wrong is thrown into the conversation, where the effect was yielded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from okws_celery.feeds.route import Read

__all__ = ["Connect", "Effect", "Fetch", "Hear", "Pause", "Step", "Talk", "Tell", "Wait"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """Something short that blocks: a look into the registry, a task handed to the broker. Gives what it returns."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A read of one round trip. Gives what its `shape` made of the replies."""

    read: Read


@dataclass(frozen=True, slots=True)
class Wait:
    """For an entry of a list of Redis. Gives its text, None if there was none for so many seconds."""

    key: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Connect:
    """A new connection to listen on; the one before is closed."""


@dataclass(frozen=True, slots=True)
class Tell:
    """A command on the connection that is listened on."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hear:
    """What came on that connection, as a list of replies; an empty one if nothing did for so many seconds."""

    seconds: float


Effect = Step | Fetch | Wait | Pause | Connect | Tell | Hear
Talk = Generator[Effect, Any, T]
