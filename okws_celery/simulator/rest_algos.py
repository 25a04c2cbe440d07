"""Private REST about algo orders (PROTOCOL 5.4): parameters in, rows out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from okws_celery.simulator.rest_trading import page
from okws_celery.simulator.trading.algo_floor import AlgoFloor
from okws_celery.simulator.trading.algo_rows import algo_row
from okws_celery.simulator.trading.algos import Algo
from okws_celery.simulator.trading.asked import text_of
from okws_celery.simulator.trading.operations import batch_code
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.trader import Trader

__all__ = ["algo", "algos_history", "algos_pending", "amend", "cancel", "place"]

_TYPES = frozenset("conditional oco trigger move_order_stop iceberg twap chase smart_iceberg".split())
_ENDS = ("effective", "canceled", "order_failed", "partially_failed")

Rows = list[dict[str, Any]]


def algo(floor: AlgoFloor, trader: Trader, query: Mapping[str, Any], now_ms: int) -> Rows:
    """`GET /trade/order-algo`: one by `algoId` or `algoClOrdId`; Refused (51603) if there is none."""
    found = floor.find(trader, query)
    if found is None:
        raise Refused(51603)
    return [algo_row(found, trader.prices, now_ms)]


def algos_pending(trader: Trader, query: Mapping[str, Any], now_ms: int) -> Rows:
    """`GET /trade/orders-algo-pending`: those that wait, newest first. `ordType` is needed."""
    return _listed(list(trader.algos.values()), trader, query, now_ms)


def algos_history(trader: Trader, query: Mapping[str, Any], now_ms: int) -> Rows:
    """`GET /trade/orders-algo-history`: those that are over, newest first. `ordType` and `state` or `algoId` needed."""
    state = text_of(query, "state")
    if not state and not text_of(query, "algoId"):
        raise Refused(51000, name="state or algoId")
    if state not in ("", *_ENDS):
        raise Refused(51000, name="state")
    over = [one for one in trader.algos_done.values() if state in ("", one.state)]
    return _listed(over, trader, query, now_ms)


def place(floor: AlgoFloor, trader: Trader, body: Mapping[str, Any]) -> tuple[str, Rows]:
    """`POST /trade/order-algo`."""
    return _answered([body], lambda given: floor.place(trader, given), "tag")


def cancel(floor: AlgoFloor, trader: Trader, body: list[dict[str, Any]]) -> tuple[str, Rows]:
    """`POST /trade/cancel-algos`."""
    return _answered(body, lambda given: floor.cancel(trader, given), "tag")


def amend(floor: AlgoFloor, trader: Trader, body: Mapping[str, Any]) -> tuple[str, Rows]:
    """`POST /trade/amend-algos`."""
    return _answered([body], lambda given: floor.amend(trader, given), "reqId")


def _answered(
    asked: list[Mapping[str, Any]] | list[dict[str, Any]], do: Callable[[Mapping[str, Any]], Algo], echoed: str
) -> tuple[str, Rows]:
    rows = []
    for given in asked:
        row = {"algoId": "", "algoClOrdId": "", "clOrdId": "", echoed: str(given.get(echoed, ""))}
        try:
            done = do(given)
        except Refused as refused:
            row |= {"sCode": str(refused.code), "sMsg": str(refused)}
        else:
            named = done.given.get("algoClOrdId", "")
            row |= {"algoId": done.algo_id, "algoClOrdId": named, "sCode": "0", "sMsg": ""}
        rows.append(row)
    return batch_code(rows), rows


def _listed(found: list[Algo], trader: Trader, query: Mapping[str, Any], now_ms: int) -> Rows:
    types = {one for one in text_of(query, "ordType").split(",") if one}
    if not types:
        raise Refused(50014, name="ordType")
    if types - _TYPES:
        raise Refused(51000, name="ordType")
    wanted = [
        one
        for one in found
        if one.ord_type in types
        and query.get("instType", "") in ("", one.one.inst_type)
        and query.get("instId", "") in ("", one.one.inst_id)
        and query.get("algoId", "") in ("", one.algo_id)
        and query.get("algoClOrdId", "") in ("", one.given.get("algoClOrdId"))
    ]
    newest_first = sorted(wanted, key=lambda one: int(one.algo_id), reverse=True)
    return page((algo_row(one, trader.prices, now_ms) for one in newest_first), query, "algoId")
