"""`Simulator`: a simulated exchange in a thread of this process, for tests and for users' own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from okws_celery.errors import BadCommand
from okws_celery.okx.login import Credentials
from okws_celery.simulator.needs import needed

with needed():
    from okws_celery.simulator.account_side import account_state, perform
    from okws_celery.simulator.exchange import Closed, Exchange, Login, Options, Received
    from okws_celery.simulator.load import Load
    from okws_celery.simulator.server import Server

from okws_celery.simulator.accounts import DEFAULT_KEY, DEMO_KEY, AccountSetup
from okws_celery.simulator.faults import Fault, arg_of, parse_fault
from okws_celery.simulator.frames import TEXT, frame
from okws_celery.simulator.load_plan import parse_plan
from okws_celery.simulator.replay import parse_pace

__all__ = ["LiveConnection", "Simulator"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """A live connection at the moment of asking; `subscriptions` are OKX's arg objects."""

    path: str
    conn_id: str
    logged_in: bool
    subscriptions: tuple[dict[str, str], ...]
    pings: int
    """Text pings received."""
    pongs: int
    """Right answers to the fault `pings`."""


class Simulator:
    """A simulated OKX on a free port of 127.0.0.1. Every method may be called from any thread.

        with Simulator(seed=1, limits=False) as sim:
            ...connect to sim.ws_url + "/public"

    `replay` is a `replay.jsonl`, played at `pace`: "recorded", "max" or a factor, and again with `loop`. `tls` is
    (certificate, key), paths of PEM files. `speed` makes the market's time run faster. `load` turns the load mode on:
    {"rate": messages a second, "mix": {channel: share}, "instruments": number, "levels": of a book}. `demo` makes it
    the demo environment, in which only `demo_keys` log in and instruments have other codes. `checksums` fills the
    field that OKX now leaves 0. `deflate` agrees to permessage-deflate with who offers it. `idle_s` is the silence
    after which OKX closes a connection; `login_closes` lets a refused login end it with 4001; `most_on_one` and
    `most_in_all` limit subscriptions (4009 and 4008, 0: no limit). `ahead_s` is how far its clock is ahead of this
    machine's.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        limits: bool = True,
        replay: str | Any | None = None,
        pace: str | float = "recorded",
        loop: bool = False,
        load: Mapping[str, Any] | None = None,
        speed: float = 1.0,
        tls: tuple[str, str] | None = None,
        api_keys: Iterable[Credentials | AccountSetup] = (DEFAULT_KEY,),
        demo_keys: Iterable[Credentials | AccountSetup] = (DEMO_KEY,),
        ahead_s: float = 0.0,
        demo: bool = False,
        checksums: bool = False,
        deflate: bool = True,
        idle_s: float = 30.0,
        login_closes: bool = False,
        most_on_one: int = 0,
        most_in_all: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        options = Options(
            seed=seed,
            limits=limits,
            replay=str(replay) if replay else "",
            pace=parse_pace(pace),
            speed=speed,
            loop=loop,
            load=None if load is None else parse_plan(load),
            api_keys=tuple(api_keys),
            demo_keys=tuple(demo_keys),
            ahead_s=ahead_s,
            demo=demo,
            checksums=checksums,
            deflate=deflate,
            idle_s=idle_s,
            login_closes=login_closes,
            most_on_one=most_on_one,
            most_in_all=most_in_all,
        )
        self._server = Server(options, host, port, (str(tls[0]), str(tls[1])) if tls else None)
        self._thread = threading.Thread(target=self._run, name="okx-simulator", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event

    # -- life

    def start(self) -> Simulator:
        """Listen; returns when clients can connect."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Cut every connection and free the port; does nothing the second time."""
        if self._thread.is_alive() and self._ready.is_set():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- where

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    @property
    def ws_url(self) -> str:
        """Base of the WebSocket URLs, as OKWS_WS_URL takes it."""
        return self._server.ws_url

    @property
    def v3_url(self) -> str:
        """The URL of the v3 API, which plays recordings of it."""
        return self._server.v3_url

    @property
    def rest_url(self) -> str:
        """Base of the REST URLs, as OKWS_REST_URL takes it."""
        return self._server.rest_url

    # -- what happened

    @property
    def requests(self) -> list[Received]:
        """Every request received so far, in order; of very many the newest 40,000 at least."""
        return self._exchange.requests.since()

    @property
    def logins(self) -> list[Login]:
        """Every login attempt so far, with its outcome."""
        return self._exchange.logins.since()

    @property
    def closes(self) -> list[Closed]:
        """Every connection that has ended so far, and how."""
        return self._exchange.closes.since()

    @property
    def connects(self) -> int:
        """How many WebSocket connections were accepted so far."""
        return self._exchange.connects

    @property
    def refused_connects(self) -> int:
        """How many were refused because there were more than three in a second."""
        return self._exchange.refused_connects

    def connections(self, path: str = "") -> list[LiveConnection]:
        """The live connections, of one path if one is given, oldest first."""
        return self._call(lambda: [_live(one) for one in self._exchange.connections.values() if path in ("", one.path)])

    def subscribed(self, topic: str | dict[str, str]) -> int:
        """On how many live connections an argument is subscribed; text (`tickers:BTC-USDT`) or OKX's object."""
        arg = arg_of(topic)
        return self._call(lambda: sum(arg in one.subscriptions for one in self._exchange.connections.values()))

    def wait_subscribed(self, *topics: str | dict[str, str], timeout: float = 10.0) -> None:
        """Return when each of the topics is subscribed on some connection; AssertionError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        missing = list(topics)
        while missing := [topic for topic in missing if not self.subscribed(topic)]:
            if time.monotonic() >= deadline:
                raise AssertionError(f"not subscribed within {timeout:g} s: {missing}; live are {self.connections()}")
            time.sleep(0.01)

    def pending(self) -> int:
        """Recorded frames that are still to be sent to live connections."""
        return self._call(self._exchange.pending)

    def state(self) -> dict[str, Any]:
        """What `GET /control/state` says."""
        return self._call(self._exchange.state)

    def load_state(self) -> dict[str, Any]:
        """What `GET /control/load` says: what was asked for in load mode, and what was sent. Times are Unix us."""
        return self._call(self._load.state)

    # -- what should happen

    def load(self, **plan: Any) -> None:
        """In load mode: send at another `rate`, or in another `mix`, from now on."""
        self._call(lambda: self._load.set_plan(parse_plan(plan, self._load.plan)))

    def burst(self, messages: int) -> None:
        """In load mode: send so many messages as fast as they are read. Returns at once; `load_state` tells the end."""
        self._call(lambda: self._load.burst(messages))

    def fault(self, name: str, **parameters: Any) -> Fault:
        """Misbehave: names and parameters are those of the table in `okws_celery.simulator.faults`.

        The fault that is given back counts its `hits`: how often it struck, or what it met if it was done at once.
        """
        fault = parse_fault({"fault": name, **parameters})

        def apply() -> None:
            met = self._exchange.trouble.apply(fault)
            if not fault.stands:
                fault.hits = met

        self._call(apply)
        return fault

    def end_fault(self, fault: Fault) -> None:
        """End one standing fault."""
        self._call(lambda: self._exchange.trouble.end(fault))

    def clear_faults(self) -> None:
        """End all standing faults."""
        self.fault("clear")

    def send_raw(self, text: str | bytes, *, path: str = "", conn: str = "") -> int:
        """Send one text frame as it is to the live connections meant; gives their number."""
        framed = frame(TEXT, text.encode() if isinstance(text, str) else text)
        return self.send_bytes(framed, path=path, conn=conn)

    def send_bytes(self, data: bytes, *, path: str = "", conn: str = "") -> int:
        """Write bytes, framed or not, to the live connections meant; gives their number."""

        def send() -> int:
            live = self._exchange.connections.values()
            met = [one for one in live if path in ("", one.path) and conn in ("", one.conn_id)]
            for one in met:
                one.send(data)
            return len(met)

        return self._call(send)

    def place(self, *, account: str = "", times: int = 1, **order: Any) -> list[str]:
        """Place orders for an account on the exchange's side; gives their ordIds.

        Parameters are REST's (instId, side, ordType, sz, px, ...); by default a limit order to buy a little BTC-USDT,
        1 % away from the market. The account is named by its API key, and is the first one by default.
        """
        return self._call(lambda: perform(self._exchange, {"account": account, "place": order, "times": times}))

    def fill(self, ord_id: str, sz: str = "", px: str = "", *, account: str = "") -> None:
        """Fill an open order on the exchange's side: wholly and at its own price, if not said otherwise."""
        self._call(lambda: perform(self._exchange, {"account": account, "fill": ord_id, "sz": sz, "px": px}))

    def cancel(self, ord_id: str, *, account: str = "", source: str = "1") -> None:
        """Cancel an open order on the exchange's side; `source` is OKX's cancelSource."""
        self._call(lambda: perform(self._exchange, {"account": account, "cancel": ord_id, "source": source}))

    def push(self, channel: str, *rows: dict[str, Any], account: str = "") -> None:
        """Push rows, as they are, to who listens to a private channel of an account, in one write."""
        self._call(lambda: perform(self._exchange, {"account": account, "push": channel, "rows": list(rows)}))

    def account(self, account: str = "") -> dict[str, Any]:
        """Balances, open orders and positions of an account, as REST shows them."""
        return self._call(lambda: account_state(self._exchange, account))

    def drop(self, path: str = "", how: str = "fin", conn: str = "") -> int:
        """Cut live connections without a close frame, by FIN or RST; gives their number."""
        return self.fault("drop", path=path, how=how, conn=conn).hits

    def ask(self, channel: str) -> int:
        """Let a channel that speaks seldom (`call-auction-details`, `status`, ...) speak to all who listen to it.

        Gives the number of its subscribed arguments.
        """
        return self._call(lambda: self._exchange.source.ask(channel))

    def stop_listening(self) -> None:
        """Refuse new connections from now on; live ones stay."""
        self._wait(self._server.listen(False))

    def resume(self) -> None:
        """Take new connections again, on the same port."""
        self._wait(self._server.listen(True))

    # -- the thread

    @property
    def _load(self) -> Load:
        if self._exchange.load is None:
            raise BadCommand("this simulator is not in load mode: Simulator(load={...}) is")
        return self._exchange.load

    @property
    def _exchange(self) -> Exchange:
        return self._server.exchange

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self._wait(call())

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        await self._server.start()
        self._ready.set()
        await self._end.wait()
        await self._server.stop()


def _live(one: Any) -> LiveConnection:
    return LiveConnection(
        one.path,
        one.conn_id,
        one.conversation.account is not None,
        tuple(dict(arg) for arg in one.subscriptions),
        one.pings,
        one.pongs,
    )
