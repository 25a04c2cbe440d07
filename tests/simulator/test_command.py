"""`okws simulator` as a process of its own: the ready line, errors in one line, the end by a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulator.talking import Talk

from okws_celery.errors import OkwsError
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import make_certificate
from okws_celery.simulator.command import main

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command with the given arguments; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "okws_celery.simulator.command", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    urls: dict[str, str] = json.loads(line)
    return urls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_line_and_clean_end(start: Start, number: signal.Signals) -> None:
    """It says where it listens, serves there, and ends by a signal with status 0 and nothing more said."""
    process = start("--port", "0", "--no-limits")
    urls = ready(process)
    assert set(urls) == {"ws", "rest"}
    with Talk(urls["ws"] + "/public") as talk:
        talk.subscribe("tickers:BTC-USDT")
        with urllib.request.urlopen(urls["rest"] + "/api/v5/public/time") as answer:
            assert abs(int(json.load(answer)["data"][0]["ts"]) - time.time() * 1000) < 60_000
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.communicate() == ("", "")


def test_a_port_in_use(start: Start) -> None:
    """One line on standard error that names the address, and status 1, as of every command that cannot start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (1, "")
        assert err.count("\n") == 1
        assert f"127.0.0.1:{port}" in err
        with pytest.raises(OkwsError, match=str(port)):
            Simulator(port=port).start()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replay", "/no/such/file"], "/no/such/file"),
        (["--pace", "quick"], "recorded, max or a factor"),
        (["--api-key", "only-a-key"], "key:secret:passphrase"),
        (["--cert", "/no/such.pem"], "belong together"),
        (["--cert", "/no/such.pem", "--key", "/no/such.pem"], "/no/such.pem"),
        (["--speed", "0"], "above 0"),
        (["--mix", "trades=1"], "--load"),
        (["--idle", "0"], "--idle"),
    ],
)
def test_wrong_options(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """What is wrong and what is accepted, in one line without a traceback, and status 2."""
    assert main(["--port", "0", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_host_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that no resolver knows cannot be listened on: one line, and status 1."""
    assert main(["--port", "0", "--host", "no.such.host.invalid"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no.such.host.invalid" in err
    assert err.count("\n") == 1


def test_tls_keys_and_a_replay(start: Start, tmp_path: Path) -> None:
    """Over TLS the URLs are wss and https; a configured key logs in, the default one is gone."""
    cert, key = make_certificate(tmp_path)
    process = start("--port", "0", "--cert", cert, "--key", key, "--api-key", "k1:s1:p:1", "--no-limits")
    urls = ready(process)
    assert urls["ws"].startswith("wss://")
    assert urls["rest"].startswith("https://")
    with Talk(urls["ws"] + "/private", ca_file=cert) as talk:
        assert talk.login()["code"] == "60005"
        assert talk.login("k1", "s1", "p:1")["code"] == "0"
    context = ssl.create_default_context(cafile=cert)
    with urllib.request.urlopen(
        urls["rest"] + "/api/v5/market/candles?instId=BTC-USDT&limit=3", context=context
    ) as answer:
        assert len(json.load(answer)["data"]) == 3


def test_frames_in_one_tls_record(tmp_path: Path) -> None:
    """Over TLS two frames of one write come in one record: one read brings both, and nothing is left in the socket."""
    cert, key = make_certificate(tmp_path)
    with Simulator(limits=False, tls=(cert, key)) as sim, Talk(sim.ws_url + "/public", ca_file=cert) as talk:
        talk.subscribe("status")
        talk.push("status")
        sim.fault("together", texts=["first", "second"])
        assert talk.ws.sock.recv(7) == b"\x81\x05first"
        assert talk.ws.sock.pending() == 8
        assert talk.ws.sock.recv(100) == b"\x81\x06second"


def test_a_stopped_simulator_leaves_nothing(tmp_path: Path) -> None:
    """After the `with` block, clients still connected and half-open ones too, the port is free, over TLS as well."""
    for tls in (None, make_certificate(tmp_path)):
        with Simulator(limits=False, tls=tls) as sim:
            talks = [Talk(sim.ws_url + "/public", ca_file=tls[0] if tls else "") for _ in range(3)]
            for talk in talks:
                talk.subscribe("books:BTC-USDT")
            sim.fault("half_open", conn=sim.connections()[0].conn_id)
            port = sim.port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        for talk in talks:
            talk.ws.sock.close()


def test_without_aiohttp_one_line_says_what_to_install(tmp_path: Path) -> None:
    """Where the extra is not installed the command says so in one line, status 1; importing the package is no error."""
    hidden = tmp_path / "aiohttp"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'aiohttp'\", name='aiohttp')\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"}
    command = [sys.executable, "-m", "okws_celery.simulator.command", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20, check=False)
    assert done.returncode == 1
    assert "okws_celery[simulator]" in done.stderr
    assert done.stderr.count("\n") == 1
    program = "import okws_celery.simulator as s\ntry:\n  s.Simulator\nexcept ImportError as e:\n  print(e)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=20, check=False
    )
    assert "okws_celery[simulator]" in done.stdout
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
