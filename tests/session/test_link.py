"""One connection and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from session.holding import Held
from waiting import eventually

from okws_celery.session.link import Link, LinkLost
from okws_celery.simulator import Simulator


def test_waiting_for_its_turn_is_no_failure() -> None:
    """After an outage a link may wait minutes for OKX's 3 connections a second; its 30 s begin when its turn comes."""
    link = Link("public", "ws://127.0.0.1:1/ws/v5/public", "tests", lambda link, mask: None)
    attempt = link.connecting()
    link.tick(1_000.0)
    link.turn_has_come(attempt, 1_000.0)
    link.tick(1_029.0)
    with pytest.raises(LinkLost):
        link.tick(1_031.0)


def test_turn_of_an_older_attempt_does_not_count() -> None:
    """A helper that was given up says nothing of the present attempt."""
    link = Link("public", "ws://127.0.0.1:1/ws/v5/public", "tests", lambda link, mask: None)
    older = link.connecting()
    link.connecting()
    link.turn_has_come(older, 0.0)
    link.tick(1_000.0)


def test_closed_before_its_turn(hold: Callable[..., Held], simulator: Simulator) -> None:
    """A session that is closed while its link waits for its turn connects no more when that comes."""
    held = hold()
    held.opened()
    slot_ms = int(time.time() * 1000) + 2_000
    held.redis.set(held.registry.shared.connects(f"{simulator.host}:{simulator.port}"), slot_ms)
    held.subscribe("tickers:BTC-USDT", wait=0.3)
    assert held.close() is not None
    eventually(lambda: time.time() * 1000 > slot_ms + 700)
    assert simulator.connects == 0
