"""Private REST (PROTOCOL 3, 7 and 8): who is let in, and what is answered in OKX's envelope."""

from __future__ import annotations

from decimal import Decimal

import pytest
from simulator.signing import Rest, away, code_of
from simulator.talking import Talk
from simulator.trading import ANY_ORDERS, Desk

from okws_celery.errors import BadCommand
from okws_celery.simulator import Simulator
from okws_celery.simulator.accounts import AccountSetup


@pytest.fixture
def rest(sim: Simulator) -> Rest:
    """Signed calls of the default key."""
    return Rest(sim)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"OK-ACCESS-KEY": None}, "50103"),
        ({"OK-ACCESS-PASSPHRASE": None}, "50104"),
        ({"OK-ACCESS-SIGN": None}, "50106"),
        ({"OK-ACCESS-TIMESTAMP": None}, "50107"),
        ({"OK-ACCESS-TIMESTAMP": "yesterday"}, "50112"),
        ({"OK-ACCESS-TIMESTAMP": "2026-02-30T00:00:00.000Z"}, "50112"),
        ({"OK-ACCESS-TIMESTAMP": "2020-12-08T09:08:57.715Z"}, "50102"),
        ({"OK-ACCESS-KEY": "nobody"}, "50111"),
        ({"OK-ACCESS-KEY": "0b1c2d3e-1234-4321-8888-0123456789ab"}, "50119"),
        ({"OK-ACCESS-PASSPHRASE": "wrong"}, "50105"),
        ({"OK-ACCESS-SIGN": "bm8="}, "50113"),
    ],
)
def test_a_call_that_is_not_signed_right(rest: Rest, headers: dict[str, str | None], code: str) -> None:
    """HTTP 401 with OKX's code, in its order; queries and orders alike, and nothing is done."""
    for said in (rest.get("account/balance", headers), rest.post("trade/order", {"instId": "BTC-USDT"}, headers)):
        assert (said["status"], said["code"]) == (401, code)
        assert said["msg"]


def test_the_query_and_the_body_are_signed(rest: Rest) -> None:
    """A signature is of one path with its query and one body: of others it is 50113."""
    right = rest.get("account/balance?ccy=BTC,ETH")
    assert [one["ccy"] for one in right["data"][0]["details"]] == ["BTC", "ETH"]
    assert rest.get("account/balance?ccy=BTC%2CETH")["code"] == "0"
    stolen = Rest(rest.sim, secret="another")
    assert stolen.get("account/balance?ccy=BTC")["code"] == "50113"
    assert stolen.post("trade/order", {"instId": "BTC-USDT"})["code"] == "50113"


