"""The part of OKX's REST that exists here: time, instruments and candles (PROTOCOL 8), in OKX's envelope."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from okws_celery.okx.catalogue import BARS
from okws_celery.simulator.candles import HISTORY_MS
from okws_celery.simulator.exchange import Exchange
from okws_celery.simulator.instruments import instrument_object

__all__ = ["routes"]

_MOST_ROWS = 300
_FAR_MS = 1 << 62


class _Problem(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes of these calls."""

    async def server_time(_: web.Request) -> web.Response:
        return _answer([{"ts": str(int(exchange.wall_s() * 1000))}])

    async def instruments(request: web.Request) -> web.Response:
        return _try(lambda: _instruments(exchange, request.query))

    async def candles(request: web.Request) -> web.Response:
        return _try(lambda: _candles(exchange, request.query))

    return [
        web.get("/api/v5/public/time", server_time),
        web.get("/api/v5/public/instruments", instruments),
        web.get("/api/v5/market/candles", candles),
        web.get("/api/v5/market/history-candles", candles),
    ]


def _instruments(exchange: Exchange, query: Mapping[str, str]) -> list[Any]:
    wanted = query.get("instType", "")
    if not wanted:
        raise _Problem(50014, "Parameter instType can not be empty")
    if wanted not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"):
        raise _Problem(51000, "Parameter instType error")
    listed_ms = (int(time.time() * 1000) - HISTORY_MS) // 86_400_000 * 86_400_000
    found = [
        instrument_object(one, listed_ms)
        for one in exchange.instruments.values()
        if one.inst_type == wanted
        and query.get("instId", one.inst_id) == one.inst_id
        and (not query.get("instFamily") or query["instFamily"] == one.index)
    ]
    if not found and query.get("instId"):
        raise _Problem(51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    return found


def _candles(exchange: Exchange, query: Mapping[str, str]) -> list[Any]:
    inst_id, bar = query.get("instId", ""), query.get("bar", "") or "1m"
    if not inst_id:
        raise _Problem(50014, "Parameter instId can not be empty")
    if inst_id not in exchange.instruments:
        raise _Problem(51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    if bar not in BARS or bar == "1s":
        raise _Problem(51000, "Parameter bar error")
    limit = min(_MOST_ROWS, _number(query, "limit", 100))
    older_than, newer_than = _number(query, "after", _FAR_MS), _number(query, "before", 0)
    return exchange.source.engine(inst_id).candles.rows(bar, before_ms=older_than, after_ms=newer_than, limit=limit)


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 18:
        raise _Problem(51000, f"Parameter {name} error")
    return int(text)


def _try(call: Any) -> web.Response:
    try:
        return _answer(call())
    except _Problem as problem:
        return web.json_response({"code": str(problem.code), "msg": str(problem), "data": []})


def _answer(data: list[Any]) -> web.Response:
    return web.json_response({"code": "0", "msg": "", "data": data})
