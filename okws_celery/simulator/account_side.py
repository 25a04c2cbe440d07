"""What can be done to an account from the exchange's side: orders placed, filled and taken away, rows pushed by hand.

`POST /control/account` and the methods of `Simulator` mean the same, one action at a time:

    {"place": {"instId": "BTC-USDT", ...}, "times": 3}   orders with REST's parameters; what is missing is filled in:
                                                         a limit order to buy little, 1 % away from the market
    {"fill": ORDID, "sz": "0.1", "px": "63000"}          an open order is filled: wholly, at its price, if not said
    {"cancel": ORDID, "source": "1"}                     an open order is canceled; source is OKX's cancelSource
    {"push": CHANNEL, "rows": [{...}]}                   rows go to who listens, one push each, as they are

All take "account", the API key. Whatever one action pushes to a connection goes out in one write.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.simulator.accounts import Account
from okws_celery.simulator.exchange import Exchange
from okws_celery.simulator.trading.account_rows import account_row, position_row
from okws_celery.simulator.trading.order_rows import order_row
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import plain, price_of, size_of
from okws_celery.simulator.trading.trader import Said

__all__ = ["account_state", "perform"]

_ACTIONS = {
    "place": {"place", "times"},
    "fill": {"fill", "sz", "px"},
    "cancel": {"cancel", "source"},
    "push": {"push", "rows"},
}


def perform(exchange: Exchange, given: Mapping[str, Any]) -> list[str]:
    """Do one action; gives the ordIds concerned. BadCommand says what is wrong and what is accepted."""
    account = _account(exchange, given.get("account", ""))
    names = [name for name in _ACTIONS if name in given]
    if len(names) != 1:
        raise BadCommand(f"account action: one of {', '.join(_ACTIONS)} is accepted, got {', '.join(given) or 'none'}")
    name = names[0]
    unknown = set(given) - _ACTIONS[name] - {"account"}
    if unknown:
        takes = ", ".join(sorted(_ACTIONS[name] | {"account"}))
        raise BadCommand(f"account action {name!r}: {', '.join(sorted(unknown))} is not known; it takes {takes}")
    try:
        return _DO[name](exchange, account, given)
    except Refused as refused:
        raise BadCommand(f"account action {name!r}: {refused.code} {refused}") from None


def account_state(exchange: Exchange, api_key: str = "") -> dict[str, Any]:
    """Balances, open orders and positions, as REST shows them."""
    account = _account(exchange, api_key)
    trader, now_ms = account.trader, exchange.clock.now_ms()
    return {
        "uid": account.uid,
        "balance": account_row(trader, trader.ledger.currencies, now_ms),
        "orders": [order_row(order) for order in trader.live.values()],
        "positions": [position_row(trader, one, now_ms) for one in trader.positions.values() if one.size],
    }


def _place(exchange: Exchange, account: Account, given: Mapping[str, Any]) -> list[str]:
    asked, times = given["place"], given.get("times", 1)
    if not isinstance(asked, Mapping):
        raise BadCommand("account action 'place': an object is accepted: {\"instId\": ..., ...}")
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= 100_000:
        raise BadCommand(f"account action 'place': times {times!r}; 1 to 100000 is accepted")
    whole = _filled_in(exchange, asked)
    one = exchange.floor.instrument(whole, by_code=False)
    return [exchange.floor.place(account.trader, whole, one).ord_id for _ in range(times)]


def _filled_in(exchange: Exchange, asked: Mapping[str, Any]) -> dict[str, Any]:
    one = exchange.floor.instrument({"instId": "BTC-USDT", **asked}, by_code=False)
    side = asked.get("side", "buy")
    away = 99 if side == "buy" else 101
    lots = max(1, one.level_lots // 300)
    return {
        "instId": one.inst_id,
        "tdMode": "cash" if one.is_spot else "cross",
        "side": side,
        "ordType": "limit",
        "sz": plain(size_of(one, lots)),
        "px": plain(price_of(one, exchange.prices.engine(one).mark * away // 100)),
        **asked,
    }


def _fill(exchange: Exchange, account: Account, given: Mapping[str, Any]) -> list[str]:
    order = account.trader.find(str(given["fill"]))
    size, px = _amount(given, "sz"), _amount(given, "px")
    return [exchange.floor.fill(account.trader, order, size, px).ord_id]


def _cancel(exchange: Exchange, account: Account, given: Mapping[str, Any]) -> list[str]:
    order = account.trader.find(str(given["cancel"]))
    return [exchange.floor.cancel(account.trader, order, str(given.get("source", "1"))).ord_id]


def _push(exchange: Exchange, account: Account, given: Mapping[str, Any]) -> list[str]:
    channel, rows = given["push"], given.get("rows")
    if channel not in CATALOGUE or not CATALOGUE[channel].login:
        raise BadCommand(f"account action 'push': {channel!r} is no private channel")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadCommand("account action 'push': rows: a list of objects is accepted")
    account.trader.told.rows += [Said(channel, row) for row in rows]
    exchange.private.wake(account.trader)
    return []


def _account(exchange: Exchange, api_key: object) -> Account:
    known = {account.key.api_key: account for account in exchange.accounts}
    if api_key == "" and known:
        return next(iter(known.values()))
    account = known.get(str(api_key))
    if account is None:
        raise BadCommand(f"account {api_key!r}: {', '.join(known) or 'none'} are accepted")
    return account


def _amount(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name, "")
    return plain(value) if isinstance(value, Decimal) else str(value)


_DO = {"place": _place, "fill": _fill, "cancel": _cancel, "push": _push}
