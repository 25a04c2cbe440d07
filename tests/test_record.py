"""`okws record`: what comes is written as it came, plays back byte for byte, and no secret is in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from simulator.talking import Talk
from waiting import eventually

from okws_celery.errors import BadCommand
from okws_celery.okx.endpoints import endpoints
from okws_celery.okx.login import Credentials
from okws_celery.okx.topics import parse_topic
from okws_celery.recorder import Recorder
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate

CAPTURE = "cryptofeed-okx-v5-2022-05-13"
ACCOUNT = Credentials("0b1c2d3e-1234-4321-8888-0123456789ab", "S3CRETS3CRETS3CRET", "Pa55phrase!")


def recorder(simulator: Simulator, file: Path, *topics: Any, **more: Any) -> Recorder:
    return Recorder([parse_topic(one) for one in topics], file, endpoints(ws_url=simulator.ws_url), **more)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def data(file: Path) -> list[str]:
    """The frames of data, in their order."""
    return [one["raw"] for one in lines(file) if one["dir"] == "in" and "event" not in json.loads(one["raw"])]


def test_a_replayed_capture_is_recorded_as_it_was(captures: Path, tmp_path: Path) -> None:
    """What the simulator plays of a capture of OKX comes out of the recorder as it stands in the capture."""
    original = captures / CAPTURE / "replay.jsonl"
    wanted = data(original)
    args = [dict(pairs) for pairs in dict.fromkeys(tuple(json.loads(raw)["arg"].items()) for raw in wanted)]
    file = tmp_path / "again.jsonl"
    with Simulator(replay=original, pace="max") as simulator, recorder(simulator, file, *args) as recording:
        eventually(lambda: sum(recording.received.values()) >= len(wanted) + len(args), what="everything is recorded")
    assert data(file) == wanted


def test_the_market_is_recorded_and_played(tmp_path: Path) -> None:
    """Topics of all three paths, with a login, recorded from the living market: each plays back byte for byte."""
    file = tmp_path / "replay.jsonl"
    topics = ["tickers:BTC-USDT", "books:BTC-USDT", "trades:ETH-USDT", "candle1m:BTC-USDT", "account"]
    with (
        Simulator(api_keys=[ACCOUNT]) as simulator,
        recorder(simulator, file, *topics, credentials=ACCOUNT) as recording,
    ):
        for channel in ("tickers", "books", "trades", "candle1m", "account"):
            eventually(lambda channel=channel: recording.received[channel] > 1, timeout=20, what=channel)
    written = lines(file)
    assert [one["line"] for one in written] == list(range(1, len(written) + 1))
    assert sorted(one["path"] for one in written if one["dir"] == "open") == ["business", "private", "public"]
    text = file.read_text(encoding="utf-8")
    for secret in (ACCOUNT.secret, ACCOUNT.passphrase, ACCOUNT.api_key, '"login","args"', '\\"sign\\"'):
        assert secret not in text
    assert file.stat().st_mode & 0o077 == 0
    with Simulator(replay=file, pace="max", limits=False) as simulator:
        for topic in topics:
            channel = topic.partition(":")[0]
            wanted = [raw for raw in data(file) if json.loads(raw)["arg"]["channel"] == channel]
            with Talk(f"{simulator.ws_url}/{parse_topic(topic).channel.path}") as talk:
                talk.subscribe(topic)
                assert [talk.read() for _ in wanted] == wanted


def test_a_lost_connection_is_made_again(simulator: Simulator, tmp_path: Path) -> None:
    """After a drop it connects and subscribes again, which shows as a second `open`, and goes on."""
    file = tmp_path / "replay.jsonl"
    with recorder(simulator, file, "books:BTC-USDT") as recording:
        eventually(lambda: recording.received["books"] > 2)
        simulator.drop(how="rst")
        eventually(lambda: simulator.connects == 2, what="it is connected again")
        before = recording.received["books"]
        eventually(lambda: recording.received["books"] > before + 2, what="it goes on")
    assert [one["dir"] for one in lines(file)].count("open") == 2
    assert sum('"action":"snapshot"' in raw for raw in data(file)) == 2


def test_rubbish_in_place_of_a_login_ack(tmp_path: Path) -> None:
    """It connects again and records, whatever stands where OKX's code should."""
    file = tmp_path / "replay.jsonl"
    with Simulator(api_keys=[ACCOUNT]) as simulator:
        fault = simulator.fault("late_ack", op="login", times=1)
        with recorder(simulator, file, "account", credentials=ACCOUNT) as recording:
            eventually(lambda: fault.hits, what="a login waits")
            simulator.send_raw('{"event":"error","code":"sixty","msg":[]}')
            eventually(lambda: recording.received["account"], what="it flows")


