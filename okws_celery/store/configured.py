"""Which config file wants which sessions and topics, kept in Redis, and how a wish becomes desired state.

A file is known as host:path, so that machines with files of their own never close each other's sessions. A session
that a file opened has a task id that begins with `config-` and a fingerprint of its options and credentials: that is
how it is told from one that an app opened, also after Redis was emptied and its holder wrote the registry again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from okws_celery.errors import NoSession
from okws_celery.store.connect import talking
from okws_celery.store.registry import Command, Registry, now_ms

__all__ = ["OWNER", "Claims", "Configured"]

OWNER = "config"
"""Who owns the topics that config files want."""

Claims = dict[str, list[str]]
"""What one file wants: session -> topics."""

_MARK = "config-"
_COUNTS_MS = 86_400_000
"""A file that no worker has used for a day does not keep open what another one drops."""
_FORGOTTEN_MS = 30 * _COUNTS_MS
_COMMAND_MS = 30_000

# Opens the session unless it is open, or was refused with these very options; with other options it is dispatched
# anew. One that an app opened is left as it is.
_DESIRE = (
    "local state = redis.call('HGET', KEYS[1], 'state') "
    "local id = redis.call('HGET', KEYS[1], 'task_id') or '' "
    "local same = string.sub(id, 1, #ARGV[1]) == ARGV[1] "
    "if same and (state == 'refused' or state == 'open') then return state end "
    f"if state == 'open' and (ARGV[4] == '' or string.sub(id, 1, {len(_MARK)}) ~= '{_MARK}') then return 'other' end "
    "if state == 'closed' then redis.call('DEL', KEYS[2], KEYS[3]) end "
    "redis.call('HSET', KEYS[1], 'state', 'open', 'task_id', ARGV[2], 'ticket', redis.call('INCR', KEYS[4]), "
    "'options', ARGV[3], 'code', '0', 'msg', '', 'hint', '') redis.call('HINCRBY', KEYS[1], 'generation', 1) "
    "return state == 'open' and 'changed' or 'opened'"
)


@dataclass(frozen=True, slots=True)
class Configured:
    """The wishes of config files in one namespace. Its methods raise StoreError when Redis does not answer."""

    registry: Registry

    def claims(self, file: str) -> tuple[Claims, list[Claims]]:
        """What this file wanted when it was last looked at, and what each other one that still counts wants."""
        shared = self.registry.shared
        with talking(self.registry.settings.redis_url):
            wishes = self.registry.redis.hgetall(shared.configs)
            seen = self.registry.redis.hgetall(shared.configs_seen)
        oldest = now_ms() - _COUNTS_MS
        others = [json.loads(text) for one, text in wishes.items() if one != file and int(seen.get(one, 0)) > oldest]
        return json.loads(wishes.get(file, "{}")), others

    def claim(self, file: str, claims: Claims) -> None:
        """Write down what this file wants, and forget those that nobody has used for a month."""
        shared = self.registry.shared
        with talking(self.registry.settings.redis_url):
            seen = self.registry.redis.hgetall(shared.configs_seen)
            gone = [one for one, ms in seen.items() if int(ms) < now_ms() - _FORGOTTEN_MS]
            with self.registry.redis.pipeline() as pipe:
                if gone:
                    pipe.hdel(shared.configs, *gone)
                    pipe.hdel(shared.configs_seen, *gone)
                pipe.hset(shared.configs, file, json.dumps(claims))
                pipe.hset(shared.configs_seen, file, now_ms())
                pipe.execute()

    def renew(self, file: str, claims: Claims) -> None:
        """Say that a worker uses the file; after Redis was emptied also what it wants, but never over a newer wish."""
        shared = self.registry.shared
        with talking(self.registry.settings.redis_url), self.registry.redis.pipeline() as pipe:
            pipe.hsetnx(shared.configs, file, json.dumps(claims))
            pipe.hset(shared.configs_seen, file, now_ms())
            pipe.execute()

    def desire(self, name: str, options: Mapping[str, Any], fingerprint: str, *, may_change: bool) -> str:
        """Have a session open: "opened", "open" before, "changed" (dispatched anew), "refused" or "other".

        "refused" with these very options is left alone. So is "other": an app opened it, or, unless `may_change`, a
        file did with other options.
        """
        keys = self.registry.keys(name)
        task_id = f"{_MARK}{fingerprint}-{uuid.uuid4()}"
        wire = json.dumps(dict(options), separators=(",", ":"))
        with talking(self.registry.settings.redis_url):
            outcome = self.registry.redis.eval(
                _DESIRE,
                4,
                *(keys.session, keys.wanted, keys.commands, keys.ticket),
                *(f"{_MARK}{fingerprint}-", task_id, wire, "1" if may_change else ""),
            )
            if outcome != "refused":  # also if it was open: whoever opened it may have died before it got here
                record = self.registry.session(name)
                if record is not None and record.state == "open":
                    self.registry.redis.hset(self.registry.shared.sessions, name, record.task_id)
        return str(outcome)

    def ours(self, name: str) -> bool:
        """Whether a session is open because a file wanted it."""
        record = self.registry.session(name)
        return record is not None and record.state == "open" and record.task_id.startswith(_MARK)

    def want(self, name: str, topics: Iterable[str], kept: Iterable[str]) -> None:
        """Have config files own these topics of a session, and leave those that are neither among them nor `kept`."""
        wanted = dict.fromkeys(topics)
        owned = self._owned(name)
        missing = [topic for topic in wanted if topic not in owned]
        left = sorted(owned - wanted.keys() - set(kept))
        if missing:
            command = Command("subscribe", now_ms() + _COMMAND_MS, topics=missing)
            with suppress(NoSession):  # somebody closed it just now
                self.registry.want(name, missing, OWNER, None, command)
        if left:
            command = Command("unsubscribe", now_ms() + _COMMAND_MS, topics=left)
            self.registry.unwant(name, left, OWNER, command)

    def _owned(self, name: str) -> set[str]:
        with talking(self.registry.settings.redis_url):
            fields = self.registry.redis.hkeys(self.registry.keys(name).wanted)
        parts = [field.rpartition(" ") for field in fields]
        return {topic for topic, _, owner in parts if owner == OWNER and topic}
