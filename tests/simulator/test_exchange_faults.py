"""Faults of the exchange as a whole: REST, API keys, instruments, and what happens again and again."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import websocket
from simulator.merging import MergedBook
from simulator.talking import Talk, is_push
from waiting import eventually

from okws_celery.errors import BadCommand
from okws_celery.simulator import Simulator

SPOT = {"channel": "instruments", "instType": "SPOT"}


def rest(sim: Simulator, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(sim.rest_url + path, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def silent_while(talk: Talk, silent: str, speaking: str, inst_id: str) -> bool:
    """Whether nothing comes of a channel's BTC-USDT while four pushes of another topic do."""
    before = len(talk.got)
    for _ in range(4):
        talk.push(speaking, inst_id)
    return not [one for one in talk.got[before:] if is_push(one, silent) and one["arg"]["instId"] == "BTC-USDT"]


@pytest.mark.parametrize(("status", "code"), [(429, "50011"), (503, "50001")])
def test_rest_is_busy(sim: Simulator, status: int, code: str) -> None:
    """REST answers with the status and OKX's code twice, other calls not; then it works again."""
    sim.fault("rest", status=status, endpoint="/api/v5/public/time", times=2)
    assert rest(sim, "/api/v5/market/candles?instId=BTC-USDT&limit=1")[0] == 200
    for _ in range(2):
        got, said = rest(sim, "/api/v5/public/time")
        assert (got, said["code"], said["data"]) == (status, code, [])
    assert rest(sim, "/api/v5/public/time")[1]["code"] == "0"


def test_rest_is_late(sim: Simulator) -> None:
    """With status 200 the true answer comes, so much later; another code can be asked for."""
    sim.fault("rest", status=200, seconds=0.3, times=1)
    begun = time.monotonic()
    assert rest(sim, "/api/v5/public/time")[1]["code"] == "0"
    assert time.monotonic() - begun >= 0.29
    sim.fault("rest", status=200, code=50013, times=1)
    assert rest(sim, "/api/v5/public/time")[1]["code"] == "50013"


def test_a_key_is_changed_and_another_deleted(sim: Simulator) -> None:
    """Who is logged in with it is closed with 4007, others stay; a deleted key is 60005 from then on."""
    with Talk(sim.ws_url + "/private") as talk, Talk(sim.ws_url + "/public") as other:
        talk.login()
        assert sim.fault("key_changed", api_key="demo").hits == 1
        assert talk.close_code() == 4007
        other.send("ping")
        assert other.read() == "pong"
    with Talk(sim.ws_url + "/private") as talk:
        assert talk.login()["event"] == "login"
        sim.fault("key_changed", api_key="demo", deleted=True)
        assert talk.close_code() == 4007
    with Talk(sim.ws_url + "/private") as talk:
        assert talk.login()["code"] == "60005"


def test_an_instrument_is_delivered(sim: Simulator) -> None:
    """`instruments` says that it expired, its topics fall silent, others go on, and it cannot be had any more."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe(SPOT, {**SPOT, "instType": "MARGIN"}, "tickers:BTC-USDT", "tickers:ETH-USDT")
        talk.push("tickers", "BTC-USDT")
        assert sim.fault("deliver", inst_id="BTC-USDT").hits == 1
        rows = [talk.push("instruments")["data"][0] for _ in range(2)]
        said = [(row["instType"], row["instId"], row["state"]) for row in rows]
        assert said == [("SPOT", "BTC-USDT", "expired"), ("MARGIN", "BTC-USDT", "expired")]
        assert "tradeQuoteCcyList" not in rows[0]
        assert silent_while(talk, "tickers", "tickers", "ETH-USDT")
        talk.ask("subscribe", "tickers:BTC-USDT")
        assert talk.event("error")["code"] == "60018"
    listed = rest(sim, "/api/v5/public/instruments?instType=SPOT")[1]["data"]
    assert "BTC-USDT" not in [one["instId"] for one in listed]


def test_a_delivered_option_is_in_no_summary(sim: Simulator) -> None:
    """`opt-summary` and REST leave it out, the rest of the family stays."""
    query = "/api/v5/public/opt-summary?instFamily=BTC-USD"
    first, *others = (row["instId"] for row in rest(sim, query)[1]["data"])
    sim.fault("deliver", inst_id=first)
    assert [row["instId"] for row in rest(sim, query)[1]["data"]] == others
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe({"channel": "opt-summary", "instFamily": "BTC-USD"})
        assert [row["instId"] for row in talk.push("opt-summary")["data"]] == others


def test_an_instrument_is_renamed(sim: Simulator) -> None:
    """The old name expires, the new one is live; old trades and books go on, the ticker stands still (PROTOCOL 4)."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe(SPOT, "tickers:BTC-USDT", "books:BTC-USDT", "trades:BTC-USDT")
        talk.push("books")
        sim.fault("rename", inst_id="BTC-USDT", to="XBT-USDT")
        rows = [talk.push("instruments")["data"][0] for _ in range(2)]
        assert [(row["instId"], row["state"]) for row in rows] == [("BTC-USDT", "expired"), ("XBT-USDT", "live")]
        assert rows[0]["instIdCode"] == rows[1]["instIdCode"]
        assert silent_while(talk, "tickers", "books", "BTC-USDT")
        talk.push("trades", "BTC-USDT")
        talk.ask("unsubscribe", "books:BTC-USDT")
        assert talk.event("error")["code"] == "60018"
        talk.ask("unsubscribe", "books:XBT-USDT")
        talk.event("unsubscribe")
        assert sim.subscribed("books:BTC-USDT") == 0
        talk.ask("subscribe", "books:XBT-USDT", "tickers:XBT-USDT")
        assert talk.push("books", "XBT-USDT")["action"] == "snapshot"
        assert talk.push("tickers", "XBT-USDT")["data"][0]["instId"] == "XBT-USDT"
        assert talk.push("books", "XBT-USDT")["action"] == "update"


