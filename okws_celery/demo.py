"""`okws run`: a Redis, an exchange, a worker, a session and a live table of prices, started and stopped by one command.

The table reads through the client only, as any app would. Without options the Redis is its own and the prices are the
simulator's; with OKWS_REDIS_URL or OKWS_WS_URL set, that Redis and the real exchange (or that URL) are used, so that
invented prices never enter a Redis that this command did not start, unless `--simulator` asks for it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import wait as wait_for_futures
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import redis

from okws_celery import children, embedded
from okws_celery.background import in_thread
from okws_celery.demo_table import Screen, screen_for
from okws_celery.errors import BAD_COMMAND, DONE, NO_WORKER, UNKNOWN_OUTCOME, Answer, BadCommand, OkwsError, StoreError
from okws_celery.keys import check_name
from okws_celery.settings import Settings, load
from okws_celery.store import connect

if TYPE_CHECKING:
    from okws_celery.sync import Client

__all__ = ["add_arguments", "run"]

INSTRUMENTS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP")
CHANNELS = ("tickers", "candle1m", "trades", "books5")

_START_S = 60.0
"""How long the simulator and the worker may take to be ready, each; a slow machine imports Celery in 10 s."""
_CLOSE_S = 5.0
_STOP_S = 15.0
_REFRESH_S = 0.25
_PLAIN_S = 1.0

T = TypeVar("T")


class Stopped(Exception):
    """A signal came while something was being waited for."""


class NotStarted(OkwsError):
    """A part of the demo did not start, or ended; the text has the end of its log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `okws run`."""
    parser.add_argument("--seconds", type=_seconds, help="end after so many seconds of prices; default: at Ctrl-C")
    exchange = parser.add_mutually_exclusive_group()
    exchange.add_argument("--simulator", action="store_true", help="simulated prices, also into a given OKWS_REDIS_URL")
    exchange.add_argument("--okx", action="store_true", help="real prices, also into this command's own Redis")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated market (default: %(default)s)")
    parser.add_argument("--session", default="demo", help="name of the session (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="lines instead of a table, as without a terminal")
    parser.add_argument(
        "--directory", type=Path, default=Path(".okws"), help="logs and Redis data are kept here (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Show prices until SIGINT, SIGTERM or `--seconds`, and leave no process behind. OkwsError if a part fails."""
    check_name(options.session)
    settings = load()
    simulated = options.simulator or not (options.okx or settings.given & {"redis_url", "ws_url"})
    with children.StopRequest() as stop, ExitStack() as house:
        demo = _Demo(options, settings, stop, house)
        try:
            demo.start_redis()
            exchange = demo.start_simulator() if simulated else {}
            demo.start_worker()
            demo.open_session(exchange)
            demo.show()
        except Stopped:
            print("stopped")
    return 0


