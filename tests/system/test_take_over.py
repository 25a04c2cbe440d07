"""Workers that die, hang or are not there: sessions that should be open are opened elsewhere, closed ones never are."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import psutil
import redis
from houses import House
from waiting import eventually
from workers import Worker

from okws_celery.calls.opening import close_now
from okws_celery.errors import DONE, NO_SESSION, NO_WORKER, Answer
from okws_celery.store.registry import Registry
from okws_celery.sync import Client

NAMES = ("s1", "s2", "s3")
TAKE_OVER_S = 15


def flows(client: Client, registry: Registry, name: str, besides: str) -> str:
    """The token of a new holder whose data flow, "" if that is not so yet."""
    token = registry.holder(name)
    topic = client.topics(name).get("tickers:BTC-USDT", {})
    new = token and token != besides and topic.get("state") == "live" and topic["seen"] >= topic["since"]
    return token if new else ""


def test_take_over(house: House, client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """A worker that hangs, then one that is killed: the other goes on with all three sessions, and only the other."""
    first = start(name="first")
    for name in NAMES:
        assert client.open_ws(name)["errorCode"] == DONE
        assert client.subscribe(name, ["tickers:BTC-USDT", "trades:BTC-USDT"])["errorCode"] == DONE
    ids = registry.sessions()
    tokens = registry.holders(NAMES)
    second = start(name="second")

    first.signal(signal.SIGSTOP)
    for name in NAMES:
        tokens[name] = eventually(
            lambda name=name: flows(client, registry, name, tokens[name]), timeout=TAKE_OVER_S + 2
        )
        assert tokens[name].startswith(second.name)
    assert registry.sessions() == ids  # an AsyncResult of the first open_ws still revokes it

    with Written(house.redis_url) as written:
        first.signal(signal.SIGCONT)
        eventually(lambda: first.text().count("gives way") >= len(NAMES))
        eventually(lambda: all(written.by(tokens[name]) >= 3 for name in NAMES))
    assert written.tokens == set(tokens.values())

    second.signal(signal.SIGKILL)
    for name in NAMES:
        token = eventually(lambda name=name: flows(client, registry, name, tokens[name]), timeout=TAKE_OVER_S)
        assert token.startswith(first.name)
        eventually(lambda name=name: client.topics(name)["trades:BTC-USDT"]["state"] == "live")
        gaps = registry.redis.xrange(f"okex/{name}/gaps")
        assert any("trades:BTC-USDT" in entry["data"] for _, entry in gaps)
    assert first.stop() == 0


def test_prefork_worker_is_killed(client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """The children of a killed worker do not go on by themselves, where nobody could stop them."""
    first = start("-P", "processes", "-c", "3")
    for name in ("s1", "s2"):
        assert client.open_ws(name)["errorCode"] == DONE
        assert client.subscribe(name, "tickers:BTC-USDT")["errorCode"] == DONE
    tokens = registry.holders(["s1", "s2"])
    children = psutil.Process(first.process.pid).children()
    second = start()
    first.signal(signal.SIGKILL)
    for name in ("s1", "s2"):
        token = eventually(lambda name=name: flows(client, registry, name, tokens[name]), timeout=TAKE_OVER_S)
        assert token.startswith(second.name)
    for child in children:  # those that hold nothing sleep on, until somebody stops them
        with suppress(psutil.NoSuchProcess):
            child.kill()


def test_close_without_worker(client: Client, registry: Registry, start: Callable[..., Worker], house: House) -> None:
    """DEMAND story 15: revoked, and yet it runs. Here a close holds with no worker alive, and against copies of open_ws
    that still wait in the queue."""
    worker = start()
    assert client.open_ws("crashed")["errorCode"] == DONE
    worker.signal(signal.SIGKILL)
    worker.process.wait()
    house.python("""
        from okws_celery import tasks
        tasks.open_ws.apply_async(("queued",), expires=600)
        tasks.open_ws.apply_async(("wanted",), expires=600)
        tasks.close_ws.delay("queued")
        tasks.close_ws.delay("crashed")
    """)
    assert "crashed" not in registry.sessions()
    start()
    # Tasks are taken in order: when this one is open, the others have been looked at.
    eventually(lambda: client.servers()["message"] == ["wanted"])
    assert client.open_ws("last")["errorCode"] == DONE
    assert client.servers()["message"] == ["last", "wanted"]
    assert set(registry.sessions()) == {"last", "wanted"}


def test_opened_anew_while_the_old_one_still_closes(
    house: House, client: Client, registry: Registry, start: Callable[..., Worker]
) -> None:
    """An open_ws right behind a close_ws waits for the old session, whose links close slowly, and opens a new one."""
    start()
    assert client.open_ws("a")["errorCode"] == DONE
    assert client.subscribe("a", ["tickers:BTC-USDT", "candle1m:BTC-USDT"])["errorCode"] == DONE
    old = registry.holder("a")
    fault = house.simulator.fault("stall")
    said = house.python("""
        from okws_celery import tasks
        closing = tasks.close_ws.delay("a")
        tasks.open_ws.delay("a")
        print(closing.get(timeout=30)["errorCode"])
    """)
    house.simulator.end_fault(fault)
    assert said.split() == [str(DONE)]
    eventually(lambda: registry.holder("a") not in ("", old))
    assert client.topics("a") == {}
    assert client.subscribe("a", "tickers:BTC-USDT", timeout=30)["errorCode"] == DONE


def test_closed_the_moment_it_opens(client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """A close that comes before the session has said a word: who waits for the open_ws is told at once."""
    start()
    for name in (f"s{number}" for number in range(20)):
        said: list[Answer] = []
        caller = threading.Thread(target=lambda name=name, said=said: said.append(client.open_ws(name)))
        caller.start()
        while registry.session(name) is None:
            pass
        close_now(registry, name)
        caller.join(5)
        assert said, "it still waits"
        assert said[0]["errorCode"] in (DONE, NO_SESSION)


def test_closed_after_its_worker_was_killed(client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """Nobody lets go of it, and still: closed is closed, in the status too, and the name can be opened at once."""
    for close in (client.close_ws, lambda name: client.server_quit()):
        worker = start()
        assert client.open_ws("a")["errorCode"] == DONE
        registry.redis.persist(registry.keys("a").lease)  # it does not get better by waiting
        worker.signal(signal.SIGKILL)
        worker.process.wait()
        other = start()
        assert close("a")["errorCode"] == DONE
        assert client.status("a")["status"] == "EXIT"
        assert client.open_ws("a")["errorCode"] == DONE
        assert client.close_ws("a")["errorCode"] == DONE
        assert other.stop() == 0


def test_close_while_a_worker_keeps_it_for_later(
    client: Client, registry: Registry, start: Callable[..., Worker], house: House
) -> None:
    """An open_ws that a worker has taken and holds back until its time (countdown) does not begin after a close."""
    worker = start()
    task_id = house.python("""
        from okws_celery import tasks
        print(tasks.open_ws.apply_async(("later",), countdown=3, expires=60).id)
    """).strip()
    eventually(lambda: f"open_ws[{task_id}] received" in worker.text())
    assert client.close_ws("later")["errorCode"] == NO_SESSION  # not open yet, and closed all the same
    eventually(lambda: f"open_ws[{task_id}] succeeded" in worker.text(), timeout=30)
    assert registry.sessions() == {}
    assert client.servers()["message"] == []


def test_server_quit_against_what_waits_in_the_queue(
    client: Client, registry: Registry, start: Callable[..., Worker], house: House
) -> None:
    """An open_ws that was sent before `server_quit` and is taken after it opens nothing; one sent after it does."""
    house.python("""
        from okws_celery import tasks
        tasks.open_ws.apply_async(("before",), expires=600)
    """)
    assert client.server_quit()["errorCode"] == DONE
    house.python("""
        from okws_celery import tasks
        tasks.open_ws.apply_async(("after",), expires=600)
    """)
    start()
    eventually(lambda: client.servers()["message"] == ["after"])
    assert client.open_ws("last")["errorCode"] == DONE  # taken in order: the others have been looked at
    assert set(registry.sessions()) == {"after", "last"}


def test_given_up(house: House, registry: Registry, start: Callable[..., Worker]) -> None:
    """What was answered with 80012 is not carried out later; an open_ws that nobody waited for has a deadline, too."""
    with house.client(timeout=0.5) as impatient:
        assert impatient.open_ws("late")["errorCode"] == NO_WORKER
    house.python("""
        from okws_celery import tasks
        tasks.open_ws.apply_async(("later",), expires=0.01)
    """)
    start()
    with house.client() as client:
        assert client.open_ws("last")["errorCode"] == DONE
    assert set(registry.sessions()) == {"last"}


def test_emptied_redis(client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """Redis loses everything: the session, its topics and the worker's own entries are there again."""
    worker = start()
    assert client.open_ws("s1")["errorCode"] == DONE
    assert client.subscribe("s1", "tickers:BTC-USDT")["errorCode"] == DONE
    registry.redis.flushall()
    eventually(lambda: client.servers()["message"] == ["s1"])
    eventually(lambda: client.topics("s1")["tickers:BTC-USDT"]["state"] == "live")
    eventually(lambda: [place.held for place in registry.workers()] == [1])
    assert client.close_ws("s1")["errorCode"] == DONE
    assert worker.stop() == 0


class Written:
    """Whose batches Redis has carried out: each sets the session's `applied` to its holder's token."""

    def __init__(self, redis_url: str) -> None:
        self._client = redis.Redis.from_url(redis_url)
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._ready = threading.Event()
        self._end = False

    def __enter__(self) -> Written:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._end = True
        self._client.ping()
        self._thread.join(5)
        self._client.close()

    @property
    def tokens(self) -> set[str]:
        """Everybody who wrote."""
        return set(self._seen)

    def by(self, token: str) -> int:
        """How many batches the holder of this token wrote."""
        return self._seen.count(token)

    def _listen(self) -> None:
        with self._client.monitor() as monitor:
            self._ready.set()
            for line in monitor.listen():
                words = line["command"].split()
                if len(words) > 3 and words[0] == "SET" and words[1].endswith("/applied"):
                    self._seen.append(words[2].rpartition(":")[0])
                if self._end:
                    return
