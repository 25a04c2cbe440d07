"""PROTOCOL section 11, row by row: the simulator keeps OKX's rules. Other tests look at each more closely."""

from __future__ import annotations

import json
import re
import time
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import websocket
from simulator.merging import MergedBook
from simulator.talking import Talk, is_push, login_arg
from waiting import eventually

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.simulator import Simulator
from okws_celery.simulator.accounts import AccountSetup

KEY = ("demo", "demo-secret", "demo-pass")
PUBLIC = "tickers trades books books5 bbo-tbt mark-price price-limit open-interest funding-rate".split()
BUSINESS = "candle1m mark-price-candle1m trades-all".split()
PRIVATE = ({"channel": "account"}, {"channel": "orders", "instType": "ANY"}, {"channel": "balance_and_position"})
SWAP = "BTC-USDT-SWAP"


def codes(talk: Talk, count: int) -> list[str]:
    """Codes of the next so many errors."""
    return [talk.event("error")["code"] for _ in range(count)]


# -- row 1


@pytest.mark.parametrize("channel", [*PUBLIC, *BUSINESS])
def test_row_1_a_channel_is_on_its_path_and_no_other(sim: Simulator, channel: str) -> None:
    """At home it is acked; elsewhere 60018, and 64002 for a plain public channel on /business."""
    home = CATALOGUE[channel].path
    for path in ("public", "business", "private"):
        with Talk(f"{sim.ws_url}/{path}") as talk:
            talk.ask("subscribe", {"channel": channel, "instId": SWAP})
            said = talk.until(lambda one: "event" in one)
            if path == home:
                assert said["event"] == "subscribe"
            else:
                assert said["code"] == ("64002" if (home, path) == ("public", "business") else "60018")


@pytest.mark.parametrize("path", ["public", "business"])
def test_row_1_private_channels_are_on_private(sim: Simulator, path: str) -> None:
    """Account channels are 60018 elsewhere, login or no login."""
    with Talk(f"{sim.ws_url}/{path}") as talk:
        talk.login()
        talk.ask("subscribe", *PRIVATE)
        assert codes(talk, 3) == ["60018"] * 3


# -- row 2


def test_row_2_ping_is_text_and_so_is_pong(sim: Simulator) -> None:
    """`ping` as text gets `pong` as text, no JSON."""
    with Talk(sim.ws_url + "/business") as talk:
        talk.send("ping")
        assert talk.ws.recv_data() == (websocket.ABNF.OPCODE_TEXT, b"pong")


def test_row_2_silence_ends_with_4004() -> None:
    """The close has OKX's code and text."""
    with Simulator(idle_s=0.3) as sim, Talk(sim.ws_url + "/public") as talk:
        opcode, data = talk.ws.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert int.from_bytes(data[:2], "big") == 4004
        assert data[2:] == b"No data received in 30s"


# -- row 3


