"""Orders and fills as OKX writes them, on the channels `orders` and `fills` and in REST (PROTOCOL 5.3)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.orders import Fill, Order
from okws_celery.simulator.trading.prices import Prices
from okws_celery.simulator.trading.terms import is_inverse, notional, plain, settle_ccy

__all__ = ["fill_push_row", "fill_rest_row", "order_push_row", "order_row"]


def order_row(order: Order) -> dict[str, Any]:
    """The object of REST; `fillPx` and its like are of the last fill."""
    asked, last, one = order.asked, order.last, order.one
    average = order.average
    attached = asked.attached[0] if asked.attached else {}
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "ordId": order.ord_id,
        "clOrdId": asked.cl_ord_id,
        "tag": asked.tag,
        "algoId": order.algo_id,
        "algoClOrdId": "",
        "attachAlgoClOrdId": attached.get("attachAlgoClOrdId", ""),
        "px": "" if order.price is None else plain(order.price),
        "pxUsd": "",
        "pxVol": "",
        "pxType": "",
        "sz": plain(order.size),
        "tgtCcy": asked.tgt_ccy,
        "ordType": asked.ord_type,
        "side": asked.side,
        "posSide": asked.pos_side,
        "tdMode": asked.td_mode,
        "ccy": asked.ccy,
        "lever": order.lever,
        "reduceOnly": "true" if asked.reduce_only else "false",
        "stpMode": asked.stp_mode,
        "stpId": "",
        "isTpLimit": "false",
        "quickMgnType": "",
        "tradeQuoteCcy": asked.more.get("tradeQuoteCcy", ""),
        "outcome": "",
        "fillPx": plain(last.px) if last else "",
        "fillSz": plain(last.size) if last else "0",
        "fillTime": str(last.ts_ms) if last else "",
        "tradeId": last.trade_id if last else "",
        "accFillSz": plain(order.filled),
        "avgPx": "" if average is None else plain(average),
        "fee": plain(-order.fee),
        "feeCcy": order.fee_ccy or _fee_ccy(order),
        "rebate": "0",
        "rebateCcy": one.quote if one.is_spot and asked.buys else _fee_ccy(order),
        "pnl": plain(order.pnl),
        "state": order.state,
        "category": "normal",
        "source": "7" if order.algo_id else "",
        "cancelSource": order.cancel_source,
        "cancelSourceReason": "",
        "attachAlgoOrds": [dict(attach) for attach in asked.attached],
        "linkedAlgoOrd": {"algoId": ""},
        "tpTriggerPx": attached.get("tpTriggerPx", ""),
        "tpTriggerPxType": attached.get("tpTriggerPxType", ""),
        "tpOrdPx": attached.get("tpOrdPx", ""),
        "slTriggerPx": attached.get("slTriggerPx", ""),
        "slTriggerPxType": attached.get("slTriggerPxType", ""),
        "slOrdPx": attached.get("slOrdPx", ""),
        "cTime": str(order.c_ms),
        "uTime": str(order.u_ms),
    }


def order_push_row(order: Order, fill: Fill | None, prices: Prices) -> dict[str, Any]:
    """The object of the channel `orders`; `fillPx` and its like are of `fill`, the reason of this push."""
    one = order.one
    last = prices.last(one)
    worth_at = order.price if order.price is not None else order.average or last
    size = order.filled if order.asked.in_quote else order.size
    return {
        **order_row(order),
        "fillPx": plain(fill.px) if fill else "",
        "fillSz": plain(fill.size) if fill else "0",
        "fillTime": str(fill.ts_ms) if fill else "",
        "tradeId": fill.trade_id if fill else "",
        "execType": fill.exec_type if fill else "",
        "fillFee": plain(-fill.fee) if fill else "0",
        "fillFeeCcy": fill.fee_ccy if fill else "",
        "fillPnl": plain(fill.pnl) if fill else "0",
        "fillNotionalUsd": _usd(one, fill.size, fill.px, prices) if fill else "",
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": plain(prices.mark(one)) if fill and not one.is_spot else "",
        "fillIdxPx": plain(prices.index(one)) if fill else "",
        "lastPx": plain(last),
        "notionalUsd": _usd(one, size, worth_at, prices),
        "amendResult": order.amend_result,
        "amendSource": order.amend_source,
        "reqId": order.req_id,
        "code": "0",
        "msg": "",
    }


def fill_push_row(fill: Fill) -> dict[str, Any]:
    """The object of the channel `fills`: the client's id only if it is a number (PROTOCOL 5.3)."""
    asked = fill.order.asked
    said = asked.cl_ord_id
    return {
        "instId": fill.order.one.inst_id,
        "fillSz": plain(fill.size),
        "fillPx": plain(fill.px),
        "side": asked.side,
        "ts": str(fill.ts_ms),
        "ordId": fill.order.ord_id,
        "clOrdId": said if said.isdecimal() and 0 < int(said) < 1 << 63 else "0",
        "tradeId": fill.trade_id,
        "execType": fill.exec_type,
        "count": "1",
    }


def fill_rest_row(fill: Fill) -> dict[str, Any]:
    """The object of `GET /trade/fills`."""
    order, asked = fill.order, fill.order.asked
    sub_type = {"buy": "1", "sell": "2"}[asked.side] if order.one.is_spot else _derivative_sub_type(fill)
    return {
        "instType": order.one.inst_type,
        "instId": order.one.inst_id,
        "tradeId": fill.trade_id,
        "ordId": order.ord_id,
        "clOrdId": asked.cl_ord_id,
        "billId": fill.bill_id,
        "subType": sub_type,
        "tag": asked.tag,
        "fillPx": plain(fill.px),
        "fillSz": plain(fill.size),
        "fillIdxPx": "",
        "fillPnl": plain(fill.pnl),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": "",
        "side": asked.side,
        "posSide": asked.pos_side or "net",
        "execType": fill.exec_type,
        "feeCcy": fill.fee_ccy,
        "fee": plain(-fill.fee),
        "feeRate": plain(-fill.fee_rate),
        "tradeQuoteCcy": asked.more.get("tradeQuoteCcy", ""),
        "ts": str(fill.ts_ms),
        "fillTime": str(fill.ts_ms),
    }


def _fee_ccy(order: Order) -> str:
    one = order.one
    if one.is_spot:
        return one.base if order.asked.buys else one.quote
    return settle_ccy(one)


def _usd(one: Instrument, size: Decimal, price: Decimal, prices: Prices) -> str:
    worth = notional(one, size, price)
    return plain(worth * prices.usd(one.base) if is_inverse(one) else worth)


def _derivative_sub_type(fill: Fill) -> str:
    """Open long 3, open short 4, close long 5, close short 6: a fill that brought a gain or a loss closed."""
    buys = fill.order.asked.buys
    if fill.pnl:
        return "6" if buys else "5"
    return "3" if buys else "4"
