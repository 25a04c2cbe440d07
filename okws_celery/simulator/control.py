"""The control API, by which other processes look at a simulator and make it misbehave.

GET  /control/state               live connections with their subscriptions, logins, standing faults, counts
GET  /control/requests?since=N    requests received, from the N-th on; the newest 40,000 at least are kept
POST /control/fault               {"fault": NAME, parameter: value, ...}; the names are those of `faults`
GET  /control/load                of the load mode: what was asked for and what was sent
POST /control/load                {"rate": messages a second, "mix": {channel: share}} or {"burst": messages}
GET  /control/account?account=KEY balances, open orders and positions of an account, the first one by default
POST /control/account             {"place": ...}, {"fill": ...}, {"cancel": ...} or {"push": ...}: see `account_side`
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from okws_celery.errors import BadCommand
from okws_celery.simulator.account_side import account_state, perform
from okws_celery.simulator.exchange import Exchange
from okws_celery.simulator.faults import parse_fault
from okws_celery.simulator.load_plan import parse_plan

__all__ = ["routes"]


def routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes of these calls."""

    async def state(_: web.Request) -> web.Response:
        return web.json_response(exchange.state())

    async def requests(request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return _wrong("since: a number from 0 is accepted")
        found = exchange.requests.since(int(since))
        said = [
            {"time": one.time, "path": one.path, "connId": one.conn_id, "op": one.op, "id": one.id, "args": one.args}
            for one in found
        ]
        return web.json_response(said)

    async def account(request: web.Request) -> web.Response:
        try:
            return web.json_response(account_state(exchange, request.query.get("account", "")))
        except BadCommand as problem:
            return _wrong(str(problem))

    async def act(request: web.Request) -> web.Response:
        try:
            given = await _object(request, '{"place": ...}, {"fill": ...}, {"cancel": ...} or {"push": ...}')
            return web.json_response({"ordIds": perform(exchange, given)})
        except BadCommand as problem:
            return _wrong(str(problem))

    async def fault(request: web.Request) -> web.Response:
        try:
            met = exchange.trouble.apply(parse_fault(await _object(request, '{"fault": NAME, ...}')))
        except BadCommand as problem:
            return _wrong(str(problem))
        return web.json_response({"met": met})

    async def load(request: web.Request) -> web.Response:
        if exchange.load is None:
            return _wrong("this simulator is not in load mode: okws simulator --load RATE is accepted")
        try:
            if request.method == "POST":
                given = await _object(request, '{"rate": ..., "mix": {...}} or {"burst": ...}')
                if "burst" in given:
                    exchange.load.burst(given.pop("burst"))
                if given:
                    exchange.load.set_plan(parse_plan(given, exchange.load.plan))
        except BadCommand as problem:
            return _wrong(str(problem))
        return web.json_response(exchange.load.state())

    return [
        web.get("/control/state", state),
        web.get("/control/requests", requests),
        web.post("/control/fault", fault),
        web.get("/control/load", load),
        web.post("/control/load", load),
        web.get("/control/account", account),
        web.post("/control/account", act),
    ]


async def _object(request: web.Request, accepted: str) -> dict[str, Any]:
    try:
        given = json.loads(await request.text())
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise BadCommand(f"a JSON object is accepted: {accepted}")
    return given


def _wrong(text: str) -> web.Response:
    return web.json_response({"error": text}, status=400)