def test_row_3_one_ack_for_each_arg(sim: Simulator) -> None:
    """Acks echo the arg as sent and the `id`, and name the connection by 8 hex digits; an error has no `arg`."""
    args = [{"instId": "BTC-USDT", "channel": "tickers"}, {"channel": "no-such"}, {"channel": "trades", "instId": SWAP}]
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", *args, id="aZ09")
        said = []
        while len(said) < 3:
            one = talk.next()
            if "event" in one:
                said.append(one)
        acks = [one for one in said if one["event"] == "subscribe"]
        assert [one["arg"] for one in acks] == [args[0], args[2]]
        assert {one["id"] for one in said} == {"aZ09"}
        assert len({one["connId"] for one in said}) == 1
        assert re.fullmatch("[0-9a-f]{8}", said[0]["connId"])
        error = next(one for one in said if one["event"] == "error")
        assert "arg" not in error
        assert "no-such" in error["msg"]
        assert error["code"] == "60018"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{not json", "60012"),
        ('{"op":"subscribe","argss":[]}', "60012"),
        ('{"args":[]}', "60012"),
        ('{"op":"sing","args":[]}', "60019"),
        ('{"op":"subscribe","id":"no-hyphens","args":[{"channel":"status"}]}', "60033"),
        ('{"op":"subscribe","args":[{"instId":"BTC-USDT"}]}', "60027"),
        ('{"op":"order","id":"1","args":[{}]}', "60028"),
    ],
)
def test_row_3_what_cannot_be_understood(sim: Simulator, text: str, code: str) -> None:
    """60012 echoes the request, 60019 names the op, and the connection lives on."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.send(text)
        error = talk.next()
        assert (error["event"], error["code"]) == ("error", code)
        if code == "60012":
            assert text in error["msg"]
        if code == "60019":
            assert "sing" in error["msg"]
        talk.subscribe("tickers:BTC-USDT")


# -- row 4


def test_row_4_a_login_is_checked_in_order(sim: Simulator) -> None:
    """Everything is wrong at first, and repaired step by step: each time the next code; then once more, repeated."""
    right = login_arg(*KEY)
    said: dict[str, Any] = {"apiKey": "nobody", "passphrase": "wrong", "timestamp": "noon", "sign": ""}
    with Talk(sim.ws_url + "/private") as talk:
        got = []
        for repair in ({}, {"sign": "bm8="}, {"apiKey": right["apiKey"]}, {"passphrase": right["passphrase"]}):
            said |= repair
            talk.ask("login", said)
            got += codes(talk, 1)
        for timestamp in ("1600000000", right["timestamp"]):
            talk.ask("login", said | {"timestamp": timestamp})
            got += codes(talk, 1)
        assert got == ["60027", "60005", "60024", "60004", "60006", "60007"]
        assert talk.login()["code"] == "0"
        assert talk.login()["code"] == "60031"


def test_row_4_a_close_may_follow() -> None:
    """Switched on, a refused login ends the connection with 4001; a key of another region is 60032."""
    elsewhere = login_arg("0b1c2d3e-1234-4321-8888-0123456789ab", "x", "y")
    with Simulator(login_closes=True) as sim, Talk(sim.ws_url + "/private") as talk:
        talk.ask("login", elsewhere)
        assert codes(talk, 1) == ["60032"]
        assert talk.close_code() == 4001


# -- row 5


def test_row_5_requests_of_an_hour(sim: Simulator) -> None:
    """480 of them, however many args; the next is 60014. Without limits there is no such rule."""
    with Simulator() as limited:
        for simulator, last in ((limited, "error"), (sim, "subscribe")):
            with Talk(simulator.ws_url + "/public") as talk:
                for number in range(481):
                    talk.ask("subscribe", {"channel": "status"}, id=str(number))
                said = talk.until(lambda one: one.get("id") == "480")
                assert said["event"] == last
                assert said.get("code", "60014") == "60014"


def test_row_5_large_frames_and_many_connections() -> None:
    """65,536 bytes are read, one more is 1009; the fourth handshake in a second is refused."""
    with Simulator() as sim:
        with Talk(sim.ws_url + "/public") as talk:
            talk.send(" " * 65_536)
            assert talk.next()["code"] == "60012"
            talk.send(" " * 65_537)
            assert talk.close_code() == 1009
        with Talk(sim.ws_url + "/public") as talk:
            talk.send("é" * 500_000)
            opcode, data = talk.ws.recv_data(control_frame=True)
            assert (opcode, data[2:]) == (8, b"Max frame length of 65536 has been exceeded.")
        assert eventually(lambda: [one.code for one in sim.closes] == [1009, 1009], what="both are gone")
        time.sleep(1.05)  # the rule is about a second of the clock
        talks = [Talk(sim.ws_url + "/public") for _ in range(3)]
        with pytest.raises(websocket.WebSocketBadStatusException):
            Talk(sim.ws_url + "/public")
        for talk in talks:
            talk.ws.close(timeout=1)


# -- row 6


@pytest.mark.parametrize(("vip", "code"), [(0, "64003"), (4, "64004")])
def test_row_6_the_ack_first_and_then_the_error(vip: int, code: str) -> None:
    """60011 without a login, 64003 without the tier, 64004 beside a deeper book: each after its ack."""
    with Simulator(limits=False, api_keys=[AccountSetup(vip=vip)]) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books-l2-tbt:BTC-USDT")
        assert [talk.next().get(key) for key in ("event", "code")] == ["subscribe", "60011"]
        talk.login()
        if code == "64004":
            talk.subscribe("books-l2-tbt:BTC-USDT")
        talk.ask("subscribe", f"{'books' if code == '64004' else 'books-l2-tbt'}:BTC-USDT", id="a")
        said = [talk.until(lambda one: one.get("id") == "a") for _ in range(2)]
        assert [one.get("code", one["event"]) for one in said] == ["subscribe", code]


def test_row_6_connections_are_counted(sim: Simulator) -> None:
    """`channel-conn-count` follows the ack of a private subscription, and says on how many it is."""
    with Talk(sim.ws_url + "/private") as one, Talk(sim.ws_url + "/private") as other:
        for number, talk in enumerate((one, other), start=1):
            talk.login()
            talk.ask("subscribe", {"channel": "account"})
            said = talk.event("channel-conn-count")
            assert (said["channel"], said["connCount"]) == ("account", str(number))
            events = [said["event"] for said in talk.got if "event" in said]
            assert events[-2:] == ["subscribe", "channel-conn-count"]


# -- row 7


def test_row_7_books_follow_their_numbers(sim: Simulator) -> None:
    """-1 in the snapshot, then a chain whose steps are more than 1; checksum 0; a gap on request."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books:BTC-USDT")
        first = talk.push("books")
        assert (first["action"], first["data"][0]["prevSeqId"], first["data"][0]["checksum"]) == ("snapshot", -1, 0)
        book, jumps = MergedBook(), []
        book.take(first)
        before = first["data"][0]["seqId"]
        for _ in range(8):
            push = talk.push("books")
            book.take(push)
            jumps.append(push["data"][0]["seqId"] - before)
            before = push["data"][0]["seqId"]
        assert max(jumps) > 1
        sim.fault("gap", arg="books:BTC-USDT")
        with pytest.raises(AssertionError, match="do not follow"):
            while True:
                book.take(talk.push("books"))
        talk.ask("unsubscribe", "books:BTC-USDT")
        talk.event("unsubscribe")
        talk.ask("subscribe", "books:BTC-USDT")
        assert talk.push("books")["action"] == "snapshot"


