"""What happened, in order, for who watches: all of it is counted, the newest of it is kept."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Journal"]

T = TypeVar("T")

_MOST_KEPT = 50_000
_DROPPED_AT_ONCE = 10_000


class Journal(Generic[T]):
    """One kind of event. Its length is that of all that happened; it may be read from any thread."""

    def __init__(self) -> None:
        self._kept: list[T] = []
        self._dropped = 0

    def __len__(self) -> int:
        return self._dropped + len(self._kept)

    def append(self, one: T) -> None:
        """One more has happened."""
        self._kept.append(one)
        if len(self._kept) > _MOST_KEPT:
            del self._kept[:_DROPPED_AT_ONCE]
            self._dropped += _DROPPED_AT_ONCE

    def since(self, number: int = 0) -> list[T]:
        """From the `number`-th on, of all that happened; what is not kept any more is left out."""
        return self._kept[max(0, number - self._dropped) :]
