"""Orders, positions and balances of v5 spelled as v3 spelled them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from examples import FUTURES, SWAP, example
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.okx.v3 import V3
from okws_celery.okx.v3_state import StateView


def spell(name: str, *rows: dict[str, Any], value: str = "BTC-USDT") -> dict[str, Any]:
    """A v3 row made of v5 rows."""
    view = V3[name].spelling
    assert isinstance(view, StateView)
    return view.spell(value, rows)


def order(**values: Any) -> dict[str, Any]:
    return {**example(CATALOGUE["orders"]).rows[0], **values}


def position(**values: Any) -> dict[str, Any]:
    return {**example(CATALOGUE["positions"]).rows[0], "instId": FUTURES, **values}


# -- orders

STATES = {"live": "0", "partially_filled": "1", "filled": "2", "canceled": "-1", "mmp_canceled": "-1"}
TYPES = {
    ("buy", "long"): "1",
    ("sell", "short"): "2",
    ("sell", "long"): "3",
    ("buy", "short"): "4",
    ("buy", "net"): "1",
    ("sell", "net"): "2",
}
ORDER_TYPES = {
    "limit": ("limit", "0", "0"),
    "post_only": ("limit", "1", "1"),
    "fok": ("limit", "2", "2"),
    "ioc": ("limit", "3", "3"),
    "market": ("market", "0", "4"),
    "optimal_limit_ioc": ("limit", "4", "4"),
    "mmp": ("limit", "0", "0"),
    "mmp_and_post_only": ("limit", "1", "1"),
    "op_fok": ("limit", "2", "2"),
    "rpi": ("limit", "1", "1"),
    "elp": ("limit", "1", "1"),
}
"""v5 ordType -> type of a spot order, its order_type, order_type of a contract's order."""


@given(
    st.sampled_from(sorted(STATES)),
    st.sampled_from(sorted(TYPES)),
    st.sampled_from(sorted(ORDER_TYPES)),
    st.sampled_from(["cash", "cross", "isolated"]),
)
def test_numbers_of_orders(state: str, sides: tuple[str, str], ord_type: str, mode: str) -> None:
    """PROTOCOL 9.3 and 9.5, for every combination."""
    row = order(state=state, side=sides[0], posSide=sides[1], ordType=ord_type, tdMode=mode)
    spot, future = spell("spot/order", row), spell("futures/order", row)
    assert spot["state"] == future["state"] == spell("option/order", row)["state"] == STATES[state]
    assert (spot["side"], future["type"]) == (sides[0], TYPES[sides])
    assert (spot["type"], spot["order_type"], future["order_type"]) == ORDER_TYPES[ord_type]
    assert spot["margin_trading"] == ("1" if mode == "cash" else "2")
    assert future == spell("swap/order", row)
    assert all(isinstance(value, str) for value in (*spot.values(), *future.values()))


@pytest.mark.parametrize(("side", "kind"), [("buy", "4"), ("sell", "3")])
def test_an_order_that_only_reduces_closes(side: str, kind: str) -> None:
    """In net mode, where no side is said."""
    assert spell("swap/order", order(side=side, posSide="net", reduceOnly="true"))["type"] == kind


def test_an_order_value_by_value() -> None:
    """PROTOCOL 9.5."""
    said = spell("spot/order", order())
    assert said == {
        "instrument_id": "BTC-USDT", "order_id": "312269865356374016", "client_oid": "b1", "price": "999", "size": "3",
        "notional": "", "side": "buy", "type": "limit", "order_type": "0", "margin_trading": "1", "state": "1",
        "status": "part_filled", "filled_size": "1", "filled_notional": "998.5", "last_fill_px": "998.5",
        "last_fill_qty": "1", "last_fill_id": "77", "last_fill_time": "2021-04-17T16:49:46.174Z",
        "created_at": "2021-04-17T16:49:46.169Z", "timestamp": "2021-04-17T16:49:46.174Z", "fee": "-0.001",
        "fee_currency": "BTC", "rebate": "0", "rebate_currency": "USDT", "event_code": "0", "event_message": "",
        "last_request_id": "r1", "last_amend_result": "0",
    }  # fmt: skip
    future = spell("futures/order", order())
    assert (future["filled_qty"], future["price_avg"], future["leverage"], future["pnl"]) == ("1", "998.5", "3", "0")


