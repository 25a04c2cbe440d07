"""Sessions through a real proxy: HTTP CONNECT and SOCKS5, with login, TLS and names that only the proxy knows."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from proxies import Asked, Proxy
from session.holding import Held
from waiting import eventually

from okws_celery.errors import DONE
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate

LOGIN = ("desk@home", "p:w/d%1 ")
TOPIC = "tickers:BTC-USDT"

Hold = Callable[..., Held]


def elsewhere(url: str, host: str) -> str:
    """The URL under another name of its host."""
    return url.replace("127.0.0.1", host)


@pytest.mark.parametrize("login", [None, LOGIN], ids=["open", "login"])
@pytest.mark.parametrize(
    ("scheme", "kind", "host", "seen"),
    [
        ("http", "connect", "exchange.test", "exchange.test"),
        ("socks5h", "socks5", "exchange.test", "exchange.test"),
        ("socks5", "socks5", "localhost", "127.0.0.1"),  # the name is looked up here
    ],
)
def test_through_a_proxy(
    hold: Hold, simulator: Simulator, scheme: str, kind: str, host: str, seen: str, login: tuple[str, str] | None
) -> None:
    """The session works, all of it went through the proxy, and the proxy was told the login."""
    port = urlsplit(simulator.ws_url).port
    with Proxy({seen: "127.0.0.1"}, login) as proxy:
        urls = {name: elsewhere(getattr(simulator, name), host) for name in ("ws_url", "rest_url")}
        held = hold(**urls, proxy=proxy.url(scheme))
        assert held.subscribe(TOPIC)["errorCode"] == DONE
        eventually(lambda: held.redis.hget(held.data.of(TOPIC), "last"))
        assert Asked(kind, seen, port, login[0] if login else "") in proxy.asked
        assert simulator.connects == 1


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_wrong_login(hold: Hold, simulator: Simulator, caplog: pytest.LogCaptureFixture, scheme: str) -> None:
    """A proxy that does not take the login is no way to the exchange, and is not gone around; no password is logged."""
    with Proxy({"127.0.0.1": "127.0.0.1"}, LOGIN) as proxy, caplog.at_level("DEBUG"):
        held = hold(proxy=proxy.url(scheme, ("desk", "wrongword")))
        assert held.subscribe(TOPIC, wait=1.0) == {}
        eventually(lambda: held.redis.get(held.data.status) == "DISCONNECTED")
        assert proxy.refused_logins
        assert simulator.connects == 0
    assert "wrongword" not in caplog.text


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_tls(redis_url: str, certificate: Certificate, scheme: str) -> None:
    """Through the tunnel the exchange's own certificate is checked."""
    with Simulator(limits=False, tls=(certificate.cert, certificate.key)) as secure, Proxy() as proxy:
        proxy.hosts = {"127.0.0.1": "127.0.0.1"}
        held = Held(redis_url, secure.ws_url, ca_file=certificate.cert, proxy=proxy.url(scheme))
        assert held.subscribe(TOPIC)["errorCode"] == DONE
        held.close()
        untrusting = Held(redis_url, secure.ws_url, proxy=proxy.url(scheme))
        assert untrusting.subscribe(TOPIC, wait=1.0) == {}
        untrusting.close()
        assert len(proxy.asked) > 1


def test_proxy_that_was_down(hold: Hold, simulator: Simulator, free_port: Callable[[], int]) -> None:
    """Without its proxy the session waits; it is connected when the proxy is there."""
    with Proxy({"127.0.0.1": "127.0.0.1"}) as proxy:
        url = proxy.url("socks5")
        proxy.hosts = {}
        held = hold(proxy=url)
        assert held.subscribe(TOPIC, wait=1.0) == {}
        assert simulator.connects == 0
        proxy.hosts = {"127.0.0.1": "127.0.0.1"}
        eventually(lambda: held.topic(TOPIC).get("state") == "live", timeout=60)


class TestEnvironment:
    @pytest.fixture
    def proxied(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Sets the variables of proxies, and no others of that kind."""

        def set_variables(**variables: str) -> None:
            for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
                monkeypatch.delenv(name.upper(), raising=False)
                if name.upper() in variables:
                    monkeypatch.setenv(name, variables[name.upper()])

        return set_variables

    @pytest.mark.parametrize("scheme", ["http", "socks5h", ""])
    def test_https_proxy(
        self, redis_url: str, certificate: Certificate, proxied: Callable[..., None], scheme: str
    ) -> None:
        """HTTPS_PROXY is used as other programs use it, SOCKS and `host:port` included."""
        with Simulator(limits=False, tls=(certificate.cert, certificate.key)) as secure, Proxy() as proxy:
            proxy.hosts = {"127.0.0.1": "127.0.0.1"}
            proxied(HTTPS_PROXY=proxy.url(scheme).removeprefix("://"))
            held = Held(redis_url, secure.ws_url, ca_file=certificate.cert)
            assert held.subscribe(TOPIC)["errorCode"] == DONE
            assert ("127.0.0.1", urlsplit(secure.ws_url).port) in proxy.places
            held.close()

    def test_no_proxy(self, hold: Hold, simulator: Simulator, proxied: Callable[..., None]) -> None:
        """NO_PROXY is an exception to the environment's proxy, not to one that was asked for."""
        with Proxy({"127.0.0.1": "127.0.0.1"}) as common, Proxy({"127.0.0.1": "127.0.0.1"}) as own:
            proxied(HTTP_PROXY=common.url("http"), NO_PROXY="127.0.0.1")
            assert hold("plain", rest_url=simulator.rest_url).subscribe(TOPIC)["errorCode"] == DONE
            assert common.asked == []
            proxied_session = hold("own", rest_url=simulator.rest_url, proxy=own.url("http"))
            assert proxied_session.subscribe(TOPIC)["errorCode"] == DONE
            assert own.asked

    def test_proxy_of_an_unknown_kind(self, hold: Hold, simulator: Simulator, proxied: Callable[..., None]) -> None:
        """It is not gone around."""
        proxied(HTTP_PROXY="gopher://127.0.0.1:70")
        held = hold()
        assert held.subscribe(TOPIC, wait=1.0) == {}
        assert simulator.connects == 0
