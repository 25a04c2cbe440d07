"""What private channels say of an account (PROTOCOL 5.3): snapshots and their pages, news, and who is told."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from simulator.signing import Rest
from simulator.talking import Talk, is_push
from simulator.trading import ANY_ORDERS, Desk
from waiting import eventually

from okws_celery.errors import BadCommand
from okws_celery.okx.login import Credentials
from okws_celery.simulator import Simulator
from okws_celery.simulator.accounts import AccountSetup, parse_account, parse_accounts
from okws_celery.simulator.trading.terms import MONEY

POSITIONS = {"channel": "positions", "instType": "ANY"}
MOVED = {"channel": "balance_and_position"}
TWO = Credentials("two", "two-secret", "two-pass")


def details(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The currencies of a row of `account`."""
    return {one["ccy"]: one for one in row["details"]}


def test_the_first_account_snapshot(sim: Simulator) -> None:
    """100,000 USDT, 10 BTC and 100 ETH, all free; the arg has the uid, the envelope its page."""
    with Desk(sim) as desk:
        desk.ask("subscribe", {"channel": "account"})
        push = desk.push("account")
        assert push["arg"] == {"channel": "account", "uid": sim.account()["uid"]}
        assert (push["eventType"], push["curPage"], push["lastPage"]) == ("snapshot", 1, True)
        held = details(push["data"][0])
        assert {ccy: one["cashBal"] for ccy, one in held.items()} == {"USDT": "100000", "BTC": "10", "ETH": "100"}
        assert all(one["availBal"] == one["cashBal"] and one["frozenBal"] == "0" for one in held.values())


def test_an_order_freezes_and_a_cancel_frees(sim: Simulator) -> None:
    """An `event_update` with the one currency that changed: what is frozen is not available, the balance stands."""
    with Desk(sim, {"channel": "account"}) as desk:
        (ord_id,) = sim.place(sz="0.1", px="63000")
        push = desk.until(lambda said: said.get("eventType") == "event_update")
        held = details(push["data"][0])
        assert set(held) == {"USDT"}
        assert (held["USDT"]["cashBal"], held["USDT"]["frozenBal"]) == ("100000", "6300")
        assert (held["USDT"]["availBal"], held["USDT"]["ordFrozen"]) == ("93700", "6300")
        assert not {"curPage", "lastPage"} & set(push)
        sim.cancel(ord_id)
        push = desk.until(lambda said: said.get("eventType") == "event_update")
        assert details(push["data"][0])["USDT"]["availBal"] == "100000"


def test_a_currency_can_be_asked_for_alone(sim: Simulator) -> None:
    """`account` with `ccy` says nothing of the others."""
    with Desk(sim, {"channel": "account", "ccy": "BTC"}) as desk:
        sim.fill(*sim.place(sz="0.1", px="63000"))
        push = desk.until(lambda said: said.get("eventType") == "event_update")
        assert push["arg"]["ccy"] == "BTC"
        assert {ccy: one["cashBal"] for ccy, one in details(push["data"][0]).items()} == {"BTC": "10.09992"}


def test_snapshots_come_in_pages_when_there_is_much() -> None:
    """Pages of at most so many rows, numbered from 1, only the last marked; together they are complete."""
    balances = {f"C{number}": Decimal(number) for number in range(1, 8)}
    with Simulator(limits=False, api_keys=[AccountSetup(balances=balances, page_rows=3)]) as sim, Desk(sim) as desk:
        desk.ask("subscribe", {"channel": "account"})
        pages = [desk.push("account") for _ in range(3)]
        assert [(one["curPage"], one["lastPage"]) for one in pages] == [(1, False), (2, False), (3, True)]
        assert [len(one["data"][0]["details"]) for one in pages] == [3, 3, 1]
        assert {ccy for one in pages for ccy in details(one["data"][0])} == set(balances)


