"""What the private channels say of an account: snapshots with their pages, and news (PROTOCOL 5.3 and 5.4)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from okws_celery.okx.topics import Arg
from okws_celery.simulator.accounts import Account
from okws_celery.simulator.trading.account_rows import (
    account_row,
    balance_row,
    greeks_rows,
    moved_row,
    position_row,
)
from okws_celery.simulator.trading.algo_rows import algo_row
from okws_celery.simulator.trading.positions import Position, PositionKey
from okws_celery.simulator.trading.trader import Said

__all__ = ["account_news", "moved_news", "position_news", "row_news", "snapshot"]


def snapshot(arg: Arg, account: Account, now_ms: int) -> list[str]:
    """The pages of the first, or periodic, push of a channel; none for one that has no snapshot."""
    trader, wanted = account.trader, dict(arg)
    currencies = [ccy for ccy in trader.ledger.currencies if wanted.get("ccy", ccy) == ccy]
    channel, page_rows = wanted["channel"], trader.habits.page_rows
    if channel == "account":
        held = [ccy for ccy in currencies if trader.ledger.cash(ccy) or trader.ledger.frozen(ccy)]
        pages = [[account_row(trader, page, now_ms)] for page in _pages(held, page_rows)]
        return _paged(arg, account, pages)
    if channel == "positions":
        open_ = [one for one in trader.positions.values() if one.size and _concerns_position(wanted, one)]
        rows = [position_row(trader, one, now_ms) for one in open_]
        return _paged(arg, account, _pages(rows, page_rows))
    if channel == "balance_and_position":
        positions = [moved_row(one) for one in trader.positions.values() if one.size]
        balances = [balance_row(trader, ccy) for ccy in currencies]
        return [_moved(arg, account, now_ms, "snapshot", balances, positions, ())]
    if channel == "account-greeks":
        return [_push(arg, account, greeks_rows(currencies, now_ms))]
    if channel == "algo-advance":
        saids = [
            Said(one.channel, algo_row(one, trader.prices, now_ms), one.one.index) for one in trader.algos.values()
        ]
        rows = [said.row for said in saids if said.channel == channel and _concerns(wanted, said)]
        return [_push(arg, account, rows)]
    return []


def row_news(arg: Arg, account: Account, said: Said) -> str | None:
    """The push of one row, if this argument asks for it."""
    wanted = dict(arg)
    if wanted["channel"] != said.channel or not _concerns(wanted, said):
        return None
    more = {"eventType": "event_update"} if said.channel in ("account", "positions") else {}
    return _push(arg, account, [said.row], **more)


def account_news(arg: Arg, account: Account, currencies: Iterable[str], now_ms: int) -> str | None:
    """The `event_update` of `account` for what changed."""
    changed = [ccy for ccy in currencies if dict(arg).get("ccy", ccy) == ccy]
    if not changed:
        return None
    return _push(arg, account, [account_row(account.trader, changed, now_ms)], eventType="event_update")


def position_news(arg: Arg, account: Account, keys: Iterable[PositionKey], now_ms: int) -> str | None:
    """The `event_update` of `positions` for what changed; a closed position has `pos` "0"."""
    wanted, trader = dict(arg), account.trader
    changed = [trader.positions[key] for key in keys if _concerns_position(wanted, trader.positions[key])]
    if not changed:
        return None
    rows = [position_row(trader, one, now_ms) for one in changed]
    return _push(arg, account, rows, eventType="event_update")


def moved_news(
    arg: Arg,
    account: Account,
    currencies: Iterable[str],
    keys: Iterable[PositionKey],
    trades: Iterable[tuple[str, str]],
    now_ms: int,
    event: str,
) -> str:
    """The push of `balance_and_position` after an event such as `filled`: only what changed."""
    balances = [balance_row(account.trader, ccy) for ccy in currencies]
    positions = [moved_row(account.trader.positions[key]) for key in keys]
    return _moved(arg, account, now_ms, event, balances, positions, trades)


def _moved(
    arg: Arg,
    account: Account,
    now_ms: int,
    event: str,
    balances: Sequence[dict[str, str]],
    positions: Sequence[dict[str, str]],
    trades: Iterable[tuple[str, str]],
) -> str:
    row = {
        "pTime": str(now_ms),
        "eventType": event,
        "balData": balances,
        "posData": positions,
        "trades": [{"instId": inst_id, "tradeId": trade_id} for inst_id, trade_id in trades],
    }
    return _push(arg, account, [row])


def _concerns(wanted: Mapping[str, str], said: Said) -> bool:
    """Whether a row is among those that an argument asks for; what the row does not say, it is not chosen by."""
    for key in ("instType", "instId", "ccy", "algoId", "sprdId"):
        if wanted.get(key, "ANY") != "ANY" and said.row.get(key, wanted[key]) != wanted[key]:
            return False
    return bool(wanted.get("instId")) or said.family in ("", wanted.get("instFamily", said.family))


def _concerns_position(wanted: Mapping[str, str], position: Position) -> bool:
    one = position.one
    return _concerns(wanted, Said("", {"instType": one.inst_type, "instId": one.inst_id}, one.index))


def _paged(arg: Arg, account: Account, pages: list[list[Any]]) -> list[str]:
    last = len(pages)
    return [
        _push(arg, account, rows, eventType="snapshot", curPage=number, lastPage=number == last)
        for number, rows in enumerate(pages, 1)
    ]


def _pages(rows: list[Any], most: int) -> list[list[Any]]:
    return [rows[start : start + most] for start in range(0, len(rows), most)] or [[]]


def _push(arg: Arg, account: Account, rows: Sequence[Any], **more: Any) -> str:
    by_key = dict(arg)
    by_key.pop("extraParams", None)
    said = {"channel": by_key.pop("channel"), **by_key, "uid": account.uid}
    return json.dumps({"arg": said, **more, "data": rows}, separators=(",", ":"), ensure_ascii=False)
