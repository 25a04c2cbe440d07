"""The topics, owner and time to live of a call."""

from __future__ import annotations

from typing import Any

import pytest

from okws_celery.calls.subscribing import checked_topics, of_one
from okws_celery.errors import DONE, BadCommand, answer


@pytest.mark.parametrize(
    "topic",
    [
        "tickers:BTC-USDT",
        {"channel": "tickers", "instId": "BTC-USDT"},
        ["tickers:BTC-USDT"],
        ("tickers:BTC-USDT", {"instId": "BTC-USDT", "channel": "tickers"}),
        (topic for topic in ["tickers:BTC-USDT"]),
    ],
)
def test_spellings(topic: Any) -> None:
    """A topic is itself in every spelling, alone, in a list, twice in a list."""
    assert checked_topics("s1", topic, "-") == ["tickers:BTC-USDT"]


@pytest.mark.parametrize("topic", ["", "nope", [], {}, None, 5, ["tickers:BTC-USDT", "nope"], [None]])
def test_no_topics(topic: Any) -> None:
    """What has one wrong topic has none."""
    with pytest.raises(BadCommand):
        checked_topics("s1", topic, "-")


@pytest.mark.parametrize("ttl", [0, -1, "5", True, float("inf"), float("nan"), []])
def test_wrong_time_to_live(ttl: Any) -> None:
    """A time to live is a number of seconds."""
    with pytest.raises(BadCommand, match="seconds"):
        checked_topics("s1", "account", "-", ttl)


def test_answer_in_the_form_of_the_question() -> None:
    """A topic that stood alone is answered alone."""
    one = answer(DONE, "subscribed account")
    said = answer(DONE, "all", topics={"account": one})
    assert of_one("account", said) == one
    assert of_one({"channel": "account"}, said) == one
    assert of_one(["account"], said) == said
    refused = answer(80011, "no session")
    assert of_one("account", refused) == refused
