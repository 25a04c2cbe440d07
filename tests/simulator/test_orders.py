"""Orders by WebSocket (PROTOCOL 7): how they are asked for and answered, and what becomes of them in the market."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from simulator.signing import Rest, away
from simulator.talking import Talk
from simulator.trading import ANY_ORDERS, Desk

from okws_celery.simulator import Simulator
from okws_celery.simulator.accounts import DEFAULT_KEY, Accounts, AccountSetup
from okws_celery.simulator.source import Clock, MarketSource
from okws_celery.simulator.trading.limits import TradingLimits
from okws_celery.simulator.trading.market_prices import MarketPrices
from okws_celery.simulator.trading.refusals import Refused

LIMIT = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01"}


def test_the_answer_has_okx_shape(sim: Simulator) -> None:
    """id and op are echoed, code 0, one item with ordId and sCode 0, times in us; neither `event` nor `connId`."""
    with Desk(sim) as desk:
        before_us = int(time.time() * 1e6)
        said = desk.op("order", {**LIMIT, "px": away(sim, "BTC-USDT"), "clOrdId": "mine1", "tag": "t"})
        (item,) = said.pop("data")
        assert {key: said[key] for key in ("op", "code", "msg")} == {"op": "order", "code": "0", "msg": ""}
        assert set(said) == {"id", "op", "code", "msg", "inTime", "outTime"}
        assert before_us <= int(said["inTime"]) < int(said["outTime"])
        assert (item["clOrdId"], item["tag"], item["sCode"], item["sMsg"]) == ("mine1", "t", "0", "")
        assert item["ordId"].isdecimal()
        assert set(item) == {"clOrdId", "ordId", "tag", "ts", "sCode", "sMsg", "subCode"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"instIdCode": 999}, "51001"),
        ({"instIdCode": None}, "51000"),
        ({"side": "long"}, "51000"),
        ({"ordType": "stop"}, "51000"),
        ({"px": ""}, "51000"),
        ({"px": "63000.123"}, "51000"),
        ({"px": "nan"}, "51000"),
        ({"sz": "-1"}, "51000"),
        ({"sz": "1e400"}, "51000"),
        ({"sz": {}}, "51000"),
        ({"tdMode": "lent"}, "51000"),
        ({"tdMode": "cross"}, "51010"),
        ({"clOrdId": "not allowed!"}, "51000"),
        ({"stpMode": "never"}, "51000"),
        ({"attachAlgoOrds": 7}, "51000"),
        ({"sz": "0.000000001"}, "51020"),
        ({"sz": "0.0100000001"}, "51121"),
        ({"sz": "50"}, "51008"),
        ({"side": "sell", "sz": "11"}, "51008"),
        ({"px": "99999"}, "51137"),
        ({"px": "1", "side": "sell"}, "51138"),
    ],
)
def test_what_is_wrong_in_an_order_has_its_code(sim: Simulator, changed: dict[str, Any], code: str) -> None:
    """An item that is refused says why; the request as a whole has code 1, and nothing is pushed or set aside."""
    with Desk(sim, ANY_ORDERS) as desk:
        right = {**LIMIT, "instIdCode": desk.code("BTC-USDT"), "px": away(sim, "BTC-USDT")}
        asked = {key: value for key, value in {**right, **changed}.items() if value is not None and key != "instId"}
        said = desk.op("order", asked)
        (item,) = said["data"]
        assert (said["code"], item["sCode"], item["ordId"]) == ("1", code, "")
        assert item["sMsg"]
        assert item["subCode"] == ("1000" if code == "51008" else "")
        assert sim.account()["orders"] == []
        assert {one["frozenBal"] for one in sim.account()["balance"]["details"]} == {"0"}


def test_the_name_of_an_instrument_is_ignored(sim: Simulator) -> None:
    """A sent `instId` does not count: without `instIdCode` the order is refused, beside one the code decides."""
    with Desk(sim) as desk:
        sent = {**LIMIT, "px": away(sim, "BTC-USDT")}
        desk.send(f'{{"id":"a","op":"order","args":[{str(sent).replace(chr(39), chr(34))}]}}')
        assert desk.until(lambda said: said.get("id") == "a")["data"][0]["sCode"] == "51000"
        both = {**sent, "instIdCode": desk.code("ETH-USDT"), "px": away(sim, "ETH-USDT")}
        desk.send(f'{{"id":"b","op":"order","args":[{str(both).replace(chr(39), chr(34))}]}}')
        assert desk.until(lambda said: said.get("id") == "b")["code"] == "0"
        assert [one["instId"] for one in sim.account()["orders"]] == ["ETH-USDT"]


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ('{"id":"1","op":"order","args":[]}', "60013"),
        ('{"id":"1","op":"order","args":["x"]}', "60013"),
        ('{"id":"1","op":"order"}', "60013"),
        ('{"id":"1","op":"order","args":[{},{}]}', "60013"),
        ('{"id":"1","op":"batch-orders","args":[' + ",".join(["{}"] * 21) + "]}", "60013"),
        ('{"id":"1","op":"order","args":[{}],"expTime":"1597026383085"}', "50004"),
        ('{"id":"1","op":"order","args":[{}],"expTime":"soon"}', "51000"),
    ],
)
def test_a_request_that_is_wrong_as_a_whole(sim: Simulator, request_text: str, code: str) -> None:
    """The answer has the code and no data."""
    with Desk(sim) as desk:
        desk.send(request_text)
        said = desk.until(lambda said: said.get("id") == "1")
        assert (said["code"], said["data"]) == (code, [])


def test_trading_needs_an_id_a_login_and_the_right_path(sim: Simulator) -> None:
    """Without id 60027, before login 60011, on another path 60028; spread orders belong on /business."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.send('{"op":"order","args":[{}]}')
        assert (talk.next()["event"], talk.got[-1]["code"]) == ("error", "60027")
        talk.send('{"id":"1","op":"order","args":[{}]}')
        said = talk.next()
        assert (said["id"], said["op"], said["code"], said["data"]) == ("1", "order", "60011", [])
        talk.send('{"id":"1","op":"sprd-order","args":[{}]}')
        assert talk.next()["code"] == "60028"
    with Desk(sim, path="business") as desk:
        desk.send('{"id":"1","op":"order","args":[{}]}')
        assert desk.until(lambda said: said.get("id") == "1")["code"] == "60028"
        assert desk.op("sprd-order", {"sprdId": "A_B"})["code"] == "51001"


