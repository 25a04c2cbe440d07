"""Orders that wait for a price before they become orders: trigger, conditional, oco, trailing (PROTOCOL 5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.trading.asked import check_client_id, number, parse_order, text_of
from okws_celery.simulator.trading.prices import Prices
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import plain

__all__ = ["ADVANCED", "Algo", "Trail", "Trigger", "parse_algo", "retarget"]

ADVANCED = frozenset({"move_order_stop"})
"""Types that the channel `algo-advance` tells of; the others are on `orders-algo`."""
_TYPES = frozenset({"conditional", "oco", "trigger"}) | ADVANCED
_MARKET = Decimal(-1)
_KINDS = ("last", "mark", "index")


@dataclass(slots=True)
class Trigger:
    """A price that sets an order off: reached from below if it `rises`. `ord_px` is its limit, None for the market."""

    name: str
    """`tp`, `sl`, or "" for a plain trigger."""
    px: Decimal
    kind: str
    rises: bool
    ord_px: Decimal | None

    def is_met(self, price: Decimal) -> bool:
        """The price is there."""
        return price >= self.px if self.rises else price <= self.px


@dataclass(slots=True)
class Trail:
    """A stop that follows the best price since `active_px` was reached, `ratio` or `spread` behind it."""

    rises: bool
    ratio: Decimal | None
    spread: Decimal | None
    active_px: Decimal | None
    best: Decimal | None = None

    @property
    def stop(self) -> Decimal | None:
        """Where it sets the order off; None before it is active."""
        if self.best is None:
            return None
        away = self.spread if self.spread is not None else self.best * (self.ratio or Decimal(0))
        return self.best + away if self.rises else self.best - away

    def is_met(self, price: Decimal) -> bool:
        """Follow the price; it has turned far enough."""
        if self.best is None:
            if self.active_px is not None and (price > self.active_px if self.rises else price < self.active_px):
                return False
            self.best = price
        self.best = min(self.best, price) if self.rises else max(self.best, price)
        stop = self.stop
        return stop is not None and (price >= stop if self.rises else price <= stop)


@dataclass(slots=True, eq=False)
class Algo:
    """One of them. `given` is the request as it came, for what is only repeated."""

    one: Instrument
    algo_id: str
    ord_type: str
    given: dict[str, str]
    size: Decimal | None
    """None: the whole position, whatever it is then."""
    c_ms: int
    u_ms: int
    triggers: list[Trigger] = field(default_factory=list)
    trail: Trail | None = None
    state: str = "live"
    ord_id: str = ""
    actual_side: str = ""
    actual_px: str = ""
    actual_sz: str = ""
    trigger_ms: int = 0
    fail_code: str = ""
    req_id: str = ""
    amend_result: str = ""

    @property
    def channel(self) -> str:
        """The channel that tells of it."""
        return "algo-advance" if self.ord_type in ADVANCED else "orders-algo"

    def met(self, prices: Prices) -> Trigger | None:
        """The trigger that the market has reached, if any."""
        if self.trail is not None:
            last = prices.last(self.one)
            return Trigger("", last, "last", self.trail.rises, None) if self.trail.is_met(last) else None
        seen = {"last": prices.last, "mark": prices.mark, "index": prices.index}
        return next((one for one in self.triggers if one.is_met(seen[one.kind](self.one))), None)

    def order(self, trigger: Trigger, size: Decimal) -> dict[str, str]:
        """What it orders when it is set off, with REST's parameters."""
        said = {key: self.given[key] for key in ("side", "posSide", "tag", "reduceOnly", "ccy") if self.given.get(key)}
        said |= {"instId": self.one.inst_id, "tdMode": self.given["tdMode"], "sz": plain(size)}
        if self.one.is_spot:
            said |= {"tdMode": "cash", "tgtCcy": self.given.get("tgtCcy") or "base_ccy"}
        if trigger.ord_px is None:
            return {**said, "ordType": "market"}
        return {**said, "ordType": "limit", "px": plain(trigger.ord_px)}