def test_positions_in_pages_and_by_instrument() -> None:
    """The snapshot of `positions` has pages too, and only what the argument asks for."""
    with Simulator(limits=False, api_keys=[AccountSetup(page_rows=2)]) as sim, Desk(sim) as desk:
        for inst_id in ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP"):
            sim.fill(*sim.place(instId=inst_id, sz="1"))
        desk.ask("subscribe", POSITIONS, {**POSITIONS, "instId": "ETH-USDT-SWAP"})
        pages = [desk.push("positions") for _ in range(3)]
        everything = [one for one in pages if "instId" not in one["arg"]]
        assert [(one["curPage"], one["lastPage"], len(one["data"])) for one in everything] == [
            (1, False, 2),
            (2, True, 1),
        ]
        (alone,) = [one for one in pages if "instId" in one["arg"]]
        assert [row["instId"] for row in alone["data"]] == ["ETH-USDT-SWAP"]


def test_the_interval_of_positions(sim: Simulator) -> None:
    """`extraParams` is a string of JSON: 2000 repeats the snapshot every two seconds, 0 leaves only events."""
    never, often = ({**POSITIONS, "extraParams": json.dumps({"updateInterval": one})} for one in ("0", "2000"))
    with Desk(sim, never, {"channel": "account"}) as quiet, Desk(sim, often, {"channel": "account"}) as talkative:
        for desk, repeats in ((quiet, False), (talkative, True)):
            # The account's own periodic snapshot comes later than the second of these positions.
            desk.until(lambda said: is_push(said, "account") and said["eventType"] == "snapshot")
            desk.push("account")
            assert (sum(is_push(one, "positions") for one in desk.got) > 1) is repeats


def test_a_position_opens_grows_and_closes(sim: Simulator) -> None:
    """pos is signed in net mode, avgPx the mean; closed it comes once more with pos 0 and what it brought."""
    with Desk(sim, POSITIONS, MOVED) as desk:

        def trade(side: str, sz: str, px: str) -> None:
            (ord_id,) = sim.place(instId="BTC-USDT-SWAP", side=side, sz=sz)
            sim.fill(ord_id, px=px)

        trade("buy", "2", "63000")
        first = desk.row("positions", pos="2")
        assert (first["avgPx"], first["posSide"], first["mgnMode"], first["lever"]) == ("63000", "net", "cross", "3")
        assert (first["imr"], first["ccy"]) == ("420", "USDT")  # 2 contracts of 0.01 BTC at 63,000, a third of it
        mark = Decimal(first["markPx"])
        assert Decimal(first["upl"]) == (mark - 63000) * Decimal("0.02")
        trade("buy", "2", "64000")
        assert desk.row("positions", pos="4")["avgPx"] == "63500"
        trade("sell", "5", "64500")
        assert desk.row("positions", pos="-1")["avgPx"] == "64500"
        trade("buy", "1", "64000")
        closed = desk.row("positions", pos="0")
        assert (closed["pnl"], closed["upl"], closed["avgPx"], closed["posId"]) == ("5", "", "", first["posId"])
        # 0.02 % of what a maker trades, of the last position: 64,500 and 64,000 times 0.01.
        assert closed["fee"] == "-0.257"
        assert Decimal(closed["realizedPnl"]) == Decimal("5") - Decimal("0.257")
        moved = desk.row("balance_and_position", eventType="filled")
        assert [one["pos"] for one in moved["posData"]] == ["2"]
        # Bought 4 at 63,500 in the mean, sold at 64,500, then one short from there to 64,000.
        fees = Decimal("0.0002") * Decimal("0.01") * (2 * 63000 + 2 * 64000 + 5 * 64500 + 64000)
        assert Decimal(sim.account()["balance"]["details"][0]["cashBal"]) == 100_000 + 40 + 5 - fees
        assert sim.account()["positions"] == []


def test_long_and_short_side_by_side() -> None:
    """In long_short_mode both sides stand side by side, posSide is needed, and nothing closes more than is open."""
    with Simulator(limits=False, api_keys=[AccountSetup(hedged=True)]) as sim, Desk(sim, POSITIONS) as desk:
        swap = {"instId": "ETH-USDT-SWAP", "sz": "3", "tdMode": "cross", "ordType": "market"}
        assert desk.op("order", {**swap, "side": "buy"})["data"][0]["sCode"] == "51000"
        assert desk.op("order", {**swap, "side": "sell", "posSide": "long"})["data"][0]["sCode"] == "51169"
        assert desk.op("order", {**swap, "side": "buy", "posSide": "long"})["code"] == "0"
        assert desk.op("order", {**swap, "side": "sell", "posSide": "short"})["code"] == "0"
        assert (desk.row("positions", posSide="long")["pos"], desk.row("positions", posSide="short")["pos"]) == (
            "3",
            "3",
        )
        assert desk.op("order", {**swap, "side": "sell", "posSide": "long", "sz": "4"})["data"][0]["sCode"] == "51169"
        assert desk.op("order", {**swap, "side": "sell", "posSide": "long", "sz": "3"})["code"] == "0"
        desk.row("positions", posSide="long", pos="0")
        assert [one["posSide"] for one in sim.account()["positions"]] == ["short"]


