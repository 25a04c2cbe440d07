"""Every fault does what the table of `okws_celery.simulator.faults` says, and nothing else suffers."""

from __future__ import annotations

import json
import socket
import struct
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import websocket
from simulator.merging import MergedBook
from simulator.talking import Talk, is_push, login_arg
from waiting import eventually

from okws_celery.errors import BadCommand
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate


def merge(talk: Talk, count: int, book: MergedBook | None = None) -> MergedBook:
    """Merge the next so many pushes of `books`: into a book, or into one that must begin with a snapshot."""
    book = book or MergedBook()
    for _ in range(count):
        push = talk.push("books")
        assert push["action"] == ("update" if book.ts else "snapshot")
        book.take(push)
    return book


def test_late_acks_hold_the_data_back(sim: Simulator) -> None:
    """A late ack of a subscription comes late, and the data after it; other topics are not held up."""
    fault = sim.fault("late_ack", op="subscribe", arg="tickers:BTC-USDT", seconds=0.3)
    with Talk(sim.ws_url + "/public") as talk:
        begun = time.monotonic()
        talk.ask("subscribe", "tickers:BTC-USDT", "tickers:ETH-USDT")
        assert talk.event("subscribe")["arg"]["instId"] == "ETH-USDT"
        talk.push("tickers", "BTC-USDT")
        assert time.monotonic() - begun >= 0.29
        came = [(one.get("event", "push"), one["arg"]["instId"]) for one in talk.got]
        first = list(dict.fromkeys(one for one in came if one != ("push", "ETH-USDT")))
        assert first == [("subscribe", "ETH-USDT"), ("subscribe", "BTC-USDT"), ("push", "BTC-USDT")]
        assert fault.hits == 1


def test_an_unsubscription_is_in_force_before_its_late_ack(sim: Simulator) -> None:
    """Unsubscribe with its ack late, subscribe in between: the subscription lives after the old ack has come."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("tickers:BTC-USDT")
        sim.fault("late_ack", op="unsubscribe", seconds=0.2)
        talk.ask("unsubscribe", "tickers:BTC-USDT")
        talk.ask("subscribe", "tickers:BTC-USDT")
        talk.event("subscribe")
        talk.event("unsubscribe")
        talk.push("tickers")
        assert sim.subscribed("tickers:BTC-USDT") == 1


def test_a_withheld_ack_never_comes(sim: Simulator) -> None:
    """Without seconds there is no ack and no data; after the fault a new request is answered."""
    sim.fault("late_ack", channel="tickers", times=1)
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "tickers:BTC-USDT", "trades:BTC-USDT")
        talk.push("trades")
        assert [one["arg"]["channel"] for one in talk.got if one.get("event")] == ["trades"]
        talk.subscribe("tickers:BTC-USDT")
        talk.push("tickers")


def test_a_late_login_is_not_in_force_before(sim: Simulator) -> None:
    """A private subscription before the late ack of the login is refused with 60011, one after it works."""
    sim.fault("late_ack", op="login", seconds=1.0)
    with Talk(sim.ws_url + "/private") as talk:
        talk.ask("login", login_arg("demo", "demo-secret", "demo-pass"))
        talk.ask("subscribe", "account")
        assert talk.event("error")["code"] == "60011"
        assert talk.event("login")["code"] == "0"
        talk.subscribe("account")
        talk.push("account")


def test_some_args_of_a_request_are_refused(sim: Simulator) -> None:
    """60014 for two of five args, with the request's id and no arg; the other three flow."""
    sim.fault("refuse", code=60014, times=2)
    with Talk(sim.ws_url + "/public") as talk:
        ids = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP"]
        talk.ask("subscribe", *(f"tickers:{one}" for one in ids), id="55")
        for _ in range(3):
            talk.event("subscribe")
        errors = [one for one in talk.got if one.get("event") == "error"]
        assert [(one["code"], one["id"], "arg" in one) for one in errors] == [("60014", "55", False)] * 2
        assert sum(map(len, (one.subscriptions for one in sim.connections()))) == 3


