"""One session: a loop over its links, its control bus and its Redis connection.

Each turn: wait, read what is there, tick what is due, drive the links, flush. Nothing in it waits for the network:
connecting runs on helper threads, and every socket of the loop is non-blocking, so that nothing outlasts the lease.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from okws_celery.errors import BAD_COMMAND, DONE, NO_SESSION, Answer, BadCommand, answer
from okws_celery.feeds.route import Limits
from okws_celery.okx.endpoints import check_proxy
from okws_celery.okx.login import Credentials
from okws_celery.okx.topics import parse_topic
from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.connector import Connector
from okws_celery.session.desired import Desired
from okws_celery.session.entry import Entry
from okws_celery.session.exchange import Exchange
from okws_celery.session.flow import Flow
from okws_celery.session.inherited import Inherited
from okws_celery.session.link import LinkState
from okws_celery.session.mailbox import Mailbox
from okws_celery.session.poller import Poller, Watch, mask_of
from okws_celery.session.redis_side import RedisSide
from okws_celery.session.rest_client import RestClient
from okws_celery.session.sender import Sender
from okws_celery.session.waiters import Waiters
from okws_celery.settings import Settings
from okws_celery.store.batch import Batch
from okws_celery.store.fence import LEASE_MS, Fence, FenceState, Ownership
from okws_celery.store.registry import EXIT_S, PLACE_MS, Command, Registry, SessionRecord
from okws_celery.store.wire import WireLost

__all__ = ["Ending", "Plan", "Session"]

_TICK_S = 1.0
_BUSY_TICK_S = 0.2
"""While something is not settled: an answer, a connection, the end."""
_BEAT_S = 2.0
"""How often, at the latest, a batch goes out that renews the lease: four may be lost before it expires."""
_END_S = 3.0
_MAX_BATCH = 16 * 1024 * 1024
"""Bytes that may wait for Redis; beyond them the newest state is kept and a GAP says what is missing."""

_log = logging.getLogger(__name__)


class Ending(Enum):
    """Why a session ended."""

    CLOSED = "closed"
    SHUTDOWN = "shutdown"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is made from: the lease is taken and the registry written before it begins."""

    name: str
    token: str
    record: SessionRecord
    credentials: Credentials | None
    worker: str
    reply_id: str = ""
    """The command id of an open_ws that waits for its answer, "" if nobody does."""


