"""Private REST about an account: balances, positions, settings (PROTOCOL 8): parameters in, rows out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.simulator.accounts import Account
from okws_celery.simulator.trading.account_rows import account_row, position_row

__all__ = ["balance", "config", "positions"]


def balance(account: Account, query: Mapping[str, Any], now_ms: int) -> list[dict[str, Any]]:
    """`GET /account/balance`, of some currencies if `ccy` names them, comma between."""
    trader = account.trader
    wanted = {one for one in str(query.get("ccy", "")).split(",") if one}
    held = [ccy for ccy in trader.ledger.currencies if not wanted or ccy in wanted]
    return [account_row(trader, [ccy for ccy in held if trader.ledger.cash(ccy) or ccy in wanted], now_ms)]


def positions(account: Account, query: Mapping[str, Any], now_ms: int) -> list[dict[str, Any]]:
    """`GET /account/positions`: open ones."""
    trader = account.trader
    wanted = {one for one in str(query.get("instId", "")).split(",") if one}
    ids = {one for one in str(query.get("posId", "")).split(",") if one}
    return [
        position_row(trader, one, now_ms)
        for one in trader.positions.values()
        if one.size
        and query.get("instType", "") in ("", one.one.inst_type)
        and (not wanted or one.one.inst_id in wanted)
        and (not ids or one.pos_id in ids)
    ]


def config(account: Account) -> list[dict[str, Any]]:
    """`GET /account/config`."""
    habits = account.trader.habits
    return [
        {
            "acctLv": str(habits.level),
            "acctStpMode": "cancel_maker",
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "mgnIsoMode": "automatic",
            "enableSpotBorrow": False,
            "spotBorrowAutoRepay": False,
            "feeType": "0",
            "greeksType": "PA",
            "ip": "",
            "kycLv": "3",
            "label": "simulator",
            "level": f"VIP{account.vip}" if account.vip else "Lv1",
            "levelTmp": "",
            "liquidationGear": "-1",
            "mainUid": account.uid,
            "opAuth": "0",
            "perm": "read_only,trade",
            "posMode": "long_short_mode" if habits.hedged else "net_mode",
            "roleType": "0",
            "settleCcy": "",
            "settleCcyList": [],
            "spotOffsetType": "",
            "spotRoleType": "0",
            "spotTraderInsts": [],
            "stgyType": "0",
            "traderInsts": [],
            "type": "0",
            "uid": account.uid,
        }
    ]
