"""What Redis can do to a session: go, come back empty, fill up, fall silent. The exchange's link is not touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from session.holding import DEMO, Held
from waiting import eventually

from okws_celery.embedded import EmbeddedRedis
from okws_celery.session import Ending
from okws_celery.simulator import Simulator

TOPICS = ["tickers:BTC-USDT", "candle1m:BTC-USDT", "books:BTC-USDT", "trades:BTC-USDT"]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may stop and fill."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def held(own_redis: EmbeddedRedis, simulator: Simulator) -> Iterator[Held]:
    """A session with all kinds of topics, flowing."""
    held = Held(own_redis.url, simulator.ws_url, rest_url=simulator.rest_url)
    assert held.subscribe(*TOPICS)["errorCode"] == 80000
    eventually(lambda: all(held.redis.exists(held.data.of(topic)) for topic in TOPICS))
    yield held
    assert held.close(15) is not None


def restored(held: Held) -> bool:
    """Whether a reader finds everything again."""
    return (
        held.redis.get(held.data.status) == "CONNECTED"
        and all(held.topic(topic).get("state") == "live" for topic in TOPICS)
        and all(held.redis.exists(held.data.of(topic)) for topic in TOPICS)
        and held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "live"
        and set(held.registry.sessions()) == {"tests"}
    )


def test_redis_restarts_empty(held: Held, own_redis: EmbeddedRedis, simulator: Simulator) -> None:
    """Gone and back with nothing in it: a new lease, the registry, every state and every book are written again."""
    own_redis.stop()
    own_redis.start()
    eventually(lambda: restored(held), timeout=20, what="everything is there again")
    assert held.registry.holder("tests").startswith("w1/")
    assert held.registry.holder("tests") != held.token
    assert simulator.connects == 2
    assert held.redis.xlen(held.data.gaps) > 0
    assert held.subscribe("tickers:ETH-USDT", wait=10)["errorCode"] == 80000
    assert held.ending is None


def test_flushall(held: Held, simulator: Simulator) -> None:
    """A registry that has vanished whole is not "nothing wanted"."""
    held.redis.flushall()
    eventually(lambda: restored(held), timeout=20, what="everything is there again")
    assert held.unsubscribe("tickers:BTC-USDT")["errorCode"] == 80000
    assert simulator.subscribed("trades:BTC-USDT") == 1
    assert simulator.connects == 2


def test_redis_full(held: Held) -> None:
    """No room: the session keeps its lease and its links, and what it could hold is written when there is room."""
    token = held.registry.holder("tests")
    before = held.redis.xlen(held.data.of("trades:BTC-USDT"))
    held.redis.config_set("maxmemory", 1)
    eventually(lambda: held.redis.info("stats")["total_error_replies"] > 5)
    held.redis.pexpire(held.data.status, 4_000)
    eventually(lambda: held.redis.pttl(held.data.status) > 6_000, what="lease and status are renewed all the same")
    held.redis.config_set("maxmemory", 0)
    eventually(lambda: held.redis.xlen(held.data.of("trades:BTC-USDT")) > before)
    eventually(lambda: restored(held))
    assert held.registry.holder("tests") == token
    assert held.redis.xlen(held.data.gaps) == 0


def test_lost_poke_heals(held: Held, simulator: Simulator) -> None:
    """A change of the registry that nobody announced is seen with the next renewal of the lease."""
    held.redis.hset(held.keys.wanted, "tickers:ETH-USDT -", 0)
    held.redis.hincrby(held.keys.wanted, "version", 1)
    simulator.wait_subscribed("tickers:ETH-USDT")


def test_bus_connection_is_restored(held: Held, simulator: Simulator) -> None:
    """The control bus is cut: commands work again."""
    for client in held.redis.client_list(_type="pubsub"):
        held.redis.client_kill_filter(_id=client["id"])
    assert held.subscribe("tickers:ETH-USDT", wait=10)["errorCode"] == 80000


def test_every_connection_is_killed(held: Held, simulator: Simulator) -> None:
    """All connections to Redis at once: nothing is lost that could be held, and the exchange is not left."""
    for _ in range(3):
        held.redis.client_kill_filter(skipme=True, _type="normal")
        held.redis.client_kill_filter(skipme=True, _type="pubsub")
    assert held.subscribe("tickers:ETH-USDT", wait=10)["errorCode"] == 80000
    assert simulator.connects == 2
    trades = [entry for entry, _ in held.redis.xrange(held.data.of("trades:BTC-USDT"))]
    assert len(trades) == len(set(trades))
    assert held.redis.xlen(held.data.gaps) == 0


def test_another_holder_ends_it(own_redis: EmbeddedRedis, simulator: Simulator) -> None:
    """Whoever finds another's token in the lease ends and writes nothing more."""
    held = Held(own_redis.url, simulator.ws_url)
    held.subscribe("tickers:BTC-USDT")
    held.redis.set(held.keys.lease, "w2/other", px=60_000)
    assert held.join() is Ending.LOST
    held.redis.delete(held.data.of("tickers:BTC-USDT"))
    eventually(lambda: simulator.connections() == [])
    assert held.registry.holder("tests") == "w2/other"
    assert held.redis.exists(held.data.of("tickers:BTC-USDT")) == 0


