"""OKX's public REST as far as it exists here, in OKX's envelope and within OKX's limits (PROTOCOL 8)."""

from __future__ import annotations

from aiohttp import web

from okws_celery.simulator.exchange import Exchange
from okws_celery.simulator.rest_blocks import block_calls
from okws_celery.simulator.rest_call import Limiter, public_routes
from okws_celery.simulator.rest_market import market_calls
from okws_celery.simulator.rest_public import public_calls

__all__ = ["routes"]


def routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes of these calls."""
    source, known = exchange.source, exchange.instruments
    moving = known if exchange.load is None else {}  # what is sent under load has terms, and no market behind it
    calls = [
        *public_calls(source, known, moving, exchange.wall_s),
        *market_calls(source, moving),
        *block_calls(source, moving),
    ]
    return public_routes(calls, Limiter() if exchange.options.limits else None)
