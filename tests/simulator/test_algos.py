"""Orders that wait for a price (PROTOCOL 5.4): how they are placed, told of, set off and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from simulator.signing import Rest, away, code_of
from simulator.talking import is_push
from simulator.trading import Desk

from okws_celery.simulator import Simulator

ALGOS = {"channel": "orders-algo", "instType": "ANY"}
ADVANCED = {"channel": "algo-advance", "instType": "ANY"}
SELL = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "sz": "0.01"}


@pytest.fixture
def rest(sim: Simulator) -> Rest:
    """Signed calls of the default key."""
    return Rest(sim)


@pytest.fixture
def desk(sim: Simulator) -> Iterator[Desk]:
    """A connection that listens to algo orders."""
    with Desk(sim, ALGOS, path="business") as talk:
        yield talk


def place(rest: Rest, **more: Any) -> str:
    """Place an algo order that must be accepted; gives its algoId."""
    said = rest.post("trade/order-algo", {**SELL, **more})
    assert code_of(said) == "0", said
    algo_id: str = said["data"][0]["algoId"]
    return algo_id


def test_one_waits_is_shown_and_taken_back(sim: Simulator, rest: Rest, desk: Desk) -> None:
    """live on the channel and in the pending list, not frozen; canceled on both when it is taken back."""
    px = away(sim, "BTC-USDT")
    algo_id = place(rest, ordType="conditional", slTriggerPx=px, slOrdPx="-1", algoClOrdId="stop1", tag="t")
    row = desk.row("orders-algo", algoId=algo_id)
    assert (row["state"], float(row["slTriggerPx"]), row["slOrdPx"], row["tpTriggerPx"]) == (
        "live",
        float(px),
        "-1",
        "",
    )
    assert (row["algoClOrdId"], row["tag"], row["slTriggerPxType"], row["side"]) == ("stop1", "t", "last", "sell")
    assert [one["algoId"] for one in rest.rows("trade/orders-algo-pending?ordType=conditional,oco")] == [algo_id]
    assert rest.rows("trade/orders-algo-pending?ordType=trigger") == []
    assert rest.rows("trade/order-algo?algoClOrdId=stop1")[0]["state"] == "live"
    assert code_of(rest.post("trade/order-algo", {**SELL, "ordType": "conditional", "slTriggerPx": px, "slOrdPx": "-1",
                                                  "algoClOrdId": "stop1"})) == "51065"  # fmt: skip
    assert rest.post("trade/cancel-algos", [{"algoId": algo_id, "instId": "BTC-USDT"}])["code"] == "0"
    assert desk.row("orders-algo", algoId=algo_id, state="canceled")["ordId"] == ""
    assert rest.rows("trade/orders-algo-pending?ordType=conditional") == []
    history = rest.rows("trade/orders-algo-history?ordType=conditional&state=canceled")
    assert [one["algoId"] for one in history] == [algo_id]
    assert rest.rows("trade/orders-algo-history?ordType=conditional&state=effective") == []


@pytest.mark.parametrize(
    ("asked", "side"),
    [
        ({"ordType": "conditional", "tpTriggerPx": "LOW", "tpOrdPx": "-1"}, "tp"),
        ({"ordType": "conditional", "slTriggerPx": "HIGH", "slOrdPx": "-1"}, "sl"),
        ({"ordType": "oco", "tpTriggerPx": "HIGH", "tpOrdPx": "-1", "slTriggerPx": "HIGH", "slOrdPx": "-1"}, "sl"),
        ({"ordType": "conditional", "side": "buy", "tpTriggerPx": "HIGH", "tpOrdPx": "-1"}, "tp"),
        ({"ordType": "conditional", "side": "buy", "slTriggerPx": "LOW", "slOrdPx": "-1"}, "sl"),
    ],
)
def test_which_price_sets_it_off(sim: Simulator, rest: Rest, desk: Desk, asked: dict[str, str], side: str) -> None:
    """Who sells takes profit above and stops below, who buys the other way round; then an order is made and filled."""
    named = {"LOW": away(sim, "BTC-USDT", "buy"), "HIGH": away(sim, "BTC-USDT", "sell")}
    algo_id = place(rest, **{key: named.get(value, value) for key, value in asked.items()})
    row = desk.row("orders-algo", algoId=algo_id, state="effective")
    assert (row["actualSide"], row["actualSz"]) == (side, "0.01")
    order = rest.one(row["ordId"])
    assert (order["state"], order["algoId"], order["accFillSz"]) == ("filled", algo_id, "0.01")
    assert rest.rows("trade/orders-algo-pending?ordType=conditional,oco") == []


def test_a_trigger_makes_a_limit_order(sim: Simulator, rest: Rest, desk: Desk) -> None:
    """When the price comes, from whichever side it must, an order at `orderPx` waits in the book."""
    with Simulator(seed=7, limits=False, speed=20) as fast, Desk(fast, ALGOS, path="business") as listener:
        calls, far = Rest(fast), away(fast, "BTC-USDT", "sell")
        middle = float(away(fast, "BTC-USDT", percent=0))
        for distance in (-6, -3, 3, 6):
            place(calls, ordType="trigger", triggerPx=f"{middle + distance:.1f}", orderPx=far)
        row = listener.row("orders-algo", state="effective")
        assert (row["actualSide"], float(row["actualPx"])) == ("", float(far))
        assert row["ordId"] in {one["ordId"] for one in calls.rows("trade/orders-pending")}


def test_one_that_cannot_be_ordered_fails(sim: Simulator, rest: Rest, desk: Desk) -> None:
    """order_failed with the code of the refusal, when there is not enough to sell by then."""
    algo_id = place(rest, sz="50", ordType="conditional", tpTriggerPx=away(sim, "BTC-USDT"), tpOrdPx="-1")
    row = desk.row("orders-algo", algoId=algo_id, state="order_failed")
    assert (row["failCode"], row["ordId"]) == ("51008", "")


def test_a_stop_closes_the_whole_position(sim: Simulator, rest: Rest, desk: Desk) -> None:
    """closeFraction 1: whatever the position is then is closed."""
    sim.fill(*sim.place(instId="BTC-USDT-SWAP", sz="7"))
    swap = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "sell", "ordType": "conditional", "reduceOnly": True}
    high = away(sim, "BTC-USDT-SWAP", "sell")
    said = rest.post("trade/order-algo", {**swap, "closeFraction": "1", "slTriggerPx": high, "slOrdPx": "-1"})
    assert code_of(said) == "0"
    assert desk.row("orders-algo", state="effective")["actualSz"] == "7"
    assert sim.account()["positions"] == []


def test_what_is_attached_to_an_order_begins_when_it_is_filled(sim: Simulator, rest: Rest, desk: Desk) -> None:
    """Take profit and stop loss of an order wait on the other side once it is filled, and not before."""
    high, low = away(sim, "BTC-USDT", "sell"), away(sim, "BTC-USDT", percent=2)
    attached = {"tpTriggerPx": high, "tpOrdPx": "-1", "slTriggerPx": low, "slOrdPx": "-1"}
    body = {**SELL, "side": "buy", "ordType": "limit", "px": away(sim, "BTC-USDT"), "attachAlgoOrds": [attached]}
    ord_id = rest.post("trade/order", body)["data"][0]["ordId"]
    assert float(rest.one(ord_id)["attachAlgoOrds"][0]["tpTriggerPx"]) == float(high)
    assert rest.rows("trade/orders-algo-pending?ordType=oco") == []
    sim.fill(ord_id)
    row = desk.row("orders-algo", ordType="oco")
    assert (row["side"], row["sz"], float(row["slTriggerPx"])) == ("sell", "0.01", float(low))


def test_one_is_amended(sim: Simulator, rest: Rest, desk: Desk) -> None:
    """New size and trigger are told with the reqId, and count from then on."""
    algo_id = place(rest, ordType="conditional", slTriggerPx=away(sim, "BTC-USDT"), slOrdPx="-1")
    changed = {"algoId": algo_id, "instId": "BTC-USDT", "newSz": "0.02", "reqId": "q"}
    assert code_of(rest.post("trade/amend-algos", changed)) == "0"
    row = desk.row("orders-algo", reqId="q")
    assert (row["sz"], row["amendResult"], row["state"]) == ("0.02", "0", "live")
    assert code_of(rest.post("trade/amend-algos", {"algoId": algo_id, "instId": "BTC-USDT"})) == "51000"
    high = away(sim, "BTC-USDT", "sell")
    rest.post("trade/amend-algos", {"algoId": algo_id, "instId": "BTC-USDT", "newSlTriggerPx": high})
    assert desk.row("orders-algo", state="effective")["actualSz"] == "0.02"
    assert code_of(rest.post("trade/amend-algos", changed)) == "51503"


def test_trailing_stops_have_a_snapshot(sim: Simulator, rest: Rest) -> None:
    """They are on `algo-advance`, which tells what waits at the beginning; close behind the price they are set off."""
    waiting = place(rest, ordType="move_order_stop", callbackRatio="0.05")
    with Desk(sim, ADVANCED, ALGOS, path="business") as talk:
        row = talk.row("algo-advance", algoId=waiting)
        assert (row["callbackRatio"], row["ordType"], row["state"]) == ("0.05", "move_order_stop", "live")
        quick = place(rest, ordType="move_order_stop", callbackSpread="0.1", side="buy")
        assert talk.row("algo-advance", algoId=quick, state="effective")["ordId"]
        assert not any(is_push(one, "orders-algo") for one in talk.got)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"ordType": "grid"}, "51000"),
        ({"ordType": "conditional"}, "51279"),
        ({"ordType": "oco", "tpTriggerPx": "70000", "tpOrdPx": "-1"}, "51000"),
        ({"ordType": "trigger"}, "51000"),
        ({"ordType": "trigger", "triggerPx": "60000", "orderPx": "x"}, "51000"),
        ({"ordType": "trigger", "triggerPx": "60000", "orderPx": "-1", "triggerPxType": "mid"}, "51000"),
        ({"ordType": "trigger", "triggerPx": "60000", "orderPx": "-1", "sz": "0"}, "51000"),
        ({"ordType": "trigger", "triggerPx": "60000", "orderPx": "-1", "side": "x"}, "51000"),
        ({"ordType": "move_order_stop"}, "51000"),
        ({"ordType": "conditional", "closeFraction": "0.5", "slTriggerPx": "1", "slOrdPx": "-1"}, "51000"),
        ({"instId": "NO-SUCH", "ordType": "conditional"}, "51001"),
    ],
)
def test_a_wrong_algo_order_has_its_code(rest: Rest, changed: dict[str, str], code: str) -> None:
    """Refused with OKX's code, and nothing waits."""
    assert code_of(rest.post("trade/order-algo", {**SELL, **changed})) == code
    assert rest.rows("trade/orders-algo-pending?ordType=conditional,oco,trigger,move_order_stop") == []