def test_what_is_left_out(tmp_path: Path) -> None:
    """No `pong` is written, and of a message that repeats a secret, as an error may, everything but the secret."""
    file = tmp_path / "replay.jsonl"
    with (
        Simulator(api_keys=[ACCOUNT]) as simulator,
        recorder(simulator, file, "account", credentials=ACCOUNT) as recording,
    ):
        eventually(lambda: recording.received["account"], what="it flows")
        simulator.send_raw("pong")
        echo = {"event": "error", "code": "60012", "msg": f"Invalid request: {ACCOUNT.passphrase} {ACCOUNT.secret}"}
        simulator.send_raw(json.dumps(echo))
        eventually(lambda: recording.received[":error"], what="the error is recorded")
    assert "Invalid request: *** ***" in file.read_text(encoding="utf-8")
    assert "pong" not in [one.get("raw") for one in lines(file)]


def test_over_tls_and_a_stop_in_silence(certificate: Certificate, tmp_path: Path) -> None:
    """It speaks TLS, and ends at once though nothing comes."""
    file = tmp_path / "replay.jsonl"
    topic = {"channel": "instruments", "instType": "SPOT"}
    with (
        Simulator(tls=certificate) as simulator,
        recorder(simulator, file, topic, ca_file=certificate.cert) as recording,
    ):
        eventually(lambda: recording.received[":subscribe"] == 1)
    assert [one["dir"] for one in lines(file)] == ["open", "out", "in"]


def test_what_cannot_be_recorded(simulator: Simulator, tmp_path: Path) -> None:
    """A file that is there, a folder that is not, and a private topic without credentials are refused."""
    file = tmp_path / "replay.jsonl"
    file.write_text("mine")
    with pytest.raises(BadCommand, match="is there already"):
        recorder(simulator, file, "tickers:BTC-USDT")
    with pytest.raises(BadCommand, match="No such file"):
        recorder(simulator, tmp_path / "none" / "x", "tickers:BTC-USDT")
    with pytest.raises(BadCommand, match="needs a login"):
        recorder(simulator, tmp_path / "new", "account")
    assert file.read_text() == "mine"


# -- on the command line


def command(*arguments: str, before: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
    program = [*before, sys.executable, "-m", "okws_celery", "record", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("how", ["signal", "seconds"])
def test_the_command(simulator: Simulator, tmp_path: Path, how: str) -> None:
    """It records until Ctrl-C, or so long, says what it has, and ends with status 0."""
    file = tmp_path / "replay.jsonl"
    more = ["--seconds", "2"] if how == "seconds" else []
    with command("tickers:BTC-USDT", "-o", str(file), "--ws-url", simulator.ws_url, *more) as process:
        simulator.wait_subscribed("tickers:BTC-USDT", timeout=30)
        if how == "signal":
            eventually(lambda: len(data(file)) > 2, what="something is recorded")
            process.send_signal(signal.SIGINT)
        said, problems = process.communicate(timeout=30)
    assert process.returncode == 0, problems
    assert said == f"{file}: {len(data(file))} tickers\n"


def test_the_command_with_a_profile_that_is_refused(simulator: Simulator, tmp_path: Path) -> None:
    """A wrong passphrase ends it with status 1 and OKX's text, without the secrets."""
    profile = {"apiKey": "demo", "secret": "demo-secret", "password": "not-this-one"}
    said = refused(simulator, tmp_path, "account", "--profile", "main", OKWS_PROFILE_MAIN=json.dumps(profile))
    assert "Wrong passphrase" in said
    assert "not-this-one" not in said


def test_the_command_on_a_disk_that_is_full(simulator: Simulator, tmp_path: Path) -> None:
    """When the file takes no more it ends with status 1 and says so; the lines that are there are whole."""
    file = tmp_path / "replay.jsonl"
    small = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]  # 8 blocks of 512 bytes
    with command("books:BTC-USDT", "-o", str(file), "--ws-url", simulator.ws_url, before=small) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said == f"okws record: file {str(file)!r}: File too large; it has what came before\n"
    assert [one["dir"] for one in lines(file)] == ["open", "out", "in"]
    assert file.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tickers:BTC-USDT", "--profile", "none"], "profile 'none'"),
        (["tikers:BTC-USDT"], "did you mean tickers"),
        (["{"], "not JSON"),
        (["tickers:BTC-USDT", "--seconds", "0"], "above 0"),
        (["tickers:BTC-USDT", "--ca-file", "/no/such.pem"], "CA file '/no/such.pem': No such file"),
    ],
)
def test_the_command_says_what_is_wrong(simulator: Simulator, tmp_path: Path, arguments: list[str], said: str) -> None:
    """One line and status 2; no file is left behind."""
    assert said in refused(simulator, tmp_path, *arguments)
    assert not list(tmp_path.iterdir())


def refused(simulator: Simulator, folder: Path, *arguments: str, **variables: str) -> str:
    file = folder / "replay.jsonl"
    with command(*arguments, "-o", str(file), "--ws-url", simulator.ws_url, **variables) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == (1 if variables else 2)
    assert said.count("\n") == 1
    return said