def test_row_7_a_quiet_book_has_a_heartbeat() -> None:
    """After 60 s without a change: an update with equal numbers and no levels. The market's time runs 40 times."""
    with Simulator(limits=False, speed=40) as sim, Talk(sim.ws_url + "/public", timeout=30) as talk:
        talk.ask("subscribe", "books:XAUT-USDT")
        talk.until(
            lambda said: (
                is_push(said, "books")
                and said["data"][0]["seqId"] == said["data"][0]["prevSeqId"]
                and not said["data"][0]["asks"] + said["data"][0]["bids"]
            )
        )


# -- row 8


def test_row_8_trades_are_of_one_market(sim: Simulator) -> None:
    """`trades` counts what one taker took at one price, `trades-all` tells each match; the last ids are the same."""
    with Talk(sim.ws_url + "/public") as talk, Talk(sim.ws_url + "/business") as business:
        talk.subscribe("trades:BTC-USDT")
        business.subscribe("trades-all:BTC-USDT")
        rows = []
        while len(rows) < 12:
            rows += talk.push("trades")["data"]
        singles: dict[int, Any] = {}
        while not singles or max(singles) < int(rows[-1]["tradeId"]):
            for row in business.push("trades-all")["data"]:
                singles[int(row["tradeId"])] = row
        compared = 0
        for row in rows:
            last = int(row["tradeId"])
            ids = range(last - int(row["count"]) + 1, last + 1)
            if min(singles) <= ids[0]:
                assert {singles[number]["px"] for number in ids} == {row["px"]}
                compared += 1
        assert compared > 3


# -- row 9


def test_row_9_candles_repeat_and_close_once() -> None:
    """The open bar comes again, at most once a second, with `confirm` 0; closed it comes once with 1; then the next."""
    with Simulator(limits=False, speed=60) as sim, Talk(sim.ws_url + "/business") as talk:
        talk.ask("subscribe", "candle1m:BTC-USDT", "candle1D:BTC-USDT", "candle1Dutc:BTC-USDT")
        rows: list[list[str]] = []
        while sum(row[8] == "1" for row in rows) < 3:
            rows += talk.push("candle1m")["data"]
        closed = [row[0] for row in rows if row[8] == "1"]
        assert len(set(closed)) == 3
        assert [int(later) - int(before) for before, later in pairwise(closed)] == [60_000] * 2
        for begin in closed[1:]:
            confirms = [row[8] for row in rows if row[0] == begin]
            assert confirms == ["0"] * (len(confirms) - 1) + ["1"]
        days = {one["arg"]["channel"]: int(one["data"][0][0]) for one in talk.got if "data" in one}
        assert days["candle1D"] % 86_400_000 == 16 * 3_600_000
        assert days["candle1Dutc"] % 86_400_000 == 0