def test_an_order_by_rest_lives_as_one_by_socket(sim: Simulator, rest: Rest) -> None:
    """Placed, shown, amended and canceled by REST, with `instId`; the socket is told of each step."""
    with Desk(sim, ANY_ORDERS) as desk:
        ord_id = rest.order(clOrdId="r1")
        row = rest.one(ord_id)
        assert (row["state"], row["clOrdId"], row["accFillSz"], row["cancelSource"]) == ("live", "r1", "0", "")
        assert [one["ordId"] for one in rest.rows("trade/orders-pending")] == [ord_id]
        said = rest.post("trade/amend-order", {"instId": "BTC-USDT", "ordId": ord_id, "newSz": "0.02", "reqId": "q"})
        assert (said["code"], said["data"][0]["reqId"]) == ("0", "q")
        assert desk.row("orders", reqId="q")["sz"] == "0.02"
        assert rest.post("trade/cancel-order", {"instId": "BTC-USDT", "clOrdId": "r1"})["code"] == "0"
        assert desk.row("orders", state="canceled")["ordId"] == ord_id
        assert rest.one(ord_id)["state"] == "canceled"
        assert rest.rows("trade/orders-pending") == []


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("trade/order", "", "50000"),
        ("trade/order", "{", "50002"),
        ("trade/order", [], "50002"),
        ("trade/order", {}, "51000"),
        ("trade/order", {"instId": "NO-SUCH"}, "51001"),
        ("trade/order", {"instIdCode": 10001}, "51000"),
        ("trade/batch-orders", {}, "50002"),
        ("trade/batch-orders", [{}] * 21, "51000"),
        ("trade/cancel-order", {"instId": "BTC-USDT", "ordId": "1"}, "51400"),
        ("trade/amend-order", {"instId": "BTC-USDT", "ordId": "1", "newSz": "1"}, "51503"),
        ("account/set-leverage", {"instId": "BTC-USDT-SWAP", "mgnMode": "cross", "lever": "1000"}, "51000"),
        ("account/set-position-mode", {"posMode": "sideways"}, "51000"),
        ("account/set-account-level", {"acctLv": "9"}, "51000"),
        ("trade/order-algo", {"instId": "BTC-USDT", "ordType": "grid"}, "51000"),
        ("trade/cancel-algos", [{"algoId": "1", "instId": "BTC-USDT"}], "51400"),
    ],
)
def test_a_wrong_body_has_its_code(rest: Rest, path: str, body: object, code: str) -> None:
    """The code of the request, or of its one item."""
    assert code_of(rest.post(path, body)) == code


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("trade/order?instId=BTC-USDT&ordId=1", "51603"),
        ("trade/order?instId=BTC-USDT", "51000"),
        ("trade/order?ordId=1", "50014"),
        ("trade/orders-pending?instType=SHARES", "51000"),
        ("trade/orders-history", "50014"),
        ("trade/fills?limit=many", "51000"),
        ("trade/orders-algo-pending", "50014"),
        ("trade/orders-algo-history?ordType=trigger", "51000"),
        ("trade/order-algo?algoId=1", "51603"),
        ("account/leverage-info?instId=BTC-USDT-SWAP", "50014"),
        ("account/leverage-info?mgnMode=cross&instId=NO", "51001"),
        ("account/trade-fee", "50014"),
        ("account/instruments", "50014"),
        ("account/instruments?instType=SPOT&instId=NO", "51001"),
    ],
)
def test_a_wrong_query_has_its_code(rest: Rest, path: str, code: str) -> None:
    """The code, a text and no data."""
    said = rest.get(path)
    assert (said["code"], said["data"]) == (code, [])
    assert said["msg"]


def test_an_order_that_comes_too_late_is_not_placed(sim: Simulator, rest: Rest) -> None:
    """The header `expTime` is the latest moment for placing and amending; it does not concern a cancel."""
    late: dict[str, str | None] = {"expTime": "1597026383085"}
    asked = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01"}
    assert rest.post("trade/order", {**asked, "px": away(sim, "BTC-USDT")}, late)["code"] == "50004"
    assert sim.account()["orders"] == []
    known = {"instId": "BTC-USDT", "ordId": rest.order()}
    assert rest.post("trade/cancel-order", known, late)["code"] == "0"


def test_batches_answer_item_by_item(sim: Simulator, rest: Rest) -> None:
    """Code 2 when a part is refused; places, amends and cancels take up to 20."""
    good = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01"}
    good["px"] = away(sim, "BTC-USDT")
    said = rest.post("trade/batch-orders", [good, {**good, "instId": "NO-SUCH"}, good])
    assert (said["code"], [one["sCode"] for one in said["data"]]) == ("2", ["0", "51001", "0"])
    ids = [{"instId": "BTC-USDT", "ordId": one["ordId"]} for one in said["data"] if one["ordId"]]
    assert rest.post("trade/amend-batch-orders", [{**one, "newSz": "0.02"} for one in ids])["code"] == "0"
    assert {one["sz"] for one in rest.rows("trade/orders-pending")} == {"0.02"}
    assert rest.post("trade/cancel-batch-orders", ids)["code"] == "0"
    assert rest.rows("trade/orders-pending") == []


def test_orders_page_backwards(sim: Simulator, rest: Rest) -> None:
    """Newest first; `after` gives older ones than an id, `before` newer ones, `limit` at most 100."""
    ids = sim.place(times=120, sz="0.001")[::-1]
    assert [one["ordId"] for one in rest.rows("trade/orders-pending")] == ids[:100]
    assert [one["ordId"] for one in rest.rows(f"trade/orders-pending?after={ids[99]}")] == ids[100:]
    assert [one["ordId"] for one in rest.rows(f"trade/orders-pending?before={ids[2]}")] == ids[:2]
    assert [one["ordId"] for one in rest.rows("trade/orders-pending?limit=3")] == ids[:3]
    assert rest.rows("trade/orders-pending?instType=SWAP") == []
    assert rest.rows("trade/orders-pending?instId=ETH-USDT") == []
    assert len(rest.rows("trade/orders-pending?instType=SPOT&instId=BTC-USDT&state=live&ordType=limit")) == 100
    for ord_id in ids[:3]:
        sim.cancel(ord_id)
    assert [one["ordId"] for one in rest.rows("trade/orders-history?instType=SPOT")] == ids[:3]
    assert rest.rows("trade/orders-history-archive?instType=SPOT&state=filled") == []