def test_an_order_that_may_only_reduce(sim: Simulator) -> None:
    """reduceOnly is refused without a position, and canceled when there is nothing left to reduce."""
    with Desk(sim, ANY_ORDERS) as desk:
        sell = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "sell", "sz": "1", "reduceOnly": True}
        assert desk.op("order", {**sell, "ordType": "market"})["data"][0]["sCode"] == "51169"
        sim.fill(*sim.place(instId="BTC-USDT-SWAP", sz="1"))
        before = sim.account()["balance"]["details"][0]["ordFrozen"]
        assert desk.op("order", {**sell, "ordType": "market"})["code"] == "0"
        assert (before, sim.account()["positions"]) == ("0", [])


def test_a_spot_account_has_no_derivatives() -> None:
    """With acctLv 1 a swap is refused with 51010, and spot works."""
    with Simulator(limits=False, api_keys=[AccountSetup(level=1)]) as sim, Desk(sim) as desk:
        swap = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
        assert desk.op("order", swap)["data"][0]["sCode"] == "51010"
        assert desk.place(ordType="market", sz="100")


def test_balances_and_positions_move_together(sim: Simulator) -> None:
    """A snapshot first; after a fill only what changed, with the tradeId; nothing for an order that waits."""
    with Desk(sim, MOVED, ANY_ORDERS) as desk:
        (opening,) = desk.row("balance_and_position", eventType="snapshot")["balData"][:1]
        assert (opening["ccy"], opening["cashBal"]) == ("USDT", "100000")
        waiting, filled = sim.place(times=2, sz="0.1", px="63000")
        sim.cancel(waiting)
        sim.fill(filled)
        row = desk.row("balance_and_position", eventType="filled")
        assert {one["ccy"]: one["cashBal"] for one in row["balData"]} == {"USDT": "93700", "BTC": "10.09992"}
        trade_id = desk.row("orders", ordId=filled, state="filled")["tradeId"]
        assert (row["trades"], row["posData"]) == ([{"instId": "BTC-USDT", "tradeId": trade_id}], [])
        assert sum(is_push(one, "balance_and_position") for one in desk.got) == 2


def test_orders_have_no_snapshot_and_are_chosen_by_their_kind(sim: Simulator) -> None:
    """What waits already is not told; SPOT, SWAP and one instrument are each told of their own."""
    swap_only, one_only = {"channel": "orders", "instType": "SWAP"}, {**ANY_ORDERS, "instId": "ETH-USDT"}
    sim.place()
    with Desk(sim, ANY_ORDERS, swap_only, one_only, {**ANY_ORDERS, "instFamily": "BTC-USDT"}) as desk:
        spot, swap, ether = (
            *sim.place(),
            *sim.place(instId="BTC-USDT-SWAP", sz="1"),
            *sim.place(instId="ETH-USDT", sz="0.1"),
        )
        desk.row("orders", ordId=ether)
        sim.push("orders", {"ordId": "last"})
        for _ in range(4):
            desk.row("orders", ordId="last")
        got: dict[tuple[str, ...], list[str]] = {}
        while len(got) < 4 or any(ids[-1] != "last" for ids in got.values()):
            for push in desk.got:
                if is_push(push, "orders"):
                    key = (push["arg"]["instType"], push["arg"].get("instId", ""), push["arg"].get("instFamily", ""))
                    got.setdefault(key, []).append(push["data"][0]["ordId"])
            desk.got.clear()
            if len(got) < 4 or any(ids[-1] != "last" for ids in got.values()):
                desk.push("orders")
        assert got == {
            ("ANY", "", ""): [spot, swap, ether, "last"],
            ("SWAP", "", ""): [swap, "last"],
            ("ANY", "ETH-USDT", ""): [ether, "last"],
            ("ANY", "", "BTC-USDT"): [spot, swap, "last"],
        }


