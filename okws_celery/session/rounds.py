"""Whose turn it is: what is done for each topic once a second is done for some at a time, so that no push waits."""

from __future__ import annotations

from collections.abc import Mapping

from okws_celery.session.entry import Entry

__all__ = ["Rounds"]

_ROUND_S = 1.0
_PART = 250
"""Topics at a time: about a fifth of a millisecond, here and in Redis."""


class Rounds:
    """Belongs to the session's loop; `now` is time.monotonic()."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        """`entries`: the topics as they are, by their text."""
        self.due_at = 0.0
        """When the next part's turn comes."""
        self._entries = entries
        # Those of this round whose turn is still to come, and topics that have gone since it began.
        self._left: list[Entry] = []
        self._gone: set[Entry] = set()
        self._pause_s = _ROUND_S

    def part(self, now: float) -> list[Entry]:
        """The topics whose turn has come, each once in a round of a second; none before it is due."""
        if now < self.due_at:
            return []
        left, gone = self._left, self._gone
        if not left:
            gone.clear()
            left += self._entries.values()
            self._pause_s = _ROUND_S / max(1, -(-len(left) // _PART))
        part = left[-_PART:]
        del left[-_PART:]
        self.due_at = now + self._pause_s
        return [entry for entry in part if entry not in gone] if gone else part

    def remove(self, entry: Entry) -> None:
        """Its turn does not come any more."""
        self._gone.add(entry)