def test_fills_page_by_their_bill(sim: Simulator, rest: Rest) -> None:
    """One row for each execution, newest first, with the order's ids; pages are by `billId`, times by begin and end."""
    (ord_id,) = sim.place(sz="0.5", px="63000", clOrdId="mine")
    for _ in range(5):
        sim.fill(ord_id, "0.1")
    rows = rest.rows("trade/fills")
    assert [one["fillSz"] for one in rows] == ["0.1"] * 5
    assert {(one["ordId"], one["clOrdId"], one["execType"], one["feeCcy"]) for one in rows} == {
        (ord_id, "mine", "M", "BTC")
    }
    assert {one["fee"] for one in rows} == {"-0.00008"}
    assert len({one["tradeId"] for one in rows}) == len({one["billId"] for one in rows}) == 5
    bills = [one["billId"] for one in rows]
    assert [one["billId"] for one in rest.rows(f"trade/fills-history?after={bills[1]}&limit=2")] == bills[2:4]
    assert rest.rows(f"trade/fills?begin={int(rows[0]['ts']) + 1}") == []
    assert len(rest.rows(f"trade/fills?end={rows[0]['ts']}&ordId={ord_id}&instType=SPOT")) == 5
    assert rest.rows("trade/fills?instType=SWAP") == []


def test_balance_and_positions_agree_with_the_socket(sim: Simulator, rest: Rest) -> None:
    """REST shows what the channels say; other positions can be left out."""
    sim.fill(*sim.place(instId="BTC-USDT-SWAP", sz="2", px="63000"))
    with Desk(sim, {"channel": "account"}, {"channel": "positions", "instType": "ANY"}) as desk:
        pushed = desk.row("positions", pos="2")
        (shown,) = rest.rows("account/positions?instType=SWAP&instId=BTC-USDT-SWAP")
        assert {key: shown[key] for key in ("posId", "avgPx", "imr", "cTime", "tradeId", "fee")} == {
            key: pushed[key] for key in ("posId", "avgPx", "imr", "cTime", "tradeId", "fee")
        }
        assert set(shown) == set(pushed)
        assert rest.rows("account/positions?instId=ETH-USDT-SWAP") == []
        usdt = next(one for one in rest.rows("account/balance")[0]["details"] if one["ccy"] == "USDT")
        told = next(one for one in desk.push("account")["data"][0]["details"] if one["ccy"] == "USDT")
        assert {key: usdt[key] for key in ("cashBal", "availBal", "frozenBal")} == {
            key: told[key] for key in ("cashBal", "availBal", "frozenBal")
        }
        assert set(usdt) == set(told)
    sim.fill(*sim.place(instId="BTC-USDT-SWAP", side="sell", sz="2", px="64000"))
    (closed,) = rest.rows("account/positions-history")
    assert (closed["pnl"], closed["instId"]) == ("20", "BTC-USDT-SWAP")


def test_settings_of_an_account(sim: Simulator, rest: Rest) -> None:
    """Leverage, position mode and account level are shown as they were set; the latter two only while all is closed."""
    swap = {"instId": "BTC-USDT-SWAP", "mgnMode": "cross"}
    assert rest.rows("account/leverage-info?mgnMode=cross&instId=BTC-USDT-SWAP")[0]["lever"] == "3"
    assert rest.post("account/set-leverage", {**swap, "lever": "10"})["data"][0]["lever"] == "10"
    sim.fill(*sim.place(instId="BTC-USDT-SWAP", sz="1", px="63000"))
    assert rest.rows("account/positions")[0]["imr"] == "63"
    rest.post("account/set-leverage", {**swap, "lever": "5"})
    assert rest.rows("account/positions")[0]["imr"] == "126"
    assert rest.post("account/set-position-mode", {"posMode": "long_short_mode"})["code"] == "59000"
    sim.fill(*sim.place(instId="BTC-USDT-SWAP", side="sell", sz="1"))
    assert rest.post("account/set-position-mode", {"posMode": "long_short_mode"})["code"] == "0"
    assert rest.post("account/set-account-level", {"acctLv": "1"})["code"] == "0"
    (config,) = rest.rows("account/config")
    assert (config["posMode"], config["acctLv"], config["uid"]) == ("long_short_mode", "1", sim.account()["uid"])


