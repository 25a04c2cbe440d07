"""Private REST: who signed is let in, and answered in OKX's envelope (PROTOCOL 3 and 8)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from okws_celery.simulator import rest_account, rest_algos, rest_trading
from okws_celery.simulator.accounts import Account
from okws_celery.simulator.exchange import Exchange
from okws_celery.simulator.rest_call import Limiter
from okws_celery.simulator.rest_signing import Unsigned, signed_by
from okws_celery.simulator.terms import is_of
from okws_celery.simulator.trading.operations import check_exp_time
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.trader import Trader

__all__ = ["routes"]

_MOST_ITEMS = 20
_LIMITS = {
    "trade/order-algo": 20,
    "trade/cancel-algos": 20,
    "trade/amend-algos": 20,
    "trade/orders-pending": 60,
    "trade/orders-history": 40,
    "trade/orders-history-archive": 20,
    "trade/orders-algo-pending": 20,
    "trade/orders-algo-history": 20,
    "trade/fills": 60,
    "trade/fills-history": 10,
    "account/balance": 10,
    "account/positions": 10,
    "account/positions-history": 10,
    "account/config": 5,
    "account/instruments": 20,
    "account/leverage-info": 20,
    "account/set-leverage": 40,
    "account/set-position-mode": 5,
    "account/set-account-level": 5,
    "account/trade-fee": 5,
    "account/max-size": 20,
    "account/max-avail-size": 20,
    "asset/currencies": 12,
    "asset/balances": 12,
}
"""Calls of one user in two seconds; those of orders are counted with the orders of WebSocket (PROTOCOL 7 and 8)."""
_TEXTS = {"1": "All operations failed", "2": "Bulk operation partially succeeded."}


def routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes of these calls."""
    limiter = Limiter() if exchange.options.limits else None
    found = [web.get(f"/api/v5/{path}", _handler(exchange, call, limiter)) for path, call in _GET.items()]
    return found + [web.post(f"/api/v5/{path}", _handler(exchange, call, limiter)) for path, call in _POST.items()]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that was let in."""

    exchange: Exchange
    account: Account
    query: Mapping[str, str]
    body: object
    exp_time: str
    now_s: float

    @property
    def trader(self) -> Trader:
        return self.account.trader

    @property
    def now_ms(self) -> int:
        return self.exchange.clock.now_ms()

    @property
    def one(self) -> dict[str, Any]:
        """The body, where it is one object. Refused (50000, 50002) if it is not."""
        if self.body is None:
            raise Refused(50000)
        if not isinstance(self.body, dict):
            raise Refused(50002)
        return self.body

    @property
    def several(self) -> list[dict[str, Any]]:
        """The body, where it is a list of objects, at most 20."""
        if self.body is None:
            raise Refused(50000)
        if not isinstance(self.body, list) or not self.body or not all(isinstance(one, dict) for one in self.body):
            raise Refused(50002)
        if len(self.body) > _MOST_ITEMS:
            raise Refused(51000, name="size")
        return self.body


_Answer = tuple[str, list[Any]]
"""OKX's code, and the rows."""
_Call = Callable[[_Asked], _Answer]