def test_an_order_rests_is_amended_and_canceled(sim: Simulator) -> None:
    """live, live with the new price and size and the reqId, canceled by 1; then it cannot be touched any more."""
    with Desk(sim, ANY_ORDERS) as desk:
        ord_id = desk.place(ordType="limit", px=away(sim, "BTC-USDT"), clOrdId="abc")
        new_px = away(sim, "BTC-USDT", percent=2)
        known = {"instId": "BTC-USDT", "clOrdId": "abc"}
        said = desk.op("amend-order", {**known, "newPx": new_px, "newSz": "0.02", "reqId": "r1"})
        assert (said["code"], said["data"][0]["reqId"], said["data"][0]["ordId"]) == ("0", "r1", ord_id)
        (shown,) = sim.account()["orders"]
        assert (float(shown["px"]), shown["sz"]) == (float(new_px), "0.02")
        said = desk.op("cancel-order", known)
        assert (said["code"], said["data"][0]["ordId"]) == ("0", ord_id)
        assert "subCode" not in said["data"][0]
        rows = desk.of_order(ord_id, "canceled")
        assert [row["state"] for row in rows] == ["live", "live", "canceled"]
        assert [row["reqId"] for row in rows] == ["", "r1", ""]
        assert (rows[1]["amendResult"], rows[1]["amendSource"]) == ("0", "1")
        assert [row["cancelSource"] for row in rows] == ["", "", "1"]
        assert desk.op("cancel-order", known)["data"][0]["sCode"] == "51400"
        assert desk.op("amend-order", {**known, "newSz": "1"})["data"][0]["sCode"] == "51503"
        assert desk.op("cancel-order", {"instId": "BTC-USDT"})["data"][0]["sCode"] == "51000"
        assert desk.op("cancel-order", {"instId": "ETH-USDT", "ordId": ord_id})["data"][0]["sCode"] == "51400"


