"""A server: by itself with a config file, and inside another program. What it opens, how it ends, what it leaves."""

from __future__ import annotations

import ast
import asyncio
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from houses import House
from waiting import eventually
from workers import ROOT

from okws_celery import aio
from okws_celery.errors import DONE, ConfigError
from okws_celery.store.registry import Registry
from okws_celery.sync import Client

SERVER = (sys.executable, "-m", "okws_celery.server")

INI = """
[config]
redis = {redis}
maxrows = 50

[feed]
apiKey =
secret =
password =
commands =
    {{"op": "subscribe", "args": ["tickers:ETH-USDT"]}}
    {{"op": "subscribe", "args": ["candle1m:ETH-USDT"]}}

[desk]
APIKEY = demo
Secret = demo-secret
password = demo-pass
"""


@dataclass
class Program:
    """A program that runs, and what became of it."""

    process: subprocess.Popen[str]
    family: list[psutil.Process] = field(default_factory=list)

    def children(self) -> list[psutil.Process]:
        """Its descendants so far."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                if child not in self.family:
                    self.family.append(child)
        return self.family

    def ended(self, timeout: float = 40.0) -> tuple[int, str]:
        """Its exit status and what it printed."""
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output

    def left_behind(self) -> list[psutil.Process]:
        """Descendants that still run."""
        return [child for child in self.family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


Start = Callable[..., Program]


@pytest.fixture
def program(house: House) -> Iterator[Start]:
    """Starts programs with the settings of `house`; whatever of them still runs after the test is killed."""
    started: list[Program] = []

    def start(*command: str, **variables: str) -> Program:
        process = subprocess.Popen(
            command,
            env=house.environment | variables,
            cwd=house.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(Program(process))
        return started[-1]

    yield start
    for one in started:
        one.children()
        for process in [one.process, *one.family]:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()
        one.process.wait()
        for stream in (one.process.stdin, one.process.stdout):
            if stream:
                stream.close()


def up(client: Client, *names: str) -> None:
    """Wait until these sessions, and no others, are open."""
    eventually(lambda: client.servers()["message"] == sorted(names), timeout=60, what=f"{names} are open")


class TestByItself:
    def test_config_file(self, house: House, program: Start, client: Client, tmp_path: Path) -> None:
        """`python -m okws_celery.server -c okws.ini` opens and subscribes; `server_quit` ends it with status 0."""
        (tmp_path / "okws.ini").write_text(INI.format(redis=house.redis_url))
        running = program(*SERVER, "-c", "okws.ini", OKWS_REDIS_URL="")
        up(client, "desk", "feed")
        eventually(lambda: client.get("feed", "tickers:ETH-USDT").get("instId") == "ETH-USDT", timeout=30)
        eventually(lambda: client.get("feed", "candle1m:ETH-USDT"), timeout=30)
        eventually(lambda: client.status("desk")["message"] == "CONNECTED", timeout=30)
        running.children()
        assert client.server_quit()["errorCode"] == DONE
        status, output = running.ended()
        assert status == 0, output
        assert "Traceback" not in output
        assert "demo-secret" not in output
        assert running.left_behind() == []
        assert client.servers()["message"] == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signal(self, program: Start, client: Client, number: signal.Signals) -> None:
        """SIGTERM and Ctrl-C end it cleanly; its sessions stay wanted, and another server opens them."""
        running = program(*SERVER, "--loglevel", "warning")
        eventually(lambda: client.open_ws("kept")["errorCode"] == DONE, timeout=60)
        running.children()
        running.process.send_signal(number)
        status, output = running.ended()
        assert (status, "Traceback" in output) == (0, False), output
        assert running.left_behind() == []
        again = program(sys.executable, "-m", "okws_celery", "server")
        up(client, "kept")
        client.server_quit()
        assert again.ended()[0] == 0

    def test_stopped_by_a_service_manager(self, program: Start, client: Client) -> None:
        """SIGTERM to the server and its worker at once, as systemd sends it, is a clean end."""
        running = program(*SERVER)
        eventually(lambda: client.open_ws("s")["errorCode"] == DONE, timeout=60)
        for child in running.children():
            child.terminate()
        running.process.terminate()
        status, output = running.ended()
        assert (status, "Traceback" in output) == (0, False), output
        assert running.left_behind() == []

    def test_killed(self, program: Start, client: Client) -> None:
        """Killed with -9 it leaves no process behind."""
        running = program(*SERVER)
        eventually(lambda: client.open_ws("s")["errorCode"] == DONE, timeout=60)
        assert running.children()
        running.process.kill()
        eventually(lambda: not running.left_behind(), timeout=30)

    def test_worker_killed(self, program: Start, client: Client) -> None:
        """A worker that is killed under it is a failure that it tells, with status 1."""
        running = program(*SERVER)
        eventually(lambda: client.open_ws("s")["errorCode"] == DONE, timeout=60)
        for child in running.children():
            child.kill()
        status, output = running.ended()
        assert status == 1
        assert "okws server: the worker ended by itself with status -9" in output

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[a]\nsecret = hidden\n", "okws.ini, line 1, [a]: credentials: apiKey, password empty"),
            ("[a]\nprofile = nobody\n", "okws.ini, line 1, [a]: profile 'nobody': this worker does not know it"),
        ],
    )
    def test_wrong_config(self, program: Start, tmp_path: Path, text: str, said: str) -> None:
        """One line names file, line and section; the status is 2."""
        (tmp_path / "okws.ini").write_text(text)
        status, output = program(*SERVER, "-c", "okws.ini").ended()
        assert (status, len(output.splitlines())) == (2, 1), output
        assert said in output
        assert "hidden" not in output

    def test_no_redis(self, program: Start, free_port: Callable[[], int]) -> None:
        """A Redis that does not answer is waited for a little, and then named in one line."""
        url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
        status, output = program(*SERVER, OKWS_REDIS_URL=url).ended()
        assert (status, len(output.splitlines())) == (1, 1), output
        assert "okws server: Redis at redis://***@127.0.0.1" in output

    def test_quit_while_it_could_not_hear(self, program: Start, client: Client, registry: Registry) -> None:
        """A QUIT that was published while it was deaf still ends it."""
        running = program(*SERVER)
        eventually(lambda: client.open_ws("s")["errorCode"] == DONE, timeout=60)
        registry.redis.client_kill_filter(_type="pubsub")
        running.process.send_signal(signal.SIGSTOP)
        assert client.server_quit()["errorCode"] == DONE
        registry.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        running.process.send_signal(signal.SIGCONT)
        assert running.ended()[0] == 0

    def test_okws_of_2021(self, house: House, program: Start, client: Client, tmp_path: Path) -> None:
        """`okws -c okws.yaml` is the command that it was."""
        settings = f"settings: {{REDIS_URL: '{house.redis_url}'}}\nservers: [{{name: test}}]\n"
        (tmp_path / "okws.yaml").write_text(settings + "subscribes: [{server: test, channels: ['tickers:ETH-USDT']}]\n")
        running = program(sys.executable, "-m", "okws_celery", "-c", "okws.yaml", OKWS_REDIS_URL="")
        eventually(lambda: client.get("test", "tickers:ETH-USDT"), timeout=60)
        client.server_quit()
        assert running.ended()[0] == 0


class TestEmbedded:
    def test_gather(self, house: House) -> None:
        """`gather(server.run(), client())`: the first call succeeds, and `server_quit` lets run return."""
        said = house.python(
            """
            import asyncio
            from okws_celery import aio as okws

            async def client():
                okex = await okws.client()
                print((await okex.open_ws("tests"))["errorCode"])
                print((await okex.subscribe("tests", "tickers:ETH-USDT"))["errorCode"])
                print((await okex.get("tests", "tickers", {"instId": "ETH-USDT"}))["instId"])
                print((await okex.server_quit())["errorCode"])
                await okex.close()

            async def both():
                print(await asyncio.gather(okws.server.run(), client()))

            asyncio.run(both())
            """
        )
        assert said.split("\n")[:5] == ["80000", "80000", "ETH-USDT", "80000", "[None, None]"]

    @pytest.mark.parametrize("first", ["server", "client"])
    def test_slow_start(self, house: House, tmp_path: Path, first: str) -> None:
        """A worker that starts more slowly than a call waits: the first call succeeds all the same."""
        (tmp_path / "slow_settings.py").write_text(
            "import sys, time\nif sys.argv[0] == 'celery': time.sleep(6)\nresult_expires = 60\n"
        )
        said = house.python(
            """
            import asyncio, os
            from okws_celery import aio as okws

            async def client():
                okex = await okws.client()
                print((await okex.open_ws("tests"))["errorCode"])
                await okex.server_quit()
                await okex.close()

            async def both():
                calls = {"server": okws.server.run(), "client": client()}
                first = calls.pop(os.environ["FIRST"])
                await asyncio.gather(first, *calls.values())

            asyncio.run(both())
            """,
            OKWS_CELERY_CONFIG="slow_settings",
            OKWS_TIMEOUT="2",
            FIRST=first,
        )
        assert said.strip() == "80000"

    def test_cancelled(self, program: Start, client: Client) -> None:
        """Cancelled in a thread of its own, run returns when its worker has ended."""
        running = program(
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import asyncio, sys, threading
                from okws_celery import server

                async def both():
                    task = asyncio.create_task(server.run())
                    await asyncio.to_thread(sys.stdin.readline)
                    task.cancel()
                    await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    print("cancelled", task.cancelled())

                thread = threading.Thread(target=lambda: asyncio.run(both()))
                thread.start()
                thread.join()
                """
            ),
        )
        assert eventually(lambda: client.open_ws("s"), timeout=60)["errorCode"] == DONE
        assert running.children()
        assert running.ended() == (0, "cancelled True\n")  # the end of its input tells it to cancel
        assert running.left_behind() == []

    def test_with_block(self, house: House, tmp_path: Path) -> None:
        """`with running():` begins when the worker takes tasks; after it the sessions are held by nobody."""
        (tmp_path / "okws.toml").write_text('[sessions.feed]\ntopics = ["tickers:ETH-USDT"]\n')
        said = house.python(
            """
            import okws_celery
            from okws_celery.store.registry import Registry
            okex = okws_celery.client()
            with okws_celery.server.running("okws.toml") as server:
                print(server.alive, okex.open_ws("own", timeout=30)["errorCode"])
                print(okex.subscribe("feed", "tickers:ETH-USDT")["errorCode"])
            print(server.alive, okex.servers()["message"])
            with okws_celery.server.running("okws.toml") as server:
                print(okex.server_quit()["errorCode"], server.wait(30))
            """
        )
        assert said.split("\n")[:4] == ["True 80000", "80000", "False []", "80000 True"]

    def test_programs_of_the_page(self, house: House, program: Start, client: Client, tmp_path: Path) -> None:
        """docs/configuration.md: with asyncio and without, both print a ticker, and `server_quit` ends them."""
        page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
        with_asyncio, without = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        assert ast.literal_eval(house.python(with_asyncio))["instrument_id"] == "ETH-USDT"
        (tmp_path / "okws.toml").write_text('[sessions.feed]\ntopics = ["tickers:ETH-USDT"]\n')
        running = program(sys.executable, "-uc", without)
        assert running.process.stdout is not None
        assert ast.literal_eval(running.process.stdout.readline())["instId"] == "ETH-USDT"
        assert client.server_quit()["errorCode"] == DONE
        assert running.ended() == (0, "")

    @pytest.mark.parametrize("config", ["redis://desk:hidden@localhost/0", {"REDIS_URL": "redis://:hidden@localhost"}])
    def test_redis_url_as_in_okws(self, config: Any) -> None:
        """The first argument of okws' `run` was a URL: what is meant instead is told, and its password is not."""
        with pytest.raises(ConfigError, match="the path of a") as raised:
            asyncio.run(aio.server.run(config))
        assert "hidden" not in str(raised.value)

    def test_worker_that_cannot_start(self, house: House) -> None:
        """What the worker said last stands in the error."""
        said = house.python(
            """
            import okws_celery
            try:
                with okws_celery.server.running():
                    print("never")
            except okws_celery.server.ServerError as problem:
                print(problem)
            """,
            OKWS_CELERY_CONFIG="no_such_module",
        )
        assert "the worker ended by itself with status 2" in said
        assert "OKWS_CELERY_CONFIG 'no_such_module'" in said

    def test_too_slow(self, house: House) -> None:
        """A worker that is not ready in time is stopped, and the error says so."""
        said = house.python(
            """
            import okws_celery, psutil
            try:
                with okws_celery.server.running(timeout=0.01):
                    print("never")
            except okws_celery.server.ServerError as problem:
                print(problem)
            print(psutil.Process().children(recursive=True))
            """
        )
        first, *_, last = said.strip().splitlines()
        assert first.startswith("the worker was not ready within 0.01 s")
        assert last == "[]"

    def test_program_killed(self, program: Start, client: Client) -> None:
        """The program is killed with -9: its worker ends, too, and the sessions are let go of."""
        code = "import time, okws_celery\nwith okws_celery.server.running(): time.sleep(600)"
        running = program(sys.executable, "-c", code)
        assert eventually(lambda: client.open_ws("s"), timeout=60)["errorCode"] == DONE
        assert running.children()
        running.process.kill()
        eventually(lambda: not running.left_behind(), timeout=30)
        assert client.servers()["message"] == []

    def test_log(self, house: House) -> None:
        """What the worker logs comes out of the program's own logging, in its levels."""
        said = house.python(
            """
            import logging, okws_celery
            lines = []
            class Keep(logging.Handler):
                def emit(self, record): lines.append((record.levelname, record.getMessage()))
            log = logging.getLogger("okws_celery.server")
            log.addHandler(Keep()); log.setLevel("INFO")
            with okws_celery.server.running():
                pass
            print(any(level == "INFO" and text.endswith("ready.") for level, text in lines))
            """
        )
        assert said.strip() == "True"