def test_no_redis_at_the_start(tmp_path: Path, simulator: Simulator, free_port: Callable[[], int]) -> None:
    """A session whose Redis goes before it could write still ends when it is told to, and holds no socket."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        held = Held(server.url, simulator.ws_url)
        held.subscribe("tickers:BTC-USDT")
        with redis.Redis.from_url(server.url) as client:
            client.publish(held.keys.bus, "shutdown")
        server.stop()
        assert held.join(15) is not None
    eventually(lambda: simulator.connections() == [])


def test_strange_things_under_our_keys(held: Held, simulator: Simulator) -> None:
    """A command or a wish that makes no sense, or a key of another type, does not end the session."""
    held.redis.rpush(held.keys.commands, "not json", '{"op": 3}')
    held.redis.hset(held.keys.wanted, mapping={"nonsense here -": "x", "tickers:ETH-USDT -": "y"})
    held.redis.hincrby(held.keys.wanted, "version", 1)
    simulator.wait_subscribed("tickers:ETH-USDT")
    held.redis.delete(held.data.of("tickers:BTC-USDT"))
    held.redis.set(held.data.of("tickers:BTC-USDT"), "a string")
    assert held.subscribe("tickers:SOL-USDT")["errorCode"] == 80000
    assert held.ending is None


def test_lease_goes_while_a_book_breaks(hold: Callable[..., Held], simulator: Simulator) -> None:
    """The batch that says that a book is broken never reaches Redis: the book is subscribed again all the same."""
    held = hold()
    held.subscribe("books:BTC-USDT")
    eventually(lambda: held.topic("books:BTC-USDT").get("state") == "live")
    for _ in range(3):
        before = len(simulator.requests)
        simulator.fault("gap", arg="books:BTC-USDT")
        held.redis.delete(held.keys.lease)
        eventually(lambda before=before: len(simulator.requests) == before + 2, timeout=20)
        eventually(lambda: held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "live", timeout=20)


def test_redis_is_emptied_while_nothing_happens(hold: Callable[..., Held]) -> None:
    """What an account has stands there again, and its GAP is closed, though the exchange has nothing new to say."""
    held = hold(credentials=DEMO)
    held.opened()
    topics = ["balance_and_position", "account", "spot/account:USDT"]
    assert held.subscribe(*topics)["errorCode"] == 80000
    eventually(lambda: all(held.redis.exists(held.data.of(topic.partition(":")[0])) for topic in topics))
    before = held.redis.hgetall(held.data.of("balance_and_position"))
    held.redis.flushall()

    def closed() -> set[str]:
        told = [json.loads(fields["data"]) for _, fields in held.redis.xrange(held.data.gaps)]
        assert all(gap["to"] is None or gap["from"] <= gap["to"] for gap in told)
        return {gap["topic"] for gap in told if gap["to"]}

    eventually(lambda: closed() == set(topics), what="every GAP is closed")
    assert held.redis.hgetall(held.data.of("balance_and_position")) == before
    assert [held.topic(topic)["state"] for topic in topics] == ["live"] * 3
