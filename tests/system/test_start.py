"""A worker started with something wrong: one clear line, status 2, no traceback. A late Redis is waited for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from houses import CELERY, House
from waiting import eventually

from okws_celery import children
from okws_celery.embedded import EmbeddedRedis, find_server
from okws_celery.errors import DONE
from okws_celery.simulator import Simulator


@pytest.mark.parametrize(
    ("variables", "options", "complaint"),
    [
        ({"OKWS_MAX_ROWS": "many"}, (), "OKWS_MAX_ROWS"),
        ({"OKWS_REGION": "mars"}, (), "global, us, eea"),
        ({"OKWS_REDIS_URL": "http://:hidden@x"}, (), "unix://"),
        ({"OKWS_BROKER_URL": "carrier-pigeon://:hidden@x"}, (), "OKWS_BROKER_URL"),
        ({"OKWS_RESULT_BACKEND": "drawer://:hidden@x"}, (), "OKWS_RESULT_BACKEND"),
        ({"OKWS_CELERY_CONFIG": "no_such_module"}, (), "OKWS_CELERY_CONFIG 'no_such_module'"),
        ({"OKWS_CONFIG": "/no/such/file.toml"}, (), "/no/such/file.toml"),
        ({"OKWS_PROFILE_DESK": "hidden"}, (), "OKWS_PROFILE_DESK"),
        ({}, ("-P", "solo"), "solo"),
        ({}, ("-c", "10"), "17 or more"),
        ({}, ("-P", "processes", "-c", "1"), "2 or more"),
    ],
)
def test_wrong_setting(house: House, variables: dict[str, str], options: tuple[str, ...], complaint: str) -> None:
    """It is named in one line, with what is accepted, and without what may be secret."""
    ended = house.celery("worker", *options, **variables)
    assert ended.status == 2
    assert len(ended.errors.strip().splitlines()) == 1
    assert complaint in ended.errors
    assert "hidden" not in ended.errors + ended.output
    assert "Traceback" not in ended.output


def test_wrong_setting_of_an_app(house: House) -> None:
    """An app that imports the tasks gets an exception, not an exit."""
    said = house.python(
        """
        from okws_celery.errors import ConfigError
        try:
            from okws_celery import tasks
        except ConfigError as problem:
            print(problem.code, problem)
        """,
        OKWS_TIMEOUT="soon",
    )
    assert said.startswith("80010 OKWS_TIMEOUT")


def test_overlay(house: House, tmp_path: Path) -> None:
    """Settings of OKWS_CELERY_CONFIG are laid over the defaults, whose other values stay."""
    (tmp_path / "desk_settings.py").write_text(
        'result_expires = 77\nworker_concurrency = 20\nbroker_url = "memory://"\n'
    )
    said = house.python(
        """
        from okws_celery.celery import DEFAULTS, app
        print(app.conf.result_expires, app.conf.worker_concurrency, app.conf.worker_pool, DEFAULTS["result_expires"])
        print(app.connection_for_read().as_uri(), app.connection().transport_cls)
        """,
        OKWS_CELERY_CONFIG="desk_settings",
    )
    first, second = said.splitlines()
    assert first == "77 20 threads 3600"
    assert second.startswith("memory://")


def test_broker_on_the_command_line(house: House, free_port: Callable[[], int]) -> None:
    """The command line wins over the environment, OKWS_BROKER_URL over CELERY_BROKER_URL."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    variables = {"OKWS_BROKER_URL": house.redis_url, "CELERY_BROKER_URL": nowhere, "CELERY_BROKER_READ_URL": nowhere}
    assert house.celery("inspect", "ping", "-t", "0.2", **variables).errors.strip().endswith("time constraint")
    given = house.run(*CELERY, "-b", nowhere, "inspect", "ping", "-t", "0.2", OKWS_BROKER_URL=house.redis_url)
    assert "Could not connect" in given.errors
    assert "Traceback" not in given.errors


def test_late_redis(simulator: Simulator, tmp_path: Path, free_port: Callable[[], int]) -> None:
    """A worker that finds no Redis says so in one line a try, and works once there is one."""
    port = free_port()
    house = House(f"redis://127.0.0.1:{port}/0", simulator, tmp_path, str(tmp_path / "secret.key"))
    worker = house.worker("-l", "info")
    worker.start(wait=False)
    try:
        eventually(lambda: worker.text().count("Trying again") >= 2, timeout=30)
        complaints = [line for line in worker.text().splitlines() if "ERROR" in line]
        assert all(str(port) in line and "Trying again" in line for line in complaints)
        assert "Traceback" not in worker.text()
        with EmbeddedRedis(tmp_path / "redis", port=port), house.client(timeout=30) as client:
            assert client.open_ws("late")["errorCode"] == DONE
            assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()


def test_unix_socket(simulator: Simulator, tmp_path: Path, redis_behind_a_socket: Path) -> None:
    """Redis behind a Unix socket, in a database of its own: broker, results, data and control."""
    house = House(f"unix://{redis_behind_a_socket}?db=3", simulator, tmp_path, str(tmp_path / "secret.key"))
    with house.worker(), house.client() as client:
        assert client.open_ws("s1")["errorCode"] == DONE
        assert client.subscribe("s1", "tickers:BTC-USDT")["errorCode"] == DONE
        assert eventually(lambda: client.get("s1", "tickers:BTC-USDT"))["instId"] == "BTC-USDT"
        said = house.python("from okws_celery import tasks; print(tasks.servers.delay().get(timeout=10)['message'])")
        assert said.strip() == "['s1']"
        assert client.close_ws("s1")["errorCode"] == DONE
    with redis.Redis(unix_socket_path=str(redis_behind_a_socket)) as other_database:
        assert other_database.dbsize() == 0


@pytest.fixture
def redis_behind_a_socket() -> Iterator[Path]:
    """The path of a Redis that listens on no port."""
    with tempfile.TemporaryDirectory(prefix="okws") as folder:  # a socket's path must be short
        path = Path(folder) / "redis.sock"
        command = [find_server(), "--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", ""]
        server = children.start("redis", command, Path(folder) / "redis.log")
        eventually(path.exists)
        yield path
        server.stop()
