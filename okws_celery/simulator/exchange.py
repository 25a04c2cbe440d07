"""The simulated exchange: conversations, the market or a recording, accounts and faults, joined in one event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from okws_celery.okx.login import Credentials
from okws_celery.okx.ops import OPS
from okws_celery.okx.topics import Arg
from okws_celery.simulator.accounts import DEFAULT_KEY, DEMO_KEY, Accounts, AccountSetup
from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.distribution import Distribution
from okws_celery.simulator.expiry import Expiry
from okws_celery.simulator.frames import raw_deflate_frame
from okws_celery.simulator.journal import Journal
from okws_celery.simulator.listing import Listing
from okws_celery.simulator.load import Load
from okws_celery.simulator.load_plan import LoadPlan
from okws_celery.simulator.private import PrivatePushes
from okws_celery.simulator.protocol import Conversation, Counts, Request, Step, Then
from okws_celery.simulator.recording import Recording
from okws_celery.simulator.renaming import ChangingVenue
from okws_celery.simulator.replay import Players
from okws_celery.simulator.source import Clock, MarketSource
from okws_celery.simulator.standing import StandingFaults
from okws_celery.simulator.trading.algo_floor import AlgoFloor
from okws_celery.simulator.trading.floor import Floor
from okws_celery.simulator.trading.limits import TradingLimits
from okws_celery.simulator.trading.market_prices import MarketPrices
from okws_celery.simulator.trading.operations import Desk
from okws_celery.simulator.trading.trader import Trader
from okws_celery.simulator.trouble import Trouble
from okws_celery.simulator.upheaval import Upheaval
from okws_celery.simulator.v3 import V3Conversation

__all__ = ["Closed", "Exchange", "Login", "Options", "Received"]

log = logging.getLogger(__name__)

_CONNECTIONS_PER_S = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How a simulator is set up."""

    seed: int = 1
    limits: bool = True
    replay: str = ""
    pace: float = 1.0
    """Of a replay, as replay.parse_pace gives it."""
    loop: bool = False
    """Whether a replay begins again when it is over."""
    speed: float = 1.0
    api_keys: Sequence[Credentials | AccountSetup] = (DEFAULT_KEY,)
    demo_keys: Sequence[Credentials | AccountSetup] = (DEMO_KEY,)
    """Keys of the demo environment; each kind is 50101 in the other's."""
    demo: bool = False
    """Whether this is the demo environment; `?brokerId=9999` makes it so for one connection (PROTOCOL 1.1)."""
    checksums: bool = False
    idle_s: float = 30.0
    """The silence after which OKX closes."""
    ahead_s: float = 0.0
    """How far the exchange's clock is ahead of this machine's, s, for logins, signatures and `public/time`."""
    deflate: bool = True
    """Whether permessage-deflate is agreed to, when a client offers it."""
    login_closes: bool = False
    """Whether a refused login ends the connection with 4001 (PROTOCOL 3)."""
    most_on_one: int = 0
    """Subscriptions on one connection, one more is 4009; 0: no limit (OKX publishes no number)."""
    most_in_all: int = 0
    """Subscriptions on all connections, one more is 4008; 0: no limit."""
    load: LoadPlan | None = None
    """In load mode: what is sent."""


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
    """Everything that one simulator knows. Not thread-safe; its journals may be read anywhere."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock(options.speed)
        self.source = MarketSource(options.seed, self.clock, checksums=options.checksums, demo=options.demo)
        self.recording = Recording(options.replay) if options.replay else None
        self.load = Load(options.load) if options.load else None
        self.instruments = {} if self.recording or self.load else dict(self.source.market.instruments)
        """What REST tells of; nothing invented stands beside a recording."""
        if self.load is not None:
            like = self.source.market.instruments["BTC-USDT"]
            self.instruments = {
                name: replace(like, inst_id=name, base=name.partition("-")[0], code=like.code + number)
                for number, name in enumerate(self.load.names, 90_000)
            }
        self.prices = MarketPrices(self.source)
        self.accounts = Accounts(options.api_keys, self.prices, self.clock.now_ms(), options.demo_keys)
        self.faults = StandingFaults()
        self.connections: dict[str, Connection] = {}
        self.requests: Journal[Received] = Journal()
        self.logins: Journal[Login] = Journal()
        self.closes: Journal[Closed] = Journal()
        self.connects = 0
        self.refused_connects = 0
        self.private = PrivatePushes(self.accounts, self.connections, self.faults, self.clock.now_ms)
        self.floor = Floor(self.source, self.instruments, self._traded)
        self.algos = AlgoFloor(self.source, self.floor)
        self.desk = Desk(self.floor, TradingLimits() if options.limits else None)
        self._venue = ChangingVenue(self.recording or self.load or Listing(self.source.market))
        self.distribution = Distribution(self._venue, self.faults)
        upheaval = Upheaval(
            self.connections, self.accounts, self._venue, self.distribution, self.instruments, self.source, self.floor
        )
        self.trouble = Trouble(self.connections, self.faults, upheaval)
        self._expiry = Expiry(upheaval, self.source, self.instruments, demo=options.demo)
        self._players = Players(self.recording, options.pace, self.distribution.send_recorded, loop=options.loop)
        self._counts = Counts()
        self._handshakes: dict[str, deque[float]] = {}
        self._awake = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run_market())]
        self._expiry.watch()

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

    def opened(
        self, path: str, ws: web.WebSocketResponse, transport: asyncio.Transport, *, demo: bool = False
    ) -> Connection:
        """A connection was accepted, on one of the paths of v5 or on `v3`."""
        conn_id, limits = secrets.token_hex(4), self.options.limits
        if path == "v3":
            v3 = V3Conversation(path, conn_id, self.recording, self.accounts, self.faults, limits)
            connection = Connection(ws, transport, v3)
            connection.encode = raw_deflate_frame
        else:
            v5 = Conversation(path, conn_id, self._venue, self.accounts, self.faults, self._counts, self.desk, limits)
            v5.demo, v5.login_closes = demo or self.options.demo, self.options.login_closes
            connection = Connection(ws, transport, v5)
        self.connections[conn_id] = connection
        self.connects += 1
        self.trouble.met_by(connection)
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
        self._players.end(connection)

    def received(self, connection: Connection, text: str) -> None:
        """A client said something."""
        connection.pings += text == "ping"
        request, steps = connection.conversation.receive(text, self.wall_s())
        if request is not None:
            self._note(connection, request, steps)
        self._players.request(connection)
        for step in steps:
            self._answer(connection, step)

    async def stop(self) -> None:
        """End everything at once."""
        self.trouble.stop()
        self._expiry.stop()
        if self.load is not None:
            self.load.stop()
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
            said = json.loads(steps[0].text)
            code = int(said.get("code") or said.get("errorCode") or 0)
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
            connection.close(4004)
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
            for arg in (step.arg, self._venue.market_arg(step.arg)):  # one may still be there under its old name
                connection.pending.pop(arg, None)
                connection.conversation.subscribed.pop(arg, None)
                if arg in connection.subscriptions:
                    self._unsubscribe(connection.subscriptions[arg])
        wait_s = step.late_s
        if step.op in ("subscribe", "unsubscribe", "login", *OPS):
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
            connection.close(step.close)

    def _subscribe(self, connection: Connection, arg: Arg) -> None:
        offer = connection.conversation.subscribed.get(arg)
        if offer is None:
            return
        again = connection.subscriptions.get(arg)
        if again is not None:
            self._unsubscribe(again)
        subscription = Subscription(offer, connection)
        connection.subscriptions[arg] = subscription
        if self._too_many(connection):
            return
        self.distribution.join(subscription)
        if self.load is not None:
            self.load.join(subscription)
            subscription.flowing = True
            return
        opening = self.source.join(self._venue.market_arg(arg)) if self.recording is None else None
        delay_s = self.faults.opening_delay_s(connection.path, connection.conn_id, arg)
        if delay_s:
            later = asyncio.get_running_loop().call_later(delay_s, self._open_late, subscription)
            subscription.timers.append(later)
        else:
            self._begin(subscription, opening)
        self._awake.set()

    def _too_many(self, connection: Connection) -> bool:
        """Close who subscribes more than there is room for (PROTOCOL 2.5)."""
        most_on_one, most_in_all = self.options.most_on_one, self.options.most_in_all
        in_all = sum(len(one.subscriptions) for one in self.connections.values()) if most_in_all else 0
        if most_on_one and len(connection.subscriptions) > most_on_one:
            connection.close(4009)
        elif in_all > most_in_all:
            connection.close(4008)
        return connection.closed

    def _open_late(self, subscription: Subscription) -> None:
        self._players.request(subscription.connection)  # what is played begins now, and not when it was asked for
        self._begin(subscription, self.source.opening(self._venue.market_arg(subscription.offer.arg)))

    def _begin(self, subscription: Subscription, opening: str | None) -> None:
        arg = subscription.offer.arg
        subscription.flowing = True
        if self.recording is not None:
            self._players.start(subscription.connection, arg)
            return
        if opening is None and self.private.begin(subscription):
            return
        if opening is not None:
            market_arg = self._venue.market_arg(arg)
            text = opening if market_arg == arg else self._venue.todays_text(market_arg, opening)
            self.distribution.push_to(subscription, text)

    def _unsubscribe(self, subscription: Subscription) -> None:
        connection, arg = subscription.connection, subscription.offer.arg
        for timer in subscription.timers:
            timer.cancel()
        connection.subscriptions.pop(arg, None)
        if self.distribution.leave(subscription):
            self.source.leave(self._venue.market_arg(arg))
        self._players.stop(connection, arg)
        if self.load is not None:
            self.load.leave(subscription)

    def _traded(self, trader: Trader) -> None:
        """Something happened to an account: who listens is told, and a market that its orders wait in goes on."""
        self.private.wake(trader)
        self._awake.set()

    # -- data

    async def _run_market(self) -> None:
        while True:
            wait_s = self.source.wait_s
            if wait_s is None:
                self._awake.clear()
                await self._awake.wait()
                continue
            await asyncio.sleep(wait_s)
            try:
                self.source.advance(self.distribution.emit)
            except Exception:
                log.exception("the market stumbled")

    def wall_s(self) -> float:
        """Unix time by the exchange's clock, in s; the market's time may run faster."""
        return time.time() + self.options.ahead_s

    # -- observation

    def state(self) -> dict[str, Any]:
        """What is going on, as JSON can say it."""
        return {
            "demo": self.options.demo,
            "connects": self.connects,
            "refused_connects": self.refused_connects,
            "requests": len(self.requests),
            "logins": [
                {"path": one.path, "connId": one.conn_id, "apiKey": one.api_key, "code": one.code}
                for one in self.logins.since()
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
        return self._players.pending
