"""Who takes part: how each is started, what it stores and publishes, and where that can be checked."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

__all__ = ["CONTESTANTS", "OURS", "Contestant"]


@dataclass(frozen=True)
class Contestant:
    """`program` is the module and its own arguments; `needs` are the packages without which it cannot take part."""

    name: str
    program: tuple[str, ...]
    needs: tuple[str, ...] = ()
    publishes: bool = True
    stores_all: bool = True
    """Whether every trade must be there at the end."""
    trades: str = "okex/bench/trades:{}"
    """Key of an instrument's trades."""
    ours: bool = False

    @property
    def missing(self) -> str:
        """The packages that are not installed."""
        return ", ".join(name for name in self.needs if importlib.util.find_spec(name) is None)


OURS = Contestant("okws_celery, pushes published", ("product", "pushes", "1"), ours=True)
CONTESTANTS = (
    OURS,
    Contestant("okws_celery, default", ("product", "both", "1"), ours=True),
    Contestant("picows + uvloop + msgspec", ("picows_tuned",), ("picows", "uvloop")),
    Contestant("cryptofeed", ("cryptofeed_redis",), ("cryptofeed",), publishes=False, trades="trades-OKX-{}"),
    Contestant("python-okx + redis-py", ("official_sdk",), ("okx",)),
    Contestant("websocket-client + redis-py", ("websocket_client",)),
    Contestant("websockets + redis.asyncio", ("plain_script",), ("websockets",)),
    Contestant("ccxt pro + redis.asyncio", ("ccxt_pro",), ("ccxt",), stores_all=False),
)
