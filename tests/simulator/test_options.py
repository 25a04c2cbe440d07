"""Switches of the exchange: the demo environment, limits of subscriptions, refused logins that close."""

from __future__ import annotations

import pytest
from simulator.talking import Talk, login_arg

from okws_celery.okx.login import Credentials
from okws_celery.simulator import Simulator

PAPER = ("paper", "paper-secret", "paper-pass")
LIVE = ("demo", "demo-secret", "demo-pass")


@pytest.mark.parametrize(("demo", "right", "wrong"), [(False, LIVE, PAPER), (True, PAPER, LIVE)])
def test_each_environment_has_its_keys(demo: bool, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    """A key of one environment is 50101 in the other (PROTOCOL 1.1)."""
    with Simulator(demo=demo) as sim, Talk(sim.ws_url + "/private") as talk:
        assert talk.login(*wrong)["code"] == "50101"
        assert talk.login(*right)["event"] == "login"
        assert talk.login(*right)["code"] == "60031"


def test_a_broker_id_makes_it_demo() -> None:
    """`?brokerId=9999` chooses the demo environment for one connection; the keys can be one's own."""
    key = Credentials("k", "s", "p")
    with Simulator(demo_keys=[key]) as sim:
        with Talk(sim.ws_url + "/private?brokerId=9999") as talk:
            assert talk.login("k", "s", "p")["event"] == "login"
            talk.subscribe("account")
            talk.push("account")
        with Talk(sim.ws_url + "/private") as talk:
            assert talk.login("k", "s", "p")["code"] == "50101"


def test_too_many_on_one_connection() -> None:
    """One subscription more than there is room for on a connection closes it with 4009; another has room again."""
    with Simulator(most_on_one=2) as sim, Talk(sim.ws_url + "/public") as other:
        with Talk(sim.ws_url + "/public") as talk:
            talk.ask("subscribe", "tickers:BTC-USDT", "tickers:ETH-USDT", "tickers:SOL-USDT")
            assert talk.close_code() == 4009
        other.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
        other.ask("unsubscribe", "tickers:BTC-USDT")
        other.event("unsubscribe")
        other.subscribe("tickers:SOL-USDT")
        other.push("tickers")


def test_too_many_in_all() -> None:
    """One subscription more than there is room for on all connections closes who asks for it with 4008."""
    with Simulator(most_in_all=3) as sim, Talk(sim.ws_url + "/public") as first, Talk(sim.ws_url + "/public") as second:
        first.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
        second.ask("subscribe", "tickers:BTC-USDT", "tickers:ETH-USDT")
        assert second.close_code() == 4008
        first.subscribe("tickers:SOL-USDT")
        first.push("tickers")


def test_a_refused_login_may_end_the_connection() -> None:
    """With `login_closes` the error is followed by the close with 4001."""
    with Simulator(login_closes=True) as sim, Talk(sim.ws_url + "/private") as talk:
        assert talk.login(passphrase="wrong")["code"] == "60024"
        assert talk.close_code() == 4001


def test_key_and_token_together(sim: Simulator) -> None:
    """60026: a login by key and token at once."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.ask("login", {**login_arg(*LIVE), "token": "x"})
        assert talk.event("error")["code"] == "60026"
