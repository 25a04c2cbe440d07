"""Asking the exchange's REST."""

from __future__ import annotations

import socket

import msgspec
import pytest

from okws_celery.okx.endpoints import Endpoints
from okws_celery.okx.market_rest import candles_request
from okws_celery.okx.rest import RestError, time_request
from okws_celery.session.rest_client import RestClient
from okws_celery.settings import Settings
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate
from okws_celery.store.pacing import rest_delay_s
from okws_celery.store.registry import Registry


def test_rows_come_back(redis_url: str, simulator: Simulator) -> None:
    """Candles of an instrument, newest first."""
    client = RestClient(Registry(Settings(redis_url=redis_url)), Endpoints("", simulator.rest_url))
    asked = candles_request("candle1m", "BTC-USDT", limit=3)
    assert asked is not None
    stamps = [int(msgspec.json.decode(row)[0]) for row in client.get(asked)]
    assert stamps == sorted(stamps, reverse=True)
    assert len(stamps) == 3


def test_refusals_of_the_exchange(redis_url: str, simulator: Simulator) -> None:
    """An unknown instrument is OKX's error, code and all, at once."""
    client = RestClient(Registry(Settings(redis_url=redis_url)), Endpoints("", simulator.rest_url))
    asked = candles_request("candle1m", "NO-SUCH")
    assert asked is not None
    with pytest.raises(RestError) as said:
        client.get(asked)
    assert said.value.code == 51001


def test_nobody_there(redis_url: str) -> None:
    """A connection that is refused says so at once."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        client = RestClient(Registry(Settings(redis_url=redis_url)), Endpoints("", url))
        with pytest.raises(RestError, match="REST at http://127"):
            client.get(time_request())


def test_tls_with_an_authority_of_ones_own(redis_url: str, certificate: Certificate) -> None:
    """OKWS_CA_FILE is trusted beside the system's; without it the certificate is not."""
    registry = Registry(Settings(redis_url=redis_url))
    with Simulator(limits=False, tls=(certificate.cert, certificate.key)) as secure:
        endpoints = Endpoints("", secure.rest_url)
        (row,) = RestClient(registry, endpoints, ca_file=str(certificate.cert)).get(time_request())
        assert msgspec.json.decode(row)["ts"].isdigit()
        with pytest.raises(RestError, match="REST at https"):
            RestClient(registry, endpoints).get(time_request())


def test_who_gives_up_keeps_nobody_waiting(redis_url: str) -> None:
    """A turn that is too far away is not taken, however often it is asked for."""
    registry = Registry(Settings(redis_url=redis_url))

    def delay_s() -> float:
        return rest_delay_s(registry, "okx.example", "/api/v5/market/candles", 1.0, 3.0)

    taken = [delay_s() for _ in range(4)]
    assert [round(delay) for delay in taken] == [0, 1, 2, 3]
    assert max(delay_s() for _ in range(100)) < 5.0
