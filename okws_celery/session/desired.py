"""The session's copy of what the registry wants of it: read through the fence, compared, healed if it has vanished."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

import hiredis

from okws_celery.keys import ControlKeys, NamespaceKeys
from okws_celery.store.batch import Batch
from okws_celery.store.registry import Command, SessionRecord, wanted_field

__all__ = ["Desired"]

_VERSION = "version"
_log = logging.getLogger(__name__)


class Desired:
    """Level-triggered: `look` reads everything, `glance` only whether there is something new.

    `on_topics` gets topic -> {owner: expiry in Unix ms, 0 for none}; `on_command` each command, once;
    `on_state` hears "closed", "superseded" (dispatched anew) or "vanished" (then call `heal`).
    """

    def __init__(
        self,
        keys: ControlKeys,
        shared: NamespaceKeys,
        record: SessionRecord,
        on_topics: Callable[[dict[str, dict[str, int]]], None],
        on_command: Callable[[Command], None],
        on_state: Callable[[str], None],
    ) -> None:
        self._keys = keys
        self._shared = shared
        self._record = record
        self._on_topics = on_topics
        self._on_command = on_command
        self._on_state = on_state
        self._version = b""
        self._look_again = False
        self.topics: dict[str, dict[str, int]] = {}
        # When the first owner's time is up, Unix ms.
        self._next_expiry = math.inf

    @property
    def stale(self) -> bool:
        """Whether the last glance saw something new."""
        return self._look_again

    def look(self, batch: Batch) -> None:
        """Read what is wanted and take the commands that wait, in one transaction."""
        self._look_again = False
        batch.ask(self._session, "HMGET", self._keys.session, "state", "generation")
        batch.ask(self._wanted, "HGETALL", self._keys.wanted)
        batch.ask(self._commands, "LRANGE", self._keys.commands, 0, -1)
        batch.write("DEL", self._keys.commands)

    def glance(self, batch: Batch) -> None:
        """Read what tells whether a poke was lost."""
        batch.ask(self._session, "HMGET", self._keys.session, "state", "generation")
        batch.ask(self._compare, "HGET", self._keys.wanted, _VERSION)
        batch.ask(self._compare_commands, "EXISTS", self._keys.commands)

    def expire_owners(self, batch: Batch, now_ms: int) -> None:
        """Owners whose time is up are as if they had left."""
        if now_ms < self._next_expiry:
            return
        gone = [
            wanted_field(topic, owner)
            for topic, owners in self.topics.items()
            for owner, expiry in owners.items()
            if 0 < expiry <= now_ms
        ]
        if gone:
            batch.write("HDEL", self._keys.wanted, *gone)
            batch.write("HINCRBY", self._keys.wanted, _VERSION, 1)
            self._look_again = True

    def heal(self, batch: Batch, name: str) -> None:
        """Write the registry again from memory: it has vanished, and that never means "nothing wanted"."""
        record = self._record
        batch.write("HSET", self._keys.session, *_flat(record), "state", "open")
        batch.write("HSET", self._shared.sessions, name, record.task_id)
        fields: list[str | int] = [_VERSION, int(self._version or 1) + 1]
        for topic, owners in self.topics.items():
            for owner, expiry in owners.items():
                fields += [wanted_field(topic, owner), expiry]
        batch.write("HSET", self._keys.wanted, *fields)
        self._look_again = True

    # -- replies

    def _session(self, reply: Any) -> None:
        if not self._usable(reply):
            return
        state, generation = reply
        if state in (b"closed", b"refused"):
            self._on_state("closed")
        elif generation is not None and int(generation) > self._record.generation:
            self._on_state("superseded")
        elif state is None:
            self._on_state("vanished")

    def _compare(self, version: Any) -> None:
        if not isinstance(version, hiredis.ReplyError) and (version or b"") != self._version:
            self._look_again = True

    def _compare_commands(self, count: Any) -> None:
        if count == 1:
            self._look_again = True

    def _wanted(self, reply: Any) -> None:
        if not self._usable(reply):
            return
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        version = fields.pop(_VERSION.encode(), b"")
        if int(version or 0) < int(self._version or 0):
            # Gone, and perhaps begun again by a caller who came in between.
            self._on_state("vanished")
            return
        self._version = version
        topics: dict[str, dict[str, int]] = {}
        for key, expiry in fields.items():
            topic, _, owner = key.decode().rpartition(" ")
            topics.setdefault(topic, {})[owner] = int(expiry) if expiry.isdigit() else 0
        self.topics = topics
        ends = (expiry for owners in topics.values() for expiry in owners.values() if expiry > 0)
        self._next_expiry = min(ends, default=math.inf)
        self._on_topics(topics)

    def _usable(self, reply: Any) -> bool:
        """False if the reply was lost, so that we look again, or if somebody has put another type under our key."""
        if reply is None:
            self._look_again = True
        elif isinstance(reply, hiredis.ReplyError):
            _log.error("the registry cannot be read: %s", reply)
        else:
            return True
        return False

    def _commands(self, reply: Any) -> None:
        if not self._usable(reply):
            return
        for text in reply:
            try:
                command = Command.of(text)
            except (TypeError, ValueError) as problem:
                _log.warning("a command was not understood: %s", problem)
            else:
                self._on_command(command)


def _flat(record: SessionRecord) -> Iterable[Any]:
    yield from ("task_id", record.task_id, "generation", record.generation, "ticket", record.ticket)
    yield from ("options", json.dumps(record.options, separators=(",", ":")), "code", 0, "msg", "", "hint", "")
