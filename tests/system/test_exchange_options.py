"""Region, demo, proxy and URLs: of the process, of a profile, of one open_ws. Each reaches the connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from houses import ACCOUNT, House
from proxies import Proxy
from waiting import eventually
from workers import Worker

from okws_celery.errors import DONE
from okws_celery.simulator import Simulator
from okws_celery.sync import Client

Start = Callable[..., Worker]


@pytest.fixture
def proxies() -> Iterator[dict[str, Proxy]]:
    """Three ways out, which reach this machine only: whose was taken, and where to, stands in `places`."""
    with Proxy() as process, Proxy(login=("desk", "w0rd")) as profile, Proxy() as call:
        named = {"process": process, "profile": profile, "call": call}
        for proxy in named.values():
            proxy.hosts = {"127.0.0.1": "127.0.0.1"}
        yield named


def test_whose_proxy(house: House, start: Start, client: Client, proxies: dict[str, Proxy]) -> None:
    """An open_ws wins over its profile, that over the process; a proxy's password shows nowhere."""
    desk = ACCOUNT | {"proxy": proxies["profile"].url("socks5")}
    worker = start(OKWS_PROXY=proxies["process"].url("http"), OKWS_PROFILE_DESK=json.dumps(desk))
    options = {
        "process": {},
        "profile": {"profile": "desk"},
        "call": {"profile": "desk", "proxy": proxies["call"].url("socks5h")},
    }
    exchange = ("127.0.0.1", urlsplit(house.simulator.ws_url).port)
    taken = set()
    for name, given in options.items():
        assert client.open_ws(name, **given)["errorCode"] == DONE
        assert client.subscribe(name, "tickers:BTC-USDT")["errorCode"] == DONE
        taken.add(name)
        # Sessions that were opened before may go on asking, each its own proxy.
        assert {key for key, proxy in proxies.items() if proxy.asked} == taken
        assert exchange in proxies[name].places
    assert "w0rd" not in worker.text()


@pytest.mark.parametrize(
    ("variables", "cases"),
    [
        (
            {},
            [
                ({}, "ws.okx.com", "www.okx.com"),
                ({"region": "eea", "demo": True}, "wseeapap.okx.com", "eea.okx.com"),
                ({"profile": "desk"}, "wsuspap.okx.com", "us.okx.com"),
                ({"profile": "desk", "demo": False, "region": "global"}, "ws.okx.com", "www.okx.com"),
                ({"rest_url": "https://own.test"}, "ws.okx.com", "own.test"),
            ],
        ),
        (
            {"OKWS_REGION": "us", "OKWS_DEMO": "1"},
            [
                ({}, "wsuspap.okx.com", "us.okx.com"),
                ({"region": "eea"}, "wseeapap.okx.com", "eea.okx.com"),
                ({"demo": False}, "wsus.okx.com", "us.okx.com"),
            ],
        ),
        (
            {"OKWS_WS_URL": "wss://desk.test/ws/v5", "OKWS_REST_URL": "https://rest.test"},
            [
                ({"region": "eea"}, "desk.test", "rest.test"),
                ({"ws_url": "wss://own.test/ws/v5"}, "own.test", "rest.test"),
            ],
        ),
    ],
)
def test_where_to(
    start: Start,
    client: Client,
    proxies: dict[str, Proxy],
    variables: dict[str, str],
    cases: list[tuple[dict[str, object], str, str]],
) -> None:
    """The host that the proxy is asked for, for WebSocket and for REST, is that of the region, or of the URL."""
    proxy = proxies["process"]
    desk = '{"region": "us", "demo": true}'
    given = {"OKWS_WS_URL": "", "OKWS_REST_URL": "", "OKWS_PROFILE_DESK": desk, "OKWS_PROXY": proxy.url("http")}
    start(**(given | variables))
    for number, (options, ws, rest) in enumerate(cases):
        # Each its own, as a session that was just closed may have been about to ask.
        with Proxy() as own:
            assert client.open_ws(f"s{number}", **options, proxy=own.url("http"))["errorCode"] == DONE
            assert client.subscribe(f"s{number}", "candle1m:BTC-USDT", timeout=0.5)["errorCode"] != DONE
            eventually(
                lambda ws=ws, own=own: ws in {host for host, _ in own.places}, timeout=30, what=f"{ws} is asked for"
            )
            assert client.close_ws(f"s{number}")["errorCode"] == DONE
            assert {host for host, _ in own.places} <= {ws, rest}
    assert not proxy.asked


def test_two_exchanges(start: Start, client: Client, house: House) -> None:
    """One worker holds sessions of several places at once."""
    start()
    with Simulator(limits=False, seed=7) as other:
        assert client.open_ws("here", ACCOUNT)["errorCode"] == DONE
        urls = {"ws_url": other.ws_url, "rest_url": other.rest_url}
        assert client.open_ws("there", ACCOUNT, **urls)["errorCode"] == DONE
        for name in ("here", "there"):
            assert client.subscribe(name, ["tickers:BTC-USDT", "account"])["errorCode"] == DONE
        assert (house.simulator.connects, other.connects) == (2, 2)
