"""Orders and algo orders of v5 spelled as rows of v3 (PROTOCOL 9.3, 9.5). What v5 does not say is ""."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException

from okws_celery.okx.v3_rows import iso, ms_of_iso
from okws_celery.okx.v3_state import Fields, StateView, at, of_key, one

__all__ = ["ALGO", "ALGO_DERIVATIVE", "ORDER", "ORDER_DERIVATIVE", "ORDER_OPTION", "position_type"]

STATES = {
    "live": "0",
    "partially_filled": "1",
    "filled": "2",
    "canceled": "-1",
    "mmp_canceled": "-1",
    "order_failed": "-2",
}
"""State numbers of v3; 3 (submitting), 4 (canceling) and 5 (amending) have no counterpart."""
_STATES_BACK = {"1": "partially_filled", "2": "filled", "-1": "canceled"}
_SPOT_STATUS = {"0": "open", "1": "part_filled", "2": "filled", "-1": "cancelled", "-2": "failure"}
"""The older word for a state, of spot and options."""
_ORDER_TYPES = {
    "limit": "0",
    "post_only": "1",
    "fok": "2",
    "ioc": "3",
    "optimal_limit_ioc": "4",
    "mmp": "0",
    "mmp_and_post_only": "1",
    "op_fok": "2",
    "rpi": "1",
    "elp": "1",
}
"""Order types of v3 by v5's `ordType`: 0 normal, 1 post only, 2 fill or kill, 3 immediate or cancel, 4 market."""
_ALGO_TYPES = {
    "conditional": "1",
    "oco": "1",
    "trigger": "1",
    "move_order_stop": "2",
    "iceberg": "3",
    "twap": "4",
}
_ALGO_STATUS = {
    "live": "1",
    "effective": "2",
    "canceled": "3",
    "partially_effective": "4",
    "pause": "5",
    "order_failed": "6",
    "partially_failed": "6",
}
_ALGO_STATUS_BACK = {"2": "effective", "3": "canceled", "4": "partially_effective", "5": "pause", "6": "order_failed"}


_EXACT = Context(prec=100)


def position_type(row: Fields) -> str:
    """1 open long, 2 open short, 3 close long, 4 close short; in net mode an order that only reduces closes."""
    buys = at(row, "side") == "buy"
    match at(row, "posSide"):
        case "long":
            return "1" if buys else "3"
        case "short":
            return "4" if buys else "2"
    if at(row, "reduceOnly") == "true":
        return "4" if buys else "3"
    return "1" if buys else "2"


def _order(row: Fields) -> Fields:
    return {
        **_named(row, market_type="0"),
        "side": at(row, "side"),
        "type": "market" if at(row, "ordType") == "market" else "limit",
        "notional": at(row, "sz") if _is_in_quote(row) else "",
        "size": "" if _is_in_quote(row) else at(row, "sz"),
        "filled_size": at(row, "accFillSz"),
        "filled_notional": _product(at(row, "accFillSz"), at(row, "avgPx")),
        "margin_trading": _margin_trading(row),
        "status": _SPOT_STATUS.get(_state(row), ""),
        "created_at": iso(at(row, "cTime")),
        **_fees(row),
        **_events(row),
    }


def _order_derivative(row: Fields) -> Fields:
    return {
        **_named(row, market_type="4"),
        "type": position_type(row),
        "size": at(row, "sz"),
        "filled_qty": at(row, "accFillSz"),
        "price_avg": at(row, "avgPx"),
        "fee": at(row, "fee"),
        "contract_val": "",
        "leverage": at(row, "lever"),
        "status": _state(row),
        "error_code": at(row, "code"),
        "pnl": at(row, "pnl"),
        "created_at": iso(at(row, "cTime")),
    }


def _order_option(row: Fields) -> Fields:
    inst_id = at(row, "instId")
    return {
        **_named(row, market_type="4"),
        "underlying": "-".join(inst_id.split("-")[:2]),
        "side": at(row, "side"),
        "type": "market" if at(row, "ordType") == "market" else "limit",
        "size": at(row, "sz"),
        "filled_qty": at(row, "accFillSz"),
        "price_avg": at(row, "avgPx"),
        "status": _SPOT_STATUS.get(_state(row), ""),
        "created_at": iso(at(row, "cTime")),
        **_fees(row),
        **_events(row),
    }


def _order_back(row: Fields) -> Fields:
    return {
        "ordId": row.get("order_id"),
        "instId": row.get("instrument_id"),
        "state": _STATES_BACK.get(at(row, "state"), "live"),
        "accFillSz": at(row, "filled_size") or at(row, "filled_qty"),
        "tradeId": row.get("last_fill_id"),
        "reqId": row.get("last_request_id"),
        "amendResult": row.get("last_amend_result"),
        "fillTime": str(ms_of_iso(at(row, "last_fill_time")) or ""),
        "uTime": str(ms_of_iso(at(row, "timestamp")) or ""),
    }


