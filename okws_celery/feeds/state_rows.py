"""Rows of state channels as entries of a hash: under which field each stands, since when it is so, whether it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, DecimalException
from typing import Any, NamedTuple

import msgspec

from okws_celery.feeds.route import BadPush
from okws_celery.feeds.rows import RowReader, ms
from okws_celery.okx.topics import Topic

__all__ = ["ACCOUNT_FIELD", "Item", "Rows", "Time", "belongs", "goes_back", "splitter"]

ACCOUNT_FIELD = "account"
"""Field of the hash of `account` that holds the account level; every other field is a currency."""

Time = tuple[int, int]
"""When a row became what it says, and when the exchange said so (`uTime`; `pTime` or `ts`), ms; 0 if it says none."""

_ORDER_ENDED = frozenset({"filled", "canceled", "cancelled", "mmp_canceled", "rejected"})
_ALGO_ENDED = frozenset({"canceled", "effective", "filled", "order_failed", "partially_failed"})
_QUOTE_ENDED = frozenset({"canceled", "filled", "expired", "traded_away", "failed"})
_ENDED = {
    "orders": _ORDER_ENDED,
    "sprd-orders": _ORDER_ENDED,
    "grid-sub-orders": _ORDER_ENDED,
    "orders-algo": _ALGO_ENDED,
    "algo-advance": _ALGO_ENDED,
    "grid-orders-spot": frozenset({"stopped"}),
    "grid-orders-contract": frozenset({"stopped"}),
    "algo-recurring-buy": frozenset({"stopped"}),
    "rfqs": _QUOTE_ENDED,
    "quotes": _QUOTE_ENDED,
    "instruments": frozenset({"expired"}),
    "event-contract-markets": frozenset({"expired"}),
}
"""Values of `state` with which a row leaves the hash (PROTOCOL 5.1 to 5.4)."""
_POSITIONS = frozenset({"positions", "grid-positions", "balance_and_position"})
"""Channels whose rows end with `pos` "0"."""
_WHOLE = frozenset({"opt-summary"})
"""Channels of which every push has all rows of its topic (PROTOCOL 5.1): what it does not have is gone."""
_FILTERS = ("instType", "instFamily", "instId", "ccy", "algoId", "sprdId")
"""Topic arguments that choose rows; the others, such as extraParams, do not."""


class Item(NamedTuple):
    """An entry of the hash."""

    field: str
    row: bytes
    ended: bool
    time: Time = (0, 0)


class Rows(NamedTuple):
    """A row of the exchange as entries of the hash."""

    items: list[Item]
    ts: int
    """Exchange ms; 0 if it has none."""
    is_snapshot: bool = False


def splitter(topic: Topic) -> Callable[[bytes], Rows]:
    """What takes the rows of a topic apart; BadPush for a row that cannot be."""
    match topic.channel.name:
        case "account":
            return _split_account
        case "balance_and_position":
            return _split_balance_and_position
    name, identity = topic.channel.name, topic.channel.identity
    ended_states = _ENDED.get(name, frozenset())
    reader = RowReader("state", "pos", "uTime", "pTime", "ts", "cTime", *identity)
    apart = _named_apart if name == "instruments" else _field

    def split(row: bytes) -> Rows:
        state, pos, u_time, p_time, ts, c_time, *identity = reader(row)
        field = apart(row, identity)
        ended = state in ended_states or (name in _POSITIONS and _is_zero(pos))
        item = Item(field, row, ended, (ms(u_time), ms(p_time) or ms(ts)))
        return Rows([item], _first_time((u_time, p_time, ts, c_time)), name in _WHOLE)

    return split


class _Account(msgspec.Struct):
    details: list[msgspec.Raw] | None = None


class _BalanceAndPosition(msgspec.Struct):
    balData: list[msgspec.Raw] | None = None
    posData: list[msgspec.Raw] | None = None


_account = msgspec.json.Decoder(_Account)
_account_row = msgspec.json.Decoder(dict[str, msgspec.Raw])
_balance_and_position = msgspec.json.Decoder(_BalanceAndPosition)
_read_currency = RowReader("ccy", "uTime")
_read_position = RowReader("posId", "pos", "uTime")
_read_times = RowReader("uTime", "pTime", "eventType")
_read_inst_type = RowReader("instType")
_read_execution = RowReader("accFillSz", "tradeId", "state", "px", "sz", "reqId", "amendResult", "uTime")


def _split_account(row: bytes) -> Rows:
    u_time, p_time, _ = _read_times(row)
    try:
        details = _account.decode(row).details or []
        level = _account_row.decode(row)
    except ValueError as problem:
        raise BadPush(f"account: {problem}") from None
    level.pop("details", None)
    items = [_currency(raw, ms(u_time)) for raw in map(bytes, details)]
    items.append(Item(ACCOUNT_FIELD, msgspec.json.encode(level), False, (ms(u_time), 0)))
    return Rows(items, _first_time((u_time, p_time)))


def _split_balance_and_position(row: bytes) -> Rows:
    u_time, p_time, event_type = _read_times(row)
    try:
        parts = _balance_and_position.decode(row)
    except ValueError as problem:
        raise BadPush(f"balance_and_position: {problem}") from None
    pushed = ms(p_time)
    items = [_currency(raw, pushed) for raw in map(bytes, parts.balData or ())]
    for raw in map(bytes, parts.posData or ()):
        pos_id, pos, changed = _read_position(raw)
        items.append(Item(_field(raw, [pos_id]), raw, _is_zero(pos), (ms(changed), pushed)))
    return Rows(items, _first_time((p_time, u_time)), event_type == "snapshot")


def _currency(row: bytes, pushed: int) -> Item:
    ccy, changed = _read_currency(row)
    return Item(_field(row, [ccy]), row, False, (ms(changed), pushed))


def belongs(topic: Topic, field: str, row: str | bytes) -> bool:
    """Whether a row of the channel's hash is one that this topic is about."""
    wanted = [(key, value) for key, value in topic.arg if key in _FILTERS and value != "ANY"]
    if not wanted or (topic.channel.name == "account" and field == ACCOUNT_FIELD):
        return True
    try:
        values = msgspec.json.decode(row, type=dict[str, Any])
    except ValueError:
        return False
    return all(
        values.get(key) == value
        # Rows of event contracts do not say of which type they are: their channel has but one.
        or (key == "instType" and key not in values)
        # Many rows do not carry their family, but every instrument's name begins with it.
        or (key == "instFamily" and not values.get(key) and str(values.get("instId", "")).startswith(value + "-"))
        for key, value in wanted
    )


def goes_back(row: bytes, known: bytes) -> bool:
    """Whether a row of an order says less than what is known of it: less is executed, or the same again, which OKX
    repeats with another time (PROTOCOL 5.3)."""
    done, *event, when = _read_execution(row)
    known_done, *known_event, known_when = _read_execution(known)
    try:
        more = Decimal(done or 0) - Decimal(known_done or 0)
    except DecimalException:
        return False
    return more < 0 or (not more and bool(event[0]) and event == known_event and when != known_when)


def _field(row: bytes, identity: list[str]) -> str:
    if not any(identity):
        raise BadPush(f"row {row[:80]!r}: nothing in it says which one it is")
    return ":".join(identity)


def _named_apart(row: bytes, identity: list[str]) -> str:
    """Of instruments: a pair has one row under SPOT and another under MARGIN."""
    field = _field(row, identity)
    return f"MARGIN:{field}" if _read_inst_type(row) == ("MARGIN",) else field


def _first_time(times: Iterable[str]) -> int:
    return next((when for when in map(ms, times) if when), 0)


def _is_zero(number: str) -> bool:
    return bool(number) and not number.strip("-0.")
