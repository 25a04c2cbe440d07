"""What should be: sessions, their topics and owners, tickets, places in workers, commands and replies.

Callers (tasks, clients, the supervisor) use it through redis-py; the session itself reads and writes the same keys
through its fence. Every method is one to three round trips and raises StoreError when Redis does not answer.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import redis

from okws_celery.errors import Answer, NoSession, StoreError
from okws_celery.keys import ControlKeys, DataKeys, NamespaceKeys
from okws_celery.settings import Settings
from okws_celery.store.connect import client, shown
from okws_celery.store.fence import LEASE_MS

__all__ = [
    "DEFAULT_OWNER",
    "EXIT_S",
    "PLACE_MS",
    "REPLY_MS",
    "Command",
    "Registry",
    "SessionRecord",
    "Survey",
    "WorkerPlace",
    "now_ms",
    "wanted_field",
]

DEFAULT_OWNER = "-"
"""The owner that all share who name none, as in okws."""

REPLY_MS = 60_000
EXIT_S = 86_400
"""How long the status of an ended session is kept, s."""
_WORKER_MS = 5_000
"""A worker that was not seen for this long does not count."""
PLACE_MS = 15_000
"""A place taken in a worker is given up when its session has not renewed it for this long."""
_DISPATCH_MS = 5_000
_SCANNED = 1_000
"""Keys looked through in one step."""
_POLL_S = 0.05

_RAISE_CLOSED = (
    "if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '0') then redis.call('SET', KEYS[1], ARGV[1]) end"
)
_DELETE_IF = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_TAKE_PLACE = (
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1]) "
    "if not redis.call('ZSCORE', KEYS[1], ARGV[4]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) "
    "then return 0 end redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4]) redis.call('PEXPIREAT', KEYS[1], ARGV[2]) return 1"
)
# What a worker holds, what is open, and whose each lease is; with a capacity it says that the worker lives. One script,
# as every worker asks every second; its keys are of many sessions: a Redis Cluster would have to be asked in parts.
_SURVEY = (
    "local held = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf') "
    "if ARGV[3] ~= '' then "
    'redis.call(\'HSET\', KEYS[2], ARGV[2], string.format(\'{"capacity": %d, "held": %d, "seen": %s}\', '
    "ARGV[3], #held, ARGV[1])) redis.call('PEXPIRE', KEYS[2], ARGV[4]) end "
    "local open, tokens = redis.call('HGETALL', KEYS[3]), {} "
    "for i = 1, #open, 2 do tokens[#tokens + 1] = redis.call('GET', ARGV[5] .. open[i] .. ARGV[6]) or '' end "
    "return {held, open, tokens}"
)
# Opens the session unless it was closed after this ticket was drawn, or dispatched anew; a fresh open starts without
# topics, one that follows a crash, a shutdown or a refusal keeps them.
_OPEN = (
    "if tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[1]) then return 'closed' end "
    "local state = redis.call('HGET', KEYS[1], 'state') "
    "if ARGV[2] ~= '' then if state ~= 'open' or redis.call('HGET', KEYS[1], 'generation') ~= ARGV[2] "
    "then return 'superseded' end return 'open' end "
    "if state == 'closed' then redis.call('DEL', KEYS[2], KEYS[4]) end "
    "redis.call('HSET', KEYS[1], 'state', 'open', 'task_id', ARGV[3], 'ticket', ARGV[1], 'options', ARGV[4], "
    "'code', '0', 'msg', '', 'hint', '') redis.call('HINCRBY', KEYS[1], 'generation', 1) return 'open'"
)

_CLOSE = (
    "if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end "
    "if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'task_id') ~= ARGV[1] then return 0 end "
    "redis.call('HSET', KEYS[1], 'state', 'closed') return 1"
)

_SEND_ONCE = (
    "if not redis.call('SET', KEYS[2], 'given', 'NX', 'PX', ARGV[2]) then return 0 end "
    "redis.call('RPUSH', KEYS[1], ARGV[1]) redis.call('PEXPIRE', KEYS[1], ARGV[2]) "
    "redis.call('PUBLISH', KEYS[3], 'look') return 1"
)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session as it should be. `state` is open, closed or refused; `options` are those of open_ws, sealed."""

    state: str
    task_id: str
    generation: int
    ticket: int
    options: dict[str, Any]
    code: int = 0
    msg: str = ""
    hint: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> SessionRecord | None:
        """From the hash, None if there is none."""
        if not fields.get("state"):
            return None
        return cls(
            state=fields["state"],
            task_id=fields.get("task_id", ""),
            generation=int(fields.get("generation", 0)),
            ticket=int(fields.get("ticket", 0)),
            options=json.loads(fields.get("options", "{}")),
            code=int(fields.get("code", 0)),
            msg=fields.get("msg", ""),
            hint=fields.get("hint", ""),
        )


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked of a session. `deadline` is Unix ms: nothing is done after it; the answer goes to `reply(id)`."""

    op: str
    deadline: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    topics: list[str] = field(default_factory=list)
    request: dict[str, Any] = field(default_factory=dict)
    """For `send`: the op as the caller gave it."""

    def text(self) -> str:
        """As it stands in the list of commands."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def of(cls, text: str | bytes) -> Command:
        """From the list of commands."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """One worker as the others see it. A capacity of 0 means that it is stopping."""

    name: str
    capacity: int
    held: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What a worker's supervisor looks at: sessions that should be open, who holds them, and what this worker holds."""

    task_ids: dict[str, str]
    """Name -> task id of every session that should be open."""
    tokens: dict[str, str]
    """Name -> token of the lease, "" where nobody holds it."""
    held: list[str]
    """The names that have a place in this worker."""


