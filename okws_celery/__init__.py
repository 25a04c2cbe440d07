"""Live OKX data in Redis, from Celery tasks that hold the WebSocket connections.

The public face. Its parts are imported when they are first used: `import okws_celery` itself loads neither Celery nor
anything that opens a socket. The Celery application is in `okws_celery.celery`, where `celery -A okws_celery` finds it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from okws_celery import aio, errors, query, tasks
    from okws_celery.sync import client

__all__ = ["__version__", "aio", "client", "errors", "query", "tasks"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Celery probes this package for `app` and `celery` and must not find them here: an AttributeError for all else.
    if name == "client":
        return importlib.import_module("okws_celery.sync").client
    if name in __all__:
        return importlib.import_module(f"okws_celery.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
