"""Topics: three spellings, one meaning; anything else is a clear error."""

from __future__ import annotations

from typing import Any

import pytest

from okws_celery.errors import BadCommand
from okws_celery.okx.catalogue import CATALOGUE, Kind
from okws_celery.okx.topics import parse_topic, topic_of


@pytest.mark.parametrize(
    ("given", "text", "arg"),
    [
        ("tickers:ETH-USDT", "tickers:ETH-USDT", {"instId": "ETH-USDT"}),
        (" tickers:ETH-USDT ", "tickers:ETH-USDT", {"instId": "ETH-USDT"}),
        ("tickers:instId=ETH-USDT", "tickers:ETH-USDT", {"instId": "ETH-USDT"}),
        ({"instId": "ETH-USDT", "channel": "tickers"}, "tickers:ETH-USDT", {"instId": "ETH-USDT"}),
        ("candle1Dutc:BTC-USDT", "candle1Dutc:BTC-USDT", {"instId": "BTC-USDT"}),
        ("orders:SPOT", "orders:SPOT", {"instType": "SPOT"}),
        (
            "orders:instId=BTC-USDT-SWAP,instType=SWAP",
            "orders:instType=SWAP,instId=BTC-USDT-SWAP",
            {"instType": "SWAP", "instId": "BTC-USDT-SWAP"},
        ),
        ("account", "account", {}),
        ("account:USDT", "account:USDT", {"ccy": "USDT"}),
        ({"channel": "account", "ccy": ""}, "account", {}),
        ("status", "status", {}),
        ("fills:BTC-USDT", "fills:BTC-USDT", {"instId": "BTC-USDT"}),
        (
            {"channel": "positions", "instType": "ANY", "extraParams": {"updateInterval": "0"}},
            'positions:instType=ANY,extraParams={"updateInterval":"0"}',
            {"instType": "ANY", "extraParams": '{"updateInterval":"0"}'},
        ),
        (
            {"channel": "account", "extraParams": '\n  {\n    "updateInterval": "0"\n  }\n'},
            'account:extraParams={"updateInterval":"0"}',
            {"extraParams": '{"updateInterval":"0"}'},
        ),
        (
            "sprd-tickers:BTC-USDT_BTC-USDT-SWAP",
            "sprd-tickers:BTC-USDT_BTC-USDT-SWAP",
            {"sprdId": "BTC-USDT_BTC-USDT-SWAP"},
        ),
        ({"channel": "newer", "b": "2", "a": "1"}, "newer:a=1,b=2", {"a": "1", "b": "2"}),
        ({"channel": "newer", "a": "1"}, "newer:a=1", {"a": "1"}),
        ({"channel": "newer"}, "newer", {}),
    ],
)
def test_spellings(given: Any, text: str, arg: dict[str, str]) -> None:
    """Whatever way it is written, it is known by its shortest text; that text leads back to it."""
    topic = parse_topic(given)
    assert topic.text == text
    assert topic.arg_object == {"channel": text.partition(":")[0], **arg}
    assert parse_topic(topic) is topic
    assert parse_topic(text, stored=True) == topic


def test_every_known_channel_can_be_written_and_read_back() -> None:
    """With its required keys alone, and with all of them."""
    for channel in CATALOGUE.values():
        for keys in (channel.required, channel.arg_keys):
            values = {key: "ANY" if key == "instType" else "A-B" for key in keys}
            topic = topic_of(channel, values)
            assert parse_topic(topic.text) == parse_topic(topic.arg_object) == topic


def test_the_exchange_status_is_stored_under_another_name() -> None:
    """`okex/N/status` is the session's."""
    assert parse_topic("status").path == "system-status"
    assert parse_topic("tickers:A").path == "tickers:A"


def test_an_unknown_channel_is_kept_as_latest() -> None:
    """On the public path, with any keys."""
    topic = parse_topic({"channel": "newer", "instId": "A"})
    assert (topic.channel.kind, topic.channel.path, topic.channel.login) == (Kind.LATEST, "public", False)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "accepted"),
        (None, "accepted"),
        (7, "accepted"),
        ("tikcers:BTC-USDT", "did you mean tickers"),
        ("tickers", "instId missing"),
        ("tickers:", "nothing stands after the colon"),
        ("tickers:BTC USDT", "characters"),
        ("tickers:BTC-USDT,ETH-USDT", "characters"),
        ("tickers:BTC-USDT\nx", "characters"),
        ("orders:instType=SWAP,instType=SPOT", "each once"),
        ("orders:instType=", "channel:key=value"),
        ("orders:BOND", "accepted"),
        ("orders:instType=SWAP,uly=BTC-USD", "'uly' is not one of its keys"),
        ("status:BTC-USDT", "takes no argument"),
        ("candle2m:BTC-USDT", "candle"),
        ("spot/tickr:ETH-USDT", "did you mean spot/ticker"),
        ("sport/ticker:ETH-USDT", "accepted"),
        ("tickers:" + "A" * 300, "characters"),
        ({}, "channel"),
        ({"channel": 1}, "channel"),
        ({"channel": "a b"}, "channel"),
        ({"channel": "tickers", "instId": 1}, "values are text"),
        ({"channel": "tickers", "instId": None}, "values are text"),
        ({"channel": "tickers", "inst-id": "x"}, "keys are letters"),
        ({"channel": "orders", "instType": "swap"}, "accepted"),
        ({"channel": "newer", "a": "x y"}, "characters"),
    ],
)
def test_what_is_wrong_is_named(given: Any, says: str) -> None:
    """80010, with what was wrong or what is accepted, before it reaches the exchange."""
    with pytest.raises(BadCommand) as caught:
        parse_topic(given)
    assert says in str(caught.value)
    assert caught.value.code == 80010


def test_partial() -> None:
    """For a reader a topic of state may name less than a subscription must; no other topic may."""
    assert parse_topic("orders", partial=True).arg_object == {"channel": "orders"}
    assert parse_topic({"channel": "orders", "instId": "X-Y"}, partial=True).text == "orders:instId=X-Y"
    for given in ("orders", {"channel": "orders", "instId": "X-Y"}):
        with pytest.raises(BadCommand, match="instType missing"):
            parse_topic(given)
    with pytest.raises(BadCommand, match="instId missing"):
        parse_topic("tickers", partial=True)