def test_an_amendment_that_cannot_be_paid_changes_nothing(sim: Simulator) -> None:
    """51008, and the order waits with its old size and money."""
    with Desk(sim) as desk:
        ord_id = desk.place(ordType="limit", px=away(sim, "BTC-USDT"))
        before = sim.account()
        said = desk.op("amend-order", {"instId": "BTC-USDT", "ordId": ord_id, "newSz": "1000"})
        assert said["data"][0]["sCode"] == "51008"
        after = sim.account()
        assert after["orders"] == before["orders"]
        assert after["balance"]["details"][0]["frozenBal"] == before["balance"]["details"][0]["frozenBal"] != "0"
        sim.cancel(ord_id)
        assert {one["frozenBal"] for one in sim.account()["balance"]["details"]} == {"0"}


def test_a_batch_answers_item_by_item(sim: Simulator) -> None:
    """Code 2 and an sCode for each when some are refused; 1 when all are; the good ones stand."""
    with Desk(sim) as desk:
        good, bad = {**LIMIT, "px": away(sim, "BTC-USDT")}, {**LIMIT, "px": ""}
        said = desk.op("batch-orders", good, bad, good)
        assert said["code"] == "2"
        assert [item["sCode"] for item in said["data"]] == ["0", "51000", "0"]
        assert desk.op("batch-orders", bad, bad)["code"] == "1"
        ids = [{"instId": "BTC-USDT", "ordId": one["ordId"]} for one in sim.account()["orders"]]
        assert len(ids) == 2
        assert desk.op("batch-amend-orders", *({**one, "newSz": "0.03"} for one in ids))["code"] == "0"
        assert {one["sz"] for one in sim.account()["orders"]} == {"0.03"}
        assert desk.op("batch-cancel-orders", *ids, {"instId": "BTC-USDT", "ordId": "1"})["code"] == "2"
        assert sim.account()["orders"] == []


def test_a_client_id_is_used_once_at_a_time(sim: Simulator) -> None:
    """51016 while an order of that id is open; afterwards it is free, and means the newest."""
    with Desk(sim) as desk:
        asked = {**LIMIT, "px": away(sim, "BTC-USDT"), "clOrdId": "one"}
        first = desk.op("order", asked)["data"][0]["ordId"]
        assert desk.op("order", asked)["data"][0]["sCode"] == "51016"
        desk.op("cancel-order", {"instId": "BTC-USDT", "clOrdId": "one"})
        second = desk.op("order", asked)["data"][0]["ordId"]
        assert int(second) > int(first)
        assert Rest(sim).rows("trade/order?instId=BTC-USDT&clOrdId=one")[0]["ordId"] == second


def test_a_market_order_is_filled_from_the_book(sim: Simulator) -> None:
    """live, then a push for each price it took with its own tradeId, the last one filled; taker fee in base coin."""
    with Desk(sim, ANY_ORDERS) as desk:
        ord_id = desk.place(ordType="market", sz="0.6", tgtCcy="base_ccy")
        rows = desk.of_order(ord_id, "filled")
        states = [row["state"] for row in rows]
        assert states == ["live", *["partially_filled"] * (len(rows) - 2), "filled"]
        fills = rows[1:]
        assert rows[0]["fillSz"] == "0"
        assert rows[0]["tradeId"] == ""
        assert sum(Decimal(row["fillSz"]) for row in fills) == Decimal("0.6") == Decimal(fills[-1]["accFillSz"])
        prices = [Decimal(row["fillPx"]) for row in fills]
        assert prices == sorted(prices)
        assert len({row["tradeId"] for row in fills}) == len(fills)
        assert {row["execType"] for row in fills} == {"T"}
        paid = sum(Decimal(row["fillSz"]) * Decimal(row["fillPx"]) for row in fills)
        assert abs(Decimal(fills[-1]["avgPx"]) - paid / Decimal("0.6")) < Decimal("0.0001")
        assert (Decimal(fills[-1]["fee"]), fills[-1]["feeCcy"]) == (Decimal("-0.0006"), "BTC")
        assert sum(Decimal(row["fillFee"]) for row in fills) == Decimal("-0.0006")