def test_numbers_begin_anew(sim: Simulator) -> None:
    """One update leads to a lower number and follows on the last all the same: legal, the book goes on."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", "books:BTC-USDT")
        book = MergedBook()
        book.take(talk.push("books"))
        sim.fault("renumber", inst_id="BTC-USDT")
        row: dict[str, Any] = {"seqId": 1, "prevSeqId": 0}
        while row["seqId"] >= row["prevSeqId"]:
            push = talk.push("books")
            row = push["data"][0]
            book.take(push)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("renumber", {"inst_id": "NO-SUCH"}, "BTC-USDT"),
        ("deliver", {"inst_id": "NO-SUCH"}, "BTC-USDT"),
        ("deliver", {}, "inst_id missing"),
        ("rename", {"inst_id": "BTC-USDT", "to": "ETH-USDT"}, "an instrument already"),
        ("rename", {"inst_id": "BTC-USDT"}, "to missing"),
    ],
)
def test_an_instrument_that_is_none(sim: Simulator, name: str, parameters: dict[str, Any], said: str) -> None:
    """What cannot be renamed or delivered is refused with what can."""
    with pytest.raises(BadCommand, match=said):
        sim.fault(name, **parameters)


def test_a_fault_again_and_again(sim: Simulator) -> None:
    """With `every_s` it is done again, to who is there then, until it is ended."""
    fault = sim.fault("drop", path="public", how="rst", every_s=0.05)
    assert fault.hits == 0
    for cut in range(1, 4):
        with Talk(sim.ws_url + "/public") as talk, pytest.raises((OSError, websocket.WebSocketException)):
            talk.read()
        assert fault.hits == cut
    sim.clear_faults()
    with Talk(sim.ws_url + "/public") as talk:
        time.sleep(0.2)  # four times as long as it took before
        talk.send("ping")
        assert talk.read() == "pong"


def test_some_of_many_connections(sim: Simulator) -> None:
    """With `chance` a fault meets some of the connections, the same ones for the same seed."""
    talks = [Talk(sim.ws_url + "/public") for _ in range(12)]
    met = sim.fault("drop", chance=0.5, seed=3).hits
    assert 0 < met < 12
    assert eventually(lambda: len(sim.connections()) == 12 - met, what="those are gone")
    for talk in talks:
        talk.ws.close(timeout=1)


def test_the_door_is_shut_for_a_while(sim: Simulator) -> None:
    """With `seconds` new connections are taken again by themselves: whoever asks by HTTP could not ask for it."""
    body = json.dumps({"fault": "stop_listening", "seconds": 2}).encode()
    with urllib.request.urlopen(urllib.request.Request(sim.rest_url + "/control/fault", body), timeout=20) as answer:
        assert json.load(answer) == {"met": 0}

    def taken() -> bool:
        try:
            Talk(sim.ws_url + "/public").ws.close(timeout=1)
        except (OSError, websocket.WebSocketException):
            return False
        return True

    assert eventually(lambda: not taken(), what="connections are refused")
    assert eventually(taken, what="connections are taken again")


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("drop", {"chance": 2}, "0 to 1"),
        ("close", {"code": 70000}, "1000 to 4999"),
        ("close", {"text": "x" * 124}, "123 bytes"),
        ("rest", {"status": 9999}, "200 to 599"),
        ("stall", {"seconds": float("nan")}, "a number from 0"),
        ("send", {"text": 7}, "a text is accepted"),
        ("deliver", {"inst_id": ["BTC-USDT"]}, "a text is accepted"),
    ],
)
def test_what_no_frame_can_hold(sim: Simulator, name: str, parameters: dict[str, Any], said: str) -> None:
    """Numbers and texts that cannot be sent are refused with what can."""
    with pytest.raises(BadCommand, match=said):
        sim.fault(name, **parameters)
