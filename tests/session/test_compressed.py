"""Sessions whose exchange compresses what it sends (permessage-deflate)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from session.holding import Held
from waiting import eventually

from okws_celery.simulator import Simulator


def counters(held: Held) -> dict[str, Any]:
    """What `inspect sessions` shows."""
    return dict(json.loads(held.redis.get(held.keys.counters) or "{}"))


def bytes_of_a_book(held: Held) -> int:
    """Subscribe a book; how many bytes have come when it stands in Redis and has been updated."""
    assert held.subscribe("books:BTC-USDT")["errorCode"] == 80000
    book = held.data.of("books:BTC-USDT")
    first = held.redis.hget(book, "seqId")
    eventually(lambda: held.redis.hget(book, "seqId") != first)
    assert held.redis.hget(book, "state") == "live"
    link = eventually(lambda: counters(held).get("links", {}).get("public"))
    assert counters(held)["rubbish"] == {}
    assert link["connects"] == 1
    return int(link["bytes"])


def test_a_book_takes_less_on_the_way(hold: Callable[..., Held], simulator: Simulator) -> None:
    """It is in Redis as if it had not been compressed, and a snapshot of 800 levels is less than half as long."""
    assert bytes_of_a_book(hold("small", deflate=True)) * 2 < bytes_of_a_book(hold("large"))


def test_an_exchange_that_does_not_compress(hold: Callable[..., Held]) -> None:
    """What was offered is declined, and all is as without."""
    with Simulator(limits=False, deflate=False) as plain:
        held = hold(deflate=True, ws_url=plain.ws_url, rest_url=plain.rest_url)
        assert held.subscribe("tickers:BTC-USDT")["errorCode"] == 80000
        assert held.redis.hget(held.data.of("tickers:BTC-USDT"), "instId") == "BTC-USDT"
        assert held.close() is not None
