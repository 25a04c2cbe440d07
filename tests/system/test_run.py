"""`okws run`, which is `make run`: it shows prices that move, stops when told, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")

INSTRUMENTS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP")
PARTS = {"redis": "-server", "simulator": "okws_celery simulator", "worker": "celery -A okws_celery worker"}
"""How the command lines of the parts are told apart."""
START_S = 90.0


class Run:
    """`okws run` as a process, its output in a file, and all processes that it ever started."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.output = folder / "output.txt"
        self.errors = folder / "errors.txt"
        self.command = [sys.executable, "-m", "okws_celery", "run", *arguments]
        self.folder = folder
        self.environ = os.environ | environ
        self.started: dict[int, psutil.Process] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, stdout: int | None = None) -> Run:
        """Start it; its output goes to a file unless a descriptor is given."""
        with self.output.open("wb") as output, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output if stdout is None else stdout,
                stderr=errors,
            )
        return self

    def said(self) -> str:
        """What it printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def complained(self) -> str:
        """What it printed as an error."""
        return self.errors.read_text(encoding="utf-8", errors="replace")

    def children(self) -> dict[str, psutil.Process]:
        """Its running children by what they are, remembered so that `left` finds them later."""
        assert self.process
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                command = " ".join(child.cmdline())
            except psutil.Error:
                continue
            self.started[child.pid] = child
            for name, mark in PARTS.items():
                if mark in command:
                    found.setdefault(name, child)
        return found

    def showing(self) -> Run:
        """Wait until it shows prices of every instrument."""

        def shows() -> bool:
            assert self.process
            assert self.process.poll() is None or self.returncode() == 0, self.complained()
            self.children()
            return all(prices(self.said(), instrument) for instrument in INSTRUMENTS)

        eventually(shows, START_S, "prices of every instrument")
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process
        self.children()
        self.process.send_signal(number)

    def returncode(self, timeout_s: float = START_S) -> int:
        """Its exit status, waited for."""
        assert self.process
        return self.process.wait(timeout_s)

    def left(self) -> list[str]:
        """Its children that still run."""
        return [repr(child) for child in self.started.values() if runs(child)]

    def ports_left(self) -> list[int]:
        """Ports that it named in its output and on which somebody still answers."""
        named = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", self.said())}
        return [port for port in named if answers(port)]


def runs(process: psutil.Process) -> bool:
    """Neither gone nor dead and uncollected."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prices(text: str, instrument: str) -> list[str]:
    """The prices of an instrument that plain output shows, in order."""
    return re.findall(rf"^\d\d:\d\d:\d\d  {re.escape(instrument)} +(\d[\d.]*) ", text, re.MULTILINE)


