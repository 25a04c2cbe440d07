"""OKX's rules of conversation (PROTOCOL 2 to 4 and 11), as an ordinary client meets them."""

from __future__ import annotations

import json
import re
import time

import pytest
import websocket
from simulator.talking import Talk, is_push, login_arg
from waiting import eventually

from okws_celery.simulator import Simulator
from okws_celery.simulator.accounts import DEFAULT_KEY, Accounts, AccountSetup
from okws_celery.simulator.listing import Listing
from okws_celery.simulator.protocol import Conversation, Counts, Then
from okws_celery.simulator.source import Clock, MarketSource
from okws_celery.simulator.standing import StandingFaults
from okws_celery.simulator.trading.floor import Floor
from okws_celery.simulator.trading.market_prices import MarketPrices
from okws_celery.simulator.trading.operations import Desk


def test_each_arg_is_acked_as_sent_with_the_id_and_the_connection(sim: Simulator) -> None:
    """One ack per arg, with the arg as sent, the request's id and one connId of eight hex digits."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "tickers:BTC-USDT", "trades:ETH-USDT", id="abc1")
        acks = [talk.event("subscribe"), talk.event("subscribe")]
        assert [ack["arg"] for ack in acks] == [
            {"channel": "tickers", "instId": "BTC-USDT"},
            {"channel": "trades", "instId": "ETH-USDT"},
        ]
        assert {ack["id"] for ack in acks} == {"abc1"}
        assert len({ack["connId"] for ack in acks}) == 1
        assert re.fullmatch("[0-9a-f]{8}", acks[0]["connId"])


def test_without_an_id_none_is_echoed(sim: Simulator) -> None:
    """The key `id` is only there if the request had one."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "tickers:BTC-USDT")
        assert "id" not in talk.event("subscribe")


def test_a_bad_arg_does_not_hurt_the_good_ones(sim: Simulator) -> None:
    """Args are handled one by one: an error event for the bad one, which has no `arg`, and data for the good one."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "tickers:NO-SUCH", "tickers:BTC-USDT", id="7")
        error = talk.event("error")
        assert (error["code"], error["id"]) == ("60018", "7")
        assert "arg" not in error
        assert "channel:tickers,instId:NO-SUCH doesn't exist" in error["msg"]
        assert talk.push("tickers")["data"][0]["instId"] == "BTC-USDT"


def test_unsubscribed_is_silent(sim: Simulator) -> None:
    """After the ack of an unsubscription nothing comes any more; what else is subscribed goes on."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
        talk.push("tickers", "BTC-USDT")
        talk.ask("unsubscribe", "tickers:BTC-USDT")
        talk.event("unsubscribe")
        later = [talk.push("tickers")["arg"]["instId"] for _ in range(3)]
        assert set(later) == {"ETH-USDT"}
        assert sim.subscribed("tickers:BTC-USDT") == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "60012"),
        ("[1]", "60012"),
        ('{"args":[{"channel":"tickers","instId":"BTC-USDT"}]}', "60012"),
        ('{"op":"subscribe","argss":[{"channel":"tickers","instId":"BTC-USDT"}]}', "60012"),
        ('{"op":"subscribe","args":[]}', "60012"),
        ('{"op":"subscribe","args":["tickers:BTC-USDT"]}', "60012"),
        ('{"op":"ping"}', "60019"),
        ('{"op":"subscribe","args":[{"channel":"tickers"}]}', "60027"),
        ('{"op":"subscribe","args":[{"instId":"BTC-USDT"}]}', "60027"),
        ('{"op":"subscribe","args":[{"channel":"tickers","instId":7}]}', "60033"),
        ('{"op":"subscribe","id":"no spaces","args":[{"channel":"tickers","instId":"BTC-USDT"}]}', "60033"),
        ('{"op":"subscribe","args":[{"channel":"no-such-channel","instId":"BTC-USDT"}]}', "60018"),
        ('{"op":"subscribe","args":[{"channel":"candle1m","instId":"BTC-USDT"}]}', "60018"),
        ('{"op":"subscribe","args":[{"channel":"funding-rate","instId":"BTC-USDT"}]}', "60018"),
        ('{"op":"order","id":"1","args":[{}]}', "60028"),
    ],
)
def test_wrong_requests_get_their_code(sim: Simulator, text: str, code: str) -> None:
    """What cannot be understood, or is not to be had here, is answered with OKX's code; the connection lives on."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.send(text)
        error = talk.next()
        assert (error["event"], error["code"]) == ("error", code)
        if code == "60012":
            assert text in error["msg"]
        talk.send("ping")
        assert talk.read() == "pong"


def test_public_channels_are_not_on_business(sim: Simulator) -> None:
    """A plain public channel on /business is 64002, a private one 60018; candles are at home there."""
    with Talk(sim.ws_url + "/business") as talk:
        talk.ask("subscribe", "tickers:BTC-USDT", "account", "candle1m:BTC-USDT")
        assert [talk.event("error")["code"] for _ in range(2)] == ["64002", "60018"]
        assert talk.push("candle1m")["data"][0][8] == "0"


def test_a_frame_of_64_kb_is_the_largest(sim: Simulator) -> None:
    """A request of 65,536 bytes is read; one more byte and the connection is closed with 1009."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.send("x" * 65_536)
        assert talk.next()["code"] == "60012"
        talk.send("x" * 65_537)
        assert talk.close_code() == 1009
    assert [one.code for one in eventually(lambda: sim.closes, what="the connection has ended")] == [1009]


