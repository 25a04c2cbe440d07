"""The part of the control API that bears on the market: what comes seldom comes at once.

POST /control/ask   {"channel": NAME}   the channel speaks to all who listen to it, if it is one that speaks seldom
"""

from __future__ import annotations

import json

from aiohttp import web

from okws_celery.simulator.channels import CHANNELS
from okws_celery.simulator.exchange import Exchange

__all__ = ["routes"]


def routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes of these calls."""

    async def ask(request: web.Request) -> web.Response:
        channel = await _value(request, "channel")
        if channel not in CHANNELS:
            return _wrong(f"channel {channel!r}: a channel that speaks seldom is accepted, such as liquidation-orders")
        return web.json_response({"met": exchange.source.ask(channel)})

    return [web.post("/control/ask", ask)]


async def _value(request: web.Request, name: str) -> str:
    try:
        given = json.loads(await request.text())
    except ValueError:
        return ""
    return str(given.get(name, "")) if isinstance(given, dict) else ""


def _wrong(text: str) -> web.Response:
    return web.json_response({"error": text}, status=400)
