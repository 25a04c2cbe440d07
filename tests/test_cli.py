"""The command line: one line for every mistake, its exit status, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from okws_celery import __version__, cli
from okws_celery.embedded import EmbeddedRedis
from okws_celery.errors import Refused


def okws(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell would."""
    command = [sys.executable, "-m", "okws_celery", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environ,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class TestHelp:
    def test_version(self) -> None:
        """`--version` names the program and its version."""
        done = okws("--version")
        assert (done.returncode, done.stdout) == (0, f"okws_celery {__version__}\n")

    def test_parts_are_listed(self) -> None:
        """`--help` lists the commands."""
        done = okws("--help")
        assert done.returncode == 0
        assert all(f"\n    {name}" in done.stdout for name in ("server", "run", "simulator", "redis"))

    @pytest.mark.parametrize("name", ["server", "run", "simulator", "redis"])
    def test_each_part_explains_itself(self, name: str) -> None:
        """`okws NAME --help` shows the options of that part."""
        done = okws(name, "--help")
        assert done.returncode == 0, done.stderr
        assert f"usage: okws {name}" in done.stdout

    def test_only_the_part_that_is_called_is_imported(self) -> None:
        """The command starts fast: neither Celery nor the simulator's libraries are loaded for `--help`."""
        program = (
            "import sys, okws_celery.cli as cli\n"
            "try: cli.main(['--help'])\n"
            "except SystemExit: pass\n"
            "sys.exit(' '.join({'celery', 'kombu', 'redis', 'aiohttp', 'rich'} & set(sys.modules)) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "okws: the following arguments are required: command"),
            (["walk"], "okws: argument command: invalid choice: 'walk' (choose from "),
            (
                ["run", "--seconds", "soon"],
                "okws run: argument --seconds: 'soon': a number of seconds above 0 is accepted",
            ),
            (["run", "--seconds", "-1"], "okws run: argument --seconds: '-1': a number of seconds above 0 is accepted"),
            (["run", "--seconds", "nan"], "okws run: argument --seconds: 'nan': a number of seconds above 0"),
            (["run", "--simulator", "--okx"], "okws run: argument --okx: not allowed with argument --simulator"),
            (["run", "--session", "a b"], "okws run: session name 'a b': 1 to 64 of the characters"),
            (["redis", "--port", "70000"], "okws redis: argument --port: '70000': a port from 0 to 65535 is accepted"),
            (["run", "--frobnicate"], "okws: unrecognized arguments: --frobnicate"),
        ],
    )
    def test_arguments(self, arguments: list[str], said: str) -> None:
        """One line on standard error that says what is accepted; exit status 2."""
        done = okws(*arguments)
        assert done.stderr.startswith(said)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)

    def test_settings(self, tmp_path: Path) -> None:
        """A wrong variable or config file is bad input as well."""
        done = okws("run", "--directory", str(tmp_path), OKWS_REGION="mars")
        assert (done.returncode, done.stderr) == (2, "okws run: OKWS_REGION 'mars': global, us, eea are accepted\n")
        (tmp_path / "okws.ini").write_text("hello\n")
        done = okws("run", "--directory", str(tmp_path), OKWS_CONFIG=str(tmp_path / "okws.ini"))
        assert done.returncode == 2
        assert done.stderr == f"okws run: config file {tmp_path}/okws.ini, line 1: a [section] must come first\n"

    def test_a_folder_that_cannot_be_made(self) -> None:
        """The system's own words, with the path, and exit status 1."""
        done = okws("redis", "--port", "0", "--directory", "/proc/nothing")
        assert (done.returncode, done.stderr) == (1, "okws redis: /proc/nothing: No such file or directory\n")

    def test_what_the_exchange_refused(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """OKX's text and our hint stand in one line."""

        def refused(name: str) -> None:
            raise Refused(60032, "API key doesn't exist", "wrong region or demo?")

        monkeypatch.setattr(cli.importlib, "import_module", refused)
        assert cli.main(["run"]) == 1
        assert capsys.readouterr().err == "okws run: API key doesn't exist (wrong region or demo?)\n"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`okws redis` in this folder and the URL that it named; killed if a test leaves it running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "okws_celery", "redis", "--port", "0", "--directory", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # also where the tests run under nohup
    )
    try:
        assert process.stdout
        yield process, process.stdout.readline().split()[0]
    finally:
        process.kill()
        process.communicate()


class TestRedis:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_in_the_foreground(self, tmp_path: Path, number: signal.Signals) -> None:
        """It says where it listens, serves, and ends with status 0 when told to; its data stay."""
        with serving(tmp_path) as (process, url), redis.Redis.from_url(url) as client:
            client.set("a", "b")
            process.send_signal(number)
            assert process.wait(30) == 0
            with pytest.raises(redis.ConnectionError):
                client.ping()
        assert (tmp_path / "dump.rdb").exists()

    def test_it_ended_by_itself(self, tmp_path: Path) -> None:
        """If somebody stops the server, the command says so and fails."""
        with serving(tmp_path) as (process, url):
            with redis.Redis.from_url(url) as client:
                client.shutdown(nosave=True)
            _, said = process.communicate(timeout=30)
        expected = f"okws redis: Redis server ended by itself; its log is {tmp_path}/redis.log\n"
        assert (process.returncode, said) == (1, expected)

    def test_port_in_use(self, tmp_path: Path, redis_server: EmbeddedRedis) -> None:
        """A port in use is one line and exit status 1."""
        done = okws("redis", "--port", str(redis_server.port), "--directory", str(tmp_path))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"port {redis_server.port} did not start" in done.stderr
