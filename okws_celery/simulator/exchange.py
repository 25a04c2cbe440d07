"""The simulated exchange: conversations, the market or a recording, accounts and faults, joined in one event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from okws_celery.okx.login import Credentials
from okws_celery.okx.topics import Arg
from okws_celery.simulator.accounts import DEFAULT_KEY, Accounts, AccountSetup
from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.faults import Fault, Faults
from okws_celery.simulator.frames import text_frame
from okws_celery.simulator.instruments import INSTRUMENTS
from okws_celery.simulator.listing import Listing
from okws_celery.simulator.misbehave import misbehave
from okws_celery.simulator.private import PrivatePushes
from okws_celery.simulator.protocol import Conversation, Counts, Request, Step, Then, Venue
from okws_celery.simulator.replay import Player, Recording
from okws_celery.simulator.source import Clock, MarketSource
from okws_celery.simulator.trading.algo_floor import AlgoFloor
from okws_celery.simulator.trading.floor import Floor, MarketPrices
from okws_celery.simulator.trading.limits import TradingLimits
from okws_celery.simulator.trading.operations import Desk
from okws_celery.simulator.trading.trader import Trader

__all__ = ["Closed", "Exchange", "Login", "Options", "Received"]

log = logging.getLogger(__name__)

_CONNECTIONS_PER_S = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How a simulator is set up. `pace` is replay.parse_pace's; `idle_s` the silence after which OKX closes."""

    seed: int = 1
    limits: bool = True
    replay: str = ""
    pace: float = 1.0
    speed: float = 1.0
    api_keys: Sequence[Credentials | AccountSetup] = (DEFAULT_KEY,)
    checksums: bool = False
    idle_s: float = 30.0
    ahead_s: float = 0.0
    """How far the exchange's clock is ahead of this machine's, s, for logins, signatures and `public/time`."""
    demo: bool = False
    """It is OKX's demo environment: REST calls say so in a header."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it was received, at Unix time `time`; `args` as sent, without the secrets of a login."""

    time: float
    path: str
    conn_id: str
    op: str
    id: str
    args: tuple[Any, ...]
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """One login attempt and its outcome: OKX's code, 0 if it was accepted."""

    time: float
    path: str
    conn_id: str
    api_key: str
    code: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of one connection: the code of the client's close frame, or of ours; None if it was cut without one."""

    time: float
    path: str
    conn_id: str
    code: int | None
    by_client: bool


