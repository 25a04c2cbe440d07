"""Who takes part: how each is started, what it stores and publishes, and where that can be checked."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis

__all__ = ["CONTESTANTS", "OURS", "PICOWS", "Contestant", "ours"]

_CRYPTOFEED_3 = Path(".venv") / "cryptofeed3" / "bin" / "python"
"""Where the Makefile puts cryptofeed 3, if it finds a Python 3.13."""


def _of_hash(client: redis.Redis, key: str) -> int:
    return int(client.hget(key, "sent") or 0)


def _of_stream(client: redis.Redis, key: str) -> int:
    last = client.xrevrange(key, count=1)
    return round(float(last[0][1]["timestamp"]) * 1e6) if last else 0


@dataclass(frozen=True)
class Contestant:
    """`program` is the module and its own arguments; `needs` are the packages without which it cannot take part."""

    name: str
    program: tuple[str, ...]
    needs: tuple[str, ...] = ()
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    encrypted: bool = False
    """Whether it takes the stream over wss."""
    kinds: bool = True
    """Whether it stores books and candles, too."""
    publishes: bool = True
    stores_all: bool = True
    """Whether every trade must be there at the end."""
    session: str = "bench"
    """Name in its pub/sub channels, or a pattern of names."""
    trades: str = "okex/bench/trades:{}"
    """Key of an instrument's trades."""
    latest: str = "okex/bench/tickers:{}"
    """Key of an instrument's last ticker, or of the stream of its tickers."""
    time_of_last: Callable[[redis.Redis, str], int] = _of_hash
    """When the ticker that stands last under that key was sent, Unix us; 0 if there is none."""

    @property
    def missing(self) -> str:
        """What it needs and is not installed."""
        if self.python != sys.executable:
            return "" if Path(self.python).exists() else "a Python 3.13 with cryptofeed 3"
        return ", ".join(name for name in self.needs if importlib.util.find_spec(name) is None)


def ours(
    form: str, *, encrypted: bool = False, deflate: bool = False, sessions: int = 1, workers: int = 1
) -> Contestant:
    """This project; `form` is OKWS_PUBLISH."""
    said = {"both": "default", "pushes": "pushes published", "none": "nothing published"}[form]
    how = (", wss" if encrypted else "") + (", deflate" if deflate else "")
    return Contestant(
        f"okws_celery, {said}{how}",
        ("product", str(sessions), str(workers)),
        environment={"OKWS_PUBLISH": form, "OKWS_DEFLATE": str(int(deflate))},
        encrypted=encrypted,
        publishes=form != "none",
        session="bench" if sessions == 1 else "bench*",
    )


OURS = ours("pushes")
PICOWS = Contestant("picows + uvloop + msgspec", ("picows_tuned",), ("picows", "uvloop"))

_CRYPTOFEED = Contestant(
    "cryptofeed",
    ("cryptofeed_redis",),
    ("cryptofeed",),
    encrypted=True,  # it refuses to connect without TLS
    kinds=False,
    publishes=False,
    trades="trades-OKX-{}",
    latest="ticker-OKX-{}",
    time_of_last=_of_stream,
)


def _everybody() -> Iterator[Contestant]:
    yield OURS
    yield ours("both")
    for form in ("pushes", "both"):
        yield ours(form, encrypted=True)
        yield ours(form, deflate=True)
    yield PICOWS
    yield replace(_CRYPTOFEED, name=f"cryptofeed {_version('cryptofeed')}, wss")
    yield replace(_CRYPTOFEED, name=f"cryptofeed {_version_in(_CRYPTOFEED_3)}, wss", python=str(_CRYPTOFEED_3))
    yield Contestant("python-okx + redis-py", ("official_sdk",), ("okx",))
    yield Contestant("websocket-client + redis-py", ("websocket_client",))
    yield Contestant("websockets + redis.asyncio", ("plain_script",), ("websockets",))
    yield Contestant("ccxt pro + redis.asyncio", ("ccxt_pro",), ("ccxt",), kinds=False, stores_all=False)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _version_in(python: Path) -> str:
    if not python.exists():
        return "3"
    ask = "import importlib.metadata; print(importlib.metadata.version('cryptofeed'))"
    return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


CONTESTANTS = tuple(_everybody())
