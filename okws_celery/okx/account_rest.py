"""What REST is asked of an account: its open orders, what became of others, its executions. All of it is signed."""

from __future__ import annotations

from collections.abc import Mapping

from okws_celery.okx.rest import RestRequest

__all__ = [
    "ALGO_TYPES",
    "A_PAGE",
    "algo_request",
    "fills_request",
    "open_algos_request",
    "open_orders_request",
    "order_request",
    "past_orders_request",
]

A_PAGE = 100
"""Rows of one answer; one with fewer is the last."""
ALGO_TYPES = ("conditional,oco", "trigger", "chase")
"""The kinds of order of the channel `orders-algo` (PROTOCOL 5.4), as REST takes them together."""

_A_SECOND = 28.0  # OKX: 60 in 2 s of most
_A_SECOND_PAST = 18.0
_A_SECOND_SLOW = 9.0


def open_orders_request(arguments: Mapping[str, str], older_than: str = "") -> RestRequest:
    """The open orders that the arguments choose, newest first; older than an ordId."""
    return _page("/api/v5/trade/orders-pending", arguments, older_than, _A_SECOND)


def order_request(inst_id: str, ord_id: str) -> RestRequest:
    """One order as it stands, or ended."""
    return RestRequest("/api/v5/trade/order", {"instId": inst_id, "ordId": ord_id}, _A_SECOND, signed=True)


def past_orders_request(inst_type: str, begin_ms: int, older_than: str = "") -> RestRequest:
    """Orders of a type that ended since a time, newest first, of the last seven days; older than an ordId."""
    return _page(
        "/api/v5/trade/orders-history", {"instType": inst_type, "begin": str(begin_ms)}, older_than, _A_SECOND_PAST
    )


def fills_request(arguments: Mapping[str, str], begin_ms: int, older_than: str = "") -> RestRequest:
    """Executions since a time, newest first, of the last three days; older than a billId."""
    return _page("/api/v5/trade/fills", {**arguments, "begin": str(begin_ms)}, older_than, _A_SECOND)


def open_algos_request(algo_types: str, arguments: Mapping[str, str], older_than: str = "") -> RestRequest:
    """The algo orders of some kinds that are open, newest first; older than an algoId."""
    return _page("/api/v5/trade/orders-algo-pending", {**arguments, "ordType": algo_types}, older_than, _A_SECOND_SLOW)


def algo_request(algo_id: str) -> RestRequest:
    """One algo order as it stands, or ended."""
    return RestRequest("/api/v5/trade/order-algo", {"algoId": algo_id}, _A_SECOND_SLOW, signed=True)


def _page(path: str, arguments: Mapping[str, str], older_than: str, a_second: float) -> RestRequest:
    parameters = {**arguments, "limit": str(A_PAGE)}
    if older_than:
        parameters["after"] = older_than
    return RestRequest(path, parameters, a_second, signed=True)
