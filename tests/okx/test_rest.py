"""REST requests and answers as values."""

from __future__ import annotations

import pytest

from okws_celery.okx.login import Credentials
from okws_celery.okx.market_rest import candles_request
from okws_celery.okx.rest import RestError, RestRequest, parse_answer


def test_signature_of_a_request_with_a_query() -> None:
    """The worked vector of PROTOCOL 3: path and query are signed with a time in ISO form."""
    who = Credentials("key", "22582BD0CFF14C41EDBF1AB98506286D", "pass")
    headers = RestRequest("/api/v5/account/balance", {"ccy": "BTC"}).headers(who, False, 1607418537.715)
    assert headers["OK-ACCESS-TIMESTAMP"] == "2020-12-08T09:08:57.715Z"
    assert headers["OK-ACCESS-SIGN"] == "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="
    assert headers["OK-ACCESS-KEY"] == "key"
    assert "x-simulated-trading" not in headers


def test_demo_trading_has_a_header_of_its_own() -> None:
    """Demo calls say so; nobody is named where nothing is signed."""
    assert RestRequest("/x").headers(None, True, 0.0) == {"x-simulated-trading": "1"}


def test_candles_of_each_kind_have_an_endpoint() -> None:
    """Candles, index and mark price candles; 1s bars come from another one than the newest rows; spreads have none."""
    asked = candles_request("candle1m", "BTC-USDT", limit=1000, older_than=5)
    assert asked is not None
    assert asked.target == "/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=300&after=5"
    asked = candles_request("index-candle1H", "BTC-USD")
    assert asked is not None
    assert asked.target == "/api/v5/market/index-candles?instId=BTC-USD&bar=1H&limit=100"
    asked = candles_request("candle1s", "BTC-USDT")
    assert asked is not None
    assert asked.target == "/api/v5/market/history-candles?instId=BTC-USDT&bar=1s&limit=300"
    assert candles_request("sprd-candle1m", "BTC-USDT_BTC-USDT-SWAP") is None


@pytest.mark.parametrize(
    ("status", "body", "code", "passing"),
    [
        (200, b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}', 51001, False),
        (429, b'{"code":"50011","msg":"Too Many Requests","data":[]}', 50011, True),
        (200, b'{"code":"50011","msg":"Too Many Requests"}', 50011, True),
        (503, b"<html>busy</html>", 0, True),
        (404, b"", 0, False),
        (200, b'{"code":"0","data":{}}', 0, False),
    ],
)
def test_answers_that_say_no(status: int, body: bytes, code: int, passing: bool) -> None:
    """OKX's code and whether trying again may help; what is no answer of OKX is an error as well."""
    with pytest.raises(RestError) as said:
        parse_answer(status, body)
    assert (said.value.code, said.value.passing) == (code, passing)


def test_rows_stay_as_they_came() -> None:
    """The rows are not taken apart."""
    assert parse_answer(200, b'{"code":"0","msg":"","data":[["1","2"],{"a": "b"}]}') == [b'["1","2"]', b'{"a": "b"}']
