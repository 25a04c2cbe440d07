"""The registry: who may open what, which command is whose, and which worker has a place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from okws_celery.errors import NoSession
from okws_celery.settings import load
from okws_celery.store.registry import Command, Registry, now_ms


@pytest.fixture
def registry(redis_url: str) -> Registry:
    """On an empty Redis."""
    return Registry(load({"OKWS_REDIS_URL": redis_url}))


@pytest.fixture
def opened(registry: Registry) -> Callable[[str], str]:
    """Opens a session as a worker would; its token."""

    def open_(name: str, task_id: str = "task", worker: str = "w1") -> str:
        token = f"{worker}/token-of-{name}"
        assert registry.acquire(name, token)
        assert registry.open(name, ticket=registry.draw_ticket(name), task_id=task_id, options={})
        return token

    return open_


class TestTickets:
    def test_closed_after_it_was_sent(self, registry: Registry) -> None:
        """An open_ws from before the close does not begin, one from after it does."""
        before = registry.draw_ticket("s1")
        registry.mark_closed("s1", registry.draw_ticket("s1"))
        after = registry.draw_ticket("s1")
        assert registry.open("s1", ticket=before, task_id="a", options={}) is None
        record = registry.open("s1", ticket=after, task_id="b", options={})
        assert record is not None
        assert (record.state, record.task_id, record.generation) == ("open", "b", 1)

    def test_an_older_close_does_not_lower_the_mark(self, registry: Registry) -> None:
        """Closes may arrive in any order."""
        registry.mark_closed("s1", 5)
        registry.mark_closed("s1", 3)
        assert registry.open("s1", ticket=4, task_id="a", options={}) is None


class TestClose:
    def test_close(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """Not wanted any more, at once; and again it is nothing."""
        opened("s1")
        record = registry.close("s1")
        assert record is not None
        assert record.task_id == "task"
        assert registry.sessions() == {}
        assert registry.close("s1") is None

    def test_only_that_task(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """Revoking an old task does not close a session that was opened anew."""
        opened("s1")
        assert registry.close("s1", "another task") is None
        assert registry.sessions() == {"s1": "task"}
        assert registry.close("s1", "task") is not None

    def test_unknown(self, registry: Registry) -> None:
        """Nothing is made by closing what is not there."""
        assert registry.close("s1") is None
        assert registry.redis.keys("*") == []

    def test_nobody_holds_it(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """A session whose worker died has ended with its close, and its status says so."""
        registry.release("s1", opened("s1"))
        registry.close("s1")
        assert registry.redis.get("okex/s1/status") == "EXIT"


class TestDispatch:
    def test_once(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """Of many supervisors one dispatches, and the copy from before it does not begin any more."""
        registry.release("s1", opened("s1"))
        record = registry.dispatch_again("s1")
        assert record is not None
        assert record.generation == 2
        assert registry.dispatch_again("s1") is None
        assert registry.open("s1", ticket=record.ticket, task_id="task", options={}, generation=1) is None
        assert registry.open("s1", ticket=record.ticket, task_id="task", options={}, generation=2) is not None

    def test_held(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """A session that is held is left alone."""
        opened("s1")
        assert registry.dispatch_again("s1") is None

    def test_closed_meanwhile(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """A close that only left its mark is carried out instead."""
        registry.release("s1", opened("s1"))
        registry.mark_closed("s1", registry.draw_ticket("s1"))
        assert registry.dispatch_again("s1") is None
        assert registry.sessions() == {}


class TestClaims:
    def test_taken(self, registry: Registry) -> None:
        """Once a worker has taken a command, its caller cannot call it off; a copy may still be taken."""
        assert registry.take("s1", "c1")
        assert not registry.give_up("s1", "c1")
        assert registry.take("s1", "c1")

    def test_given_up(self, registry: Registry) -> None:
        """Once the caller has given up, no worker takes it."""
        assert registry.give_up("s1", "c1")
        assert not registry.take("s1", "c1")


class TestWaiting:
    def test_open_on_its_way(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """A call that needs the session waits for the open_ws before it, until that has begun or will not."""
        soon = now_ms() + 60_000
        with pytest.raises(NoSession):
            registry.require("s1", soon)
        registry.expect("s1", 1, now_ms() + 300)
        with pytest.raises(NoSession):
            registry.require("s1", soon)
        registry.expect("s1", 1, soon)
        opened("s1")
        assert registry.require("s1", soon).state == "open"

    def test_closed_on_its_way(self, registry: Registry) -> None:
        """Nobody waits for an open_ws that a close has barred."""
        registry.expect("s1", registry.draw_ticket("s1"), now_ms() + 60_000)
        registry.mark_closed("s1", registry.draw_ticket("s1"))
        with pytest.raises(NoSession):
            registry.require("s1", now_ms() + 60_000)


class TestPlaces:
    def test_full(self, registry: Registry) -> None:
        """As many as the capacity, each once."""
        assert registry.take_place("w1", "a", 2)
        assert registry.take_place("w1", "b", 2)
        assert registry.take_place("w1", "b", 2)
        assert not registry.take_place("w1", "c", 2)
        registry.leave_place("w1", "a")
        assert registry.take_place("w1", "c", 2)
        assert sorted(registry.held("w1")) == ["b", "c"]

    def test_workers(self, registry: Registry) -> None:
        """Workers that were seen lately, with what they hold; one that stops has no capacity."""
        registry.take_place("w1", "a", 2)
        registry.worker_seen("w1", 2)
        registry.worker_seen("w2", 0)
        assert {(place.name, place.capacity, place.held) for place in registry.workers()} == {
            ("w1", 2, 1),
            ("w2", 0, 0),
        }
        assert (registry.capacity("w1"), registry.capacity("w2"), registry.capacity("w3")) == (2, 0, None)
        registry.worker_gone("w2")
        assert [place.name for place in registry.workers()] == ["w1"]

    def test_who_holds(self, registry: Registry, opened: Callable[[str], str]) -> None:
        """Who holds a closed session is waited for, unless his worker is there no more: then it is held by none."""
        token = opened("s1")
        registry.worker_seen("w1", 2)
        assert registry.survey("w1").tokens == {"s1": token}
        registry.close("s1")
        assert not registry.let_go("s1", token)
        assert registry.let_go("s1", "w1/another")
        assert registry.holder("s1") == token
        registry.worker_gone("w1")
        assert registry.let_go("s1", token)
        assert registry.holder("s1") == ""
        assert registry.redis.get("okex/s1/status") == "EXIT"


def test_wanted_of_a_session_that_was_closed_meanwhile(registry: Registry, opened: Callable[[str], str]) -> None:
    """Who wants a topic is told at once, and a session that is opened afterwards knows nothing of it."""
    token = opened("s1")
    registry.want("s1", ["tickers:BTC-USDT"], "a", None, Command("subscribe", now_ms() + 5_000))
    registry.close("s1")
    with pytest.raises(NoSession):
        registry.want("s1", ["tickers:ETH-USDT"], "a", None, Command("subscribe", now_ms() + 5_000))
    registry.release("s1", token)
    opened("s1")
    assert not registry.redis.exists(registry.keys("s1").wanted, registry.keys("s1").commands)


def test_replies(registry: Registry) -> None:
    """An answer reaches the one who waits for it, and nobody waits for ever."""
    assert registry.wait_reply("s1", "c1", 0.05) is None
    registry.reply("s1", "c1", {"errorCode": 80000})
    assert registry.wait_reply("s1", "c1", 5) == {"errorCode": 80000}
