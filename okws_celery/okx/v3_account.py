"""Balances and positions of v5 spelled as rows of v3 (PROTOCOL 9.3, 9.5). What v5 does not say is "".

v3 had an account for each product, currency or contract; v5 has one account, of which each of them shows its part.
"""

from __future__ import annotations

from collections.abc import Sequence

from okws_celery.okx.v3_rows import iso
from okws_celery.okx.v3_state import Fields, StateView, at

__all__ = [
    "FUTURES_ACCOUNT",
    "FUTURES_POSITION",
    "MARGIN_ACCOUNT",
    "OPTION_ACCOUNT",
    "OPTION_POSITION",
    "SPOT_ACCOUNT",
    "SWAP_ACCOUNT",
    "SWAP_POSITION",
    "currency_of",
]

_SIDE = {
    "qty": "0",
    "avail_qty": "0",
    "avg_cost": "0",
    "settlement_price": "0",
    "margin": "0",
    "pnl": "0",
    "pnl_ratio": "0",
    "unrealised_pnl": "0",
}
"""A side of a futures position on which there is nothing."""
_FIXED_SIDE = {"liqui_price": "0", "leverage": "0", "margin_ratio": "0", "maint_margin_ratio": "0"}
_MODES = {"cross": "crossed", "isolated": "fixed"}


def currency_of(value: str) -> str:
    """The currency in which an underlying or a contract is settled, or the currency itself: BTC of `BTC-USD-SWAP`."""
    base, *rest = value.split("-")
    quote = rest[0] if rest else ""
    return base if quote in ("", "USD") else quote.partition("_")[0]


# -- balances


def _of_currency(value: str, row: Fields) -> str:
    return value if row.get("ccy") == currency_of(value) else ""


def _of_pair(value: str, row: Fields) -> str:
    """Both currencies of a pair, and its own positions."""
    mine = row.get("instId") == value if row.get("instId") else row.get("ccy") in value.split("-")
    return value if mine else ""


def _spot_account(_value: str, rows: Sequence[Fields]) -> Fields:
    row = rows[-1]
    return {
        "currency": at(row, "ccy"),
        "balance": at(row, "cashBal"),
        "available": at(row, "availBal"),
        "hold": at(row, "frozenBal"),
        "id": "",
        "timestamp": iso(at(row, "uTime")),
    }


def _margin_account(value: str, rows: Sequence[Fields]) -> Fields:
    position = next((row for row in rows if row.get("instId")), {})
    said: Fields = {
        "instrument_id": value,
        "liquidation_price": at(position, "liqPx"),
        "tiers": "",
        "maint_margin_ratio": at(position, "mgnRatio"),
    }
    for row in rows:
        if not row.get("instId"):
            said[f"currency:{at(row, 'ccy')}"] = {
                "available": at(row, "availBal"),
                "balance": at(row, "cashBal"),
                "borrowed": at(row, "liab"),
                "hold": at(row, "frozenBal"),
                "lending_fee": at(row, "interest"),
            }
    return said


def _futures_account(value: str, rows: Sequence[Fields]) -> Fields:
    row = rows[-1]
    return {
        "currency": at(row, "ccy"),
        "margin_mode": "crossed",
        "equity": at(row, "eq"),
        "total_avail_balance": at(row, "cashBal"),
        **_margins(row),
        "margin_for_unfilled": at(row, "ordFrozen"),
        "liqui_mode": "",
        "available": at(row, "availEq") or at(row, "availBal"),
        "open_max": "",
        "can_withdraw": "",
        "underlying": value if "-" in value else "",
        "timestamp": iso(at(row, "uTime")),
    }


def _swap_account(value: str, rows: Sequence[Fields]) -> Fields:
    row = rows[-1]
    return {
        "instrument_id": value,
        "currency": at(row, "ccy"),
        "equity": at(row, "eq"),
        **_margins(row),
        "total_avail_balance": at(row, "cashBal"),
        "fixed_balance": at(row, "isoEq"),
        "margin_mode": "crossed",
        "available_qty": at(row, "availEq") or at(row, "availBal"),
        "long_open_max": "",
        "short_open_max": "",
        "timestamp": iso(at(row, "uTime")),
    }


def _option_account(value: str, rows: Sequence[Fields]) -> Fields:
    row = rows[-1]
    return {
        "underlying": value,
        "currency": at(row, "ccy"),
        "account_status": "",
        "equity": at(row, "eq"),
        **_margins(row),
        "margin_for_unfilled": at(row, "ordFrozen"),
        "total_avail_balance": at(row, "cashBal"),
        "avail_margin": at(row, "availEq") or at(row, "availBal"),
        "maintenance_margin": at(row, "mmr"),
        "option_value": "",
        "delta": "",
        "gamma": "",
        "theta": "",
        "vega": "",
        "timestamp": iso(at(row, "uTime")),
    }


def _margins(row: Fields) -> Fields:
    return {
        "margin": at(row, "imr"),
        "margin_ratio": at(row, "mgnRatio"),
        "margin_frozen": at(row, "imr"),
        "maint_margin_ratio": "",
        "realized_pnl": at(row, "totalPnl"),
        "unrealized_pnl": at(row, "upl"),
    }


# -- positions


def _contract(_value: str, row: Fields) -> str:
    return str(row.get("instId") or "")


