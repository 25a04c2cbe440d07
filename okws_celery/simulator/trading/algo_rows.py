"""Algo orders as OKX writes them, on `orders-algo` and `algo-advance` and in REST (PROTOCOL 5.4)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from okws_celery.simulator.trading.algos import Algo, Trigger
from okws_celery.simulator.trading.prices import Prices
from okws_celery.simulator.trading.terms import notional, plain

__all__ = ["algo_row"]

_REPEATED = (
    "algoClOrdId ccy closeFraction posSide quickMgnType side tag tdMode tgtCcy activePx callbackRatio callbackSpread "
    "pxVar pxSpread szLimit pxLimit timeInterval tradeQuoteCcy"
).split()


def algo_row(algo: Algo, prices: Prices, now_ms: int) -> dict[str, Any]:
    """The object of REST and of both channels."""
    said = {key: algo.given.get(key, "") for key in _REPEATED}
    by_name = {trigger.name: trigger for trigger in algo.triggers}
    last = prices.last(algo.one)
    stop = algo.trail.stop if algo.trail else None
    return {
        **said,
        "posSide": said["posSide"] or ("" if algo.one.is_spot else "net"),
        "instType": algo.one.inst_type,
        "instId": algo.one.inst_id,
        "algoId": algo.algo_id,
        "clOrdId": "",
        "ordId": algo.ord_id,
        "ordIdList": [algo.ord_id] if algo.ord_id else [],
        "subAlgoIdList": [],
        "ordType": algo.ord_type,
        "sz": "" if algo.size is None else plain(algo.size),
        "state": algo.state,
        "lever": "",
        **_trigger("tp", by_name.get("tp"), "tpOrdPx"),
        **_trigger("sl", by_name.get("sl"), "slOrdPx"),
        "triggerPx": plain(by_name[""].px) if "" in by_name else "",
        "triggerPxType": by_name[""].kind if "" in by_name else "",
        "ordPx": _order_price(by_name.get("")),
        "moveTriggerPx": "" if stop is None else plain(stop),
        "advanceOrdType": "",
        "advChaseParams": [],
        "chaseType": "",
        "chaseVal": "",
        "maxChaseType": "",
        "maxChaseVal": "",
        "count": "",
        "last": plain(last),
        "notionalUsd": plain(notional(algo.one, algo.size or Decimal(0), last)),
        "actualSz": algo.actual_sz or "0",
        "actualPx": algo.actual_px,
        "actualSide": algo.actual_side,
        "triggerTime": str(algo.trigger_ms) if algo.trigger_ms else "",
        "reduceOnly": algo.given.get("reduceOnly") or "false",
        "failCode": algo.fail_code,
        "reqId": algo.req_id,
        "amendResult": algo.amend_result,
        "amendPxOnTriggerType": "0",
        "attachAlgoOrds": [],
        "linkedOrd": {"ordId": ""},
        "isTradeBorrowMode": "",
        "cTime": str(algo.c_ms),
        "uTime": str(algo.u_ms),
        "pTime": str(now_ms),
    }


def _trigger(name: str, trigger: Trigger | None, price: str) -> dict[str, str]:
    return {
        f"{name}TriggerPx": plain(trigger.px) if trigger else "",
        f"{name}TriggerPxType": trigger.kind if trigger else "",
        price: _order_price(trigger),
    }


def _order_price(trigger: Trigger | None) -> str:
    if trigger is None:
        return ""
    return "-1" if trigger.ord_px is None else plain(trigger.ord_px)
