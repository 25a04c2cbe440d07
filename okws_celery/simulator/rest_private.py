"""Private REST: who signed is let in, and answered in OKX's envelope (PROTOCOL 3 and 8)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from okws_celery.simulator import rest_account, rest_trading
from okws_celery.simulator.accounts import Account
from okws_celery.simulator.exchange import Exchange
from okws_celery.simulator.rest_signing import Unsigned, signed_by
from okws_celery.simulator.trading.operations import check_exp_time
from okws_celery.simulator.trading.refusals import Refused

__all__ = ["routes"]

Answer = tuple[str, str, list[Any]]
"""OKX's code and text, and the rows."""


def routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes of these calls."""
    found: list[web.RouteDef] = []
    for path, rows in _QUERIES.items():
        found.append(web.get(f"/api/v5/{path}", _query(exchange, rows)))
    for path, rows in _SETTINGS.items():
        found.append(web.post(f"/api/v5/{path}", _setting(exchange, rows)))
    for path, op in _OPS.items():
        found.append(web.post(f"/api/v5/{path}", _operation(exchange, op)))
    return found


def _query(exchange: Exchange, rows: Callable[[Exchange, Account, Mapping[str, Any]], list[Any]]) -> _Handler:
    return _handler(exchange, lambda account, request, _: ("0", "", rows(exchange, account, dict(request.query))))


def _setting(exchange: Exchange, rows: Callable[[Exchange, Account, Mapping[str, Any]], list[Any]]) -> _Handler:
    return _handler(exchange, lambda account, _, body: ("0", "", rows(exchange, account, _one(body))))


def _operation(exchange: Exchange, op: str) -> _Handler:
    def answer(account: Account, request: web.Request, body: object) -> Answer:
        now_s = exchange.wall_s()
        check_exp_time(request.headers.get("expTime"), now_s)
        args = _several(body) if op.startswith("batch-") else [_one(body)]
        code, data = exchange.desk.carry_out(op, account.trader, args, int(now_s * 1000), by_code=False)
        text = {"0": "", "1": "All operations failed", "2": "Bulk operation partially succeeded."}[code]
        return code, text, data

    return _handler(exchange, answer)


_Handler = Callable[[web.Request], Awaitable[web.Response]]


def _handler(exchange: Exchange, answer: Callable[[Account, web.Request, object], Answer]) -> _Handler:
    async def handle(request: web.Request) -> web.Response:
        text = await request.text()
        try:
            account = signed_by(
                exchange.accounts,
                request.headers,
                request.method,
                request.raw_path,
                text,
                exchange.wall_s(),
                demo=exchange.options.demo,
            )
            code, message, data = answer(account, request, _parsed(text))
        except Unsigned as problem:
            return web.json_response({"msg": str(problem), "code": str(problem.code)}, status=401)
        except Refused as refused:
            code, message, data = str(refused.code), str(refused), []
        return web.json_response({"code": code, "msg": message, "data": data})

    return handle


def _parsed(text: str) -> object:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(50002) from None


def _one(body: object) -> dict[str, Any]:
    if body is None:
        raise Refused(50000)
    if isinstance(body, list) and len(body) == 1:  # ccxt sends a lone order so
        body = body[0]
    if not isinstance(body, dict):
        raise Refused(50002)
    return body


def _several(body: object) -> list[dict[str, Any]]:
    if body is None:
        raise Refused(50000)
    if not isinstance(body, list) or not body or not all(isinstance(one, dict) for one in body):
        raise Refused(50002)
    if len(body) > 20:
        raise Refused(51000, name="size")
    return body


_QUERIES: dict[str, Callable[[Exchange, Account, Mapping[str, Any]], list[Any]]] = {
    "trade/order": lambda _, account, query: rest_trading.order(account.trader, query),
    "trade/orders-pending": lambda _, account, query: rest_trading.orders_pending(account.trader, query),
    "trade/orders-history": lambda _, account, query: rest_trading.orders_history(account.trader, query),
    "trade/orders-history-archive": lambda _, account, query: rest_trading.orders_history(account.trader, query),
    "trade/fills": lambda _, account, query: rest_trading.fills(account.trader, query),
    "trade/fills-history": lambda _, account, query: rest_trading.fills(account.trader, query),
    "trade/orders-algo-pending": lambda _exchange, _account, _query: [],
    "trade/orders-algo-history": lambda _exchange, _account, _query: [],
    "account/balance": lambda exchange, account, query: rest_account.balance(account, query, exchange.clock.now_ms()),
    "account/positions": lambda exchange, account, query: rest_account.positions(
        account, query, exchange.clock.now_ms()
    ),
    "account/config": lambda _, account, _query: rest_account.config(account),
}
_SETTINGS: dict[str, Callable[[Exchange, Account, Mapping[str, Any]], list[Any]]] = {}
_OPS = {
    "trade/order": "order",
    "trade/batch-orders": "batch-orders",
    "trade/cancel-order": "cancel-order",
    "trade/cancel-batch-orders": "batch-cancel-orders",
    "trade/amend-order": "amend-order",
    "trade/amend-batch-orders": "batch-amend-orders",
}
