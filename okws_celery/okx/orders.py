"""Orders and executions as REST tells them, in the shape in which the channel `orders` would have pushed them.

REST's order is like the channel's, except that its `fillPx` and so on are those of the last execution, whenever that
was; the channel's are those of the execution that the push is about (PROTOCOL 5.3). Rows that come from here carry
`"source": "rest"`; OKX's own `source`, the origin of the order, is then `orderSource`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Row", "execution", "from_rest", "ord_id_of", "parsed", "time_of", "with_execution", "without_execution"]

Row = dict[str, Any]

_NO_FILL = {
    "fillPx": "",
    "fillSz": "0",
    "fillTime": "",
    "tradeId": "",
    "execType": "",
    "fillFee": "0",
    "fillFeeCcy": "",
    "fillPnl": "0",
}
_SAME = ("fillPx", "fillSz", "tradeId", "execType", "fillPnl", "fillPxVol", "fillPxUsd", "fillMarkVol", "fillMarkPx")
"""Fields of an execution that the channel calls the same."""
_IDENTITY = ("instType", "instId", "ordId", "clOrdId", "tag", "side", "posSide", "tradeQuoteCcy")
_TOTALS = ("accFillSz", "avgPx", "fee", "feeCcy", "rebate", "rebateCcy", "pnl", "notionalUsd", "cancelSource")
"""What is not known for the moment of an execution that lies back."""


def parsed(raw: bytes) -> Row:
    """A row as a dict; {} if it is none."""
    try:
        return msgspec.json.decode(raw, type=Row)
    except ValueError:
        return {}


def ord_id_of(row: Mapping[str, Any]) -> str:
    """The order that a row is about; "" if it does not say."""
    return str(row.get("ordId") or "")


def time_of(row: Mapping[str, Any]) -> int:
    """When that happened which the row is about, exchange ms; 0 if it does not say."""
    text = str(row.get("fillTime") or row.get("ts") or row.get("uTime") or "")
    return int(text) if text.isdecimal() else 0


def from_rest(row: Row) -> bytes:
    """The row as it is stored, with its mark."""
    marked = dict(row)
    if "source" in marked:
        marked["orderSource"] = marked["source"]
    marked["source"] = "rest"
    return msgspec.json.encode(marked)


def without_execution(order: Row) -> Row:
    """The order as a push that is about no execution says it."""
    return {**order, **_NO_FILL}


def with_execution(order: Row, fill: Row) -> Row:
    """The order as the push says it that is about its last execution."""
    return {**order, **_of_execution(fill)}


def execution(fill: Row, order: Row) -> Row:
    """An execution that lies back, as the push would have said it, as far as that can be known; `order` may be {}."""
    row = {**order, **{name: fill[name] for name in _IDENTITY if fill.get(name)}}
    row |= {name: "" for name in _TOTALS if name in row}
    return {**row, "state": "partially_filled", **_of_execution(fill), "uTime": str(time_of(fill))}


def _of_execution(fill: Row) -> Row:
    row = {name: fill[name] for name in _SAME if name in fill}
    row["fillTime"] = str(time_of(fill))
    row["fillFee"], row["fillFeeCcy"] = fill.get("fee", ""), fill.get("feeCcy", "")
    return row