class Session:
    """`run()` holds the session until it ends; everything else belongs to its loop."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        registry: Registry,
        on_status: Callable[[str], None] = lambda status: None,
        stopping: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        """`on_status` hears each new status and must not block; `stopping` tells that this process is to end, which
        is asked every second, as the control bus cannot say so while Redis is away. `clock`: this machine's."""
        options = plan.record.options
        self._plan = plan
        self._on_status = on_status
        self._stopping = stopping
        self._keys = registry.keys(plan.name)
        self._data = registry.data(plan.name)
        self._shared = registry.shared
        self._clock = clock or Clock()
        self._batch = Batch()
        self._mailbox = Mailbox()
        self._poller = Poller()
        # Whether there may be other sockets, or something else to be waited for.
        self._rewatch = True
        limits = Limits(settings.book_depth, settings.max_rows, settings.max_log)
        self._publish = options.get("publish") or settings.publish
        self._board = Board(self._data, self._publish, limits)
        self._waiters = Waiters(self._keys)
        self._desired = Desired(
            self._keys, registry.shared, plan.record, self._topics_wanted, self._command, self._registry_says
        )
        owner = Ownership(plan.record.generation, plan.record.ticket)
        self._fence = Fence(self._keys, self._data.status, plan.token, owner, self)
        self._redis = RedisSide(
            plan.name,
            settings.redis_url,
            self._keys.bus,
            self._fence,
            self._mailbox,
            self._clock,
            self._batch,
            self._word,
        )
        proxy = check_proxy(options.get("proxy") or settings.proxy)
        endpoints = settings.endpoints(options)
        rest = RestClient(registry, endpoints, plan.credentials, proxy=proxy, ca_file=settings.ca_file)
        self._sender = Sender(
            name=plan.name,
            may_trade=plan.credentials is not None,
            rest=rest,
            waiters=self._waiters,
            batch=self._batch,
            mailbox=self._mailbox,
            clock=self._clock,
            listed=self._listed,
        )
        self._exchange = Exchange(
            name=plan.name,
            endpoints=endpoints,
            connector=Connector(registry, proxy, settings.ca_file, settings.deflate),
            credentials=plan.credentials,
            data=self._data,
            board=self._board,
            waiters=self._waiters,
            batch=self._batch,
            mailbox=self._mailbox,
            clock=self._clock,
            owner=self,
            sender=self._sender,
            rest=rest,
            candles=min(settings.backfill, settings.max_rows),
        )
        self._flow = Flow(self._poller, self._clock, self._exchange, self._board, self._batch, self._fence)
        self._next_tick = 0.0
        self._beat_at = 0.0
        self._begun = False
        self._status = ""
        self._connected_once = False
        self._started_ms = self._clock.ms
        self._inherited = Inherited(self._data)
        self._after_flush: list[Callable[[], None]] = []
        # Those of the batch that is under way.
        self._waiting_for_redis: list[Callable[[], None]] = []
        self._overflow = ""
        self._open_answered = not plan.reply_id
        self._close_ids: list[str] = []
        self._refusal: tuple[int, str, str] = (0, "", "")
        self._ending: Ending | None = None
        self._end_by = 0.0
        self._released = False

    # -- the loop

    @property
    def token(self) -> str:
        """The token of the lease that this session holds, or held."""
        return self._fence.token

    def run(self) -> Ending:
        """Hold the session; returns why it ended. Never raises for what the exchange, Redis or a user does."""
        _log.info("session %s: begins", self._plan.name)
        try:
            while self._ending is None or not self._finished():
                self._turn()
        finally:
            self._exchange.shut()
            self._redis.close()
            self._mailbox.close()
        ending = self._ending or Ending.LOST
        _log.info("session %s: ended, %s", self._plan.name, ending.value)
        return ending

    def _turn(self) -> None:
        if self._rewatch or self._redis.changed:
            self._rewatch = self._redis.changed = False
            self._poller.watch(self._watches())
        clock, exchange, fence, batch = self._clock, self._exchange, self._fence, self._batch
        for descriptor, events in self._wait():
            watch = self._poller.watches[descriptor]
            watch.handler(mask_of(events))
            if watch.link is None:
                exchange.stirred = True
        part = self._board.rounds.part(clock.now)
        if part:
            self._board.write_seen(batch, part)
            exchange.look_after(part)
        if clock.now >= self._next_tick:
            self._tick()
            exchange.stirred = True
        if not fence.idle and batch:
            # What has come since may go to Redis if the replies to the batch before are there.
            if not fence.patient:
                exchange.stirred = True
            self._redis.collect()
        if exchange.stirred:
            self._rewatch = True
            if self._ending is None:
                exchange.drive()
                self._tell_status()
        self._flush()

    def _wait(self) -> list[tuple[int, int]]:
        """What is ready now, or becomes so before something is due. Meanwhile pushes go the short way."""
        due_at = min(self._next_tick, self._board.rounds.due_at)
        unread = self._exchange.unread()
        if self._ending is None and not self._overflow and all(link.state is LinkState.UP for link in unread):
            try:
                ready = self._flow.run(due_at)
            except WireLost as problem:
                self._redis.lost(str(problem))
                return []
            self._watch_replies()
            return ready
        ready = self._poller.wait(0 if unread else max(0.0, due_at - self._clock.now) * 1000)
        self._clock.read()
        self._exchange.read_on(unread)
        return ready

    def _watches(self) -> list[Watch]:
        mailbox = Watch(self._mailbox.fileno(), False, self._mailbox.open)
        return [mailbox, *self._redis.watches(), *self._exchange.watches()]

    def _tick(self) -> None:
        self._waiters.expire(self._clock.ms)
        self._desired.expire_owners(self._batch, self._clock.ms)
        if not self._begun:
            self._begin()
        elif self._desired.stale:
            self._desired.look(self._batch)
        if self._stopping():
            self._end(Ending.SHUTDOWN)
        self._exchange.tick()
        self._redis.tick()
        if self._clock.now - self._beat_at >= _BEAT_S and self._fence.patient:
            self._beat_at = self._clock.now
            self._heartbeat()
        settled = self._exchange.settled and self._fence.patient and self._ending is None
        self._next_tick = self._clock.now + (_TICK_S if settled else _BUSY_TICK_S)
        round_at = self._board.rounds.due_at
        if settled and self._next_tick - round_at < _TICK_S / 2:
            self._next_tick = round_at  # one wake-up for both

    def _begin(self) -> None:
        self._begun = True
        self._inherited.ask(self._batch)
        self._desired.look(self._batch)
        if self._plan.credentials is not None:
            self._exchange.prove_login()
        else:
            self._answer_open(answer(DONE, f"session {self._plan.name} is open"))

    # -- flushing

    def _flush(self) -> None:
        if self._overflow and not self._begin_anew():
            return
        if self._fence.idle:
            if self._ending is not None:
                self._flush_last(self._ending)
            elif self._batch:
                self._send()
        elif self._batch.size > _MAX_BATCH and not self._released:
            _log.warning("session %s: more waits for Redis than can be held", self._plan.name)
            self._overflow = "more came than could be held while Redis was away"
            self._fence.drop_kept()

    def _begin_anew(self) -> bool:
        """After an overflow: nothing is kept until Redis can take it, then the newest state is written."""
        self._batch.clear()
        if not self._fence.idle:
            return False
        reason, self._overflow = self._overflow, ""
        self._status = ""
        self._confirm()
        self._board.dropped(self._batch, reason)
        self._desired.look(self._batch)
        return True

    def _send(self) -> None:
        # That the fence is idle means that everything sent before has arrived.
        self._board.flushing()
        on_done = None
        if self._after_flush:
            self._waiting_for_redis, self._after_flush = self._after_flush, []
            on_done = self._flushed
        try:
            self._fence.send(self._batch, self._clock.now, on_done)
        except WireLost as problem:
            self._redis.lost(str(problem))
        self._watch_replies()

    def _watch_replies(self) -> None:
        """Have the poller look at Redis, if somebody waits for a reply or not all went out."""
        if not self._fence.patient or self._fence.blocked:
            self._redis.changed = True

    def _flush_last(self, ending: Ending) -> None:
        if self._released:
            return
        if not self._exchange.closed:
            if self._batch:
                self._send()
            return
        self._last_words(ending)
        self._released = True
        try:
            self._fence.release(self._batch, self._clock.now)
        except WireLost as problem:
            self._redis.lost(str(problem))
        self._redis.changed = True

    def _flushed(self) -> None:
        """The batch that something was to be done after is in Redis."""
        actions, self._waiting_for_redis = self._waiting_for_redis, []
        for action in actions:
            action()

    def after_flush(self, action: Callable[[], None]) -> None:
        """See exchange.Owner."""
        self._after_flush.append(action)

    def _heartbeat(self) -> None:
        """Have the next batch not be empty, and look whether a poke was lost."""
        place = self._shared.held(self._plan.worker)
        self._desired.glance(self._batch)
        self._batch.write("ZADD", place, self._clock.ms + PLACE_MS, self._plan.name)
        self._batch.write("PEXPIRE", place, PLACE_MS)
        self._batch.write("SET", self._keys.counters, json.dumps(self._counters()), "PX", LEASE_MS)

    def _counters(self) -> dict[str, Any]:
        return {
            "worker": self._plan.worker,
            "status": self._status,
            "started": self._started_ms,
            "generation": self._plan.record.generation,
            "publish": self._publish,
            "links": self._exchange.counters(),
            "topics": dict(self._board.states),
            "pushes": self._board.pushes,
            "unrouted": self._board.unrouted,
            "rubbish": dict(self._exchange.rubbish),
            "redis": {"batches": self._fence.arrived} | asdict(self._fence.counters),
        }

    # -- what the fence says

    def fence_regained(self) -> None:
        """See fence.Holder."""
        _log.warning("session %s: the lease had gone from Redis and is ours again", self._plan.name)
        self._exchange.stirred = True
        self._status = ""
        self._wait_again()
        self._confirm()
        self._board.emptied(self._batch, "the lease was lost")
        self._desired.look(self._batch)

    def fence_lost(self, reason: str) -> None:
        """See fence.Holder."""
        if self._ending is None:
            _log.warning("session %s: gives way, %s", self._plan.name, reason)
            self._ending = Ending.LOST
        self._released = True

    def fence_dropped(self, reason: str) -> None:
        """See fence.Holder."""
        self._exchange.stirred = True
        self._status = ""
        self._wait_again()
        self._confirm()
        self._board.dropped(self._batch, reason)

    def _confirm(self) -> None:
        """Tell the board, which else hears of it when the next batch is sent, that the last one is in Redis."""
        if self._fence.arrived == self._fence.sent:
            self._board.flushed()

    def _wait_again(self) -> None:
        """A batch is not in Redis: what was to be done after it waits for the next, which says the same."""
        self._after_flush = self._waiting_for_redis + self._after_flush
        self._waiting_for_redis = []

    # -- what is wanted

    def _word(self, word: str) -> None:
        if word == "shutdown":
            self._end(Ending.SHUTDOWN)
        elif self._begun:
            self._desired.look(self._batch)

    def _registry_says(self, what: str) -> None:
        match what:
            case "vanished":
                _log.warning("session %s: the registry has vanished; writing it again", self._plan.name)
                self._desired.heal(self._batch, self._plan.name)
            case "closed":
                self._end(Ending.CLOSED)
            case _:
                self._end(Ending.LOST)

    def _topics_wanted(self, topics: dict[str, dict[str, int]]) -> None:
        for entry in self._board:
            if entry.topic.text not in topics:
                self._leave(entry)
        for text in topics:
            if self._board.get(text) is None:
                self._join(text)
        self._inherited.forget_all_but(topics, self._batch)

    def _join(self, text: str) -> None:
        try:
            topic = self._exchange.spelled(parse_topic(text, stored=True))
        except BadCommand as problem:
            self._waiters.settle(self._batch, text, "subscribe", problem.answer())
            return
        entry = self._board.add(self._batch, topic, self._clock.ms)
        self._board.restore(self._batch, entry, *self._inherited.take(topic))
        self._exchange.join(entry)

    def _leave(self, entry: Entry) -> None:
        text = entry.topic.text
        self._board.remove(self._batch, entry)
        said = answer(NO_SESSION, f"{text}: unsubscribed before it was live")
        self._waiters.settle(self._batch, text, "subscribe", said)
        self._exchange.leave(entry.topic)

    def _listed(self) -> str:
        kept = any(entry.state == "live" and entry.topic.text.startswith("instruments:") for entry in self._board)
        return self._data.of("instruments") if kept else ""

    def _command(self, command: Command) -> None:
        match command.op:
            case "subscribe" if command.deadline <= self._clock.ms:
                pass
            case "subscribe":
                self._waiters.add(command)
                for text in command.topics:
                    entry = self._board.get(text)
                    if entry is not None:
                        self._exchange.ask_for(entry)
                    else:
                        self._waiters.settle(self._batch, text, "subscribe", _why_not(text))
            case "unsubscribe":
                self._waiters.add(command)
                for text in command.topics:
                    if self._board.get(text) is not None:
                        said = answer(DONE, f"{text}: left; other owners keep it subscribed")
                        self._waiters.settle(self._batch, text, "unsubscribe", said)
                    elif not self._exchange.leaving(text):
                        said = answer(DONE, f"unsubscribed {text}")
                        self._waiters.settle(self._batch, text, "unsubscribe", said)
            case "send":
                self._exchange.send(command)
            case "close":
                self._close_ids.append(command.id)
                self._end(Ending.CLOSED)
            case "rewrite":
                self._status = ""
                self._board.rewrite(self._batch)
                self._exchange.fetch_again()
                self._waiters.reply(self._batch, command.id, answer(DONE, "written again"))
            case _:
                said = answer(BAD_COMMAND, f"a session does not know {command.op!r}")
                self._waiters.reply(self._batch, command.id, said)

    def _answer_open(self, said: Answer) -> None:
        if not self._open_answered:
            self._open_answered = True
            self._waiters.reply(self._batch, self._plan.reply_id, said)

    # -- what the exchange says

    def logged_in(self) -> None:
        """See exchange.Owner."""
        if self._exchange.complete is not False:
            # Nothing may need this link by now, but it was up.
            self._connected_once = True
            self._set_status("CONNECTED")
        self._answer_open(answer(DONE, f"session {self._plan.name} is open and logged in"))

    def login_refused(self, code: int, text: str, hint: str) -> None:
        """See exchange.Owner."""
        _log.error("session %s: login refused for good: %d %s%s", self._plan.name, code, text, hint and f" ({hint})")
        self._refusal = (code, text, hint)
        self._end(Ending.REFUSED)

    def unreachable(self) -> None:
        """See exchange.Owner."""
        self._set_status("DISCONNECTED")

    # -- status

    def _tell_status(self) -> None:
        if not self._begun:
            return
        complete = self._exchange.complete
        if complete:
            self._connected_once = True
            self._set_status("CONNECTED")
        elif complete is False and self._status == "CONNECTED":
            self._set_status("DISCONNECTED")
        elif not self._status:
            # Written again because Redis may have forgotten it.
            after = "CONNECTED" if complete is None else "DISCONNECTED"
            self._set_status(after if self._connected_once else "READY")

    def _set_status(self, status: str) -> None:
        if status != self._status:
            self._status = status
            self._batch.write("SET", self._data.status, status, "PX", LEASE_MS)
            self._publish_status(status)

    def _publish_status(self, status: str, **more: Any) -> None:
        self._batch.publish(self._data.status, status)
        self._board.event(self._batch, {"op": status, **more})
        self._on_status(status)

    # -- the end

    def _end(self, ending: Ending) -> None:
        if self._ending is Ending.SHUTDOWN and ending is Ending.CLOSED and not self._released:
            self._ending = ending  # closed while the worker stops: closed for good
        if self._ending is not None:
            return
        self._ending = ending
        self._end_by = self._clock.now + _END_S
        self._next_tick = 0.0
        if ending is not Ending.LOST:
            self._exchange.close(ending.value)

    def _finished(self) -> bool:
        if self._ending is None:
            return False
        return self._ending is Ending.LOST or self._fence.state is FenceState.LOST or self._clock.now > self._end_by

    def _last_words(self, ending: Ending) -> None:
        """What the last batch says, in the same transaction that gives the lease up."""
        batch, name = self._batch, self._plan.name
        if ending is Ending.SHUTDOWN:
            for entry in self._board:
                self._board.broken(batch, entry.topic.arg, "the worker was stopped", self._clock.ms)
            self._board.write_seen(batch, self._board)
            self._set_status("DISCONNECTED")
            said = answer(NO_SESSION, f"the worker of session {name} was stopped")
            self._waiters.settle_all(batch, said)
            self._sender.end(said)
            return
        if ending is Ending.REFUSED:
            code, text, hint = self._refusal
            batch.write("HSET", self._keys.session, "state", "refused", "code", code, "msg", text, "hint", hint)
            batch.write("SET", self._data.status, "REFUSED", "EX", EXIT_S)
            self._publish_status("REFUSED", code=code, msg=text, hint=hint)
            said = answer(code, text, hint=hint)
        else:
            batch.write("HSET", self._keys.session, "state", "closed")
            batch.write("SET", self._data.status, "EXIT", "EX", EXIT_S)
            self._publish_status("EXIT")
            said = answer(NO_SESSION, f"session {name} was closed")
        batch.write("HDEL", self._shared.sessions, name)
        batch.write("DEL", self._keys.counters)
        self._board.end(batch)
        self._answer_open(said)
        self._waiters.settle_all(batch, said)
        self._sender.end(said)
        for command_id in self._close_ids:
            self._waiters.reply(batch, command_id, answer(DONE, f"session {name} is closed"))


def _why_not(text: str) -> Answer:
    """Why a topic that somebody waits for is not on the board."""
    try:
        parse_topic(text, stored=True)
    except BadCommand as problem:
        return problem.answer()
    return answer(BAD_COMMAND, f"{text} is wanted by nobody any more")