def test_fills_are_for_vips(sim: Simulator) -> None:
    """64003 after the ack for who is none; a VIP gets each fill, with a client id only if that is a number."""
    with Desk(sim) as desk:
        desk.ask("subscribe", {"channel": "fills"})
        desk.event("subscribe")
        assert desk.event("error")["code"] == "64003"
    with Simulator(limits=False, api_keys=[AccountSetup(vip=4)]) as vip, Desk(vip, {"channel": "fills"}) as desk:
        for named in ("77", "x7"):
            vip.fill(*vip.place(sz="0.1", px="63000", clOrdId=named))
        first = desk.row("fills", clOrdId="77")
        assert set(first) == set("instId fillSz fillPx side ts ordId clOrdId tradeId execType count".split())
        assert (first["fillSz"], first["fillPx"], first["execType"]) == ("0.1", "63000", "M")
        assert desk.row("fills", clOrdId="0")["instId"] == "BTC-USDT"


def test_duplicates_and_a_late_close_on_request() -> None:
    """As OKX may do: each push of an order twice; a market order `filled` by one more push, whose fillSz is 0."""
    setup = AccountSetup(duplicates=True, late_close=True)
    with Simulator(limits=False, api_keys=[setup]) as sim, Desk(sim, ANY_ORDERS) as desk:
        ord_id = desk.place(ordType="market", sz="0.01", tgtCcy="base_ccy")
        rows = desk.of_order(ord_id, "filled")
        rows.append(desk.push("orders")["data"][0])
        assert rows[::2] == rows[1::2]
        assert [(row["state"], row["fillSz"]) for row in rows[::2]] == [
            ("live", "0"),
            ("partially_filled", "0.01"),
            ("filled", "0"),
        ]
        assert rows[-1]["accFillSz"] == "0.01"


def test_all_connections_of_a_key_share_one_account() -> None:
    """What one connection orders all hear, and REST shows; another key hears nothing of it."""
    setups = [AccountSetup(), AccountSetup(TWO, balances={"USDT": Decimal(5)})]
    with (
        Simulator(limits=False, api_keys=setups) as sim,
        Desk(sim, ANY_ORDERS) as first,
        Desk(sim, ANY_ORDERS) as second,
        Desk(sim, ANY_ORDERS, key="two") as other,
    ):
        ord_id = first.place(ordType="market", sz="100")
        assert second.row("orders", ordId=ord_id, state="filled")
        assert [one["ordId"] for one in Rest(sim).rows("trade/orders-history?instType=SPOT")] == [ord_id]
        sim.push("orders", {"ordId": "own"}, account="two")
        assert other.push("orders")["data"] == [{"ordId": "own"}]
        uid = next(one for one in other.got if is_push(one, "orders"))["arg"]["uid"]
        assert uid == sim.account("two")["uid"] != sim.account("demo")["uid"]
        said = other.op(
            "order", {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "6"}
        )
        assert said["data"][0]["sCode"] == "51008"


def test_while_a_client_is_away_the_exchange_goes_on(sim: Simulator) -> None:
    """One order filled and two canceled without a link: on its return no push tells of it, REST tells all."""
    with Desk(sim, ANY_ORDERS) as desk:
        ids = sim.place(times=4)
        desk.row("orders", ordId=ids[-1])
        sim.drop("private")
    eventually(lambda: not sim.connections("private"))
    sim.fill(ids[0])
    sim.cancel(ids[1])
    sim.cancel(ids[2], source="20")
    with Desk(sim, ANY_ORDERS) as desk:
        sim.push("orders", {"ordId": "marker"})
        assert desk.push("orders")["data"] == [{"ordId": "marker"}]
        rest = Rest(sim)
        assert [one["ordId"] for one in rest.rows("trade/orders-pending")] == [ids[3]]
        over = {one["ordId"]: one for one in rest.rows("trade/orders-history?instType=SPOT")}
        assert {key: one["state"] for key, one in over.items()} == {
            ids[0]: "filled",
            ids[1]: "canceled",
            ids[2]: "canceled",
        }
        assert over[ids[2]]["cancelSource"] == "20"
        assert [one["ordId"] for one in rest.rows("trade/fills")] == [ids[0]]


