"""Where OKX listens: WebSocket and REST hosts by region and environment (PROTOCOL 1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from okws_celery.errors import BadCommand

__all__ = ["PATHS", "REGIONS", "Endpoints", "check_proxy", "endpoints"]

PATHS = ("public", "private", "business")
"""The three WebSocket paths; each connection serves one."""

# region: (WebSocket production, WebSocket demo, REST). Australia uses the US stack.
_HOSTS = {
    "global": ("wss://ws.okx.com:8443", "wss://wspap.okx.com:8443", "https://www.okx.com"),
    "us": ("wss://wsus.okx.com:8443", "wss://wsuspap.okx.com:8443", "https://us.okx.com"),
    "eea": ("wss://wseea.okx.com:8443", "wss://wseeapap.okx.com:8443", "https://eea.okx.com"),
}
REGIONS = tuple(_HOSTS)
_PROXY_SCHEMES = ("http", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """`ws_url` is the base to which `/public` and so on are appended; demo REST calls need a header of their own."""

    ws_url: str
    rest_url: str
    demo: bool = False

    def ws(self, path: str) -> str:
        """The WebSocket URL of one of PATHS."""
        return f"{self.ws_url}/{path}"


def endpoints(region: str = "global", demo: bool = False, ws_url: str = "", rest_url: str = "") -> Endpoints:
    """Endpoints of a region; an explicit URL wins over region and demo. BadCommand if one is not usable."""
    if region not in _HOSTS:
        raise BadCommand(f"region {region!r}: {', '.join(REGIONS)} are accepted")
    live, paper, rest = _HOSTS[region]
    return Endpoints(
        ws_url=_checked(ws_url, "WebSocket URL", ("ws", "wss")) or (paper if demo else live) + "/ws/v5",
        rest_url=_checked(rest_url, "REST URL", ("http", "https")) or rest,
        demo=demo,
    )


def check_proxy(proxy: str) -> str:
    """The proxy's URL itself, "" for none; BadCommand if it is not one. The error shows no password."""
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _PROXY_SCHEMES and parts.hostname and parts.port
    except ValueError:
        usable = False
    if proxy and not usable:
        accepted = ", ".join(f"{scheme}://host:port" for scheme in _PROXY_SCHEMES)
        raise BadCommand(f"proxy {proxy.rpartition('@')[2]!r}: {accepted} are accepted")
    return proxy


def _checked(url: str, what: str, schemes: tuple[str, ...]) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        shown = url.partition("://")[0] + "://***@" + url.rpartition("@")[2] if "@" in url else url
        raise BadCommand(f"{what} {shown!r}: {' or '.join(s + '://host[:port][/path]' for s in schemes)} is accepted")
    return url.rstrip("/")