def _handler(
    exchange: Exchange, call: _Call, limiter: Limiter | None
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        text, now_s = await request.text(), exchange.wall_s()
        try:
            account = signed_by(
                exchange.accounts,
                request.headers,
                request.method,
                request.raw_path,
                text,
                now_s,
            )
            most = _LIMITS.get(request.path.removeprefix("/api/v5/"), 0)
            who = (request.method, request.path, account.uid)
            if most and limiter is not None and not limiter.admits(who, most):
                raise Refused(50011)
            exp_time = request.headers.get("expTime", "")
            code, data = call(_Asked(exchange, account, dict(request.query), _parsed(text), exp_time, now_s))
        except Unsigned as problem:
            return web.json_response({"msg": str(problem), "code": str(problem.code)}, status=401)
        except Refused as refused:
            status = 429 if refused.code in (50011, 50061) else 200
            return web.json_response({"code": str(refused.code), "msg": str(refused), "data": []}, status=status)
        return web.json_response({"code": code, "msg": _TEXTS.get(code, ""), "data": data})

    return handle


def _parsed(text: str) -> object:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(50002) from None


def _rows(call: Callable[[_Asked], list[Any]]) -> _Call:
    return lambda asked: ("0", call(asked))


def _operation(op: str) -> _Call:
    def call(asked: _Asked) -> _Answer:
        if "cancel" not in op:
            check_exp_time(asked.exp_time, asked.now_s)
        args = asked.several if op.startswith("batch-") else [asked.one]
        return asked.exchange.desk.carry_out(op, asked.trader, args, int(asked.now_s * 1000), by_code=False)

    return call


def _instruments(asked: _Asked) -> list[Any]:
    wanted, inst_id = asked.query.get("instType", ""), asked.query.get("instId", "")
    family = asked.query.get("instFamily", "") or asked.query.get("uly", "")
    if not wanted:
        raise Refused(50014, name="instType")
    terms = asked.exchange.source.pulse.terms
    found = [
        terms.object(one, wanted)
        for one in asked.exchange.instruments.values()
        if wanted != "ANY" and is_of(one, wanted) and inst_id in ("", one.inst_id) and family in ("", one.family)
    ]
    if inst_id and not found:
        raise Refused(51001)
    return found


def _nothing(_: _Asked) -> _Answer:
    """A list in which nothing stands: what it tells of does not happen here."""
    return "0", []


_GET: dict[str, _Call] = {
    "trade/order": _rows(lambda asked: rest_trading.order(asked.trader, asked.query)),
    "trade/orders-pending": _rows(lambda asked: rest_trading.orders_pending(asked.trader, asked.query)),
    "trade/orders-history": _rows(lambda asked: rest_trading.orders_history(asked.trader, asked.query)),
    "trade/orders-history-archive": _rows(lambda asked: rest_trading.orders_history(asked.trader, asked.query)),
    "trade/fills": _rows(lambda asked: rest_trading.fills(asked.trader, asked.query)),
    "trade/fills-history": _rows(lambda asked: rest_trading.fills(asked.trader, asked.query)),
    "trade/order-algo": _rows(
        lambda asked: rest_algos.algo(asked.exchange.algos, asked.trader, asked.query, asked.now_ms)
    ),
    "trade/orders-algo-pending": _rows(lambda asked: rest_algos.algos_pending(asked.trader, asked.query, asked.now_ms)),
    "trade/orders-algo-history": _rows(lambda asked: rest_algos.algos_history(asked.trader, asked.query, asked.now_ms)),
    "account/balance": _rows(lambda asked: rest_account.balance(asked.account, asked.query, asked.now_ms)),
    "account/positions": _rows(lambda asked: rest_account.positions(asked.account, asked.query, asked.now_ms)),
    "account/positions-history": _rows(lambda asked: rest_account.positions_history(asked.account, asked.query)),
    "account/config": _rows(lambda asked: rest_account.config(asked.account)),
    "account/instruments": _rows(_instruments),
    "account/leverage-info": _rows(
        lambda asked: rest_account.leverage(asked.account, asked.query, asked.exchange.instruments)
    ),
    "account/trade-fee": _rows(lambda asked: rest_account.trade_fee(asked.account, asked.query, asked.now_ms)),
    "account/max-size": _rows(
        lambda asked: rest_account.max_size(asked.account, asked.query, asked.exchange.instruments, available=False)
    ),
    "account/max-avail-size": _rows(
        lambda asked: rest_account.max_size(asked.account, asked.query, asked.exchange.instruments, available=True)
    ),
    "asset/currencies": _rows(lambda asked: rest_account.currencies(asked.query, asked.exchange.instruments.values())),
    "asset/balances": _rows(lambda asked: rest_account.funding_balances(asked.account, asked.query)),
    "account/bills": _nothing,
    "account/bills-archive": _nothing,
    "asset/bills": _nothing,
    "asset/deposit-history": _nothing,
    "asset/withdrawal-history": _nothing,
}
_POST: dict[str, _Call] = {
    "trade/order": _operation("order"),
    "trade/batch-orders": _operation("batch-orders"),
    "trade/cancel-order": _operation("cancel-order"),
    "trade/cancel-batch-orders": _operation("batch-cancel-orders"),
    "trade/amend-order": _operation("amend-order"),
    "trade/amend-batch-orders": _operation("batch-amend-orders"),
    "trade/order-algo": lambda asked: rest_algos.place(asked.exchange.algos, asked.trader, asked.one),
    "trade/cancel-algos": lambda asked: rest_algos.cancel(asked.exchange.algos, asked.trader, asked.several),
    "trade/amend-algos": lambda asked: rest_algos.amend(asked.exchange.algos, asked.trader, asked.one),
    "account/set-leverage": _rows(
        lambda asked: rest_account.set_leverage(asked.account, asked.one, asked.exchange.instruments, asked.now_ms)
    ),
    "account/set-position-mode": _rows(lambda asked: rest_account.set_position_mode(asked.account, asked.one)),
    "account/set-account-level": _rows(lambda asked: rest_account.set_level(asked.account, asked.one)),
}