def test_a_market_order_in_quote_currency_has_a_notional() -> None:
    """As v3 had it for what is bought at market."""
    said = spell("spot/order", order(ordType="market", tgtCcy="quote_ccy", sz="100"))
    assert (said["notional"], said["size"]) == ("100", "")


_NUMBERS = st.decimals(0, 10**9, places=8).map(lambda number: format(number, "f"))


@given(_NUMBERS, _NUMBERS)
def test_what_was_paid_is_exact(size: str, price: str) -> None:
    """Decimal, never a float."""
    said = spell("spot/order", order(accFillSz=size, avgPx=price))["filled_notional"]
    assert Fraction(said) == Fraction(size) * Fraction(price)
    assert "e" not in said.lower()


def test_nothing_filled_is_nothing_paid() -> None:
    """Not an error."""
    assert spell("spot/order", order(accFillSz="", avgPx=""))["filled_notional"] == ""
    assert spell("spot/order", {"ordId": "1"})["state"] == ""


@pytest.mark.parametrize(
    ("ord_type", "kind"),
    [("conditional", "1"), ("oco", "1"), ("trigger", "1"), ("move_order_stop", "2"), ("iceberg", "3"), ("twap", "4")],
)
@pytest.mark.parametrize(
    ("state", "status"),
    [("live", "1"), ("effective", "2"), ("canceled", "3"), ("partially_effective", "4"), ("pause", "5"),
     ("order_failed", "6"), ("partially_failed", "6")],
)  # fmt: skip
def test_numbers_of_algo_orders(ord_type: str, kind: str, state: str, status: str) -> None:
    """Kinds 1 to 4, states 1 to 6."""
    row = {**example(CATALOGUE["orders-algo"]).rows[0], "ordType": ord_type, "state": state}
    said = spell("spot/order_algo", row)
    assert (said["order_type"], said["status"], said["mode"], said["side"]) == (kind, status, "1", "buy")
    assert (said["trigger_price"], said["algo_price"], said["stop_type"]) == ("40000", "", "2")
    assert spell("swap/order_algo", row)["type"] == "1"


# -- positions


def test_both_sides_of_a_futures_position() -> None:
    """Two positions of v5 are one row of v3."""
    short = position(posId="2", posSide="short", pos="4", availPos="3", avgPx="3400")
    said = spell("futures/position", position(), short, value=FUTURES)
    assert (said["long_qty"], said["long_avail_qty"], said["long_avg_cost"]) == ("10", "8", "3320")
    assert (said["short_qty"], said["short_avail_qty"], said["short_avg_cost"]) == ("4", "3", "3400")
    assert (said["instrument_id"], said["margin_mode"], said["leverage"]) == (FUTURES, "crossed", "5")


@pytest.mark.parametrize(("pos", "side"), [("10", "long"), ("-10", "short")])
def test_the_sign_is_the_side_in_net_mode(pos: str, side: str) -> None:
    """Amounts of v3 have no sign."""
    other = "short" if side == "long" else "long"
    said = spell("futures/position", position(posSide="net", pos=pos, availPos=""), value=FUTURES)
    assert (said[f"{side}_qty"], said[f"{side}_avail_qty"], said[f"{other}_qty"]) == ("10", "10", "0")
    (held,) = spell("swap/position", position(posSide="net", pos=pos, availPos=""), value=SWAP)["holding"]
    assert (held["side"], held["position"], held["avail_position"]) == (side, "10", "10")