def _futures_position(_value: str, rows: Sequence[Fields]) -> Fields:
    newest = _newest(rows)
    mode = at(newest, "mgnMode")
    isolated = mode == "isolated"
    said: Fields = {
        "instrument_id": at(newest, "instId"),
        "margin_mode": _MODES.get(mode, ""),
        **({} if isolated else {"liquidation_price": at(newest, "liqPx"), "leverage": at(newest, "lever")}),
        "realised_pnl": at(newest, "realizedPnl"),
        "last": at(newest, "last"),
        "created_at": iso(at(newest, "cTime")),
        "updated_at": iso(at(newest, "uTime")),
        "timestamp": iso(at(newest, "pTime") or at(newest, "uTime")),
    }
    # A row of v3 has one margin mode.
    sides = {_side(row): row for row in rows if at(row, "mgnMode") == mode}
    for side in ("long", "short"):
        for name, value_ in _futures_side(sides.get(side), isolated=isolated).items():
            said[f"{side}_{name}"] = value_
    return said


def _futures_side(row: Fields | None, *, isolated: bool) -> Fields:
    if row is None:
        return {**_SIDE, **(_FIXED_SIDE if isolated else {})}
    size = at(row, "pos").removeprefix("-")
    said = {
        "qty": size,
        "avail_qty": at(row, "availPos").removeprefix("-") or size,
        "avg_cost": at(row, "avgPx"),
        "settlement_price": at(row, "nonSettleAvgPx") and at(row, "avgPx"),
        "margin": at(row, "margin") or at(row, "imr"),
        "pnl": at(row, "upl"),
        "pnl_ratio": at(row, "uplRatio"),
        "unrealised_pnl": at(row, "upl"),
    }
    if isolated:
        said |= {
            "liqui_price": at(row, "liqPx"),
            "leverage": at(row, "lever"),
            "margin_ratio": at(row, "mgnRatio"),
            "maint_margin_ratio": "",
        }
    return said


def _swap_position(_value: str, rows: Sequence[Fields]) -> Fields:
    newest = _newest(rows)
    return {
        "instrument_id": at(newest, "instId"),
        "margin_mode": _MODES.get(at(newest, "mgnMode"), ""),
        "timestamp": iso(at(newest, "pTime") or at(newest, "uTime")),
        "holding": [_holding(row) for row in sorted(rows, key=_side)],
    }


def _holding(row: Fields) -> Fields:
    size = at(row, "pos").removeprefix("-")
    return {
        "instrument_id": at(row, "instId"),
        "side": _side(row),
        "position": size,
        "avail_position": at(row, "availPos").removeprefix("-") or size,
        "avg_cost": at(row, "avgPx"),
        "settlement_price": at(row, "nonSettleAvgPx") and at(row, "avgPx"),
        "leverage": at(row, "lever"),
        "liquidation_price": at(row, "liqPx"),
        "margin": at(row, "margin") or at(row, "imr"),
        "maint_margin_ratio": "",
        "realized_pnl": at(row, "realizedPnl"),
        "unrealized_pnl": at(row, "upl"),
        "settled_pnl": at(row, "settledPnl"),
        "last": at(row, "last"),
        "open_outstanding": "",
        "timestamp": iso(at(row, "uTime")),
    }


def _option_position(_value: str, rows: Sequence[Fields]) -> Fields:
    row = _newest(rows)
    return {
        "instrument_id": at(row, "instId"),
        "position": at(row, "pos"),
        "avail_position": at(row, "availPos"),
        "avg_cost": at(row, "avgPx"),
        "settlement_price": "",
        "total_pnl": at(row, "pnl"),
        "pnl_ratio": at(row, "uplRatio"),
        "realized_pnl": at(row, "realizedPnl"),
        "unrealized_pnl": at(row, "upl"),
        "pos_margin": at(row, "margin") or at(row, "imr"),
        "option_value": at(row, "optVal"),
        "created_at": iso(at(row, "cTime")),
        "updated_at": iso(at(row, "uTime")),
        "timestamp": iso(at(row, "pTime") or at(row, "uTime")),
    }


def _side(row: Fields) -> str:
    """long or short; in net mode the sign of the position says which."""
    side = at(row, "posSide")
    if side in ("long", "short"):
        return side
    return "short" if at(row, "pos").startswith("-") else "long"


def _newest(rows: Sequence[Fields]) -> Fields:
    # Where several are equally new, one that is still there.
    return max(rows, key=lambda row: (at(row, "uTime").rjust(16), at(row, "pos").strip("-0.") != ""))


SPOT_ACCOUNT = StateView(_of_currency, _spot_account, "currency", single=True)
MARGIN_ACCOUNT = StateView(_of_pair, _margin_account, single=True)
FUTURES_ACCOUNT = StateView(_of_currency, _futures_account, "underlying", single=True, pushed="named")
SWAP_ACCOUNT = StateView(_of_currency, _swap_account, single=True)
OPTION_ACCOUNT = StateView(_of_currency, _option_account, "underlying", single=True)
FUTURES_POSITION = StateView(_contract, _futures_position, single=True)
SWAP_POSITION = StateView(_contract, _swap_position, single=True)
OPTION_POSITION = StateView(_contract, _option_position)
