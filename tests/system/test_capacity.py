"""How many sessions a worker holds, what becomes of one too many, and that short tasks never wait for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from houses import House
from waiting import eventually
from workers import Worker

from okws_celery.errors import DONE, NO_CAPACITY
from okws_celery.store.registry import Registry
from okws_celery.sync import Client


def test_hundred_sessions(house: House, client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """A hundred sessions in one worker, some with data, and short tasks are answered within a second."""
    start()
    names = [f"s{number}" for number in range(100)]

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda name: client.open_ws(name, timeout=60)["errorCode"], names)) == {DONE}
        followed = pool.map(lambda name: client.subscribe(name, "tickers:BTC-USDT", timeout=60), names[:10])
        assert {said["errorCode"] for said in followed} == {DONE}
    assert client.servers()["message"] == sorted(names)
    assert [place.held for place in eventually(lambda: [p for p in registry.workers() if p.held == 100])] == [100]
    # A task that is not begun within a second is never begun, and answers 80012. Some may be late on a busy machine;
    # all would be if they waited for a place in the pool.
    house.python("""
        from okws_celery import tasks
        answers = [tasks.servers.apply_async(expires=1).get(timeout=20) for _ in range(10)]
        call = ("s7", "tickers:BTC-USDT")
        answers += [tasks.subscribe.apply_async(call, expires=1).get(timeout=20) for _ in range(10)]
        assert sum(answer["errorCode"] == 80000 for answer in answers) >= 15, answers
    """)


def test_all_full(client: Client, registry: Registry, start: Callable[..., Worker]) -> None:
    """One session too many is refused with 80013, whichever worker is asked, and has left nothing behind."""
    for _ in range(2):
        start(OKWS_MAX_SESSIONS="2")
    for number in range(4):
        assert client.open_ws(f"s{number}")["errorCode"] == DONE
    assert sorted((place.held, place.capacity) for place in _seen_full(registry)) == [(2, 2), (2, 2)]
    for _ in range(3):
        assert client.open_ws("extra")["errorCode"] == NO_CAPACITY
    assert "extra" not in registry.sessions()
    # The worker that has a place is found, whoever takes the task first.
    assert client.close_ws("s2")["errorCode"] == DONE
    assert client.open_ws("extra")["errorCode"] == DONE


def test_prefork_reserve(house: House, client: Client, start: Callable[..., Worker]) -> None:
    """Of two processes one holds a session, and the other is there for short tasks."""
    start("-P", "processes", "-c", "2")
    assert client.open_ws("s1")["errorCode"] == DONE
    assert client.open_ws("s2")["errorCode"] == NO_CAPACITY
    assert client.subscribe("s1", "tickers:BTC-USDT")["errorCode"] == DONE
    said = house.python("""
        from okws_celery import tasks
        print(tasks.servers.delay().get(timeout=10)["message"])
    """)
    assert said.strip() == "['s1']"


def _seen_full(registry: Registry) -> list[object]:
    return eventually(lambda: [place for place in registry.workers() if place.held == 2] * (_held(registry) == 4))


def _held(registry: Registry) -> int:
    return sum(place.held for place in registry.workers())
