"""One holder: who lost the lease cannot write, who has it loses nothing (on a real Redis)."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from okws_celery.embedded import EmbeddedRedis
from okws_celery.keys import ControlKeys
from okws_celery.store.batch import Batch
from okws_celery.store.connect import bare_connection
from okws_celery.store.fence import Fence, FenceState, Ownership
from okws_celery.store.wire import Wire, WireLost

KEYS = ControlKeys("okws", "tests")
STATUS = "okex/tests/status"


class Writer:
    """A fence and its holder, turned by hand."""

    def __init__(self, url: str, token: str = "w1/a", generation: int = 1, ticket: int = 1) -> None:
        self.url = url
        self.told: list[str] = []
        self.fence = Fence(KEYS, STATUS, token, Ownership(generation, ticket), self)
        self.batch = Batch()
        self.attach()

    def fence_regained(self) -> None:
        self.told.append("regained")

    def fence_lost(self, reason: str) -> None:
        self.told.append(f"lost: {reason}")

    def fence_dropped(self, reason: str) -> None:
        self.told.append(f"dropped: {reason}")

    def attach(self) -> None:
        self.fence.attach(Wire(bare_connection(self.url)), time.monotonic())

    def turn(self, until: Callable[[], bool], timeout: float = 5.0) -> None:
        """Serve the socket until something holds."""
        end = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < end, f"state {self.fence.state}, told {self.told}"
            self.fence.tick(time.monotonic())
            if self.fence.wire is not None and select.select([self.fence.wire], [], [], 0.05)[0]:
                self.fence.wire.readable()

    def settle(self) -> None:
        self.turn(lambda: self.fence.state in (FenceState.READY, FenceState.LOST))

    def write(self, key: str, value: str, settle: bool = True) -> None:
        self.batch.write("SET", key, value)
        self.fence.send(self.batch, time.monotonic())
        if settle:
            self.settle()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def writer(redis_url: str, client: redis.Redis) -> Iterator[Writer]:
    """A writer that holds the lease."""
    client.set(KEYS.lease, "w1/a", px=10_000)
    writer = Writer(redis_url)
    writer.settle()
    yield writer
    writer.fence.detach()


def test_holder_writes(writer: Writer, client: redis.Redis) -> None:
    """A batch is in Redis once its reply is read, and the lease is renewed with it."""
    client.pexpire(KEYS.lease, 5_000)
    client.set(STATUS, "CONNECTED", px=5_000)
    writer.settle()
    writer.write("k", "1")
    writer.settle()
    writer.write("k", "2")
    assert client.get("k") == "2"
    assert client.pttl(KEYS.lease) > 5_000
    assert client.pttl(STATUS) > 5_000
    assert writer.told == []


@pytest.mark.parametrize("lost", ["nothing", "all keys", "all keys and the connection"])
def test_the_mark_of_a_batch_ends_by_itself(writer: Writer, client: redis.Redis, lost: str) -> None:
    """The key that tells which batch was the last does not stay for ever if its session does not come back."""
    writer.write("k", "1")
    if lost != "nothing":
        client.flushdb()
    if lost == "all keys and the connection":
        writer.fence.detach()
        writer.attach()
        writer.settle()
    writer.write("k", "2")
    writer.write("k", "3")
    assert client.get("k") == "3"
    assert 50_000 < client.pttl(KEYS.applied) <= 60_000


def test_writes_before_publishes(writer: Writer, client: redis.Redis) -> None:
    """Who is woken by a message finds the state that goes with it."""
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("news")
    listener.get_message(timeout=1)
    writer.batch.publish("news", "come")
    writer.write("k", "1")
    messages = [m for _ in range(20) if (m := listener.get_message(timeout=0.1))]
    assert [m["data"] for m in messages] == ["come"]
    assert client.get("k") == "1"


@pytest.mark.parametrize("how", ["taken over", "deleted and taken"])
def test_who_lost_the_lease_cannot_write(writer: Writer, client: redis.Redis, how: str) -> None:
    """Another took the lease since the last look: the batch is refused whole, and the writer is told to end."""
    if how == "deleted and taken":
        client.delete(KEYS.lease)
    client.set(KEYS.lease, "w2/b", px=10_000)
    writer.write("k", "mine")
    assert client.get("k") is None
    assert writer.told == ["lost: another worker holds the session"]
    assert client.get(KEYS.lease) == "w2/b"


def test_expired_lease_is_taken_again(writer: Writer, client: redis.Redis) -> None:
    """Nobody else wants it: a new token is taken, the holder is told to write everything again."""
    client.delete(KEYS.lease)
    writer.write("k", "1")
    assert writer.told == ["regained"]
    assert (client.get(KEYS.lease) or "").startswith("w1/")
    assert client.get(KEYS.lease) != "w1/a"
    writer.write("k", "2")
    assert client.get("k") == "2"


def test_expired_lease_of_a_closed_session_is_not_taken(writer: Writer, client: redis.Redis) -> None:
    """A paused holder that wakes up after close_ws does not open the session again."""
    client.delete(KEYS.lease)
    client.set(KEYS.closed, 2)
    writer.write("k", "1")
    assert client.get("k") is None
    assert client.get(KEYS.lease) is None
    assert writer.told == ["lost: the session was closed"]


def test_older_generation_gives_way(writer: Writer, client: redis.Redis) -> None:
    """A holder that was dispatched anew meanwhile ends, even if nobody holds the lease yet."""
    client.delete(KEYS.lease)
    client.hset(KEYS.session, mapping={"state": "open", "generation": 2})
    writer.write("k", "1")
    assert client.get("k") is None
    assert writer.told == ["lost: the session was dispatched anew"]


def test_touched_lease_costs_nothing(writer: Writer, client: redis.Redis) -> None:
    """Somebody touched the lease without taking it: the batch is sent again, once."""
    client.pexpire(KEYS.lease, 9_000)
    writer.batch.write("INCR", "count")
    writer.fence.send(writer.batch, time.monotonic())
    writer.turn(lambda: client.get("count") is not None)
    writer.settle()
    assert client.get("count") == "1"
    assert writer.told == []


@pytest.mark.parametrize("arrived", [True, False])
def test_lost_connection_neither_loses_nor_doubles(writer: Writer, client: redis.Redis, arrived: bool) -> None:
    """A batch whose reply was lost with the connection is there once, whether it had arrived or not."""
    writer.batch.write("INCR", "count")
    if arrived:
        writer.fence.send(writer.batch, time.monotonic())
        while client.get("count") is None:
            time.sleep(0.001)  # the reply now waits in the socket, unread
        writer.fence.detach()
    else:
        for other in client.client_list(_type="normal"):
            if other["cmd"].startswith("hmget") or other["cmd"].startswith("get"):
                client.client_kill_filter(_id=other["id"], skipme=True)
        with pytest.raises(WireLost):
            writer.fence.send(writer.batch, time.monotonic())
            writer.turn(lambda: False)
        writer.fence.detach()
    writer.attach()
    writer.turn(lambda: client.get("count") is not None and writer.fence.idle)
    writer.write("k", "1")
    assert client.get("count") == "1"
    assert writer.told == []


def test_one_bad_command_does_not_hurt_the_others(writer: Writer, client: redis.Redis) -> None:
    """The rest of the transaction stays in force; the error is counted."""
    client.set("text", "x")
    writer.batch.write("HSET", "text", "a", "b")
    writer.write("k", "1")
    assert client.get("k") == "1"
    assert writer.fence.counters.errors == 1
    assert "WRONGTYPE" in writer.fence.counters.last_error


def test_nonsense_is_dropped_and_told(writer: Writer, client: redis.Redis) -> None:
    """A batch that Redis will never take is dropped, said so, and the next one goes through."""
    writer.batch.write("NOSUCHCOMMAND")
    writer.write("k", "1")
    assert client.get("k") is None
    assert [told.partition(":")[0] for told in writer.told] == ["dropped"]
    writer.write("k", "2")
    assert client.get("k") == "2"


def test_full_redis_keeps_the_lease_and_the_batch(tmp_path: Path) -> None:
    """Redis full refuses every write: the lease lives on, and the batch goes through when there is room."""
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.set(KEYS.lease, "w1/a", px=10_000)
        client.set(STATUS, "CONNECTED", px=10_000)
        writer = Writer(server.url)
        writer.settle()
        client.config_set("maxmemory", 1)
        writer.write("k", "1", settle=False)
        writer.turn(lambda: writer.fence.counters.refused > 0)
        client.pexpire(STATUS, 4_000)
        writer.turn(lambda: client.pttl(STATUS) > 5_000, timeout=10)
        assert client.get("k") is None
        assert client.get(KEYS.lease) == "w1/a"
        client.config_set("maxmemory", 0)
        writer.turn(lambda: client.get("k") == "1", timeout=10)
        writer.settle()
        assert writer.told == []
        writer.fence.detach()


def test_release_frees_the_lease_with_the_last_batch(writer: Writer, client: redis.Redis) -> None:
    """The last words and the release are one transaction; nothing is written after it."""
    writer.batch.write("SET", "k", "last")
    writer.fence.release(writer.batch, time.monotonic())
    writer.settle()
    assert client.get("k") == "last"
    assert client.exists(KEYS.lease) == 0
    assert writer.told == ["lost: released"]
