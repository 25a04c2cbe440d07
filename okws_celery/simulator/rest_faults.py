"""The fault `rest`: REST calls that are answered with 429, 503 or late."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from okws_celery.simulator.exchange import Exchange

__all__ = ["rest_faults"]

_PREFIX = "/api/"
_USUAL = {
    429: (50011, "Rate limit reached. Please refer to API documentation and throttle requests accordingly."),
    503: (50001, "Service temporarily unavailable. Please try again later."),
}


def rest_faults(exchange: Exchange) -> Middleware:
    """The middleware that asks the standing faults before each REST call."""

    @web.middleware
    async def meet(request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = exchange.faults.rest(request.path) if request.path.startswith(_PREFIX) else None
        if fault is None:
            return await handler(request)
        await asyncio.sleep(fault.options["seconds"])
        status, code = int(fault.options["status"]), int(fault.options["code"])
        if status == 200 and not code:
            return await handler(request)
        usual, text = _USUAL.get(status, (50026, "System error. Try again later."))
        return web.json_response({"code": str(code or usual), "msg": text, "data": []}, status=status)

    return meet