@pytest.fixture
def okws_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Makes `Run`s in a folder of the test, and ends what a failing test left running."""
    made: list[Run] = []

    def make(*arguments: str, **environ: str) -> Run:
        made.append(Run(tmp_path, *arguments, **environ))
        return made[-1]

    yield make
    for run in made:
        if run.process and run.process.poll() is None:
            run.children()
            run.process.kill()
            run.process.wait()
        for child in run.started.values():
            if runs(child):
                child.kill()


class TestPrices:
    def test_it_ends_by_itself_after_prices_that_moved(self, okws_run: Callable[..., Run]) -> None:
        """With `--seconds` the exit status is 0, each instrument has moved, and no process or port is left."""
        run = okws_run("--seconds", "8").start().showing()
        assert set(run.children()) == {"redis", "simulator", "worker"}
        assert run.returncode() == 0, run.complained()
        for instrument in INSTRUMENTS:
            assert len(set(prices(run.said(), instrument))) > 1, run.said()
        assert "simulated prices" in run.said()
        assert (run.left(), run.ports_left(), run.complained()) == ([], [], "")
        assert (run.folder / ".okws" / "logs" / "worker.log").stat().st_size > 0

    def test_a_table_on_a_terminal(self, okws_run: Callable[..., Run]) -> None:
        """On a terminal it draws a table over itself, and the last screen stays."""
        ours, its = pty.openpty()
        run = okws_run("--seconds", "3", TERM="xterm-256color", COLUMNS="80", LINES="24").start(stdout=its)
        os.close(its)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
                run.children()
        except OSError:  # the terminal was hung up: the last program that had it has ended
            pass
        os.close(ours)
        assert run.returncode() == 0, run.complained()
        last_screen = shown.decode().rpartition("session demo")[2]
        for instrument in INSTRUMENTS:
            assert re.search(rf"{instrument}  .*\d+(\.\d+)? [▲▼].* \d+\.\d s ", last_screen), last_screen
        assert "…" not in last_screen
        assert b"\x1b[" in shown
        assert run.left() == []


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals(self, okws_run: Callable[..., Run], number: signal.Signals) -> None:
        """Ctrl-C and SIGTERM end it with status 0, without a traceback, and nothing stays."""
        run = okws_run().start().showing()
        run.send(number)
        assert run.returncode() == 0, run.complained()
        assert (run.left(), run.ports_left(), run.complained()) == ([], [], "")

    def test_during_the_start(self, okws_run: Callable[..., Run]) -> None:
        """A signal half-way through the start ends what has been started."""
        run = okws_run().start()
        eventually(lambda: "exchange" in run.said(), START_S, "the simulator is up")
        run.send(signal.SIGTERM)
        assert run.returncode() == 0, run.complained()
        assert (run.left(), run.ports_left(), run.complained()) == ([], [], "")

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
    def test_killed(self, okws_run: Callable[..., Run]) -> None:
        """Even kill -9 leaves no process behind."""
        run = okws_run().start().showing()
        run.send(signal.SIGKILL)
        eventually(lambda: not run.left() and not run.ports_left(), 30, "its children have ended")

    def test_nobody_reads_on(self, okws_run: Callable[..., Run]) -> None:
        """`okws run | head -1` ends when the reader has left."""
        reader, writer = os.pipe()
        run = okws_run().start(stdout=writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            assert lines.readline().startswith("redis ")
        assert run.returncode() == 0, run.complained()
        assert (run.left(), run.complained()) == ([], "")


class TestFailing:
    @pytest.mark.parametrize("name", ["worker", "simulator", "redis"])
    def test_a_part_that_dies(self, okws_run: Callable[..., Run], name: str) -> None:
        """One line says which part it was and shows the end of its log; exit status 1; the other parts end."""
        run = okws_run().start().showing()
        run.children()[name].kill()
        assert run.returncode() == 1
        assert run.complained().startswith(f"okws run: the {name} ended with status -9; the end of .okws/")
        assert "Traceback" not in run.complained()
        assert run.left() == []

    def test_a_redis_that_is_not_there(self, okws_run: Callable[..., Run], free_port: Callable[[], int]) -> None:
        """One line, and nothing is started."""
        run = okws_run(OKWS_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0").start()
        assert run.returncode() == 1
        assert run.complained().startswith("okws run: Redis at redis://127.0.0.1:")
        assert (run.complained().count("\n"), run.said()) == (1, "")


class TestGivenRedis:
    def test_no_invented_prices(
        self, okws_run: Callable[..., Run], redis_url: str, free_port: Callable[[], int]
    ) -> None:
        """With OKWS_REDIS_URL the exchange is the real one (here: a port where nobody listens), not the simulator."""
        environ = {
            "OKWS_REDIS_URL": redis_url,
            "OKWS_WS_URL": f"ws://127.0.0.1:{free_port()}/ws/v5",
            "OKWS_TIMEOUT": "3",
        }
        run = okws_run("--seconds", "1", **environ).start()
        assert run.returncode() == 1
        assert environ["OKWS_WS_URL"] in run.said()
        assert "simulat" not in run.said()
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            assert not client.exists("okex/demo/tickers:BTC-USDT")
            assert client.ping()
        assert run.left() == []

    def test_unless_asked_for(self, okws_run: Callable[..., Run], redis_url: str) -> None:
        """With `--simulator` they do; at the end the session is closed and the Redis is left as it is."""
        run = okws_run("--simulator", "--seconds", "2", "--session", "shop", OKWS_REDIS_URL=redis_url).start().showing()
        assert set(run.children()) <= {"simulator", "worker"}
        assert run.returncode() == 0, run.complained()
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            assert client.hgetall("okex/shop/tickers:BTC-USDT")["instId"] == "BTC-USDT"
            assert json.loads(client.zrange("okex/shop/candle1m:BTC-USDT", -1, -1)[0])
            assert client.get("okex/shop/status") == "EXIT"
        assert run.left() == []