def test_a_market_that_nobody_watches_holds_still_for_an_order() -> None:
    """However fast its time runs, the book that an order is measured against is the one that it takes from."""
    with Simulator(seed=7, limits=False, speed=1000) as sim:
        for inst_id in ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP"):
            for side in ("buy", "sell"):
                assert len(sim.place(times=20, instId=inst_id, ordType="market", side=side, sz="0.5")) == 20
        assert not sim.account()["orders"]
        assert not sim.account()["positions"]


def test_what_an_order_took_the_market_tells(sim: Simulator) -> None:
    """The fills of a market order are trades of the public channel: same ids, prices and sizes."""
    with Desk(sim, ANY_ORDERS) as desk, Talk(sim.ws_url + "/public") as public:
        public.subscribe("trades:BTC-USDT")
        public.push("trades")
        ord_id = desk.place(ordType="market", sz="0.5", side="sell", tgtCcy="base_ccy")
        fills = desk.of_order(ord_id, "filled")[1:]
        wanted = {row["tradeId"]: (row["fillPx"], row["fillSz"], "sell") for row in fills}
        seen: dict[str, tuple[str, ...]] = {}
        for _ in range(200):
            if not set(wanted) - set(seen):
                break
            for row in public.push("trades")["data"]:
                seen[row["tradeId"]] = (row["px"], row["sz"], row["side"])
        assert {trade_id: seen.get(trade_id) for trade_id in wanted} == wanted


def test_a_market_order_to_buy_is_in_quote_currency_by_default(sim: Simulator) -> None:
    """500 USDT buy for at most 500 USDT; what cannot be spent comes back."""
    with Desk(sim, ANY_ORDERS) as desk:
        rows = desk.of_order(desk.place(ordType="market", sz="500"), "filled")
        assert (rows[-1]["tgtCcy"], rows[-1]["sz"]) == ("quote_ccy", "500")
        spent = sum(Decimal(row["fillSz"]) * Decimal(row["fillPx"]) for row in rows[1:])
        assert Decimal("499.99") < spent <= 500
        usdt = next(one for one in sim.account()["balance"]["details"] if one["ccy"] == "USDT")
        assert (Decimal(usdt["cashBal"]), usdt["frozenBal"]) == (100_000 - spent, "0")
        assert desk.op("order", {**LIMIT, "ordType": "market", "sz": "0.0000001"})["data"][0]["sCode"] == "51020"


def test_a_limit_order_through_the_book_takes_and_rests(sim: Simulator) -> None:
    """It takes what is there up to its price, as taker; the rest waits."""
    with Desk(sim, ANY_ORDERS) as desk:
        px = away(sim, "BTC-USDT", "sell", percent=0)
        sim_px = f"{float(px) + 20:.1f}"
        ord_id = desk.place(ordType="limit", px=sim_px, sz="1.5")
        rows = desk.of_order(ord_id, "partially_filled")
        assert all(Decimal(row["fillPx"]) <= Decimal(sim_px) for row in rows[1:])
        assert rows[-1]["execType"] == "T"


@pytest.mark.parametrize(("ord_type", "source"), [("ioc", "14"), ("fok", "13"), ("post_only", "31")])
def test_orders_that_do_not_wait_or_do_not_take(sim: Simulator, ord_type: str, source: str) -> None:
    """ioc and fok far from the market are canceled at once; so is post_only at the market, which is never live."""
    with Desk(sim, ANY_ORDERS) as desk:
        px = away(sim, "BTC-USDT") if ord_type != "post_only" else away(sim, "BTC-USDT", "sell")
        ord_id = desk.place(ordType=ord_type, px=px)
        rows = desk.of_order(ord_id, "canceled")
        assert (rows[-1]["cancelSource"], rows[-1]["accFillSz"]) == (source, "0")
        assert [row["state"] for row in rows] == (["canceled"] if ord_type == "post_only" else ["live", "canceled"])