def now_ms() -> int:
    """Unix time in ms."""
    return time.time_ns() // 1_000_000


def wanted_field(topic: str, owner: str) -> str:
    """The field of the `wanted` hash; topics have no spaces."""
    return f"{topic} {owner}"


def _store(
    method: Callable[Concatenate[Registry, P], T],
) -> Callable[Concatenate[Registry, P], T]:
    @wraps(method)
    def guarded(self: Registry, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except redis.RedisError as problem:
            raise StoreError(f"Redis at {shown(self.settings.redis_url)}: {problem}") from problem

    return cast("Callable[Concatenate[Registry, P], T]", guarded)


class Registry:
    """The registry of one namespace. Safe for threads."""

    def __init__(self, settings: Settings, redis_client: redis.Redis | None = None) -> None:
        self.settings = settings
        # Any: redis-py types every reply as "sync or async, text or bytes"; here all are sync and text.
        self.redis: Any = redis_client or client(settings.redis_url)
        self.shared = NamespaceKeys(settings.namespace)
        # By its hash: it is sent every second, and Redis would hash its text each time.
        self._survey = self.redis.register_script(_SURVEY)

    def keys(self, name: str) -> ControlKeys:
        """The control keys of a session."""
        return ControlKeys(self.settings.namespace, name)

    def data(self, name: str) -> DataKeys:
        """The data keys of a session."""
        return DataKeys(self.settings.prefix, name)

    # -- opening and closing

    @_store
    def draw_ticket(self, name: str) -> int:
        """The next ticket: an open_ws whose ticket is below that of the last close_ws ends at once."""
        return int(self.redis.incr(self.keys(name).ticket))

    @_store
    def expect(self, name: str, ticket: int, deadline: int) -> None:
        """An open_ws with this ticket is on its way until its deadline (Unix ms): calls that need it may wait."""
        self.redis.set(self.keys(name).coming, ticket, px=max(1, deadline - now_ms()))

    @_store
    def arrived(self, name: str) -> None:
        """The open_ws that was on its way has begun, or will not."""
        self.redis.delete(self.keys(name).coming)

    @_store
    def coming(self) -> list[str]:
        """The names of which an open_ws is on its way; it looks through all keys, as nobody else needs to know."""
        before, after = self.shared.coming.split("*")
        found = self.redis.scan_iter(match=self.shared.coming, count=_SCANNED)
        return [key.removeprefix(before).removesuffix(after) for key in found]

    @_store
    def mark_closed(self, name: str, ticket: int) -> None:
        """From now on every open_ws with a lower ticket ends at once, whoever holds it."""
        keys = self.keys(name)
        with self.redis.pipeline() as pipe:
            pipe.eval(_RAISE_CLOSED, 1, keys.closed, ticket)
            pipe.delete(keys.coming)
            pipe.execute()

    @_store
    def acquire(self, name: str, token: str) -> bool:
        """Take the lease if nobody holds it."""
        return bool(self.redis.set(self.keys(name).lease, token, nx=True, px=LEASE_MS))

    @_store
    def release(self, name: str, token: str) -> None:
        """Give the lease up if it is still this one."""
        self.redis.eval(_DELETE_IF, 1, self.keys(name).lease, token)

    @_store
    def open(
        self, name: str, *, ticket: int, task_id: str, options: Mapping[str, Any], generation: int | None = None
    ) -> SessionRecord | None:
        """Register a session as open, by the holder of its lease; with a generation: go on with what is registered.

        None if it was closed after the ticket was drawn, or dispatched anew after that generation.
        """
        keys = self.keys(name)
        outcome = self.redis.eval(
            _OPEN,
            4,
            keys.session,
            keys.wanted,
            keys.closed,
            keys.commands,
            ticket,
            "" if generation is None else generation,
            task_id,
            json.dumps(dict(options), separators=(",", ":")),
        )
        if outcome != "open":
            return None
        record = self.session(name)
        if record is not None:
            self.redis.hset(self.shared.sessions, name, record.task_id)
        return record

    @_store
    def close(self, name: str, task_id: str = "") -> SessionRecord | None:
        """Mark an open session closed and poke its holder; with a task id: only if it is that task's.

        The record as it was, None if there was nothing to close. A session that nobody holds has ended with this.
        """
        keys = self.keys(name)
        record = self.session(name)
        if not self.redis.eval(_CLOSE, 1, keys.session, task_id):
            return None
        with self.redis.pipeline() as pipe:
            pipe.hdel(self.shared.sessions, name)
            pipe.publish(keys.bus, "close")
            pipe.get(keys.lease)
            held = pipe.execute()[-1]
        if not held:
            self.exited(name)
        return record

    @_store
    def exited(self, name: str) -> None:
        """Write the status of a session that ended without a holder to write it."""
        with self.redis.pipeline() as pipe:
            self._exit(pipe, name)
            pipe.execute()

    @_store
    def let_go(self, name: str, token: str) -> bool:
        """Whether who held a closed session with this token holds it no more; "" is nobody.

        From one that died the lease is taken, so that the name can be opened again, and the status is written for it.
        """
        if not token or self.holder(name) != token:
            return True
        worker = token.rpartition("/")[0]
        seen = self.redis.hget(self.shared.workers, worker)
        if seen and now_ms() - json.loads(seen)["seen"] < _WORKER_MS:
            return False
        lease = self.keys(name).lease
        with self.redis.pipeline() as pipe, suppress(redis.WatchError):  # then it has changed hands by itself
            pipe.watch(lease)
            if pipe.get(lease) == token:
                pipe.multi()
                pipe.delete(lease)
                self._exit(pipe, name)
                pipe.execute()
        return True

    @_store
    def session(self, name: str) -> SessionRecord | None:
        """The record of a session, None if there never was one."""
        return SessionRecord.of(self.redis.hgetall(self.keys(name).session))

    @_store
    def holder(self, name: str) -> str:
        """The token of the one who holds the lease now, "" if nobody does."""
        return str(self.redis.get(self.keys(name).lease) or "")

    def is_closing(self, name: str) -> bool:
        """Whether a session was closed: who holds it still is on its way out."""
        record = self.session(name)
        return record is not None and record.state == "closed"

    # -- what is open, and where

    @_store
    def sessions(self) -> dict[str, str]:
        """Name -> task id of every session that should be open."""
        return dict(self.redis.hgetall(self.shared.sessions))

    @_store
    def holders(self, names: Iterable[str]) -> dict[str, str]:
        """Name -> token of the lease, "" where nobody holds it; one round trip."""
        names = list(names)
        with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(self.keys(name).lease)
            return {name: token or "" for name, token in zip(names, pipe.execute(), strict=True)}

    @_store
    def live(self) -> list[str]:
        """The names of sessions that are open and held, sorted."""
        return sorted(name for name, token in self.holders(self.sessions()).items() if token)

    @_store
    def dispatch_again(self, name: str) -> SessionRecord | None:
        """Raise the generation of an open session that nobody holds, at most once in 5 s over all supervisors.

        None if it is not to be dispatched: closed, held, or another supervisor is at it.
        """
        keys = self.keys(name)
        if not self.redis.set(keys.dispatch, "1", nx=True, px=_DISPATCH_MS):
            return None
        record = self.session(name)
        closed = int(self.redis.get(keys.closed) or 0)
        if record is None or record.state != "open" or closed > record.ticket:
            self.redis.hdel(self.shared.sessions, name)
            if record is not None and record.state == "open":
                self.redis.hset(keys.session, "state", "closed")
                self.exited(name)
            return None
        if self.redis.exists(keys.lease):
            return None
        self.redis.hincrby(keys.session, "generation", 1)
        return self.session(name)

    # -- places in workers

    @_store
    def worker_seen(self, worker: str, capacity: int) -> None:
        """Tell the others that this worker lives, how many sessions it may hold and how many it does."""
        self.survey(worker, capacity)

    @_store
    def worker_gone(self, worker: str) -> None:
        """Take a worker that stopped off the list."""
        self.redis.hdel(self.shared.workers, worker)

    @_store
    def workers(self) -> list[WorkerPlace]:
        """The workers that live; those long gone are forgotten."""
        now = now_ms()
        places = []
        for worker, text in self.redis.hgetall(self.shared.workers).items():
            seen = json.loads(text)
            if now - seen["seen"] < _WORKER_MS:
                places.append(WorkerPlace(worker, seen["capacity"], seen["held"]))
            elif now - seen["seen"] > _WORKER_MS * 12:
                self.redis.hdel(self.shared.workers, worker)
        return places

    @_store
    def capacity(self, worker: str) -> int | None:
        """How many sessions a worker may hold, 0 once it is stopping; None if it has not said so."""
        text = self.redis.hget(self.shared.workers, worker)
        return int(json.loads(text)["capacity"]) if text else None

    @_store
    def survey(self, worker: str, capacity: int | None = None) -> Survey:
        """What is open, who holds it, and what this worker holds; with a capacity also what `worker_seen` does.

        One round trip, as every worker makes it every second; three where Redis does not know the script yet.
        """
        before, _, after = self.keys("?").lease.rpartition("?")
        seen = now_ms(), worker, "" if capacity is None else capacity, _WORKER_MS * 12
        places = self.shared.held(worker), self.shared.workers, self.shared.sessions
        held, opened, tokens = self._survey(places, (*seen, before, after))
        names = opened[::2]
        return Survey(dict(zip(names, opened[1::2], strict=True)), dict(zip(names, tokens, strict=True)), held)

    @_store
    def take_place(self, worker: str, name: str, capacity: int) -> bool:
        """Take one of `capacity` places of a worker for a session; also renews it."""
        now = now_ms()
        return bool(self.redis.eval(_TAKE_PLACE, 1, self.shared.held(worker), now, now + PLACE_MS, capacity, name))

    @_store
    def leave_place(self, worker: str, name: str) -> None:
        """Give the place back."""
        self.redis.zrem(self.shared.held(worker), name)

    @_store
    def held(self, worker: str) -> list[str]:
        """The sessions that a worker holds."""
        return list(self.redis.zrangebyscore(self.shared.held(worker), now_ms(), "+inf"))

    # -- topics and commands

    @_store
    def want(self, name: str, topics: Iterable[str], owner: str, ttl_s: float | None, command: Command) -> None:
        """Record topics as wanted by an owner, and poke the session with the command that waits for the outcome.

        NoSession (80011) if it was closed meanwhile: nobody would answer, and nothing of it outlives the next open_ws.
        """
        expiry = 0 if ttl_s is None else now_ms() + int(ttl_s * 1000)
        keys = self.keys(name)
        state = self._change(
            keys, lambda pipe: pipe.hset(keys.wanted, mapping={wanted_field(t, owner): expiry for t in topics}), command
        )
        if state == "closed":
            raise NoSession(f"session {name!r} is not open")

    @_store
    def unwant(self, name: str, topics: Iterable[str], owner: str, command: Command) -> None:
        """Record that an owner wants these topics no more."""
        keys = self.keys(name)
        self._change(keys, lambda pipe: pipe.hdel(keys.wanted, *[wanted_field(t, owner) for t in topics]), command)

    @_store
    def send(self, name: str, command: Command) -> None:
        """Give a session a command that is not state."""
        self._change(self.keys(name), None, command)

    @_store
    def send_once(self, name: str, command: Command) -> bool:
        """Give a session a command that must not reach it twice; False if it was given to it before.

        Also when Redis carried the call out, its reply was lost, and redis-py repeats it.
        """
        keys = self.keys(name)
        kept_ms = max(1, command.deadline - now_ms()) + REPLY_MS
        places = (keys.commands, keys.claim(command.id), keys.bus)
        return bool(self.redis.eval(_SEND_ONCE, len(places), *places, command.text(), kept_ms))

    @_store
    def withdraw(self, name: str, command: Command) -> bool:
        """Whether no session has taken the command; then none ever will."""
        return bool(self.redis.lrem(self.keys(name).commands, 0, command.text()))

    @_store
    def poke(self, name: str, word: str) -> None:
        """Wake a session: "look", "close" or "shutdown". Lost if nobody listens."""
        self.redis.publish(self.keys(name).bus, word)

    @_store
    def announce(self, word: str) -> None:
        """Tell all clients and servers of this namespace: "CONNECTED" when a worker is up, "QUIT"."""
        self.redis.publish(self.shared.info, word)

    @_store
    def wait_reply(self, name: str, command_id: str, timeout_s: float) -> Answer | None:
        """The next answer to a command, None if none comes in time."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            # One blocking read stays below the client's socket timeout, so that a dead connection is noticed.
            got = self.redis.blpop([self.keys(name).reply(command_id)], timeout=max(0.01, min(left, 2.0)))
            if got:
                return dict(json.loads(got[1]))
        return None

    @_store
    def reply(self, name: str, command_id: str, answer: Answer) -> None:
        """Answer a command."""
        key = self.keys(name).reply(command_id)
        with self.redis.pipeline() as pipe:
            pipe.rpush(key, json.dumps(answer))
            pipe.pexpire(key, REPLY_MS)
            pipe.execute()

    @_store
    def take(self, name: str, command_id: str) -> bool:
        """By a worker: whether the caller of this command still waits. From then on the outcome is unknown to it."""
        claim = self.keys(name).claim(command_id)
        return bool(self.redis.set(claim, "taken", nx=True, px=REPLY_MS)) or self.redis.get(claim) == "taken"

    @_store
    def give_up(self, name: str, command_id: str) -> bool:
        """By a caller whose time is up: whether no worker has taken the command; then none ever will."""
        return bool(self.redis.set(self.keys(name).claim(command_id), "given up", nx=True, px=REPLY_MS * 10))

    def require(self, name: str, deadline: int = 0) -> SessionRecord:
        """The record of an open session; NoSession (80011) if it is not open.

        With a deadline (Unix ms) it waits for an open_ws that is on its way.
        """
        record = self.session(name)
        while (record is None or record.state != "open") and now_ms() < deadline and self._coming(name):
            time.sleep(_POLL_S)
            record = self.session(name)
        if record is None or record.state != "open":
            detail = f": {record.msg}" if record is not None and record.state == "refused" else ""
            raise NoSession(f"session {name!r} is not open{detail}")
        return record

    def _exit(self, pipe: Any, name: str) -> None:
        data = self.data(name)
        pipe.set(data.status, "EXIT", ex=EXIT_S)
        pipe.delete(data.topics, data.seen)
        pipe.publish(data.status, "EXIT")

    @_store
    def _coming(self, name: str) -> bool:
        return bool(self.redis.exists(self.keys(name).coming))

    def _change(self, keys: ControlKeys, change: Callable[[Any], object] | None, command: Command) -> str:
        """Give a session a command, and with it a change of what is wanted; the state that it has."""
        with self.redis.pipeline() as pipe:
            pipe.hget(keys.session, "state")
            if change is not None:
                change(pipe)
                pipe.hincrby(keys.wanted, "version", 1)
            pipe.rpush(keys.commands, command.text())
            pipe.pexpire(keys.commands, max(1, command.deadline - now_ms()) + REPLY_MS)
            pipe.publish(keys.bus, "look")
            return str(pipe.execute()[0] or "")