def test_who_subscribes_nothing_is_closed() -> None:
    """A connection that subscribes nothing in time is closed with 4004, `ping` or no `ping`."""
    with Simulator(idle_s=0.3) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.send("ping")
        assert talk.close_code() == 4004
        closed = eventually(lambda: sim.closes, what="the connection has ended")
        assert [(one.code, one.by_client) for one in closed] == [(4004, False)]
        assert sim.connections() == []


def test_silence_is_closed_and_ping_breaks_it() -> None:
    """A subscription on which nothing comes is closed with 4004; `ping` and its `pong` keep it."""
    with Simulator(idle_s=0.3) as sim:
        quiet = {"channel": "instruments", "instType": "SPOT"}
        with Talk(sim.ws_url + "/public") as silent, Talk(sim.ws_url + "/public") as pinging:
            for talk in (silent, pinging):
                talk.subscribe(quiet)
            begun = time.monotonic()
            while time.monotonic() < begun + 0.8:
                pinging.send("ping")
                assert pinging.read() == "pong"
                time.sleep(0.1)
            assert silent.close_code() == 4004
            assert [one.path for one in sim.connections()] == ["public"]


def test_a_reader_that_is_too_slow_is_closed(sim: Simulator) -> None:
    """What is sent to a client that does not read is kept up to a limit; beyond it the connection ends with 4005."""
    with Talk(sim.ws_url + "/public") as talk:
        for _ in range(4):
            sim.fault("garbage", kind="huge")
        assert talk.close_code() == 4005


def test_480_requests_an_hour() -> None:
    """The 481st request is refused with 60014, however many args each has; `ping` is none of them."""
    with Simulator() as sim, Talk(sim.ws_url + "/public") as talk:
        for _ in range(240):
            talk.ask("subscribe", "trades:XAUT-USDT", "status")
            talk.ask("unsubscribe", "trades:XAUT-USDT", "status")
            talk.send("ping")
        talk.ask("subscribe", "tickers:BTC-USDT", id="481")
        said = [talk.read()]
        while '"error"' not in said[-1]:
            said.append(talk.read())
        error = json.loads(said[-1])
        assert (error["code"], error["id"]) == ("60014", "481")
        assert said.count("pong") == 240


def test_three_connections_a_second() -> None:
    """The fourth connection within a second is refused at the handshake, and let in later."""
    with Simulator() as sim:
        talks = [Talk(sim.ws_url + "/public") for _ in range(3)]
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            Talk(sim.ws_url + "/public")
        assert refused.value.status_code == 429
        time.sleep(1.05)  # the rule is about a second of the clock
        talks.append(Talk(sim.ws_url + "/business"))
        assert sim.connects == 4
        assert sim.refused_connects == 1
        for talk in talks:
            talk.ws.close(timeout=1)


def test_a_goodbye_of_the_client_is_noted(sim: Simulator) -> None:
    """How a connection ended can be looked up: here by the client's close frame and its code."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.send("ping")
        assert talk.read() == "pong"
        assert [one.pings for one in sim.connections()] == [1]
        talk.ws.close(status=1000, timeout=1)
    closed = eventually(lambda: sim.closes, what="the connection has ended")
    assert [(one.path, one.code, one.by_client) for one in closed] == [("public", 1000, True)]


def test_a_path_that_is_none(sim: Simulator) -> None:
    """Other paths than OKX's three are not found."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        Talk(sim.ws_url + "/secret")
    assert refused.value.status_code == 404