def test_an_error_after_the_ack(sim: Simulator) -> None:
    """With late_s the ack comes first, the error later, and no data in between or after."""
    sim.fault("refuse", arg="trades:BTC-USDT", code=64003, late_s=0.2)
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "trades:BTC-USDT", id="8")
        assert talk.next()["event"] == "subscribe"
        error = talk.next()
        assert (error["code"], error["id"]) == ("64003", "8")
        assert "channel:trades,instId:BTC-USDT" in error["msg"]
        assert sim.subscribed("trades:BTC-USDT") == 0


@pytest.mark.parametrize("code", [60024, 60032, 50101])
def test_a_login_refused_with_any_code(sim: Simulator, code: int) -> None:
    """A right login is refused with the code that was asked for, and the connection closed with 4001 if asked for."""
    sim.fault("refuse_login", code=code, close=True, times=1)
    with Talk(sim.ws_url + "/private") as talk:
        assert talk.login()["code"] == str(code)
        assert talk.close_code() == 4001
    with Talk(sim.ws_url + "/private") as talk:
        assert talk.login()["code"] == "0"
    assert [one.code for one in sim.logins] == [code, 0]


def test_a_gap_in_a_book(sim: Simulator) -> None:
    """One update is left out: the next does not follow on the last; a new snapshot is sound."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books:BTC-USDT")
        book = merge(talk, 2)
        fault = sim.fault("gap", arg="books:BTC-USDT")
        with pytest.raises(AssertionError, match="do not follow"):
            merge(talk, 100, book)
        assert fault.hits == 1
        talk.ask("unsubscribe", "books:BTC-USDT")
        talk.event("unsubscribe")
        talk.ask("subscribe", "books:BTC-USDT")
        merge(talk, 4)


def test_a_wrong_checksum() -> None:
    """With checksums on, one of them is wrong and the next is right again; the chain of numbers is whole."""
    with Simulator(limits=False, checksums=True) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books:BTC-USDT")
        book, right = MergedBook(), []
        for number in range(6):
            push = talk.push("books")
            book.take(push)
            right.append(push["data"][0]["checksum"] == book.checksum())
            if number == 1:
                sim.fault("checksum", arg="books:BTC-USDT")
        assert right.count(False) == 1
        assert right[-1]


def test_a_checksum_of_zero_becomes_a_wrong_one(sim: Simulator) -> None:
    """Where OKX sends 0 the fault sends a number that no book has."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books:ETH-USDT")
        talk.push("books")
        sim.fault("checksum", channel="books")
        talk.until(lambda said: is_push(said, "books") and said["data"][0]["checksum"] != 0)


def test_a_crossed_book(sim: Simulator) -> None:
    """One update brings a bid above every ask, while the numbers follow on each other."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books:BTC-USDT")
        sim.wait_subscribed("books:BTC-USDT")
        sim.fault("crossed", arg="books:BTC-USDT")
        with pytest.raises(AssertionError, match="crossed"):
            merge(talk, 50)


def test_a_snapshot_held_back(sim: Simulator) -> None:
    """No push comes before the snapshot, however late that is; then the book is sound."""
    sim.fault("withhold_snapshot", arg="books:BTC-USDT", seconds=0.4)
    with Talk(sim.ws_url + "/public") as talk, Talk(sim.ws_url + "/public") as other:
        begun = time.monotonic()
        talk.subscribe("books:BTC-USDT")
        other.ask("subscribe", "books:BTC-USDT")
        merge(other, 2)
        merge(talk, 4)
        assert time.monotonic() - begun >= 0.39


def test_a_push_sent_twice(sim: Simulator) -> None:
    """A duplicated trade has the same id as the one before it."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("trades:BTC-USDT")
        sim.fault("duplicate", channel="trades")
        first, second = talk.push("trades"), talk.push("trades")
        assert first == second
        assert talk.push("trades") != first


