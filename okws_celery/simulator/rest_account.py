"""Private REST about an account: balances, positions, settings (PROTOCOL 8): parameters in, rows out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from okws_celery.simulator.accounts import Account
from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.account_rows import account_row, position_row
from okws_celery.simulator.trading.asked import number, text_of
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import MONEY, notional, plain, settle_ccy

__all__ = [
    "balance",
    "config",
    "currencies",
    "funding_balances",
    "leverage",
    "max_size",
    "positions",
    "positions_history",
    "set_level",
    "set_leverage",
    "set_position_mode",
    "trade_fee",
]

_MOST_LEVER = 100
_NAMES = {
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "SOL": "Solana",
    "USDT": "Tether",
    "USDC": "USD Coin",
    "XAUT": "Tether Gold",
}
_CHAINS = {"BTC": ("Bitcoin",), "SOL": ("Solana",), "USDT": ("ERC20", "TRC20")}


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


def leverage(account: Account, query: Mapping[str, Any], instruments: Mapping[str, Instrument]) -> list[dict[str, str]]:
    """`GET /account/leverage-info` of some instruments, comma between."""
    mode = _margin_mode(query)
    inst_ids = [one for one in text_of(query, "instId").split(",") if one]
    if not inst_ids:
        raise Refused(50014, name="instId")
    return [row for inst_id in inst_ids for row in _levers(account, _known(inst_id, instruments), mode)]


def set_leverage(
    account: Account, body: Mapping[str, Any], instruments: Mapping[str, Instrument], now_ms: int
) -> list[dict[str, str]]:
    """`POST /account/set-leverage` of one instrument."""
    mode, lever = _margin_mode(body), number(body, "lever")
    one = _known(text_of(body, "instId"), instruments)
    if one.is_spot or lever > _MOST_LEVER:
        raise Refused(51000, name="instId" if one.is_spot else "lever")
    account.trader.set_lever(one.inst_id, lever, now_ms)
    return [row for row in _levers(account, one, mode) if body.get("posSide", "") in ("", row["posSide"])]


def set_position_mode(account: Account, body: Mapping[str, Any]) -> list[dict[str, str]]:
    """`POST /account/set-position-mode`: only without open positions and orders."""
    mode = text_of(body, "posMode")
    if mode not in ("net_mode", "long_short_mode"):
        raise Refused(51000, name="posMode")
    _idle(account)
    account.trader.habits.hedged = mode == "long_short_mode"
    return [{"posMode": mode}]


def set_level(account: Account, body: Mapping[str, Any]) -> list[dict[str, str]]:
    """`POST /account/set-account-level`: 1 or 2; only without open positions and orders."""
    level = text_of(body, "acctLv")
    if level not in ("1", "2"):
        raise Refused(51000, name="acctLv")
    _idle(account)
    account.trader.habits.level = int(level)
    return [{"acctLv": level}]


def trade_fee(account: Account, query: Mapping[str, Any], now_ms: int) -> list[dict[str, Any]]:
    """`GET /account/trade-fee`: what is paid is below 0."""
    inst_type = text_of(query, "instType")
    if inst_type not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
        raise Refused(51000 if inst_type else 50014, name="instType")
    maker, taker = (plain(-rate) for rate in account.trader.fees(spot=inst_type in ("SPOT", "MARGIN")))
    return [
        {
            "category": "1",
            "instType": inst_type,
            "level": f"VIP{account.vip}" if account.vip else "Lv1",
            "maker": maker,
            "taker": taker,
            "makerU": maker,
            "takerU": taker,
            "makerUSDC": maker,
            "takerUSDC": taker,
            "delivery": "",
            "exercise": "",
            "settle": "",
            "fiat": [],
            "feeGroup": [{"groupId": "1", "maker": maker, "taker": taker}],
            "ruleType": "normal",
            "ts": str(now_ms),
        }
    ]


def max_size(
    account: Account, query: Mapping[str, Any], instruments: Mapping[str, Instrument], *, available: bool
) -> list[dict[str, str]]:
    """`GET /account/max-size`, or `max-avail-size` if `available`: what could be bought and sold now."""
    trader, rows = account.trader, []
    for inst_id in text_of(query, "instId").split(","):
        one = _known(inst_id, instruments)
        price = number(query, "px") if text_of(query, "px") else trader.prices.last(one)
        if one.is_spot:
            money, coins = trader.ledger.available(one.quote), trader.ledger.available(one.base)
            buy, sell, ccy = money if available else (money / price).quantize(MONEY), coins, ""
        else:
            ccy = settle_ccy(one)
            money = max(Decimal(0), trader.ledger.available(ccy))
            each = notional(one, Decimal(1), price) / trader.lever(one.inst_id)
            buy = sell = money if available else Decimal(int(money / each))
        names = ("availBuy", "availSell") if available else ("maxBuy", "maxSell")
        rows.append({"instId": inst_id, "ccy": ccy, names[0]: plain(buy), names[1]: plain(sell)})
    return rows


def positions_history(account: Account, query: Mapping[str, Any]) -> list[dict[str, str]]:
    """`GET /account/positions-history`: closed ones, newest first, at most 100."""
    trader = account.trader
    found = [
        {
            "instType": one.one.inst_type,
            "instId": one.one.inst_id,
            "mgnMode": one.margin_mode,
            "type": "2",
            "posId": one.pos_id,
            "posSide": one.side,
            "direction": "",
            "lever": plain(one.lever),
            "ccy": one.ccy,
            "uly": one.one.index,
            "pnl": plain(one.pnl),
            "fee": plain(-one.fee),
            "fundingFee": "0",
            "liqPenalty": "0",
            "realizedPnl": plain(one.pnl - one.fee),
            "pnlRatio": "",
            "openAvgPx": "",
            "closeAvgPx": "",
            "nonSettleAvgPx": "",
            "settledPnl": "",
            "openMaxPos": "",
            "closeTotalPos": "",
            "triggerPx": "",
            "cTime": str(one.c_ms),
            "uTime": str(one.u_ms),
        }
        for one in reversed(trader.closed)
        if query.get("instType", "") in ("", one.one.inst_type) and query.get("instId", "") in ("", one.one.inst_id)
    ]
    return found[:100]


def currencies(query: Mapping[str, Any], instruments: Iterable[Instrument]) -> list[dict[str, Any]]:
    """`GET /asset/currencies`: one row for each chain of each currency that is traded here."""
    known = {ccy for one in instruments for ccy in (one.base, one.quote) if ccy != "USD"}
    wanted = {one for one in str(query.get("ccy", "")).split(",") if one} or known
    return [
        {
            "ccy": ccy,
            "name": _NAMES.get(ccy, ccy),
            "chain": f"{ccy}-{chain}",
            "ctAddr": "",
            "logoLink": "",
            "canDep": True,
            "canWd": True,
            "canInternal": True,
            "mainNet": chain not in ("ERC20", "TRC20"),
            "needTag": False,
            "fee": "0.0001",
            "minFee": "0.0001",
            "maxFee": "0.0002",
            "maxFeeForCtAddr": "",
            "minFeeForCtAddr": "",
            "burningFeeRate": "",
            "minDep": "0.0001",
            "minDepArrivalConfirm": "1",
            "minWd": "0.001",
            "minWdUnlockConfirm": "2",
            "minInternal": "0.0001",
            "maxWd": "1000000",
            "wdQuota": "1000000",
            "usedWdQuota": "0",
            "wdTickSz": "8",
            "depEstOpenTime": "",
            "wdEstOpenTime": "",
            "depQuotaFixed": "",
            "usedDepQuotaFixed": "",
            "depQuoteDailyLayer2": "",
        }
        for ccy in sorted(known & wanted)
        for chain in _CHAINS.get(ccy, ("ERC20",))
    ]


def funding_balances(account: Account, query: Mapping[str, Any]) -> list[dict[str, str]]:
    """`GET /asset/balances`: everything stands in the trading account, so nothing in the funding one."""
    wanted = {one for one in str(query.get("ccy", "")).split(",") if one}
    nothing = {"bal": "0", "availBal": "0", "frozenBal": "0"}
    return [{"ccy": ccy, **nothing} for ccy in account.trader.ledger.currencies if ccy in wanted]


def _levers(account: Account, one: Instrument, mode: str) -> list[dict[str, str]]:
    lever = plain(account.trader.lever(one.inst_id))
    sides = ("long", "short") if account.trader.habits.hedged else ("net",)
    ccy = "" if one.is_spot else settle_ccy(one)
    return [{"instId": one.inst_id, "ccy": ccy, "mgnMode": mode, "posSide": side, "lever": lever} for side in sides]


def _margin_mode(given: Mapping[str, Any]) -> str:
    mode = text_of(given, "mgnMode")
    if mode not in ("cross", "isolated"):
        raise Refused(51000 if mode else 50014, name="mgnMode")
    return mode


def _known(inst_id: str, instruments: Mapping[str, Instrument]) -> Instrument:
    if inst_id not in instruments:
        raise Refused(51001)
    return instruments[inst_id]


def _idle(account: Account) -> None:
    trader = account.trader
    if trader.live or trader.algos or any(one.size for one in trader.positions.values()):
        raise Refused(59000)