# -- row 10


def test_row_10_accounts(sim: Simulator) -> None:
    """`account` and `positions` begin with pages of a snapshot, `extraParams` is text; `orders` begins with nothing."""
    quiet = json.dumps({"updateInterval": "0"})
    with Talk(sim.ws_url + "/private") as talk:
        talk.login()
        talk.subscribe({"channel": "orders", "instType": "ANY"})
        talk.ask(
            "subscribe",
            {"channel": "account", "extraParams": quiet},
            {"channel": "positions", "instType": "ANY", "extraParams": quiet},
        )
        for channel in ("account", "positions"):
            push = talk.push(channel)
            assert (push["eventType"], push["curPage"], push["lastPage"]) == ("snapshot", 1, True)
            assert push["arg"]["uid"]
        assert not [one for one in talk.got if is_push(one, "orders")]


# -- row 11


def test_row_11_a_notice_and_the_close(sim: Simulator) -> None:
    """64008 with OKX's words, later the close."""
    with Talk(sim.ws_url + "/business") as talk:
        sim.fault("notice", close_after_s=0.2)
        notice = talk.next()
        assert (notice["event"], notice["code"]) == ("notice", "64008")
        assert notice["msg"].startswith("The connection will soon be closed for a service upgrade")
        talk.send("ping")
        assert talk.read() == "pong"
        talk.close_code()


@pytest.mark.parametrize(("code", "text"), [(4005, b"Buffer is full"), (4007, b"API key"), (4006, b"Abnormal")])
def test_row_11_closes_with_codes_of_okx(sim: Simulator, code: int, text: bytes) -> None:
    """Any close code can be had, with OKX's text."""
    with Talk(sim.ws_url + "/private") as talk:
        sim.fault("close", code=code)
        _, data = talk.ws.recv_data(control_frame=True)
        assert data[:2] == code.to_bytes(2, "big")
        assert data[2:].startswith(text)


def test_row_11_a_slow_consumer_and_plain_drops(sim: Simulator) -> None:
    """Who does not read is closed with 4005; a drop has no close frame; a frame may be cut off in the middle."""
    with Talk(sim.ws_url + "/public") as talk:
        for _ in range(3):
            sim.fault("garbage", kind="huge")
        assert talk.close_code() == 4005
    for fault in ({"name": "drop"}, {"name": "garbage", "kind": "truncated"}):
        with Talk(sim.ws_url + "/public") as talk:
            sim.fault(**fault)
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                talk.read()


# -- row 12


def test_row_12_demo_has_other_keys() -> None:
    """A live key on demo is 50101, a demo key on live as well."""
    for demo in (False, True):
        with Simulator(demo=demo) as sim, Talk(sim.ws_url + "/private") as talk:
            assert talk.login("demo", "demo-secret", "demo-pass")["code"] == ("50101" if demo else "0")
        with Simulator(demo=demo) as sim, Talk(sim.ws_url + "/private") as talk:
            assert talk.login("paper", "paper-secret", "paper-pass")["code"] == ("0" if demo else "50101")


# -- row 13


def test_row_13_the_v3_face(captures: Path) -> None:
    """Raw deflate in binary frames, `partial` and `update`, real checksums, 30040 and 30041."""
    file = captures / "cryptofeed-okcoin-v3-2021-07-22" / "replay.jsonl"
    with Simulator(replay=file, pace="max") as sim, Talk(sim.v3_url) as talk:

        def read() -> dict[str, Any]:
            opcode, data = talk.ws.recv_data()
            assert opcode == websocket.ABNF.OPCODE_BINARY
            said: dict[str, Any] = json.loads(zlib.decompress(data, -15))
            return said

        talk.ask("subscribe", *({"x": 1},))
        assert read()["errorCode"] == 30040
        talk.send('{"op":"subscribe","args":["spot/depth_l2_tbt:ETH-BTC","spot/depth:none"]}')
        assert read() == {"event": "subscribe", "channel": "spot/depth_l2_tbt:ETH-BTC"}
        assert read()["errorCode"] == 30040
        actions = [read() for _ in range(5)]
        assert [one["action"] for one in actions] == ["partial", *["update"] * 4]
        assert all(one["data"][0]["checksum"] for one in actions)
