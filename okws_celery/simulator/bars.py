"""Where a candle of each bar begins and ends (PROTOCOL 5.1): bars from 6H upward open at UTC+8 unless named `utc`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["DAY_MS", "HOUR_MS", "MINUTE_MS", "bar_bounds"]

_SECOND = 1000
MINUTE_MS = 60 * _SECOND
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_UNIT_MS = {"s": _SECOND, "m": MINUTE_MS, "H": HOUR_MS, "D": DAY_MS}
_EAST_8 = 8 * HOUR_MS
_MONDAY = 4 * DAY_MS  # the epoch was a Thursday: weeks begin four days after it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bar_bounds(bar: str, ts_ms: int) -> tuple[int, int]:
    """Begin and end, in ms, of the candle to which the moment `ts_ms` belongs. KeyError for no bar of OKX's."""
    plain = bar.removesuffix("utc")
    count, unit = int(plain[:-1]), plain[-1]
    offset = _EAST_8 if bar == plain and (unit in "DWM" or (unit == "H" and count >= 6)) else 0
    local = ts_ms + offset
    if unit == "M":
        begin, end = _months(local, count)
    elif unit == "W":
        begin = (local - _MONDAY) // (7 * DAY_MS) * 7 * DAY_MS + _MONDAY
        end = begin + 7 * DAY_MS
    else:
        size = count * _UNIT_MS[unit]
        begin = local // size * size
        end = begin + size
    return begin - offset, end - offset


def _months(local_ms: int, count: int) -> tuple[int, int]:
    now = _EPOCH + timedelta(milliseconds=local_ms)
    index = (now.year * 12 + now.month - 1) // count * count
    return _month_ms(index), _month_ms(index + count)


def _month_ms(index: int) -> int:
    return (datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