def test_a_fixed_position_has_what_belongs_to_a_side() -> None:
    """Price of liquidation and leverage are those of the side."""
    said = spell("futures/position", position(mgnMode="isolated", margin="7"), value=FUTURES)
    assert (said["margin_mode"], said["long_liqui_price"], said["long_leverage"]) == ("fixed", "2990", "5")
    assert (said["long_margin"], said["short_leverage"]) == ("7", "0")
    assert "liquidation_price" not in said


def test_modes_are_not_mixed() -> None:
    """A row of v3 has one: that of the newest position."""
    newer = position(posId="2", mgnMode="isolated", posSide="short", pos="4", uTime="9999999999999")
    said = spell("futures/position", position(), newer, value=FUTURES)
    assert (said["margin_mode"], said["long_qty"], said["short_qty"]) == ("fixed", "0", "4")


def test_a_swap_position_holds_a_list() -> None:
    """As in v3."""
    short = position(posId="2", posSide="short", pos="4")
    said = spell("swap/position", short, position(), value=SWAP)
    assert [(one["side"], one["position"]) for one in said["holding"]] == [("long", "10"), ("short", "4")]
    assert said["margin_mode"] == "crossed"


# -- balances


def test_margin_account_has_both_currencies_and_its_position() -> None:
    """Keys such as `currency:BTC`."""
    detail = example(CATALOGUE["account"]).rows[0]["details"][0]
    said = spell("spot/margin_account", {**detail, "ccy": "BTC"}, detail, position(instId="BTC-USDT"))
    assert said["liquidation_price"] == "2990"
    assert said["currency:BTC"] == said["currency:USDT"] == {
        "available": "899", "balance": "999.5", "borrowed": "3", "hold": "100.5", "lending_fee": "0.01",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "ccy", "field"),
    [
        ("spot/account", "USDT", "USDT", "USDT"),
        ("spot/account", "USDT", "BTC", ""),
        ("futures/account", "BTC", "BTC", "BTC"),
        ("futures/account", "BTC-USD", "BTC", "BTC-USD"),
        ("futures/account", "BTC-USDT", "USDT", "BTC-USDT"),
        ("futures/account", "BTC-USDT", "BTC", ""),
        ("swap/account", "ETH-USDT-SWAP", "USDT", "ETH-USDT-SWAP"),
        ("swap/account", "ETH-USD-SWAP", "ETH", "ETH-USD-SWAP"),
        ("option/account", "ETH-USD", "ETH", "ETH-USD"),
        ("spot/margin_account", "BTC-USDT", "BTC", "BTC-USDT"),
        ("spot/margin_account", "BTC-USDT", "ETH", ""),
    ],
)
def test_whose_money_it_is(name: str, value: str, ccy: str, field: str) -> None:
    """A contract's account is that of the currency in which it is settled."""
    view = V3[name].spelling
    assert isinstance(view, StateView)
    assert view.field(value, {"ccy": ccy}) == field


# -- contracts


def test_instruments() -> None:
    """Days for futures, moments for options; options of other underlyings are not meant."""
    row = example(CATALOGUE["instruments"]).rows[0]
    assert spell("futures/instruments", row, value="") == {
        "instrument_id": FUTURES, "underlying": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD",
        "settlement_currency": "BTC", "contract_val": "100", "contract_val_currency": "USD", "listing": "2021-04-17",
        "delivery": "2021-04-18", "tick_size": "0.1", "trade_increment": "1", "alias": "", "is_inverse": "true",
        "underlying_index": "BTC",
    }  # fmt: skip
    view = V3["option/instruments"].spelling
    assert isinstance(view, StateView)
    assert view.field("BTC-USD", {"instId": "BTC-USD-260925-70000-P"}) == "BTC-USD-260925-70000-P"
    assert view.field("BTC-USD", {"instId": "ETH-USD-260925-70000-P"}) == ""
    states = {"preopen": "1", "live": "2", "suspend": "3", "expired": "4"}
    assert {state: spell("option/instruments", {**row, "state": state})["state"] for state in states} == states
