"""What an earlier holder of a session left to be continued: when each topic was last heard of, and gaps still open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from okws_celery.feeds.rows import entries, is_error, ms, pairs
from okws_celery.keys import DataKeys
from okws_celery.okx.topics import Topic
from okws_celery.store.batch import Batch

__all__ = ["Inherited"]

_GAPS = 1_000
"""Entries of okex/N/gaps that are read back."""


class _Gap(msgspec.Struct):
    topic: str
    from_: int = msgspec.field(name="from")
    to: int | None = None
    reason: str = ""


class _Told(msgspec.Struct):
    state: str = ""
    since: int = 0


_gap = msgspec.json.Decoder(_Gap)
_told = msgspec.json.Decoder(_Told)


class Inherited:
    """Each topic's part is taken once."""

    def __init__(self, data: DataKeys) -> None:
        self._data = data
        self._seen: dict[str, int] = {}
        self._live_since: dict[str, int] = {}
        self._gaps: dict[str, tuple[int, str]] = {}
        self._listed: set[str] = set()

    def ask(self, batch: Batch) -> None:
        """Read it."""
        batch.ask(self._was_seen, "HGETALL", self._data.seen)
        batch.ask(self._was_told, "HGETALL", self._data.topics)
        batch.ask(self._were_open, "XREVRANGE", self._data.gaps, "+", "-", "COUNT", _GAPS)

    def take(self, topic: Topic) -> tuple[int, tuple[int, str] | None]:
        """When a topic was last heard of, Unix ms (0: never), and from when on, and why, a gap is open (None: none)."""
        seen, since = self._seen.pop(topic.text, 0), self._live_since.pop(topic.text, 0)
        gap = self._gaps.pop(topic.text, None)
        # Of orders, silence says that none was placed as long as somebody listened.
        seen = seen or (since if topic.v5.channel.name in ("orders", "orders-algo") else 0)
        return seen, gap if seen else None

    def forget_all_but(self, wanted: Iterable[str], batch: Batch) -> None:
        """Strike topics off the list that were left while nobody held the session."""
        for text in sorted(self._listed.difference(wanted)):
            batch.write("HDEL", self._data.topics, text)
            batch.write("HDEL", self._data.seen, text)
        self._listed.clear()

    def _was_seen(self, reply: Any) -> None:
        self._seen = {topic: ms(at) for topic, at in pairs(_good(reply)).items()}

    def _was_told(self, reply: Any) -> None:
        for topic, text in pairs(_good(reply)).items():
            self._listed.add(topic)
            try:
                told = _told.decode(text)
            except ValueError:
                continue
            if told.state in ("live", "stale"):
                self._live_since[topic] = told.since

    def _were_open(self, reply: Any) -> None:
        closed = set()
        for _, fields in entries(_good(reply)):  # newest first
            try:
                gap = _gap.decode(fields.get("data", ""))
            except ValueError:
                continue
            if gap.topic not in closed and gap.to is None:
                self._gaps.setdefault(gap.topic, (gap.from_, gap.reason))
            closed.add(gap.topic)


def _good(reply: Any) -> Any:
    return None if is_error(reply) else reply
