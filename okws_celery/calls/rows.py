"""What a row says of itself, whatever its channel and whether v5 or v3: when it was, and which one it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from okws_celery.okx.topics import Topic

__all__ = ["digest_of", "field_of", "time_of"]

_TIMES = ("uTime", "pTime", "ts", "cTime", "timestamp")
_V3_IDENTITY = ("order_id", "algo_id", "instrument_id", "currency", "underlying")


def time_of(row: Any) -> int:
    """Exchange ms of a row; 0 if it has no time. Of a candle: when it began."""
    if isinstance(row, Mapping):
        for name in _TIMES:
            if when := _ms(row.get(name)):
                return when
        if "candle" in row:
            return time_of(row["candle"])
        details = row.get("details")
        return max(map(time_of, details), default=0) if isinstance(details, list) else 0
    if isinstance(row, list) and row:
        return _ms(row[0])
    return 0


def field_of(topic: Topic, row: Mapping[str, Any]) -> str:
    """The field of the channel's hash in which a row of state stands; "" if it cannot be said."""
    if topic.v3 is not None:
        return next((str(row[name]) for name in _V3_IDENTITY if row.get(name)), "")
    values = [str(row.get(name) or "") for name in topic.channel.identity]
    return ":".join(values) if any(values) else ""


def digest_of(topic: Topic, row: Any) -> bytes:
    """What makes a row of a log this one and no other: its number, if it has one, else all of it."""
    if isinstance(row, Mapping):
        number = _first(row, (*topic.channel.identity[:1], "trade_id"))
        if number:
            place = _first(row, ("instId", "sprdId", "instrument_id"))
            # One number stands on both sides of a trade with oneself: the order tells them apart.
            return f"{place}/{number}/{_first(row, ('ordId', 'order_id'))}".encode()
    return msgspec.json.encode(row)


def _first(row: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(row[name]) for name in names if row.get(name)), "")


def _ms(value: Any) -> int:
    text = str(value or "")
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    if len(text) < 10 or text[4:5] != "-":
        return 0
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
