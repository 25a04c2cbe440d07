"""The load mode: so many messages, in that mix, none lost, each with the time of its sending."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import aiohttp
import pytest
from simulator.merging import MergedBook
from simulator.talking import Talk
from waiting import eventually

from okws_celery.errors import BadCommand
from okws_celery.simulator import Simulator


def data(talk: Talk, count: int) -> list[dict[str, Any]]:
    """The next so many pushes."""
    pushes: list[dict[str, Any]] = []
    while len(pushes) < count:
        said = json.loads(talk.read())
        if "event" not in said:
            pushes.append(said)
    return pushes


def test_a_burst_is_so_many_and_no_more() -> None:
    """20,000 messages in the mix asked for, over ten topics: numbers without a hole, and what was sent is known."""
    mix = {"tickers": 60, "trades": 40}
    with Simulator(load={"mix": mix, "instruments": 5}) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.subscribe(*(f"{channel}:L000{number}-USDT" for channel in mix for number in range(1, 6)))
        before_us = time.time_ns() // 1000
        sim.burst(20_000)
        pushes = data(talk, 20_000)
        counts = Counter(one["arg"]["channel"] for one in pushes)
        assert counts == {"tickers": 12_000, "trades": 8_000}
        for number in range(1, 6):
            ids = [int(one["data"][0]["tradeId"]) for one in pushes if one["arg"] == trades(number)]
            assert ids == list(range(ids[0], ids[0] + 1600))
        said = sim.load_state()
        assert said["sent"] == counts
        assert said["burst"]["sent"] == said["burst"]["wanted"] == 20_000
        after_us = time.time_ns() // 1000
        stamps = [int(one["data"][0]["sent"]) for one in pushes]
        assert stamps == sorted(stamps)
        assert (
            before_us <= said["burst"]["began_us"] <= stamps[0] <= stamps[-1] <= said["burst"]["ended_us"] <= after_us
        )
        assert all(int(one["data"][0]["ts"]) == int(one["data"][0]["sent"]) // 1000 for one in pushes)
        talk.send("ping")
        assert talk.read() == "pong"


def trades(number: int) -> dict[str, str]:
    return {"channel": "trades", "instId": f"L000{number}-USDT"}


def test_a_rate_is_kept() -> None:
    """Between two looks the messages that the rate asks for went out, to two connections together."""
    with (
        Simulator(load={"rate": 2000}) as sim,
        Talk(sim.ws_url + "/public") as one,
        Talk(sim.ws_url + "/public") as other,
    ):
        one.subscribe("tickers:L0001-USDT", "trades:L0001-USDT")
        other.subscribe("tickers:L0002-USDT")
        begun, before = time.monotonic(), sim.load_state()["sent_in_all"]
        data(one, 1500)
        data(other, 500)
        sent, took_s = sim.load_state()["sent_in_all"] - before, time.monotonic() - begun
        assert 1900 <= sent <= 2000 * took_s + 1000
        sim.load(rate=0)
        stopped = sim.load_state()["sent_in_all"]
        sim.burst(10)
        eventually(lambda: sim.load_state()["sent_in_all"] == stopped + 10, what="ten more, and no others")


def test_books_candles_and_quotes() -> None:
    """A book begins with its snapshot and its numbers follow on each other; candles are told on /business."""
    mix = {"books": 1, "bbo-tbt": 1, "candle1m": 1}
    with (
        Simulator(load={"mix": mix, "instruments": 1}) as sim,
        Talk(sim.ws_url + "/public") as talk,
        Talk(sim.ws_url + "/business") as business,
    ):
        talk.ask("subscribe", "books:L0001-USDT", "bbo-tbt:L0001-USDT")
        business.subscribe("candle1m:L0001-USDT")
        sim.wait_subscribed("books:L0001-USDT", "bbo-tbt:L0001-USDT")
        sim.burst(300)
        pushes = data(talk, 201)
        book = MergedBook()
        for push in pushes:
            if push["arg"]["channel"] == "books":
                book.take(push)
        assert sum(push["arg"]["channel"] == "bbo-tbt" for push in pushes) == 100
        now_ms = time.time() * 1000
        for push in data(business, 100):
            row = push["data"][0]
            assert len(row) == 9
            assert int(row[0]) % 60_000 == 0
            assert now_ms - 120_000 < int(row[0]) <= now_ms


def test_a_book_of_few_levels() -> None:
    """As deep as the plan says, and its updates stay within."""
    with (
        Simulator(load={"mix": {"books": 1}, "instruments": 1, "levels": 2}) as sim,
        Talk(sim.ws_url + "/public") as talk,
    ):
        talk.subscribe("books:L0001-USDT")
        sim.burst(3)
        snapshot, *updates = data(talk, 4)
        assert [len(snapshot["data"][0][side]) for side in ("asks", "bids")] == [2, 2]
        prices = {level[0] for side in ("asks", "bids") for level in snapshot["data"][0][side]}
        assert {level[0] for update in updates for level in update["data"][0]["asks"]} < prices


def test_who_compresses_gets_the_same_compressed() -> None:
    """All of a burst, in order, with fewer bytes: a benchmark of compression compresses."""

    async def talk(sim: Simulator) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.ws_connect(sim.ws_url + "/public", compress=15) as live:
            args = [{"channel": "trades", "instId": "L0001-USDT"}]
            await live.send_str(json.dumps({"op": "subscribe", "args": args}))
            assert "event" in json.loads(await live.receive_str())
            assert live.compress
            sim.burst(500)
            return [json.loads(await asyncio.wait_for(live.receive_str(), 20)) for _ in range(500)]

    with Simulator(load={"mix": {"trades": 1}, "instruments": 1}) as sim:
        pushes = asyncio.run(talk(sim))
    ids = [int(push["data"][0]["tradeId"]) for push in pushes]
    assert ids == list(range(ids[0], ids[0] + 500))


def test_a_burst_goes_at_the_readers_pace() -> None:
    """A reader that does not read is not closed, and nothing is lost: the burst waits."""
    with Simulator(load={"instruments": 1}) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("tickers:L0001-USDT", "trades:L0001-USDT")
        sim.burst(60_000)
        eventually(lambda: sim.load_state()["burst"]["sent"] > 500, what="it has begun")
        time.sleep(0.3)  # in which it could send all, were there no reader to wait for
        assert sim.load_state()["burst"]["sent"] < 60_000
        assert len(data(talk, 60_000)) == 60_000


def test_what_is_not_in_the_plan() -> None:
    """Other instruments, channels and paths are 60018; the instruments are listed by REST."""
    with Simulator(load={"instruments": 2}) as sim, Talk(sim.ws_url + "/public") as talk:
        for topic in ("tickers:BTC-USDT", "tickers:L0003-USDT", "mark-price:L0001-USDT", "candle1m:L0001-USDT"):
            talk.ask("subscribe", topic)
            assert talk.event("error")["code"] == "60018"
        with urllib.request.urlopen(sim.rest_url + "/api/v5/public/instruments?instType=SPOT") as answer:
            assert [one["instId"] for one in json.load(answer)["data"]] == ["L0001-USDT", "L0002-USDT"]


def test_rest_beside_a_load() -> None:
    """REST lists what is sent and knows no market of it: it has neither candles nor prices, and never trips."""

    def rest(path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{loaded.rest_url}/api/v5/{path}") as answer:
            said: dict[str, Any] = json.load(answer)
            return said

    with Simulator(load={"instruments": 2}, limits=False) as loaded:
        for call in ("candles", "history-candles", "trades", "history-trades", "books", "ticker"):
            assert rest(f"market/{call}?instId=L0001-USDT")["code"] == "51001"
        for call in ("market/tickers?instType=SPOT", "public/mark-price?instType=MARGIN"):
            assert rest(call) == {"code": "0", "msg": "", "data": []}
        for fault in ("deliver", "renumber"):
            with pytest.raises(BadCommand, match="no instrument of the market"):
                loaded.fault(fault, inst_id="L0001-USDT")


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"rate": -1}, "rate -1"),
        ({"rate": True}, "rate True"),
        ({"mix": {"candle9m": 1}}, "mix"),
        ({"mix": {"tickers": 0}}, "mix"),
        ({"instruments": 0}, "instruments 0"),
        ({"levels": 401}, "levels 401"),
        ({"speed": 1}, "speed"),
    ],
)
def test_a_plan_that_is_none(plan: dict[str, Any], said: str) -> None:
    """What cannot be sent is refused with what can."""
    with pytest.raises(BadCommand, match=said):
        Simulator(load=plan)


def test_the_control_api(sim: Simulator) -> None:
    """Another process asks for a burst, looks at it, and is told what is wrong."""

    def call(simulator: Simulator, body: Any = None) -> tuple[int, dict[str, Any]]:
        given = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(simulator.rest_url + "/control/load", given)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    assert call(sim)[0] == 400
    with Simulator(load={}) as loaded, Talk(loaded.ws_url + "/public") as talk:
        talk.subscribe("tickers:L0001-USDT")
        assert call(loaded, {"burst": 5, "mix": {"tickers": 1}})[1]["burst"]["wanted"] == 5
        data(talk, 5)
        assert call(loaded)[1]["sent"] == {"tickers": 5}
        for wrong in ({"burst": 0}, {"burst": "many"}, {"rate": "fast"}, [], {"mix": "tickers"}):
            status, said = call(loaded, wrong)
            assert (status, "accepted" in said["error"]) == (400, True)