def parse_algo(
    given: Mapping[str, Any], one: Instrument, algo_id: str, prices: Prices, now_ms: int, *, hedged: bool
) -> Algo:
    """An algo order from its arguments, the instrument apart. Refused says what is wrong."""
    ord_type = text_of(given, "ordType")
    if ord_type not in _TYPES:
        raise Refused(51000, name="ordType")
    whole = text_of(given, "closeFraction")
    if whole not in ("", "1"):
        raise Refused(51000, name="closeFraction")
    check_client_id(given, "algoClOrdId")
    # What it will order is looked at as that order would be; spot may be called `cross` here.
    plain_order = {**given, "ordType": "market", "sz": "1000000" if whole else given.get("sz")}
    if one.is_spot and text_of(given, "tdMode") == "cross":
        plain_order["tdMode"] = "cash"
    parse_order(plain_order, one, hedged=hedged)
    said = {key: text_of(given, key) for key in given if key != "attachAlgoOrds"}
    size = None if whole else number(given, "sz")
    algo = Algo(one, algo_id, ord_type, said, size, now_ms, now_ms)
    rises = said["side"] == "buy"
    if ord_type == "move_order_stop":
        algo.trail = Trail(rises, _optional(given, "callbackRatio"), _optional(given, "callbackSpread"), None)
        algo.trail.active_px = _optional(given, "activePx")
        if (algo.trail.ratio is None) == (algo.trail.spread is None):
            raise Refused(51000, name="callbackRatio or callbackSpread")
    elif ord_type == "trigger":
        px = number(given, "triggerPx")
        ord_px = _order_price(given, "orderPx" if given.get("orderPx") else "ordPx")
        algo.triggers = [Trigger("", px, _kind(given, "triggerPxType"), px > prices.last(one), ord_px)]
    else:
        algo.triggers = _protective(given, rises)
        if ord_type == "oco" and len(algo.triggers) != 2:
            raise Refused(51000, name="tpTriggerPx or slTriggerPx")
    return algo


def retarget(algo: Algo, given: Mapping[str, Any], prices: Prices) -> None:
    """Change size and triggers as `POST /trade/amend-algos` says. Refused leaves it as it was."""
    size = number(given, "newSz") if text_of(given, "newSz") else algo.size
    px = {name: _optional(given, key) for name, key in _NEW_TRIGGERS.items()}
    ord_px = {name: _order_price(given, key) for name, key in _NEW_PRICES.items() if text_of(given, key)}
    if size == algo.size and not any(px.values()) and not ord_px:
        raise Refused(51000, name="newSz")
    algo.size = size
    for trigger in algo.triggers:
        trigger.px = px[trigger.name] or trigger.px
        trigger.ord_px = ord_px.get(trigger.name, trigger.ord_px)
        if not trigger.name:
            trigger.rises = trigger.px > prices.last(algo.one)


_NEW_TRIGGERS = {"tp": "newTpTriggerPx", "sl": "newSlTriggerPx", "": "newTriggerPx"}
_NEW_PRICES = {"tp": "newTpOrdPx", "sl": "newSlOrdPx", "": "newOrdPx"}


def _protective(given: Mapping[str, Any], buys: bool) -> list[Trigger]:
    """Take profit and stop loss: who sells takes profit above and stops below, who buys the other way round."""
    triggers = []
    for name, rises in (("tp", not buys), ("sl", buys)):
        px = _optional(given, f"{name}TriggerPx")
        if px is not None:
            ord_px = _order_price(given, f"{name}OrdPx")
            triggers.append(Trigger(name, px, _kind(given, f"{name}TriggerPxType"), rises, ord_px))
    if not triggers:
        raise Refused(51279)
    return triggers


def _order_price(given: Mapping[str, Any], name: str) -> Decimal | None:
    """The limit of the order to come; -1 is the market."""
    try:
        if Decimal(text_of(given, name)) == _MARKET:
            return None
    except InvalidOperation:
        raise Refused(51000, name=name) from None
    return number(given, name)


def _kind(given: Mapping[str, Any], name: str) -> str:
    kind = text_of(given, name) or "last"
    if kind not in _KINDS:
        raise Refused(51000, name=name)
    return kind


def _optional(given: Mapping[str, Any], name: str) -> Decimal | None:
    return number(given, name) if text_of(given, name) else None