class _Demo:
    """The parts that run, and what stops them: `house` unwinds them in reverse order, also after half a start."""

    def __init__(
        self, options: argparse.Namespace, settings: Settings, stop: children.StopRequest, house: ExitStack
    ) -> None:
        self.options = options
        self.settings = settings
        self.stop = stop
        self.house = house
        self.logs = options.directory / "logs"
        self.running: list[children.Child] = []
        self.client: Client

    def start_redis(self) -> None:
        """A Redis of our own, unless one is given; this process and its children then use it for everything."""
        if "redis_url" in self.settings.given:
            _check_redis(self.settings.redis_url)
            _say("redis", f"{connect.shown(self.settings.redis_url)} (given)")
            return
        server = self.house.enter_context(embedded.EmbeddedRedis(self.options.directory / "redis"))
        if server.child:
            self.running.append(server.child)
        for variable in ("OKWS_REDIS_URL", "OKWS_BROKER_URL", "OKWS_RESULT_BACKEND"):
            os.environ[variable] = server.url
        _say("redis", f"{server.url} ({Path(server.executable).name}, ends with this command)")

    def start_simulator(self) -> dict[str, str]:
        """The simulator as a process; the URLs that it serves: `ws` and `rest`."""
        command = [sys.executable, "-m", "okws_celery", "simulator", "--port", "0", "--seed", str(self.options.seed)]
        child = self._start("simulator", command)
        ready = self._wait_for(lambda: _ready_line(child), _START_S, "the simulator is not ready")
        _say("exchange", f"{ready['ws']} (simulated prices, seed {self.options.seed})")
        return ready

    def start_worker(self) -> None:
        """A Celery worker as a process, started as anyone would start it."""
        command = [sys.executable, "-m", "celery", "-A", "okws_celery", "worker", "-l", "info"]
        # Orphaned together with a Redis of ours it has nobody to say goodbye to, and would wait for that Redis.
        orphaned = signal.SIGTERM if "redis_url" in self.settings.given else signal.SIGKILL
        child = self._start("worker", [*command, "-n", f"okws-run-{os.getpid()}@%h"], orphaned)
        _say("worker", f"celery -A okws_celery worker (pid {child.process.pid}, log {child.log})")

    def open_session(self, exchange: dict[str, str]) -> None:
        """Open the session and subscribe; what is asked of the worker waits until it is up."""
        import okws_celery

        name = self.options.session
        self.client = okws_celery.client()
        self.house.callback(self.client.close)
        if not exchange:
            _say("exchange", self.settings.endpoints({}).ws_url)
        if name in self.client.servers()["message"]:
            raise NotStarted(f"session {name!r} is open already on this Redis; --session takes another name")
        self.house.callback(self._close_session)
        urls = (exchange.get("ws"), exchange.get("rest"))
        deadline = time.monotonic() + _START_S
        answer = self._ask(lambda: self.client.open_ws(name, ws_url=urls[0], rest_url=urls[1]))
        while answer["errorCode"] == NO_WORKER and time.monotonic() < deadline:
            answer = self._ask(lambda: self.client.open_ws(name, ws_url=urls[0], rest_url=urls[1]))
        _expect(answer, f"session {name!r}")
        topics = [f"{channel}:{instrument}" for instrument in INSTRUMENTS for channel in CHANNELS]
        _expect(self._ask(lambda: self.client.subscribe(name, topics)), "subscribe")
        _say("session", f"{name}, {len(topics)} topics; Ctrl-C ends it")

    def show(self) -> None:
        """The table, or lines, until there is a reason to end. An instrument without any price is a failure."""
        screen = screen_for(self.options.session, INSTRUMENTS, plain=self.options.plain)
        pause_s = _PLAIN_S if screen.plain else _REFRESH_S
        end = time.monotonic() + self.options.seconds if self.options.seconds else None
        with screen:
            while not self.stop:
                self._refresh(screen)
                left_s = pause_s if end is None else min(pause_s, end - time.monotonic())
                if left_s <= 0:
                    break
                self.stop.wait(left_s)
                self._look_at_children()
        self._complain_without_prices(screen)

    def _refresh(self, screen: Screen) -> None:
        try:
            screen.show(self.client)
        except OkwsError:
            self._look_at_children()  # a Redis of ours that has ended is the better explanation
            raise

    def _complain_without_prices(self, screen: Screen) -> None:
        missing = screen.without_price()
        if missing and not self.stop:
            raise NotStarted(f"no price came of {', '.join(missing)}; logs are in {self.logs}")

    def _start(self, name: str, command: list[str], orphaned: signal.Signals = signal.SIGTERM) -> children.Child:
        env = os.environ | {"PYTHONUNBUFFERED": "1"}
        child = children.start(name, command, self.logs / f"{name}.log", env, orphaned=orphaned)
        self.running.append(child)
        self.house.callback(self._end, child)
        return child

    def _end(self, child: children.Child) -> None:
        self.running.remove(child)
        child.stop(_STOP_S if self.stop.count < 2 else 0.5)

    def _close_session(self) -> None:
        if all(child.alive for child in self.running):
            closing = in_thread(lambda: self.client.close_ws(self.options.session))
            wait_for_futures([closing], timeout=_CLOSE_S)

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """The answer to a call that waits for its outcome; meanwhile a signal and a dying child are noticed."""
        asked = in_thread(call)
        return self._wait_for(lambda: asked.result() if asked.done() else None)

    def _wait_for(self, check: Callable[[], T | None], timeout_s: float | None = None, what: str = "") -> T:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (value := check()) is None:
            if self.stop.wait(0.05):
                raise Stopped
            self._look_at_children()
            if deadline is not None and time.monotonic() > deadline:
                raise NotStarted(f"{what} after {timeout_s:g} s; logs are in {self.logs}")
        return value

    def _look_at_children(self) -> None:
        if self.stop:
            return
        for child in self.running:
            if not child.alive:
                tail = "".join(f"\n    {line}" for line in child.last_lines())
                status = child.process.returncode
                raise NotStarted(f"the {child.name} ended with status {status}; the end of {child.log}:{tail}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: a number of seconds above 0 is accepted")
    return seconds


def _say(part: str, text: str) -> None:
    print(f"{part:9} {text}", flush=True)


def _check_redis(url: str) -> None:
    try:
        with connect.client(url) as client:
            client.ping()
    except redis.RedisError as problem:
        raise StoreError(f"Redis at {connect.shown(url)} (OKWS_REDIS_URL): {problem}") from None


def _ready_line(simulator: children.Child) -> dict[str, str] | None:
    for line in simulator.last_lines(100):
        if line.startswith("{") and '"ws"' in line:
            ready: dict[str, str] = json.loads(line)
            return ready
    return None


def _expect(answer: Answer, what: str) -> None:
    if answer["errorCode"] == DONE:
        return
    if answer["errorCode"] == BAD_COMMAND:
        raise BadCommand(answer["message"])
    if answer["errorCode"] == UNKNOWN_OUTCOME:  # the exchange is slow, or cannot be reached yet
        _say("exchange", answer["message"])
        return
    refused = [
        f"{topic}: {each['message']}" for topic, each in answer.get("topics", {}).items() if each["errorCode"] != DONE
    ]
    raise NotStarted(f"{what}: {'; '.join(refused) or answer['message']} (errorCode {answer['errorCode']})")