def test_what_clients_ask_at_their_start(rest: Rest) -> None:
    """Currencies with their chains, instruments of the account, fees, and how much could be bought."""
    assert {"BTC", "ETH", "USDT"} < {one["ccy"] for one in rest.rows("asset/currencies")}
    assert {one["chain"] for one in rest.rows("asset/currencies?ccy=USDT")} == {"USDT-ERC20", "USDT-TRC20"}
    assert "BTC-USDT" in {one["instId"] for one in rest.rows("account/instruments?instType=SPOT")}
    (fee,) = rest.rows("account/trade-fee?instType=SPOT&instId=BTC-USDT")
    assert (fee["maker"], fee["taker"]) == ("-0.0008", "-0.001")
    (most,) = rest.rows("account/max-size?instId=BTC-USDT&tdMode=cash&px=50000")
    assert (most["maxBuy"], most["maxSell"]) == ("2", "10")
    (most,) = rest.rows("account/max-avail-size?instId=BTC-USDT-SWAP&tdMode=cross")
    assert most["availBuy"] == "100000"
    for empty in ("asset/balances", "asset/deposit-history", "asset/withdrawal-history", "account/bills"):
        assert rest.rows(empty) == []


def test_the_instruments_of_an_account_are_those_of_all(sim: Simulator, rest: Rest) -> None:
    """The same objects as without a key, also after a change of terms and for spot as MARGIN."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe({"channel": "instruments", "instType": "MARGIN"})
        assert sim.ask("instruments") == 1
        (changed,) = talk.push("instruments")["data"]
    for kind in ("SPOT", "MARGIN", "SWAP", "OPTION&instFamily=BTC-USD"):
        mine = rest.rows(f"account/instruments?instType={kind}")
        assert mine == rest.rows(f"public/instruments?instType={kind}") != []
    (one,) = rest.rows(f"account/instruments?instType=MARGIN&instId={changed['instId']}")
    assert (one["instType"], one["maxMktSz"]) == ("MARGIN", changed["maxMktSz"])


def test_no_fill_takes_what_is_not_there(sim: Simulator, rest: Rest) -> None:
    """A fill on the exchange's side at a price that the account cannot pay is refused; nothing has moved."""
    (ord_id,) = sim.place(side="buy", sz="1.5")
    with pytest.raises(BadCommand, match="51008"):
        sim.fill(ord_id, px="90000")
    assert rest.one(ord_id)["state"] == "live"
    sim.fill(ord_id, sz="0.5", px="90000")
    (usdt,) = rest.rows("account/balance?ccy=USDT")[0]["details"]
    assert usdt["cashBal"] == "55000"


def test_a_vip_pays_less() -> None:
    """The fee ladder shows in the rate and in what is charged."""
    with Simulator(limits=False, api_keys=[AccountSetup(vip=3)]) as sim:
        rest = Rest(sim)
        (fee,) = rest.rows("account/trade-fee?instType=SPOT")
        sim.fill(*sim.place(sz="1", px="63000"))
        (fill,) = rest.rows("trade/fills")
        assert fill["feeRate"] == fee["maker"] != "-0.0008"
        assert Decimal(fill["fee"]) == Decimal(fee["maker"])
        assert fee["level"] == "VIP3"


def test_calls_of_one_key_are_limited() -> None:
    """More than five in two seconds of one kind are HTTP 429 and 50011; other kinds are not touched."""
    with Simulator(seed=7) as sim:
        rest = Rest(sim)
        for _ in range(200):
            said = rest.get("account/config")
            if said["code"] != "0":
                break
        assert (said["code"], said["status"], said["data"]) == ("50011", 429, [])
        assert rest.get("account/balance")["code"] == "0"
