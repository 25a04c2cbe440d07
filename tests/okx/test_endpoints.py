"""Endpoints: where each region and environment listens."""

from __future__ import annotations

import pytest

from okws_celery.errors import BadCommand
from okws_celery.okx.endpoints import endpoints


@pytest.mark.parametrize(
    ("region", "demo", "ws", "rest"),
    [
        ("global", False, "wss://ws.okx.com:8443/ws/v5/public", "https://www.okx.com"),
        ("global", True, "wss://wspap.okx.com:8443/ws/v5/public", "https://www.okx.com"),
        ("us", False, "wss://wsus.okx.com:8443/ws/v5/public", "https://us.okx.com"),
        ("us", True, "wss://wsuspap.okx.com:8443/ws/v5/public", "https://us.okx.com"),
        ("eea", False, "wss://wseea.okx.com:8443/ws/v5/public", "https://eea.okx.com"),
        ("eea", True, "wss://wseeapap.okx.com:8443/ws/v5/public", "https://eea.okx.com"),
    ],
)
def test_hosts(region: str, demo: bool, ws: str, rest: str) -> None:
    """PROTOCOL 1.1."""
    found = endpoints(region, demo)
    assert (found.ws("public"), found.rest_url, found.demo) == (ws, rest, demo)


def test_an_explicit_url_wins() -> None:
    """Over region and demo; the REST URL follows the region unless it is set."""
    found = endpoints("eea", True, ws_url="ws://127.0.0.1:8080/ws/v5/")
    assert found.ws("business") == "ws://127.0.0.1:8080/ws/v5/business"
    assert found.rest_url == "https://eea.okx.com"
    assert endpoints(rest_url="http://127.0.0.1:1/").rest_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "mars"},
        {"ws_url": "http://127.0.0.1"},
        {"ws_url": "ws://"},
        {"ws_url": "ws://host:99999"},
        {"ws_url": "ws://[host"},
        {"ws_url": "127.0.0.1:8080"},
        {"rest_url": "ws://127.0.0.1"},
    ],
    ids=str,
)
def test_what_is_accepted_is_said(wrong: dict[str, str]) -> None:
    """80010."""
    with pytest.raises(BadCommand, match="accepted"):
        endpoints(**wrong)