def test_login_opens_the_private_channels(sim: Simulator) -> None:
    """After the login ack the account's snapshot comes: 100,000 USDT, 10 BTC, 100 ETH, and no positions."""
    with Talk(sim.ws_url + "/private") as talk:
        answer = talk.login()
        assert (answer["event"], answer["code"], answer["msg"]) == ("login", "0", "")
        talk.ask("subscribe", "account", {"channel": "positions", "instType": "ANY"}, "balance_and_position")
        account = talk.push("account")
        assert {row["ccy"]: row["cashBal"] for row in account["data"][0]["details"]} == {
            "USDT": "100000",
            "BTC": "10",
            "ETH": "100",
        }
        assert (account["eventType"], account["curPage"], account["lastPage"]) == ("snapshot", 1, True)
        assert account["arg"]["uid"]
        positions = talk.push("positions")
        assert (positions["data"], positions["arg"]["instType"]) == ([], "ANY")
        both = talk.push("balance_and_position")["data"][0]
        assert (both["eventType"], both["posData"], len(both["balData"])) == ("snapshot", [], 3)
        assert [one.logged_in for one in sim.connections()] == [True]
        assert [(one.api_key, one.code) for one in sim.logins] == [("demo", 0)]


def test_account_of_one_currency(sim: Simulator) -> None:
    """`account` with `ccy` tells of that currency only, though the total is of all."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.login()
        talk.ask("subscribe", {"channel": "account", "ccy": "BTC"})
        row = talk.push("account")["data"][0]
        assert [one["ccy"] for one in row["details"]] == ["BTC"]
        assert float(row["totalEq"]) > 100_000 + 10 * 30_000


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": ""}, "60027"),
        ({"sign": None}, "60027"),
        ({"passphrase": []}, "60033"),
        ({"apiKey": "nobody"}, "60005"),
        ({"apiKey": "0b1c2d3e-1234-4321-8888-0123456789ab"}, "60032"),
        ({"passphrase": "wrong"}, "60024"),
        ({"timestamp": "2020-12-08T09:08:57.715Z"}, "60004"),
        ({"timestamp": "1600000000"}, "60006"),
        ({"sign": "bm8="}, "60007"),
    ],
)
def test_a_wrong_login_gets_its_code(sim: Simulator, changed: dict[str, object], code: str) -> None:
    """Each thing that can be wrong in a login has a code, in OKX's order; a right one works after it."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.ask("login", {**login_arg("demo", "demo-secret", "demo-pass"), **changed})
        error = talk.event("error")
        assert error["code"] == code
        assert talk.login()["event"] == "login"


def test_a_second_login_is_refused(sim: Simulator) -> None:
    """One connection logs in once."""
    with Talk(sim.ws_url + "/private") as talk:
        assert talk.login()["code"] == "0"
        assert talk.login()["code"] == "60031"


