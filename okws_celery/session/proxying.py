"""Which proxy a connection to the exchange goes through, for WebSocket and REST alike."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from okws_celery.errors import BadCommand
from okws_celery.okx.endpoints import check_proxy

__all__ = ["proxy_for"]

_ENVIRONMENT = {"wss": "https", "ws": "http"}
"""WebSocket URLs go where web pages go: HTTPS_PROXY is for wss."""


def proxy_for(url: str, given: str) -> str:
    """The proxy for this URL, "" for none: the one that was given, else HTTPS_PROXY and its like.

    NO_PROXY is an exception to the latter only: a proxy that was given on purpose is used.
    """
    if given:
        return given
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return ""
    found = getproxies()
    proxy = found.get(_ENVIRONMENT.get(parts.scheme, parts.scheme)) or found.get("all", "")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        return check_proxy(proxy)
    except BadCommand as problem:
        raise ConnectionError(f"the environment's {problem}") from None