def test_ioc_takes_a_part_and_fok_all_or_nothing() -> None:
    """Of more than the book has up to the price, ioc takes what there is and fok nothing; of less, fok takes all."""
    setup = AccountSetup(balances={"USDT": Decimal(10**9)})
    with Simulator(seed=7, limits=False, api_keys=[setup]) as rich, Desk(rich, ANY_ORDERS) as desk:
        px = f"{float(away(rich, 'BTC-USDT', percent=0)) + 30:.1f}"
        rows = desk.of_order(desk.place(ordType="ioc", px=px, sz="300"), "canceled")
        assert 0 < Decimal(rows[-1]["accFillSz"]) < 300
        assert rows[-1]["cancelSource"] == "14"
        px = away(rich, "ETH-USDT", "sell")
        assert desk.of_order(desk.place("ETH-USDT", ordType="fok", px=px, sz="0.1"), "filled")
        px = f"{float(away(rich, 'SOL-USDT', percent=0)) + 0.05:.2f}"
        rows = desk.of_order(desk.place("SOL-USDT", ordType="fok", px=px, sz="900000"), "canceled")
        assert rows[-1]["accFillSz"] == "0"


def test_a_resting_order_is_filled_as_maker_when_the_market_comes() -> None:
    """Of orders on both sides of the market one is met soon: at its own price, as maker, in parts perhaps."""
    with Simulator(seed=7, limits=False, speed=20) as fast, Desk(fast, ANY_ORDERS) as desk:
        desk.code("BTC-USDT")
        middle, orders = float(away(fast, "BTC-USDT", percent=0)), {}
        for distance in (3, 6, 12, 24):
            for side, px in (("buy", middle - distance), ("sell", middle + distance)):
                orders[desk.place(ordType="post_only", px=f"{px:.1f}", side=side, sz="0.2")] = (side, px)
        last = desk.row("orders", state="filled", execType="M")
        side, px = orders[last["ordId"]]
        fills = [row for row in desk.of_order(last["ordId"], "filled") if row["tradeId"]]
        assert {(float(row["fillPx"]), row["execType"]) for row in fills} == {(round(px, 1), "M")}
        assert sum(Decimal(row["fillSz"]) for row in fills) == Decimal("0.2")
        worth = Decimal("0.2") if side == "buy" else Decimal("0.2") * Decimal(fills[0]["fillPx"])
        assert Decimal(last["fee"]) == -worth * Decimal("0.0008")


def test_a_flood_of_orders_is_refused() -> None:
    """Of 200 orders in one go the 61st and later ones are 50011, by REST too; without limits none is."""
    with Simulator(seed=7) as sim, Desk(sim) as desk:
        for number in range(200):
            desk.send(f'{{"id":"f{number}","op":"order","args":[{{"instIdCode":10001}}]}}')
        codes = [desk.until(lambda said: "op" in said)["code"] for _ in range(200)]
        assert codes[:60] == ["1"] * 60
        assert "50011" in codes[60:]


def test_limits_slide_and_are_counted_apart() -> None:
    """60 single orders of an instrument, 300 in batches, 1000 new ones in all, each in any two seconds."""
    limits, trader = (
        TradingLimits(),
        next(iter(Accounts([DEFAULT_KEY], MarketPrices(MarketSource(1, Clock())), 0))).trader,
    )

    def code(op: str, names: list[str], now_s: float) -> int:
        try:
            limits.count(trader, op, names, now_s)
        except Refused as refused:
            return refused.code
        return 0

    assert [code("order", ["A"], 10 + number / 100) for number in range(61)] == [0] * 60 + [50011]
    assert [code("order", ["B"], 10.7), code("cancel-order", ["A"], 10.7), code("amend-order", ["A"], 10.7)] == [
        0,
        0,
        0,
    ]
    assert [code("batch-orders", ["A"] * 20, 10.8) for _ in range(16)] == [0] * 15 + [50011]
    assert code("batch-orders", ["A"], 10.8) == 50011
    assert [code("batch-orders", [f"C{number}"] * 20, 10.9) for number in range(32)][-1] == 50061
    assert code("order", ["A"], 12.05) == 0