def test_a_thousand_pushes_in_one_write(sim: Simulator) -> None:
    """All that one action pushes goes out at once: a thousand orders are there in order, none lost, none twice."""
    with Desk(sim, ANY_ORDERS) as desk:
        ids = sim.place(times=1000, sz="0.001")
        seen = [desk.push("orders")["data"][0]["ordId"] for _ in range(1000)]
        assert seen == ids
        # Rows by hand are small enough to be one TCP segment as far as the loopback is concerned.
        sim.push("orders", *({"ordId": str(number)} for number in range(300)))
        assert desk.push("orders")["data"] == [{"ordId": "0"}]
        raw = desk.ws.sock
        assert isinstance(raw, socket.socket)
        waiting = raw.recv(1 << 20, socket.MSG_PEEK)
        assert waiting.count(b'"ordId"') + sum(is_push(one, "orders") for one in desk.got) >= 1300


def test_rows_pushed_by_hand_reach_who_listens(sim: Simulator) -> None:
    """Deposits and whatever else does not happen here by itself, on /business too, as they are given."""
    with Desk(sim, {"channel": "deposit-info"}, path="business") as desk:
        row = {"ccy": "USDT", "amt": "5", "depId": "1", "state": "2"}
        sim.push("deposit-info", row)
        push = desk.push("deposit-info")
        assert (push["data"], push["arg"]["uid"]) == ([row], sim.account()["uid"])


@pytest.mark.parametrize(
    "act",
    [
        lambda sim: sim.fill("1"),
        lambda sim: sim.cancel("1"),
        lambda sim: sim.place(instId="NO-SUCH"),
        lambda sim: sim.place(times=0),
        lambda sim: sim.push("tickers", {}),
        lambda sim: sim.account("nobody"),
        lambda sim: sim.fill(*sim.place(), sz="0.0000000001"),
    ],
)
def test_what_cannot_be_done_is_said(sim: Simulator, act: Any) -> None:
    """BadCommand, as for every wrong command, and the simulator goes on."""
    with pytest.raises(BadCommand):
        act(sim)
    assert sim.place()