def test_private_without_login_is_acked_and_then_refused(sim: Simulator) -> None:
    """An ack is not success: 60011 follows it, and nothing flows."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.ask("subscribe", "account", id="5")
        assert talk.next()["event"] == "subscribe"
        error = talk.next()
        assert (error["event"], error["code"], error["id"]) == ("error", "60011", "5")
        assert sim.subscribed("account") == 0


def test_deep_books_want_a_login_and_push_out_the_smaller() -> None:
    """`books-l2-tbt` is 60011 before login; then the server unsubscribes `books`, and refuses it anew with 64004."""
    with Simulator(limits=False, api_keys=[AccountSetup(vip=4)]) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books-l2-tbt:BTC-USDT")
        assert talk.event("error")["code"] == "60011"
        talk.login()
        talk.subscribe("books:BTC-USDT", "books:ETH-USDT", "books5:BTC-USDT")
        talk.ask("subscribe", "books-l2-tbt:BTC-USDT")
        talk.event("subscribe")
        assert talk.event("unsubscribe")["arg"] == {"channel": "books", "instId": "BTC-USDT"}
        talk.push("books-l2-tbt")
        assert next(one for one in talk.got if is_push(one, "books-l2-tbt"))["action"] == "snapshot"
        talk.ask("subscribe", "books:BTC-USDT", id="9")
        talk.event("subscribe")
        error = talk.event("error")
        assert (error["code"], error["id"]) == ("64004", "9")
        live = sorted(one["channel"] + one["instId"] for one in sim.connections()[0].subscriptions)
        assert live == ["books-l2-tbtBTC-USDT", "books5BTC-USDT", "booksETH-USDT"]


def test_connections_of_a_private_channel_are_counted(sim: Simulator) -> None:
    """Each private subscription is told on how many connections the channel is; the 31st loses it."""
    talks = []
    try:
        for number in range(1, 32):
            talk = Talk(sim.ws_url + "/private")
            talks.append(talk)
            talk.login()
            talk.ask("subscribe", {"channel": "orders", "instType": "SPOT"})
            talk.event("subscribe")
            count = talk.next()
            if number <= 30:
                assert (count["event"], count["connCount"]) == ("channel-conn-count", str(number))
        assert (count["event"], count["connCount"]) == ("channel-conn-count-error", "30")
        assert sim.subscribed("orders:SPOT") == 30
    finally:
        for talk in talks:
            talk.ws.close(timeout=1)


def test_requests_are_kept_without_secrets(sim: Simulator) -> None:
    """What was received can be looked up, in order, with its arguments; of a login only the key."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.login()
        talk.ask("subscribe", "account", id="x1")
        talk.event("subscribe")
        login, subscribe = sim.requests
        assert (login.op, login.args) == ("login", ({"apiKey": "demo"},))
        assert "demo-pass" not in repr(login) + login.text
        assert (subscribe.op, subscribe.id, subscribe.args, subscribe.path) == (
            "subscribe",
            "x1",
            ({"channel": "account"},),
            "private",
        )
        assert subscribe.conn_id == sim.connections()[0].conn_id


# -- the conversation by itself, where the clock matters


def conversation(path: str = "public") -> Conversation:
    source = MarketSource(1, Clock())
    accounts = Accounts([DEFAULT_KEY], MarketPrices(source), 0)
    desk = Desk(Floor(source, source.market.instruments, lambda trader: None))
    return Conversation(path, "a4d3ae55", Listing(source.market), accounts, StandingFaults(), Counts(), desk)


def test_the_budget_of_requests_slides() -> None:
    """An hour after the first of 480 requests there is room for one again."""
    talk = conversation()
    for number in range(480):
        _, steps = talk.receive('{"op":"subscribe","args":[{"channel":"status"}]}', 1000.0 + number)
        assert steps[0].then is Then.SUBSCRIBED
    assert '"60014"' in talk.receive('{"op":"subscribe","args":[{"channel":"status"}]}', 1500.0)[1][0].text
    assert '"60014"' not in talk.receive('{"op":"subscribe","args":[{"channel":"status"}]}', 4600.5)[1][0].text


@pytest.mark.parametrize(("late_s", "accepted"), [(-29, True), (29, True), (31, False), (-31, False)])
def test_a_login_is_valid_for_half_a_minute(late_s: int, accepted: bool) -> None:
    """A timestamp more than 30 s away is 60006."""
    said = json.dumps({"op": "login", "args": [login_arg("demo", "demo-secret", "demo-pass", at_s=1_700_000_000)]})
    step = conversation("private").receive(said, 1_700_000_000 + late_s)[1][0]
    assert (step.then is Then.LOGGED_IN) is accepted
    assert ('"60006"' in step.text) is not accepted


def test_a_login_is_in_force_when_its_ack_has_gone_out() -> None:
    """Until the ack is carried out the connection is not logged in: a late ack is a late login."""
    talk = conversation("private")
    said = json.dumps({"op": "login", "args": [login_arg("demo", "demo-secret", "demo-pass", at_s=1_700_000_000)]})
    ack = talk.receive(said, 1_700_000_000)[1][0]
    early = talk.receive('{"op":"subscribe","args":[{"channel":"account"}]}', 1_700_000_000)[1]
    assert '"60011"' in early[1].text
    talk.carried_out(ack)
    assert (
        talk.receive('{"op":"subscribe","args":[{"channel":"account"}]}', 1_700_000_000)[1][0].then is Then.SUBSCRIBED
    )
