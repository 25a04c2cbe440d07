"""An order as a trader asks for it: its fields checked one by one (PROTOCOL 7), before anybody looks at money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import lots_of, ticks_of

__all__ = ["Asked", "check_client_id", "check_new_size", "number", "parse_order", "text_of"]

_ORDER_TYPES = frozenset({"market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc", "rpi"})
_TAKES_NO_PRICE = frozenset({"market", "optimal_limit_ioc"})
_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9]{1,16}")
_STP = ("cancel_maker", "cancel_taker", "cancel_both")


@dataclass(frozen=True, slots=True)
class Asked:
    """A well-formed order. `size` is in base coin or contracts, in quote currency if `in_quote`; `px` in ticks."""

    one: Instrument
    td_mode: str
    side: str
    ord_type: str
    size: Decimal
    px: int | None
    pos_side: str
    cl_ord_id: str = ""
    tag: str = ""
    ccy: str = ""
    tgt_ccy: str = ""
    stp_mode: str = "cancel_maker"
    reduce_only: bool = False
    attached: tuple[dict[str, str], ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_quote(self) -> bool:
        """The size of a spot market order is an amount of the quote currency."""
        return self.tgt_ccy == "quote_ccy"

    @property
    def buys(self) -> bool:
        """Its side is `buy`."""
        return self.side == "buy"


def parse_order(given: Mapping[str, Any], one: Instrument, *, hedged: bool) -> Asked:
    """An order from its arguments, the instrument apart. `hedged` is long_short_mode. Refused says what is wrong."""
    side = _choice(given, "side", ("buy", "sell"))
    ord_type = _choice(given, "ordType", tuple(_ORDER_TYPES))
    td_mode = _choice(given, "tdMode", ("cash", "cross", "isolated") if one.is_spot else ("cross", "isolated"))
    if one.is_spot and td_mode != "cash":
        raise Refused(51010)  # nothing is lent here
    tgt_ccy = text_of(given, "tgtCcy")
    if one.is_spot and ord_type == "market":
        if tgt_ccy not in ("", "base_ccy", "quote_ccy"):
            raise Refused(51000, name="tgtCcy")
        tgt_ccy = tgt_ccy or ("quote_ccy" if side == "buy" else "base_ccy")
    else:
        tgt_ccy = ""
    px = None
    if ord_type not in _TAKES_NO_PRICE:
        px = ticks_of(one, number(given, "px"))
        if px is None:
            raise Refused(51000, name="px")
    size = number(given, "sz")
    if tgt_ccy != "quote_ccy":
        _check_size(one, size)
    return Asked(
        one=one,
        td_mode=td_mode,
        side=side,
        ord_type=ord_type,
        size=size,
        px=px,
        pos_side=_position_side(given, one, hedged),
        cl_ord_id=_matching(given, "clOrdId", _CLIENT_ID),
        tag=_matching(given, "tag", _TAG),
        ccy=text_of(given, "ccy"),
        tgt_ccy=tgt_ccy,
        stp_mode=_choice({"stpMode": text_of(given, "stpMode") or "cancel_maker"}, "stpMode", _STP),
        reduce_only=text_of(given, "reduceOnly").lower() == "true" and not one.is_spot,
        attached=_attached(given),
        more={"tradeQuoteCcy": text_of(given, "tradeQuoteCcy") or (one.quote if one.is_spot else "")},
    )


def check_client_id(given: Mapping[str, Any], name: str = "clOrdId") -> str:
    """A client's own id, or "" if none is given."""
    return _matching(given, name, _CLIENT_ID)


def check_new_size(one: Instrument, given: Mapping[str, Any]) -> Decimal:
    """`newSz` of an amendment."""
    size = number(given, "newSz")
    _check_size(one, size)
    return size


def text_of(given: Mapping[str, Any], name: str) -> str:
    """An argument as text; "" if it is missing. Numbers and booleans are taken for what they look like."""
    value = given.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise Refused(51000, name=name)


def number(given: Mapping[str, Any], name: str) -> Decimal:
    """An argument above 0."""
    text = text_of(given, name)
    if not text:
        raise Refused(51000, name=name)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Refused(51000, name=name) from None
    if not value.is_finite() or value <= 0 or abs(value.adjusted()) > 18:
        raise Refused(51000, name=name)
    return value


def _check_size(one: Instrument, size: Decimal) -> None:
    if size < Decimal(1).scaleb(-one.lot_decimals):
        raise Refused(51020)
    if lots_of(one, size) is None:
        raise Refused(51121)


def _choice(given: Mapping[str, Any], name: str, accepted: tuple[str, ...]) -> str:
    value = text_of(given, name)
    if value not in accepted:
        raise Refused(51000, name=name)
    return value


def _matching(given: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = text_of(given, name)
    if value and not pattern.fullmatch(value):
        raise Refused(51000, name=name)
    return value


def _position_side(given: Mapping[str, Any], one: Instrument, hedged: bool) -> str:
    said = text_of(given, "posSide")
    if one.is_spot:
        return said
    if said not in (("long", "short") if hedged else ("", "net")):
        raise Refused(51000, name="posSide")
    return said or "net"


def _attached(given: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    attached = given.get("attachAlgoOrds") or ()
    if not isinstance(attached, list) or not all(isinstance(one, dict) for one in attached):
        if attached == ():
            return ()
        raise Refused(51000, name="attachAlgoOrds")
    return tuple({str(key): str(value) for key, value in one.items()} for one in attached)
