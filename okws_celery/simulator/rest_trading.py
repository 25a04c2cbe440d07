"""Private REST about orders and fills (PROTOCOL 7 and 8): parameters in, rows out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from okws_celery.simulator.trading.asked import text_of
from okws_celery.simulator.trading.order_rows import fill_rest_row, order_row
from okws_celery.simulator.trading.orders import Order
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.trader import Trader

__all__ = ["fills", "order", "orders_history", "orders_pending", "page"]

_MOST_ROWS = 100
_INST_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")


def order(trader: Trader, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`GET /trade/order`: one order by `ordId` or `clOrdId`; Refused (51603) if there is none."""
    inst_id, ord_id, cl_ord_id = (text_of(query, name) for name in ("instId", "ordId", "clOrdId"))
    if not inst_id:
        raise Refused(50014, name="instId")
    if not ord_id and not cl_ord_id:
        raise Refused(51000, name="ordId or clOrdId")
    found = trader.find(ord_id, cl_ord_id)
    if found is None or found.one.inst_id != inst_id:
        raise Refused(51603)
    return [order_row(found)]


def orders_pending(trader: Trader, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`GET /trade/orders-pending`: open orders, newest first."""
    return _orders(reversed(trader.live.values()), query)


def orders_history(trader: Trader, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`GET /trade/orders-history` and its archive: orders that are over, newest first."""
    if not text_of(query, "instType"):
        raise Refused(50014, name="instType")
    newest_first = sorted(trader.done.values(), key=lambda one: int(one.ord_id), reverse=True)
    return _orders(newest_first, query)


def fills(trader: Trader, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`GET /trade/fills` and its history: executions, newest first; pages are by `billId`."""
    _check_type(query)
    found = (
        fill_rest_row(fill)
        for fill in reversed(trader.fills)
        if _matches(fill.order, query) and query.get("ordId", "") in ("", fill.order.ord_id)
    )
    return page(found, query, "billId", "ts")


def page(
    rows: Iterable[dict[str, Any]], query: Mapping[str, Any], id_key: str, time_key: str = "cTime"
) -> list[dict[str, Any]]:
    """A page of rows that come newest first: `after` is for older ones than an id, `before` for newer ones.

    `begin` and `end` bound the time, in ms; `limit` is at most 100. Refused (51000) for what is no number.
    """
    after, before = _whole(query, "after"), _whole(query, "before")
    begin, end = _whole(query, "begin"), _whole(query, "end")
    limit = min(_MOST_ROWS, _MOST_ROWS if (asked := _whole(query, "limit")) is None else asked)
    found = [
        row
        for row in rows
        if (after is None or int(row[id_key]) < after)
        and (before is None or int(row[id_key]) > before)
        and (begin is None or int(row[time_key]) >= begin)
        and (end is None or int(row[time_key]) <= end)
    ]
    return found[:limit] if before is None or after is not None else found[-limit:]


def _orders(orders: Iterable[Order], query: Mapping[str, Any]) -> list[dict[str, Any]]:
    _check_type(query)
    return page((order_row(one) for one in orders if _matches(one, query)), query, "ordId")


def _matches(one: Order, query: Mapping[str, Any]) -> bool:
    inst = one.one
    return (
        query.get("instType", "") in ("", inst.inst_type)
        and query.get("instFamily", "") in ("", inst.index)
        and query.get("instId", "") in ("", inst.inst_id)
        and query.get("state", "") in ("", one.state)
        and query.get("category", "") in ("", "normal")
        and (not query.get("ordType") or one.asked.ord_type in str(query["ordType"]).split(","))
    )


def _check_type(query: Mapping[str, Any]) -> None:
    if query.get("instType") and query["instType"] not in _INST_TYPES:
        raise Refused(51000, name="instType")


def _whole(query: Mapping[str, Any], name: str) -> int | None:
    text = text_of(query, name)
    if not text:
        return None
    if not text.isdecimal() or len(text) > 25:
        raise Refused(51000, name=name)
    return int(text)
