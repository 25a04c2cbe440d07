"""Channels that OKX has added since: given as an arg object they work on whatever path they live, login or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from examples import Example, example, recording
from session.holding import DEMO, Held
from waiting import eventually

from okws_celery.okx.catalogue import channel_of
from okws_celery.simulator import Simulator

NEWER: Example = example(channel_of("newer"), {"instId": "BTC-USDT"})


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Simulator]:
    """An exchange that has a channel which is not in the catalogue."""
    file = tmp_path / "replay.jsonl"
    file.write_text(recording([NEWER]))
    with Simulator(limits=False, replay=file, pace="max") as running:
        yield running


def refused_on(market: Simulator, *paths: str) -> None:
    """The channel does not live there."""
    for path in paths:
        market.fault("refuse", path=path, channel="newer", code=60018)


@pytest.mark.parametrize(
    ("path", "others"), [("public", []), ("business", ["public"]), ("private", ["public", "business"])]
)
def test_it_is_found_on_its_path(hold: Callable[..., Held], market: Simulator, path: str, others: list[str]) -> None:
    """The caller hears of success alone; after a cut it is asked for where it was found."""
    refused_on(market, *others)
    held = hold(ws_url=market.ws_url, credentials=DEMO)
    opened = held.opened()  # also the login that shows whether the key is good is behind it
    assert opened is not None
    assert opened["errorCode"] == 80000
    assert held.subscribe(NEWER.topic.text)["errorCode"] == 80000
    key = held.data.of(NEWER.topic.path)
    assert held.redis.hget(key, "ts") == NEWER.rows[0]["ts"]
    (link,) = [link for link in market.connections() if link.path == path]
    assert link.logged_in
    held.redis.delete(key)
    before = len(market.requests)
    market.drop(path)
    eventually(lambda: held.redis.exists(key), timeout=20)
    assert [request.op for request in market.requests[before:]] == ["login", "subscribe"]
    assert held.unsubscribe(NEWER.topic.text)["errorCode"] == 80000
    assert market.subscribed(NEWER.topic.arg_object) == 0


def test_it_is_nowhere(hold: Callable[..., Held], market: Simulator) -> None:
    """Refused with OKX's own words; whoever asks anew has it looked for anew."""
    refused_on(market, "public", "business", "private")
    held = hold(ws_url=market.ws_url, credentials=DEMO)
    assert held.subscribe(NEWER.topic.text)["errorCode"] == 60018
    assert held.topic(NEWER.topic.text)["state"] == "refused"
    market.clear_faults()
    assert held.subscribe(NEWER.topic.text)["errorCode"] == 80000
    assert held.topic(NEWER.topic.text)["state"] == "live"


def test_it_needs_a_login_that_the_session_has_not(hold: Callable[..., Held], market: Simulator) -> None:
    """Refused, also where OKX says so only after its ack; not asked for again and again."""
    refused_on(market, "public")
    market.fault("refuse", path="business", channel="newer", code=60011, text="Please log in.", late_s=0.0)
    held = hold(ws_url=market.ws_url)
    held.subscribe(NEWER.topic.text)
    eventually(lambda: held.topic(NEWER.topic.text)["state"] == "refused")
    assert "60011" in held.topic(NEWER.topic.text)["reason"]
    assert len(market.requests) == 2
