"""The Celery tasks: the same API as the client's, for apps that use Celery already.

    from okws_celery import tasks
    tasks.open_ws.delay("tests")
    tasks.subscribe.delay("tests", "tickers:BTC-USDT").get()

Every task but `open_ws` answers a dict (see errors.answer). `open_ws` is the task that holds the connection: it keeps
no result; `query.status(name)` tells what became of it.
"""

from __future__ import annotations

from okws_celery.tasks.admin import redis_clear, server_quit, servers
from okws_celery.tasks.connections import close_ws, open_ws
from okws_celery.tasks.sending import send
from okws_celery.tasks.subscriptions import subscribe, unsubscribe

__all__ = ["close_ws", "open_ws", "redis_clear", "send", "server_quit", "servers", "subscribe", "unsubscribe"]