def test_the_control_api_does_the_same(sim: Simulator) -> None:
    """`POST /control/account` places, fills and cancels; `GET` shows; what is wrong is 400 and says so."""

    def post(body: object) -> Any:
        request = urllib.request.Request(f"{sim.rest_url}/control/account", data=json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["ordIds"]

    first, second = post({"place": {"instId": "BTC-USDT", "sz": "0.1"}, "times": 2})
    assert post({"fill": first, "sz": "0.05", "account": "demo"}) == [first]
    assert post({"cancel": second}) == [second]
    with urllib.request.urlopen(f"{sim.rest_url}/control/account?account=demo") as answer:
        state = json.load(answer)
    assert [(one["ordId"], one["state"], one["accFillSz"]) for one in state["orders"]] == [
        (first, "partially_filled", "0.05")
    ]
    known: dict[str, object] = {"cancel": second}
    bodies: tuple[object, ...] = ([], {"place": 1}, known, {**known, "fill": first}, {"fill": first, "zs": "1"})
    for wrong in bodies:
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(wrong)
        with refused.value:
            assert refused.value.code == 400
            assert json.load(refused.value)["error"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "JSON object"),
        ({"apiKey": "a", "secret": "b"}, "password"),
        ({}, "apiKey"),
        ({"apiKey": "a", "secret": "b", "passphrase": "c", "wallet": 1}, "wallet"),
        ({"apiKey": "a", "secret": "b", "passphrase": "c", "balances": {"USDT": "-1"}}, "balances"),
        ({"apiKey": "a", "secret": "b", "passphrase": "c", "posMode": "both"}, "posMode"),
        ({"apiKey": "a", "secret": "b", "passphrase": "c", "vip": 12}, "vip"),
        ({"apiKey": "a", "secret": "b", "passphrase": "c", "acctLv": "4"}, "acctLv"),
    ],
)
def test_an_account_that_cannot_be_set_up(given: object, named: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(BadCommand, match=named):
        parse_account(given)


def test_an_account_set_up_by_json() -> None:
    """What is given is taken, what is not is the default."""
    key = {"apiKey": "two", "secret": "two-secret", "passphrase": "two-pass"}
    setup = parse_account({**key, "balances": {"USDT": "7.5"}, "vip": 5, "posMode": "long_short_mode", "acctLv": "2"})
    assert setup == AccountSetup(TWO, balances={"USDT": Decimal("7.5")}, vip=5, hedged=True)
    assert parse_account(key) == AccountSetup(TWO)


@pytest.mark.parametrize(
    ("text", "named"),
    [("{", "not JSON"), ("[]", "list"), ('{"apiKey": "a"}', "list"), ('[{"apiKey": "a"}]', "secret"), (None, "read")],
)
def test_a_file_of_accounts_that_is_wrong(tmp_path: Path, text: str | None, named: str) -> None:
    """The error names the file or what is wrong in it, and no secret."""
    file = tmp_path / "accounts.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadCommand, match=named):
        parse_accounts(str(file))


def test_a_contract_settled_in_its_coin(sim: Simulator) -> None:
    """Of an inverse swap margin, gain and fee are in the coin: 100 contracts of 100 USD from 50,000 to 62,500."""
    (bought,) = sim.place(instId="BTC-USD-SWAP", sz="100")
    sim.fill(bought, px="50000")
    (held,) = sim.account()["positions"]
    assert (held["ccy"], held["avgPx"], Decimal(held["imr"])) == ("BTC", "50000", (Decimal("0.2") / 3).quantize(MONEY))
    sim.fill(*sim.place(instId="BTC-USD-SWAP", sz="100", side="sell"), px="62500")
    fees = Decimal("0.0002") * (Decimal("0.2") + Decimal("0.16"))
    held_btc = details(sim.account()["balance"])["BTC"]
    assert Decimal(held_btc["cashBal"]) == 10 + Decimal("0.04") - fees
    assert held_btc["frozenBal"] == "0"


def test_an_instrument_that_expires_ends_orders_and_positions(sim: Simulator) -> None:
    """Orders are canceled with source 7, positions closed at the mark price; nothing can be ordered afterwards."""
    with Desk(sim, ANY_ORDERS, POSITIONS, MOVED) as desk:
        sim.fill(*sim.place(instId="SOL-USDT-SWAP", sz="3"))
        (waiting,) = sim.place(instId="SOL-USDT-SWAP", sz="1")
        sim.fault("deliver", inst_id="SOL-USDT-SWAP")
        assert desk.row("orders", ordId=waiting, state="canceled")["cancelSource"] == "7"
        desk.row("positions", instId="SOL-USDT-SWAP", pos="0")
        assert desk.row("balance_and_position", eventType="delivered")["posData"][0]["pos"] == "0"
        assert details(sim.account()["balance"])["USDT"]["frozenBal"] == "0"
        with pytest.raises(BadCommand, match="51001"):
            sim.place(instId="SOL-USDT-SWAP", sz="1")


def test_an_instrument_under_another_name_is_traded_on(sim: Simulator) -> None:
    """After a rename orders go by the new name, or the same code, and those of before can be canceled."""
    with Desk(sim, ANY_ORDERS) as desk:
        code = desk.code("SOL-USDT")
        (before,) = sim.place(instId="SOL-USDT", sz="1")
        sim.fault("rename", inst_id="SOL-USDT", to="LUNA-USDT")
        assert Rest(sim).order("LUNA-USDT", ordType="market", sz="50")
        order = {"instIdCode": code, "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "50"}
        assert desk.op("order", order)["code"] == "0"
        assert desk.op("cancel-order", {"instIdCode": code, "ordId": before})["code"] == "0"
        assert desk.row("orders", instId="LUNA-USDT", state="filled")


def test_a_private_channel_says_nothing_of_others(sim: Simulator) -> None:
    """Before login nothing flows, whatever happens to an account."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.ask("subscribe", ANY_ORDERS)
        assert talk.event("error")["code"] == "60011"
        sim.place()
        talk.send("ping")
        assert talk.read() == "pong"
