"""The exchange's clock, when it is not ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from session.holding import DEMO, Held
from waiting import eventually

from okws_celery import embedded
from okws_celery.session import Ending
from okws_celery.simulator import Simulator

Hold = Callable[..., Held]


@pytest.mark.parametrize("ahead_s", [90.0, -3600.0])
def test_a_clock_that_is_off_heals(hold: Hold, ahead_s: float) -> None:
    """The first login is refused with 60006, the offset is measured, the second is good; so are signed REST calls."""
    with Simulator(limits=False, ahead_s=ahead_s) as exchange:
        exchange.place(sz="0.01")
        held = hold(ws_url=exchange.ws_url, rest_url=exchange.rest_url, credentials=DEMO)
        said = held.opened()
        assert said is not None
        assert said["errorCode"] == 80000, said
        assert held.subscribe("orders:ANY", "orders-algo:ANY")["errorCode"] == 80000
        assert held.redis.hlen(held.data.of("orders")) == 1
        codes = [(login.path, login.code) for login in exchange.logins]
        assert codes.count(("private", 60006)) <= 1
        assert codes[-1] == ("business", 0)
        exchange.drop("private")
        eventually(lambda: [login.code for login in exchange.logins if login.path == "private"][-2:] == [0, 0])
        held.close()


def test_no_login_waits_for_rest(hold: Hold, simulator: Simulator) -> None:
    """A REST that is not there is as a clock that is right."""
    held = hold(credentials=DEMO, rest_url=f"http://127.0.0.1:{embedded.free_port()}")
    said = held.opened()
    assert said is not None
    assert said["errorCode"] == 80000
    assert [login.code for login in simulator.logins] == [0]


def test_a_clock_that_cannot_be_measured(hold: Hold) -> None:
    """60006 is no refusal for good: it is tried again, with growing pauses, and nobody is told that the key is bad."""
    with Simulator(limits=False, ahead_s=90.0) as exchange:
        held = hold(ws_url=exchange.ws_url, rest_url=f"http://127.0.0.1:{embedded.free_port()}", credentials=DEMO)
        eventually(lambda: len(exchange.logins) >= 3, timeout=20)
        assert {login.code for login in exchange.logins} == {60006}
        assert held.registry.holder("tests") == held.token
        assert held.close() is Ending.CLOSED