def test_one_topic_dies_and_is_revived_by_a_subscription(sim: Simulator) -> None:
    """The dead topic is silent, though subscribed; others and pong go on; subscribed again, it flows."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
        assert sim.fault("topic_dead", arg="tickers:BTC-USDT").hits == 1
        talk.send("ping")
        while talk.read() != "pong":
            pass
        later = [talk.push("tickers")["arg"]["instId"] for _ in range(4)]
        assert set(later) == {"ETH-USDT"}
        assert sim.subscribed("tickers:BTC-USDT") == 1
        talk.ask("subscribe", "tickers:BTC-USDT")
        talk.push("tickers", "BTC-USDT")


def test_a_stall_ends_with_all_that_waited(sim: Simulator) -> None:
    """While stalled nothing is answered; afterwards everything comes, and no number is missing."""
    with Talk(sim.ws_url + "/public") as talk, Talk(sim.ws_url + "/business") as other:
        talk.ask("subscribe", "books:BTC-USDT")
        book = merge(talk, 2)
        begun = time.monotonic()
        sim.fault("stall", path="public", seconds=0.4)
        talk.send("ping")
        other.send("ping")
        assert other.read() == "pong"
        while (text := talk.read()) != "pong":
            book.take(json.loads(text))
        assert time.monotonic() - begun >= 0.39
        merge(talk, 2, book)


def test_a_long_stall_holds_no_more_than_a_slow_reader_may() -> None:
    """What piles up beyond 16 MB ends the connection with 4005, as it does behind a reader that does not read."""
    with (
        Simulator(load={"rate": 200_000, "mix": {"tickers": 1}}, limits=False) as sim,
        Talk(sim.ws_url + "/public") as talk,
    ):
        talk.subscribe("tickers:L0001-USDT")
        sim.fault("stall", seconds=600)
        assert talk.close_code() == 4005


def test_a_client_leaves_in_a_stall(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """Over TLS, where its end is seen at once, nobody stumbles over it when the stall is over."""
    with Simulator(limits=False, tls=(certificate.cert, certificate.key)) as sim:
        with Talk(sim.ws_url + "/public", certificate.cert) as talk:
            talk.subscribe("tickers:BTC-USDT")
            sim.fault("stall", seconds=0.5)
            talk.ws.sock.close()
        eventually(lambda: not sim.connections(), what="it is gone")
    assert [record.getMessage() for record in caplog.records] == []


def test_a_half_open_connection_says_nothing_more(sim: Simulator) -> None:
    """Nothing is read or sent, and the connection does not end; a new one on the same path works."""
    with Talk(sim.ws_url + "/public", timeout=1.0) as talk:
        talk.subscribe("tickers:BTC-USDT")
        assert sim.fault("half_open", path="public").hits == 1
        with pytest.raises(websocket.WebSocketTimeoutException):
            for _ in range(50):  # what was on its way already may still come
                talk.read()
        talk.send("ping")
        with pytest.raises(websocket.WebSocketTimeoutException):
            talk.read()
        with Talk(sim.ws_url + "/public") as fresh:
            fresh.ask("subscribe", "tickers:BTC-USDT")
            fresh.push("tickers")
        talk.ws.sock.close()


@pytest.mark.parametrize("how", ["close", "reset", "close over TLS", "reset over TLS"])
def test_a_half_open_connection_is_counted_until_its_client_goes(certificate: Certificate, how: str) -> None:
    """OKX's side of a dead line does not stay for ever: else thirty of them would use up an account's channels."""
    tls = (certificate.cert, certificate.key) if "TLS" in how else None
    with Simulator(limits=False, tls=tls) as sim:

        def counted(talk: Talk) -> str:
            talk.login()
            talk.ask("subscribe", "account")
            return str(talk.event("channel-conn-count")["connCount"])

        url, ca_file = sim.ws_url + "/private", certificate.cert if tls else ""
        with Talk(url, ca_file) as talk:
            assert counted(talk) == "1"
            sim.fault("half_open")
            with Talk(url, ca_file) as other:
                assert counted(other) == "2"
            if how.startswith("reset"):
                talk.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            talk.ws.sock.close()
            eventually(lambda: not sim.connections(), what="both are gone")
        with Talk(url, ca_file) as talk:
            assert counted(talk) == "1"


def test_a_trickle_delays_nobody_else(sim: Simulator) -> None:
    """One path sends byte by byte, later connections too; the other path answers long before it."""
    fault = sim.fault("trickle", path="public", pause_s=0.004)
    with Talk(sim.ws_url + "/public") as slow, Talk(sim.ws_url + "/business") as quick:
        assert fault.hits == 1
        slow.ask("subscribe", "tickers:BTC-USDT")
        quick.ask("subscribe", "candle1m:BTC-USDT")
        sizes = []
        raw = slow.ws.sock
        while sum(sizes) < 60:
            sizes.append(len(raw.recv(4096)))
        assert max(sizes) < 20
        quick.push("candle1m")


def test_a_trickle_ends(sim: Simulator) -> None:
    """What waited comes whole in the end, and the connection is as quick as before."""
    with Talk(sim.ws_url + "/public") as talk:
        fault = sim.fault("trickle", path="public", pause_s=0.001)
        talk.send("ping")
        assert talk.read() == "pong"
        sim.end_fault(fault)
        talk.subscribe("books:BTC-USDT")
        assert talk.push("books")["action"] in ("snapshot", "update")


@pytest.mark.parametrize("kind", ["bad_json", "bad_utf8", "huge", "fragmented", "wrong_types", "binary"])
def test_garbage_does_not_end_the_connection(sim: Simulator, kind: str) -> None:
    """Rubbish is sent as a whole frame, or as fragments of one message; the connection goes on after it."""
    with Talk(sim.ws_url + "/public") as talk:
        assert sim.fault("garbage", kind=kind).hits == 1
        _, data = talk.ws.recv_data()
        match kind:
            case "bad_json":
                with pytest.raises(ValueError):
                    json.loads(data)
            case "bad_utf8":
                with pytest.raises(UnicodeDecodeError):
                    data.decode()
            case "huge":
                assert len(data) == 10 * 1024 * 1024
            case "fragmented":
                assert json.loads(data)["msg"] == "in three pieces"
        talk.send("ping")
        while data != b"pong":
            _, data = talk.ws.recv_data()


def test_a_truncated_frame_ends_the_stream(sim: Simulator) -> None:
    """The stream ends in the middle of a frame."""
    with Talk(sim.ws_url + "/public") as talk:
        sim.fault("garbage", kind="truncated")
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            talk.read()
        eventually(lambda: not sim.connections(), what="the connection is gone")


def test_a_burst_of_protocol_pings_is_counted(sim: Simulator) -> None:
    """Pongs with the payload of the pings are counted; a client may answer only the latest (RFC 6455, 5.5.3)."""
    with Talk(sim.ws_url + "/public") as talk:
        sim.fault("pings", count=300)
        sim.send_raw("end")
        assert talk.read() == "end"  # websocket-client answers each ping as it reads on
        eventually(lambda: sim.connections()[0].pongs == 300, what="300 pongs")


def test_frames_in_one_write(sim: Simulator) -> None:
    """Two frames leave in one write, so that one read can bring both."""
    with Talk(sim.ws_url + "/public") as talk:
        sim.fault("together", texts=["one", "two"])
        sizes = [len(talk.ws.sock.recv(4096))]
        assert sizes == [2 * (2 + 3)]


def test_a_notice_and_then_the_close(sim: Simulator) -> None:
    """64008 comes first, the close after the time that was asked for."""
    with Talk(sim.ws_url + "/public") as talk:
        sim.fault("notice", close_after_s=0.15)
        notice = talk.next()
        assert (notice["event"], notice["code"]) == ("notice", "64008")
        assert len(sim.connections()) == 1
        assert talk.close_code() == 4006


@pytest.mark.parametrize(("how", "error"), [("fin", None), ("rst", ConnectionResetError)])
def test_drops(sim: Simulator, how: str, error: type[OSError] | None) -> None:
    """FIN ends the stream, RST resets it; neither sends a close frame; another path is not touched."""
    with Talk(sim.ws_url + "/public") as talk, Talk(sim.ws_url + "/business") as other:
        raw: socket.socket = talk.ws.sock
        assert sim.drop("public", how=how) == 1
        if error is None:
            assert raw.recv(100) == b""
        else:
            with pytest.raises(error):
                raw.recv(100)
        other.send("ping")
        assert other.read() == "pong"
        eventually(lambda: [one.path for one in sim.connections()] == ["business"], what="only business lives")
    cut = sim.closes[0]
    assert (cut.path, cut.code, cut.by_client) == ("public", None, False)


def test_not_listening_and_listening_again(sim: Simulator) -> None:
    """New connections are refused while the live one goes on; later they are taken on the same port."""
    with Talk(sim.ws_url + "/public") as talk:
        sim.stop_listening()
        sim.stop_listening()
        with pytest.raises(ConnectionRefusedError):
            Talk(sim.ws_url + "/public")
        talk.send("ping")
        assert talk.read() == "pong"
        sim.resume()
        with Talk(sim.ws_url + "/public") as again:
            again.send("ping")
            assert again.read() == "pong"


def test_faults_are_aimed_at_one_connection(sim: Simulator) -> None:
    """`conn` picks one of two connections on a path."""
    with Talk(sim.ws_url + "/public") as one, Talk(sim.ws_url + "/public") as other:
        conn = sim.connections("public")[0].conn_id
        assert sim.send_raw("for you", conn=conn) == 1
        assert one.read() == "for you"
        sim.drop(conn=conn)
        other.send("ping")
        assert other.read() == "pong"


def test_clear_ends_standing_faults(sim: Simulator) -> None:
    """After `clear` everything is as OKX has it."""
    sim.fault("refuse", code=60018)
    sim.fault("late_ack")
    sim.clear_faults()
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("tickers:BTC-USDT")
        talk.push("tickers")


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("explode", {}, "'explode': late_ack"),
        ("gap", {"topic": "books"}, "topic is not one of its parameters"),
        ("stall", {"seconds": -1}, "a number from 0"),
        ("stall", {"path": "pubic"}, "public, private, business"),
        ("garbage", {"kind": "nice"}, "bad_json"),
        ("gap", {"arg": "boks:BTC-USDT"}, "did you mean"),
        ("together", {"texts": "one"}, "a list of texts"),
    ],
)
def test_a_fault_that_is_none(sim: Simulator, name: str, parameters: dict[str, Any], said: str) -> None:
    """A wrong name or parameter is refused with what is accepted; nothing is done."""
    with pytest.raises(BadCommand, match=said):
        sim.fault(name, **parameters)


# -- from another process


def post(sim: Simulator, body: object) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{sim.rest_url}/control/fault", data)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def get(sim: Simulator, path: str) -> Any:
    with urllib.request.urlopen(sim.rest_url + path) as answer:
        return json.load(answer)


def test_the_control_api_does_the_same(sim: Simulator) -> None:
    """A fault by HTTP works as one by call; the state shows connections, subscriptions, logins and standing faults."""
    with Talk(sim.ws_url + "/private") as talk:
        talk.login()
        talk.subscribe("account")
        assert post(sim, {"fault": "gap", "arg": "books:BTC-USDT"}) == (200, {"met": 0})
        state = get(sim, "/control/state")
        assert state["connections"] == [
            {
                "path": "private",
                "connId": state["connections"][0]["connId"],
                "loggedIn": True,
                "subscriptions": [{"channel": "account"}],
                "pings": 0,
                "pongs": 0,
            }
        ]
        assert [one["code"] for one in state["logins"]] == [0]
        assert state["faults"] == [{"fault": "gap", "hits": 0}]
        assert [one["op"] for one in get(sim, "/control/requests?since=1")] == ["subscribe"]
        assert post(sim, {"fault": "drop", "path": "private"}) == (200, {"met": 1})
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            while True:
                talk.read()


@pytest.mark.parametrize("body", [b"{", [], {}, {"fault": "gap", "seconds": 3}, {"fault": "garbage", "kind": "x"}])
def test_the_control_api_says_what_is_wrong(sim: Simulator, body: object) -> None:
    """A bad request is a 400 with one line that says what is accepted."""
    status, said = post(sim, body)
    assert status == 400
    assert "accepted" in said["error"] or "takes" in said["error"]
