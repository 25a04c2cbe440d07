"""A worker whose Redis has gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from houses import House
from waiting import eventually

from okws_celery.embedded import EmbeddedRedis
from okws_celery.errors import DONE, UNKNOWN_OUTCOME
from okws_celery.simulator import Simulator


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may stop."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@contextmanager
def paused(server: EmbeddedRedis) -> Iterator[None]:
    """A Redis that reads nothing and says nothing; what is sent to it waits."""
    assert server.child is not None
    server.child.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.child.process.send_signal(signal.SIGCONT)


def test_goes_and_returns(own_redis: EmbeddedRedis, simulator: Simulator, tmp_path: Path) -> None:
    """The session writes on, commands work again, and the log has a line for each event and no traceback."""
    house = House(own_redis.url, simulator, tmp_path, str(tmp_path / "secret.key"))
    with house.worker("-l", "info") as worker, house.client(timeout=60) as client:
        assert client.open_ws("a")["errorCode"] == DONE
        assert client.subscribe("a", "tickers:BTC-USDT")["errorCode"] == DONE
        own_redis.stop()
        eventually(lambda: "Cannot connect" in worker.text())
        own_redis.start()
        eventually(lambda: client.topics("a").get("tickers:BTC-USDT", {}).get("state") == "live", timeout=15)
        assert client.subscribe("a", "tickers:ETH-USDT")["errorCode"] == DONE
        assert "Traceback" not in worker.text()


def test_falls_silent_while_a_call_is_sent(own_redis: EmbeddedRedis, simulator: Simulator, tmp_path: Path) -> None:
    """A call that Redis takes without saying so is not said to be lost: it is carried out when Redis goes on."""
    house = House(own_redis.url, simulator, tmp_path, str(tmp_path / "secret.key"))
    with house.worker() as worker, house.client(timeout=60) as client:
        assert client.open_ws("a")["errorCode"] == DONE
        assert client.subscribe("a", "tickers:BTC-USDT")["errorCode"] == DONE  # the connections are there
        with paused(own_redis):
            said = client.subscribe("a", "tickers:ETH-USDT")
        assert said["errorCode"] == UNKNOWN_OUTCOME, said
        eventually(lambda: client.topics("a").get("tickers:ETH-USDT", {}).get("state") == "live", timeout=60)
        assert "Traceback" not in worker.text()


def test_held_task_is_delivered_once(simulator: Simulator, tmp_path: Path) -> None:
    """However short the broker's patience, and however often it restarts: the task that holds a session runs once."""
    (tmp_path / "impatient.py").write_text(
        "from okws_celery.celery import defaults\n"
        "from okws_celery.settings import load\n"
        "broker_transport_options = defaults(load())['broker_transport_options'] | {\n"
        "    'visibility_timeout': 1, 'unacked_restore_interval': 0.2, 'unacked_restore_throttle': 1}\n"
    )
    with EmbeddedRedis(tmp_path / "redis", persist=True) as server:
        house = House(server.url, simulator, tmp_path, str(tmp_path / "secret.key"))
        with house.worker(OKWS_CELERY_CONFIG="impatient") as worker, house.client(timeout=60) as client:
            assert client.open_ws("a")["errorCode"] == DONE
            for number in range(2):
                server.stop()
                eventually(lambda number=number: worker.text().count("Connection to broker lost") > number)
                server.start()
                # Whatever would be delivered again is in the queue before this.
                assert client.open_ws(f"b{number}")["errorCode"] == DONE
                assert client.subscribe("a", "tickers:BTC-USDT")["errorCode"] == DONE
            assert worker.text().count("session a: begins") == 1
            assert "open_ws a:" not in worker.text()


@pytest.mark.parametrize("pool", [(), ("-P", "processes", "-c", "3")], ids=["threads", "prefork"])
def test_stops_all_the_same(
    own_redis: EmbeddedRedis, simulator: Simulator, tmp_path: Path, pool: tuple[str, ...]
) -> None:
    """SIGTERM ends it within seconds, with status 0, though nobody can be told through Redis; the exchange is left."""
    house = House(own_redis.url, simulator, tmp_path, str(tmp_path / "secret.key"))
    worker = house.worker(*pool).start()
    with house.client() as client:
        assert client.open_ws("a")["errorCode"] == DONE
        assert client.subscribe("a", "tickers:BTC-USDT")["errorCode"] == DONE
    own_redis.stop()
    eventually(lambda: "Connection to broker lost" in worker.text())
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    eventually(lambda: simulator.connections() == [])