class Exchange:
    """Everything that one simulator knows. Not thread-safe; the lists that it only appends to may be read anywhere."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock(options.speed)
        self.source = MarketSource(options.seed, self.clock, checksums=options.checksums)
        self.recording = Recording(options.replay) if options.replay else None
        self.instruments = {} if self.recording else INSTRUMENTS
        """What REST tells of; nothing invented stands beside a recording."""
        self.accounts = Accounts(options.api_keys, MarketPrices(self.source), self.clock.now_ms())
        self.faults = Faults()
        self.connections: dict[str, Connection] = {}
        self.requests: list[Received] = []
        self.logins: list[Login] = []
        self.closes: list[Closed] = []
        self.connects = 0
        self.refused_connects = 0
        self.private = PrivatePushes(self.accounts, self.connections, self.faults, self.clock.now_ms)
        self.floor = Floor(self.source, self.instruments, self._traded)
        self.algos = AlgoFloor(self.source, self.floor)
        self.desk = Desk(self.floor, TradingLimits() if options.limits else None)
        self._venue: Venue = self.recording or Listing()
        self._counts = Counts()
        self._listeners: dict[Arg, dict[Connection, Subscription]] = {}
        self._players: dict[Connection, Player] = {}
        self._handshakes: dict[str, deque[float]] = {}
        self._awake = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run_market())]
        self.set_listening: Callable[[bool], object] | None = None
        """Set by the server: stop or resume taking new connections."""

    # -- connections

    def admits(self, peer: str) -> bool:
        """Three new connections a second from one address (PROTOCOL 2)."""
        now_s = time.monotonic()
        recent = self._handshakes.setdefault(peer, deque())
        while recent and recent[0] <= now_s - 1.0:
            recent.popleft()
        if self.options.limits and len(recent) >= _CONNECTIONS_PER_S:
            self.refused_connects += 1
            return False
        recent.append(now_s)
        return True

    def opened(self, path: str, ws: web.WebSocketResponse, transport: asyncio.Transport) -> Connection:
        """A connection was accepted."""
        conversation = Conversation(
            path,
            secrets.token_hex(4),
            self._venue,
            self.accounts,
            self.faults,
            self._counts,
            self.desk,
            self.options.limits,
        )
        connection = Connection(ws, transport, conversation)
        self.connections[connection.conn_id] = connection
        self.connects += 1
        fault = self.faults.trickle(path, connection.conn_id)
        if fault is not None:
            fault.hits += 1
            connection.trickle(fault.options["pause_s"])
        self._watch_idle(connection)
        return connection

    def closed_by_client(self, connection: Connection, code: int) -> None:
        """A client said goodbye."""
        if connection.close_code is None:
            connection.closed = connection.closed_by_client = True
            connection.close_code = code

    def ended(self, connection: Connection) -> None:
        """A connection is gone."""
        connection.closed = True
        if self.connections.pop(connection.conn_id, None) is None:
            return
        by_client, code = connection.closed_by_client, connection.close_code
        self.closes.append(Closed(time.time(), connection.path, connection.conn_id, code, by_client))
        for subscription in list(connection.subscriptions.values()):
            self._unsubscribe(subscription)
        connection.pending.clear()
        connection.conversation.ended()
        player = self._players.pop(connection, None)
        if player is not None:
            player.cancel()

    def received(self, connection: Connection, text: str) -> None:
        """A client said something."""
        connection.pings += text == "ping"
        request, steps = connection.conversation.receive(text, self.wall_s())
        if request is not None:
            self._note(connection, request, steps)
        player = self._players.get(connection)
        if player is not None:
            player.request(time.monotonic())
        for step in steps:
            self._answer(connection, step)

    async def stop(self) -> None:
        """End everything at once."""
        for task in self._tasks:
            task.cancel()
        for connection in list(self.connections.values()):
            connection.drop("fin")
            self.ended(connection)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note(self, connection: Connection, request: Request, steps: list[Step]) -> None:
        path, conn_id = connection.path, connection.conn_id
        self.requests.append(Received(time.time(), path, conn_id, request.op, request.id, request.args, request.text))
        log.debug("%s %s: %s", path, conn_id, request.text)
        if request.op == "login" and steps:
            code = int(json.loads(steps[0].text).get("code", 0))
            api_key = str(request.args[0].get("apiKey", "")) if request.args else ""
            self.logins.append(Login(time.time(), path, conn_id, api_key, code))

    def _watch_idle(self, connection: Connection) -> None:
        """Close with 4004 who subscribed nothing in time, and who was sent nothing for as long (PROTOCOL 2)."""
        if connection.closed or connection.is_half_open:
            return
        idle_s = self.options.idle_s
        now_s = time.monotonic()
        since_open_s = now_s - connection.opened_s
        deadline_s = connection.last_sent_s + idle_s
        if now_s >= deadline_s or (since_open_s >= idle_s and not connection.conversation.established):
            connection.close(4004, "No data received in 30s")
            return
        wait_s = deadline_s - now_s
        if not connection.conversation.established:
            wait_s = min(wait_s, idle_s - since_open_s)
        asyncio.get_running_loop().call_later(max(0.01, wait_s), self._watch_idle, connection)

    # -- answers

    def _answer(self, connection: Connection, step: Step) -> None:
        if step.then is Then.SUBSCRIBED and step.arg is not None:
            connection.pending[step.arg] = step
        elif step.then is Then.UNSUBSCRIBED and step.arg is not None:
            connection.pending.pop(step.arg, None)
            if step.arg in connection.subscriptions:
                self._unsubscribe(connection.subscriptions[step.arg])
        wait_s = step.late_s
        if step.op in ("subscribe", "unsubscribe", "login"):
            fault = self.faults.late_ack(connection.path, connection.conn_id, step.op, step.arg)
            if fault is not None:
                if fault.options["seconds"] is None:
                    return
                wait_s = fault.options["seconds"]
        if wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._carry_out, connection, step)
        else:
            self._carry_out(connection, step)

    def _carry_out(self, connection: Connection, step: Step) -> None:
        if connection.closed:
            return
        connection.send_text(step.text)
        connection.conversation.carried_out(step)
        if step.then is Then.SUBSCRIBED and step.arg is not None and connection.pending.get(step.arg) is step:
            del connection.pending[step.arg]
            self._subscribe(connection, step.arg)
        if step.close:
            connection.close(step.close, "Login Failed")

    def _subscribe(self, connection: Connection, arg: Arg) -> None:
        offer = connection.conversation.subscribed.get(arg)
        if offer is None:
            return
        again = connection.subscriptions.get(arg)
        if again is not None:
            self._unsubscribe(again)
        subscription = Subscription(offer, connection)
        connection.subscriptions[arg] = subscription
        self._listeners.setdefault(arg, {})[connection] = subscription
        if self.recording is not None:
            self._play(connection, arg)
            subscription.flowing = True
            return
        opening = self.source.join(arg)
        delay_s = self.faults.opening_delay_s(connection.path, connection.conn_id, arg)
        if delay_s:
            later = asyncio.get_running_loop().call_later(delay_s, self._open_late, subscription)
            subscription.timers.append(later)
        else:
            self._begin(subscription, opening)
        self._awake.set()

    def _open_late(self, subscription: Subscription) -> None:
        self._begin(subscription, self.source.opening(subscription.offer.arg))

    def _begin(self, subscription: Subscription, opening: str | None) -> None:
        connection, arg = subscription.connection, subscription.offer.arg
        subscription.flowing = True
        if opening is None and self.private.begin(subscription):
            return
        if opening is not None and not subscription.dead:
            for text in self.faults.pushes(arg, opening):
                connection.send_text(text)

    def _unsubscribe(self, subscription: Subscription) -> None:
        connection, arg = subscription.connection, subscription.offer.arg
        for timer in subscription.timers:
            timer.cancel()
        connection.subscriptions.pop(arg, None)
        listeners = self._listeners.get(arg, {})
        listeners.pop(connection, None)
        if not listeners:
            self._listeners.pop(arg, None)
            self.source.leave(arg)
        player = self._players.get(connection)
        if player is not None:
            player.stop(arg)

    def _traded(self, trader: Trader) -> None:
        """Something happened to an account: who listens is told, and a market that its orders wait in goes on."""
        self.private.wake(trader)
        self._awake.set()

    # -- data

    def _emit(self, arg: Arg, text: str) -> None:
        listeners = self._listeners.get(arg)
        if not listeners:
            return
        for changed in self.faults.pushes(arg, text):
            framed = text_frame(changed)
            for connection, subscription in listeners.items():
                if subscription.flowing and not subscription.dead:
                    connection.send(framed)

    async def _run_market(self) -> None:
        while True:
            wait_s = self.source.wait_s
            if wait_s is None:
                self._awake.clear()
                await self._awake.wait()
                continue
            await asyncio.sleep(wait_s)
            try:
                self.source.advance(self._emit)
            except Exception:
                log.exception("the market stumbled")

    def _play(self, connection: Connection, arg: Arg) -> None:
        assert self.recording is not None
        player = self._players.get(connection)
        if player is None:
            send = partial(self._send_recorded, connection)
            player = self._players[connection] = Player(self.recording, self.options.pace, send, connection.steady)
            player.request(time.monotonic())
        player.start(arg)

    def _send_recorded(self, connection: Connection, recorded: list[tuple[Arg, str]]) -> None:
        framed = []
        for arg, text in recorded:
            subscription = connection.subscriptions.get(arg)
            if subscription is not None and not subscription.dead:
                texts = self.faults.pushes(arg, text, connection.path, connection.conn_id)
                framed += [text_frame(changed) for changed in texts]
        if framed:
            connection.send(b"".join(framed))

    # -- faults

    def apply(self, fault: Fault) -> int:
        """Let a fault stand, or do it at once; gives the number of connections or subscriptions that it met."""
        if fault.name == "clear":
            self.faults.clear()
            for connection in self.connections.values():
                connection.trickle(None)
            return 0
        if fault.name in ("stop_listening", "resume"):
            if self.set_listening is not None:
                self.set_listening(fault.name == "resume")
            return 0
        met = [one for one in self.connections.values() if fault.aims_at(one.path, one.conn_id)]
        if fault.stands:
            self.faults.add(fault)
            if fault.name != "trickle":
                return 0
            if fault.options["seconds"]:
                asyncio.get_running_loop().call_later(fault.options["seconds"], self.end_fault, fault)
        if fault.name == "topic_dead":
            dying = [sub for one in met for arg, sub in one.subscriptions.items() if fault.concerns(arg)]
            for subscription in dying:
                subscription.dead = True
            return len(dying)
        for connection in met:
            misbehave(connection, fault)
        return len(met)

    def end_fault(self, fault: Fault) -> None:
        """End one standing fault."""
        self.faults.remove(fault)
        if fault.name == "trickle":
            for connection in self.connections.values():
                if fault.aims_at(connection.path, connection.conn_id):
                    connection.trickle(None)

    def wall_s(self) -> float:
        """Unix time by the exchange's clock, in s; the market's time may run faster."""
        return time.time() + self.options.ahead_s

    # -- observation

    def state(self) -> dict[str, Any]:
        """What is going on, as JSON can say it."""
        return {
            "connects": self.connects,
            "refused_connects": self.refused_connects,
            "requests": len(self.requests),
            "logins": [
                {"path": one.path, "connId": one.conn_id, "apiKey": one.api_key, "code": one.code}
                for one in self.logins
            ],
            "connections": [
                {
                    "path": one.path,
                    "connId": one.conn_id,
                    "loggedIn": one.conversation.account is not None,
                    "subscriptions": [dict(arg) for arg in one.subscriptions],
                    "pings": one.pings,
                    "pongs": one.pongs,
                }
                for one in self.connections.values()
            ],
            "faults": [{"fault": one.name, "hits": one.hits} for one in self.faults.standing],
            "pending": self.pending(),
        }

    def pending(self) -> int:
        """Recorded frames that are still to be sent to live connections."""
        return sum(player.pending for player in self._players.values())
