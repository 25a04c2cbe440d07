"""Reads by v3 names, as programs written for okws make them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from okws_celery.errors import BadCommand
from okws_celery.query import Reader
from okws_celery.settings import load

TICKER = {"instrument_id": "ETH-USDT", "last": "2543.1", "best_bid": "2543.0", "timestamp": "2021-04-17T16:49:46.174Z"}
ACCOUNT = {"currency": "USDT", "balance": "7"}
POSITION = {"instrument_id": "BTC-USD-SWAP", "holding": [{"side": "long", "position": "10"}]}
ORDER = {"order_id": "9", "instrument_id": "BTC-USDT", "state": "0"}
SUMMARY = {"instrument_id": "BTC-USD-260925-70000-P", "underlying": "BTC-USD", "delta": "-0.5"}


@pytest.fixture
def reader(redis_url: str) -> Reader:
    """A reader of a Redis in which a session has written."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        store.hset("okex/tests/spot/ticker:ETH-USDT", mapping=TICKER)
        for minute in range(3):
            member = [f"2021-04-17T16:4{minute}:00.000Z", "1", "3", "0.5", "2", "10", "1"]
            store.zadd("okex/tests/spot/candle60s:ETH-USDT", {json.dumps(member): minute})
        store.hset("okex/tests/spot/account", mapping={"USDT": json.dumps(ACCOUNT), "BTC": "{}"})
        store.hset("okex/tests/swap/position", "BTC-USD-SWAP", json.dumps(POSITION))
        store.hset("okex/tests/spot/order", "9", json.dumps(ORDER))
        store.hset("okex/tests/spot/order", "8", json.dumps({**ORDER, "instrument_id": "ETH-USDT"}))
        store.hset("okex/tests/option/summary", SUMMARY["instrument_id"], json.dumps(SUMMARY))
    return Reader(load({"OKWS_REDIS_URL": redis_url}))


@pytest.mark.parametrize(
    ("path", "params", "found"),
    [
        ("spot/ticker", {"instrument_id": "ETH-USDT"}, TICKER),
        ("spot/ticker", {"instId": "ETH-USDT"}, TICKER),
        ("spot/ticker:ETH-USDT", None, TICKER),
        ("spot/ticker", {"instrument_id": "BTC-USDT"}, {}),
        ("spot/account", {"currency": "USDT"}, ACCOUNT),
        ("spot/account", {"ccy": "USDT"}, ACCOUNT),
        ("spot/account", {"currency": "ETH"}, {}),
        ("swap/position", {"instrument_id": "BTC-USD-SWAP"}, POSITION),
        ("spot/order", {"instrument_id": "BTC-USDT"}, [ORDER]),
        ("spot/order", {"instrument_id": "BTC-USDT", "n": 5}, [ORDER]),
        ("option/summary", {"underlying": "BTC-USD"}, [SUMMARY]),
        ("option/summary", {"underlying": "ETH-USD"}, []),
        ("futures/instruments", None, []),
        ("spot/candle60s", {"instrument_id": "BTC-USDT"}, []),
        ("spot/depth", {"instrument_id": "BTC-USDT"}, {}),
        ("spot/trade", {"instrument_id": "BTC-USDT"}, []),
    ],
)
def test_paths_and_parameters_of_okws(reader: Reader, path: str, params: dict[str, Any] | None, found: Any) -> None:
    """The shape of each kind; no data is `{}` or `[]`."""
    assert reader.get("tests", path, params) == found


@pytest.mark.parametrize("params", [{"instrument_id": "ETH-USDT", "n": 2}, {"n": 2, "instId": "ETH-USDT"}])
def test_candles_are_dicts(reader: Reader, params: dict[str, Any]) -> None:
    """The newest `n`, oldest first; `n` stands among the parameters, as in okws, or by itself."""
    names = {"open": "1", "high": "3", "low": "0.5", "close": "2", "volume": "10"}
    expected = [{"timestamp": f"2021-04-17T16:4{minute}:00.000Z", **names} for minute in (1, 2)]
    assert reader.get("tests", "spot/candle60s", params) == expected
    assert reader.get("tests", "spot/candle60s:ETH-USDT", n=2) == expected


@pytest.mark.parametrize(
    ("path", "params", "says"),
    [
        ("spot/ticker", None, "instrument_id missing"),
        ("spot/ticker", {"instrument_id": "A-B", "currency": "C"}, "one of"),
        ("spot/ticker", {"coin": "C"}, "one of"),
        ("spot/ticker:A-B", {"instrument_id": "A-B"}, "one of"),
        ("spot/all_ticker_3s", None, "no counterpart"),
        ("spot/candle60s", {"instrument_id": "A-B", "n": 0}, "n 0"),
    ],
)
def test_what_is_wrong_is_named(reader: Reader, path: str, params: dict[str, Any] | None, says: str) -> None:
    """80010, with what is accepted."""
    with pytest.raises(BadCommand) as caught:
        reader.get("tests", path, params)
    assert says in str(caught.value)
