"""Which topics a push is for: found once for each way in which the exchange spells its arg, then looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from okws_celery.okx.topics import Arg
from okws_celery.session.entry import Entry
from okws_celery.store.batch import Batch, publish_to

__all__ = ["Routes", "Served"]

_MAX_SPELLINGS = 50_000


class Served(NamedTuple):
    """A topic that a subscription serves."""

    entry: Entry
    pushes: str
    """Pub/sub channel of its pushes."""
    aside: Arg | None
    """The subscription, if it only adds to the topic's data."""


class Routes:
    """Several topics may share one subscription of the exchange, and a topic may have several (`Topic.sources`)."""

    def __init__(self, base: str, publishes: bool) -> None:
        """`base` is `okex/N/`; whether pushes are published."""
        self._base = base
        self._publishes = publishes
        self._by_arg: dict[Arg, list[Entry]] = {}
        self._known: dict[bytes, tuple[Served, ...]] = {}
        self._several: dict[bytes, list[Arg]] = {}
        self.alone: dict[bytes, Entry] = {}
        """Of what was found, the spellings that mean one topic and its own rows."""
        self.direct: dict[bytes, tuple[Callable[[Batch, bytes], bool], Entry]] = {}
        """Of these, what writes single rows of a topic at once, by how a push begins up to its data."""

    def add(self, entry: Entry) -> None:
        """Route the subscriptions of a topic to it."""
        for source in entry.topic.sources:
            self._by_arg.setdefault(source.arg, []).append(entry)
        self._forget()

    def remove(self, entry: Entry) -> None:
        """Route nothing to it any more."""
        for source in entry.topic.sources:
            self._by_arg[source.arg].remove(entry)
            if not self._by_arg[source.arg]:
                del self._by_arg[source.arg]
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._several.clear()
        self.alone.clear()
        self.direct.clear()

    def using(self, arg: Arg) -> Sequence[Entry]:
        """The topics that have this subscription, be it only to add to their data."""
        return self._by_arg.get(arg, ())

    def find(self, spelling: bytes) -> tuple[Served, ...]:
        """The topics that a push's arg, as JSON, means: the same arg, or the one whose keys it does not contradict
        (PROTOCOL 4). Nothing if it could mean several: then its rows say which (`find_by_rows`)."""
        known = self._known.get(spelling)
        if known is not None:
            return known
        if len(self._known) >= _MAX_SPELLINGS:
            self._forget()
        given = msgspec.json.decode(spelling)
        found: Arg | None = None
        if isinstance(given, dict):
            said = {str(key): value for key, value in given.items() if key != "uid"}
            exact = tuple(sorted((key, str(value)) for key, value in said.items()))
            compatible = [exact] if exact in self._by_arg else list(self._compatible(said))
            if len(compatible) > 1:
                self._several[spelling] = compatible
            elif compatible:
                found = compatible[0]
        routed = tuple(self._served(entry, found) for entry in self._by_arg[found]) if found else ()
        self._known[spelling] = routed
        if len(routed) == 1 and routed[0].aside is None:
            entry, channel, _ = routed[0]
            entry.publish = publish_to(channel) if self._publishes else b""
            self.alone[spelling] = entry
            if entry.direct is not None:
                self.direct[b'{"arg":' + spelling] = entry.direct.write_row, entry
        return routed

    def find_by_rows(self, spelling: bytes, rows: Sequence[msgspec.Raw]) -> list[tuple[tuple[Served, ...], list[Any]]]:
        """The same where an arg lacks what would tell the subscription: topics, and the rows that are theirs."""
        found = []
        for arg in self._several.get(spelling, ()):
            own = [row for row in rows if _may_be_of(arg, row)]
            if own:
                found.append((tuple(self._served(entry, arg) for entry in self._by_arg[arg]), own))
        return found

    def _served(self, entry: Entry, arg: Arg) -> Served:
        channel = self._base + entry.topic.path.partition(":")[0]
        return Served(entry, channel, None if arg == entry.topic.arg else arg)

    def _compatible(self, said: dict[str, Any]) -> Iterable[Arg]:
        for arg in self._by_arg:
            if dict(arg)["channel"] == said.get("channel") and all(
                said.get(key, value) == value or value == "ANY" for key, value in arg
            ):
                yield arg


def _may_be_of(arg: Arg, raw: msgspec.Raw) -> bool:
    """Whether nothing in a row speaks against this subscription."""
    row = msgspec.json.decode(raw)
    if not isinstance(row, dict):
        return True
    for key, value in arg:
        if key in ("channel", "extraParams") or value == "ANY":
            continue
        if key == "instFamily" and not row.get(key):
            if not str(row.get("instId", value + "-")).startswith(value + "-"):
                return False
        elif row.get(key, value) != value:
            return False
    return True