def _algo_back(row: Fields) -> Fields:
    return {
        "algoId": row.get("algo_id"),
        "instId": row.get("instrument_id"),
        "state": _ALGO_STATUS_BACK.get(at(row, "status"), "live"),
        "uTime": str(ms_of_iso(at(row, "timestamp")) or ""),
    }


def _named(row: Fields, market_type: str) -> Fields:
    """What the orders of all products have."""
    return {
        "instrument_id": at(row, "instId"),
        "order_id": at(row, "ordId"),
        "client_oid": at(row, "clOrdId"),
        "price": at(row, "px"),
        "order_type": _ORDER_TYPES.get(at(row, "ordType"), market_type),
        "last_fill_px": at(row, "fillPx"),
        "last_fill_id": at(row, "tradeId"),
        "last_fill_qty": at(row, "fillSz"),
        "last_fill_time": iso(at(row, "fillTime")),
        "state": _state(row),
        "timestamp": iso(at(row, "uTime")),
    }


def _fees(row: Fields) -> Fields:
    return {
        "fee": at(row, "fee"),
        "fee_currency": at(row, "feeCcy"),
        "rebate": at(row, "rebate"),
        "rebate_currency": at(row, "rebateCcy"),
    }


def _events(row: Fields) -> Fields:
    return {
        "event_code": at(row, "code"),
        "event_message": at(row, "msg"),
        "last_request_id": at(row, "reqId"),
        "last_amend_result": at(row, "amendResult"),
    }


def _algo(row: Fields) -> Fields:
    return {**_algo_named(row), "mode": _margin_trading(row), "side": at(row, "side")}


def _algo_derivative(row: Fields) -> Fields:
    return {**_algo_named(row), "type": position_type(row), "leverage": at(row, "lever")}


def _algo_named(row: Fields) -> Fields:
    price = _first(row, "ordPx", "slOrdPx", "tpOrdPx")
    said = {
        "algo_id": at(row, "algoId"),
        "order_type": _ALGO_TYPES.get(at(row, "ordType"), ""),
        "instrument_id": at(row, "instId"),
        "size": at(row, "sz"),
        "status": _ALGO_STATUS.get(at(row, "state"), ""),
        "trigger_price": _first(row, "triggerPx", "slTriggerPx", "tpTriggerPx", "moveTriggerPx", "activePx"),
        "algo_price": "" if price == "-1" else price,
        "stop_type": ("2" if price == "-1" else "1") if price else "",
        "order_id": at(row, "ordId"),
        "cancel_code": at(row, "failCode"),
        "created_at": iso(at(row, "cTime")),
        "timestamp": iso(at(row, "uTime") or at(row, "cTime")),
    }
    match at(row, "ordType"):
        case "move_order_stop":
            said["callback_rate"] = at(row, "callbackRatio")
        case "iceberg":
            said |= {
                "algo_variance": _first(row, "pxVar", "pxSpread"),
                "avg_amount": at(row, "szLimit"),
                "price_limit": at(row, "pxLimit"),
            }
        case "twap":
            said |= {
                "sweep_range": _first(row, "pxVar", "pxSpread"),
                "single_limit": at(row, "szLimit"),
                "price_limit": at(row, "pxLimit"),
                "time_interval": at(row, "timeInterval"),
            }
    return said


def _first(row: Fields, *keys: str) -> str:
    return next((value for value in (at(row, key) for key in keys) if value), "")


def _state(row: Fields) -> str:
    return STATES.get(at(row, "state"), "")


def _margin_trading(row: Fields) -> str:
    return {"": "", "cash": "1"}.get(at(row, "tdMode"), "2")


def _is_in_quote(row: Fields) -> bool:
    """A market order whose size is an amount of the quote currency."""
    return at(row, "ordType") == "market" and at(row, "tgtCcy") == "quote_ccy"


def _product(size: str, price: str) -> str:
    try:
        return format(_EXACT.multiply(Decimal(size), Decimal(price)), "f")
    except DecimalException:
        return ""


_BY_ORDER = of_key("ordId")
_BY_ALGO = of_key("algoId")
ORDER = StateView(_BY_ORDER, one(_order), "order_id", mirrored=True, back=_order_back)
ORDER_DERIVATIVE = StateView(_BY_ORDER, one(_order_derivative), "order_id", mirrored=True, back=_order_back)
ORDER_OPTION = StateView(_BY_ORDER, one(_order_option), "order_id", mirrored=True, back=_order_back)
ALGO = StateView(_BY_ALGO, one(_algo), "algo_id", mirrored=True, back=_algo_back)
ALGO_DERIVATIVE = StateView(_BY_ALGO, one(_algo_derivative), "algo_id", mirrored=True, back=_algo_back)
