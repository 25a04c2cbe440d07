"""REST in OKX's envelope (PROTOCOL 8): time, instruments and candles."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from simulator.talking import Talk, is_push

from okws_celery.simulator import Simulator


def get(sim: Simulator, path: str) -> dict[str, Any]:
    """The answer to a request, which is always HTTP 200."""
    with urllib.request.urlopen(f"{sim.rest_url}/api/v5/{path}") as answer:
        said: dict[str, Any] = json.load(answer)
        return said


def test_time_is_in_milliseconds(sim: Simulator) -> None:
    """The time of the exchange is a string of Unix ms."""
    (row,) = get(sim, "public/time")["data"]
    assert abs(int(row["ts"]) - time.time() * 1000) < 60_000


def test_instruments_by_type_id_and_family(sim: Simulator) -> None:
    """All of a type, or those of one id or family; a swap has the value of its contract."""
    spot = {one["instId"]: one for one in get(sim, "public/instruments?instType=SPOT")["data"]}
    assert {"BTC-USDT", "ETH-USDT"} < set(spot)
    assert (spot["BTC-USDT"]["baseCcy"], spot["BTC-USDT"]["quoteCcy"]) == ("BTC", "USDT")
    (swap,) = get(sim, "public/instruments?instType=SWAP&instId=BTC-USDT-SWAP")["data"]
    assert (swap["ctVal"], swap["ctValCcy"], swap["settleCcy"], swap["state"]) == ("0.01", "BTC", "USDT", "live")
    assert [one["instId"] for one in get(sim, "public/instruments?instType=SWAP&instFamily=ETH-USDT")["data"]] == [
        "ETH-USDT-SWAP"
    ]
    assert {one["seriesId"] for one in get(sim, "public/instruments?instType=EVENTS")["data"]} == {"BTC-ABOVE-DAILY"}


def test_candles_page_backwards(sim: Simulator) -> None:
    """`after` gives older rows than a time, `before` newer ones; a page follows on the one before it."""
    newest = get(sim, "market/candles?instId=BTC-USDT&bar=1m&limit=5")["data"]
    assert [row[8] for row in newest] == ["0", "1", "1", "1", "1"]
    older = get(sim, f"market/candles?instId=BTC-USDT&bar=1m&limit=5&after={newest[-1][0]}")["data"]
    stamps = [int(row[0]) for row in newest + older]
    assert {newer - earlier for newer, earlier in pairwise(stamps)} == {60_000}
    newer = get(sim, f"market/candles?instId=BTC-USDT&bar=1m&before={older[0][0]}")["data"]
    assert newer[-1][0] == newest[-1][0]
    assert len(get(sim, "market/candles?instId=BTC-USDT")["data"]) == 100
    assert len(get(sim, "market/candles?instId=BTC-USDT&bar=1H&limit=900")["data"]) == 300


def test_a_candle_of_the_socket_is_in_rest(sim: Simulator) -> None:
    """The open candle of the socket is the first row of REST."""
    with Talk(sim.ws_url + "/business") as talk:
        talk.ask("subscribe", "candle1D:ETH-USDT-SWAP")
        pushed = talk.push("candle1D")["data"][0]
        row = get(sim, "market/candles?instId=ETH-USDT-SWAP&bar=1D&limit=1")["data"][0]
        assert row[:2] == pushed[:2]


@pytest.mark.parametrize("inst_id", ["BTC-USDT", "BTC-USD-SWAP", "XAUT-USDT"])
def test_candles_of_the_past_are_made_of_the_trades_of_the_past(sim: Simulator, inst_id: str) -> None:
    """What happened before the simulation began holds together, too: minutes are exactly their trades."""
    trades = history(sim, inst_id, 3 if inst_id == "XAUT-USDT" else 20)
    newest, oldest = int(trades[0]["ts"]), int(trades[-1]["ts"])
    rows = {}
    for after in range(newest, oldest, -300 * 60_000):
        page = get(sim, f"market/history-candles?instId={inst_id}&limit=300&after={after}")["data"]
        rows |= {int(row[0]): row for row in page}
    by_minute: dict[int, list[dict[str, str]]] = defaultdict(list)
    for trade in reversed(trades):
        by_minute[int(trade["ts"]) // 60_000 * 60_000].append(trade)
    whole = [minute for minute in sorted(by_minute) if oldest < minute and minute + 60_000 < newest]
    assert len(whole) > 10
    for minute in whole:
        prices = [Decimal(trade["px"]) for trade in by_minute[minute]]
        row = rows[minute]
        assert [Decimal(price) for price in row[1:5]] == [prices[0], max(prices), min(prices), prices[-1]]
        assert Decimal(row[5]) == sum(Decimal(trade["sz"]) for trade in by_minute[minute])


def test_trades_page_backwards_by_id_and_by_time(sim: Simulator) -> None:
    """Ids have no hole from page to page; `before` gives those newer than an id, and times mean the same trades."""
    trades = history(sim, "BTC-USDT", 12)
    ids = [int(trade["tradeId"]) for trade in trades]
    assert ids == list(range(ids[0], ids[0] - len(ids), -1))
    assert all(int(newer["ts"]) >= int(older["ts"]) for newer, older in pairwise(trades))
    path = "market/history-trades?instId=BTC-USDT"
    between = get(sim, f"{path}&after={ids[300]}&before={ids[310]}")["data"]
    assert between == trades[301:310]
    timed = get(sim, f"{path}&type=2&after={trades[400]['ts']}&limit=20")["data"]
    assert all(int(trade["ts"]) < int(trades[400]["ts"]) for trade in timed)
    assert timed[0] in trades
    assert [one["tradeId"] for one in timed] == [
        one["tradeId"] for one in trades if int(one["ts"]) < int(trades[400]["ts"])
    ][:20]


def test_trades_of_the_socket_are_in_rest_with_their_ids(sim: Simulator) -> None:
    """Each match that was pushed is the same object in REST, and none of REST's since then was not pushed."""
    with Talk(sim.ws_url + "/business") as talk:
        talk.subscribe("trades-all:BTC-USDT")
        talk.until(lambda _: len([one for one in talk.got if is_push(one, "trades-all")]) > 20)
        pushed = [row for one in talk.got if is_push(one, "trades-all") for row in one["data"]]
    told = {row["tradeId"]: row for row in get(sim, "market/trades?instId=BTC-USDT&limit=500")["data"]}
    assert [told[row["tradeId"]] for row in pushed] == pushed
    between = [one for one in told if int(pushed[0]["tradeId"]) <= int(one) <= int(pushed[-1]["tradeId"])]
    assert len(between) == len(pushed)


def test_a_book_of_rest_follows_on_the_sockets(sim: Simulator) -> None:
    """The numbers are the socket's: where they are equal, so are the books."""
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("books:XAUT-USDT")
        talk.push("books")
        pushed = talk.got[-1]["data"][0]
        (book,) = get(sim, "market/books?instId=XAUT-USDT&sz=400")["data"]
        assert "checksum" not in book
        assert len(get(sim, "market/books?instId=XAUT-USDT")["data"][0]["asks"]) == 1
        assert {len(level) for level in get(sim, "market/books-full?instId=XAUT-USDT&sz=9")["data"][0]["bids"]} == {3}
        if book["seqId"] == pushed["seqId"]:
            assert (book["asks"], book["bids"]) == (pushed["asks"], pushed["bids"])
        assert book["seqId"] >= pushed["seqId"]


def test_candles_of_a_second_are_in_the_history(sim: Simulator) -> None:
    """Closed seconds without a hole, newest first; those without trades repeat the close before them."""
    rows = get(sim, "market/history-candles?instId=BTC-USDT&bar=1s&limit=300")["data"]
    assert len(rows) == 300
    for newer, older in pairwise(rows):
        assert int(newer[0]) - int(older[0]) == 1000
        if newer[5] == "0":
            assert {*newer[1:5]} == {older[4]}
    assert sum(row[5] != "0" for row in rows) > 50
    assert get(sim, "market/history-candles?instId=BTC-USDT")["data"][0][8] == "1"


def test_an_option_has_no_candles_of_a_second(sim: Simulator) -> None:
    """It has those of every longer bar (PROTOCOL 5.1)."""
    option = get(sim, "public/instruments?instType=OPTION&instFamily=BTC-USD")["data"][0]["instId"]
    assert get(sim, f"market/history-candles?instId={option}&bar=1s")["code"] == "51000"
    assert get(sim, f"market/history-candles?instId={option}&bar=1m")["data"]
    with Talk(sim.ws_url + "/business") as talk:
        talk.ask("subscribe", f"candle1s:{option}")
        assert talk.event("error")["code"] == "60018"
        talk.subscribe(f"candle1m:{option}")


def test_limits_of_rate_answer_429() -> None:
    """More calls in two seconds than OKX allows: HTTP 429 with 50011; not with the limits off."""
    with Simulator(limits=True) as sim:
        for _ in range(10):
            assert get(sim, "public/time")["code"] == "0"
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(sim, "public/time")
        assert refused.value.code == 429
        assert json.load(refused.value)["code"] == "50011"
    with Simulator(limits=False) as sim:
        assert {get(sim, "public/time")["code"] for _ in range(30)} == {"0"}


ANSWERS = {
    "market/ticker?instId=BTC-USD-SWAP": (
        "instType instId last lastSz askPx askSz bidPx bidSz open24h high24h low24h vol24h volCcy24h sodUtc0 sodUtc8 ts"
    ),
    "market/tickers?instType=FUTURES": (
        "instType instId last lastSz askPx askSz bidPx bidSz open24h high24h low24h vol24h volCcy24h sodUtc0 sodUtc8 ts"
    ),
    "market/index-tickers?quoteCcy=USD": "instId idxPx open24h high24h low24h sodUtc0 sodUtc8 ts",
    "market/index-tickers?instId=ETH-USDT": "instId idxPx open24h high24h low24h sodUtc0 sodUtc8 ts",
    "market/books-rpi?instId=BTC-USDT&sz=5": "asks bids ts seqId",
    "public/mark-price?instType=SWAP": "instType instId markPx ts",
    "public/mark-price?instType=MARGIN&instId=BTC-USDT": "instType instId markPx ts",
    "public/open-interest?instType=OPTION&uly=BTC-USD": "instType instId oi oiCcy oiUsd ts",
    "public/price-limit?instId=BTC-USDT": "instType instId buyLmt sellLmt enabled ts",
    "public/funding-rate-history?instId=BTC-USDT-SWAP&limit=5": (
        "instType instId fundingRate realizedRate fundingTime method formulaType"
    ),
    "public/opt-summary?instFamily=BTC-USD": (
        "instType instId uly delta gamma vega theta deltaBS gammaBS vegaBS thetaBS lever markVol "
        "bidVol askVol realVol volLv fwdPx ts"
    ),
    "public/option-trades?instFamily=BTC-USD": (
        "instId instFamily tradeId px sz side optType fillVol fwdPx idxPx markPx ts"
    ),
    "public/block-trades?instId=BTC-USDT-SWAP": "instId tradeId px sz side fillVol fwdPx idxPx markPx groupId ts",
    "market/block-tickers?instType=SPOT": "instType instId vol24h volCcy24h ts",
    "market/block-ticker?instId=BTC-USDT": "instType instId vol24h volCcy24h ts",
    "system/status": "title state begin end preOpenBegin href serviceType system scheDesc maintType env",
    "sprd/spreads": "sprdId sprdType state baseCcy szCcy quoteCcy tickSz minSz lotSz listTime expTime uTime legs",
    "sprd/books?sprdId=BTC-USDT_BTC-USDT-SWAP&sz=20": "asks bids ts seqId",
    "sprd/public-trades?sprdId=BTC-USDT_BTC-USDT-SWAP": "sprdId tradeId px sz side ts",
    "market/sprd-ticker?sprdId=ETH-USDT_ETH-USDT-SWAP": (
        "sprdId last lastSz askPx askSz bidPx bidSz open24h high24h low24h vol24h ts"
    ),
}


@pytest.mark.parametrize("path", ANSWERS)
def test_the_rows_of_other_calls(sim: Simulator, path: str) -> None:
    """Each has rows with the keys that OKX gives."""
    rows = get(sim, path)["data"]
    assert rows
    assert {frozenset(row) for row in rows} == {frozenset(ANSWERS[path].split())}


@pytest.mark.parametrize(
    ("channel", "path", "topic"),
    [
        ("mark-price-candle1m", "market/mark-price-candles?instId=BTC-USDT-SWAP", "BTC-USDT-SWAP"),
        ("index-candle1m", "market/index-candles?instId=BTC-USD", "BTC-USD"),
        ("sprd-candle1m", "market/sprd-candles?sprdId=BTC-USDT_BTC-USDT-SWAP", "BTC-USDT_BTC-USDT-SWAP"),
    ],
)
def test_other_candles_of_the_socket_are_in_rest(channel: str, path: str, topic: str) -> None:
    """A candle that was confirmed on the socket is the same row in REST; `history-` calls have closed ones only."""
    with Simulator(limits=False, speed=60) as sim, Talk(sim.ws_url + "/business") as talk:
        key = "sprdId" if channel.startswith("sprd") else "instId"
        talk.subscribe({"channel": channel, key: topic})
        confirmed = talk.until(lambda said: is_push(said, channel) and said["data"][0][-1] == "1")["data"][0]
        rows = {row[0]: row for row in get(sim, path)["data"]}
        assert rows[confirmed[0]] == confirmed
        name, _, query = path.partition("?")
        name = name.replace("sprd-candles", "sprd-history-candles").replace("market/mark", "market/history-mark")
        history_path = name.replace("market/index", "market/history-index") + "?" + query
        older = {row[0]: row for row in get(sim, history_path)["data"]}
        assert older[confirmed[0]] == confirmed
        assert {row[-1] for row in older.values()} == {"1"}


def test_instruments_of_every_type(sim: Simulator) -> None:
    """Each type has some, ids and codes are unique but for margin, and dated ones end in the future."""
    now_ms = time.time() * 1000
    found = []
    for query in ("SPOT", "SWAP", "FUTURES", "OPTION&instFamily=BTC-USD", "EVENTS"):
        some = get(sim, f"public/instruments?instType={query}")["data"]
        assert some, query
        found += some
    assert len({one["instId"] for one in found}) == len({one["instIdCode"] for one in found}) == len(found)
    assert {one["ctType"] for one in found if one["instType"] == "SWAP"} == {"linear", "inverse"}
    assert {one["settleCcy"] for one in found if one["instId"].startswith("BTC-USD-")} == {"BTC"}
    for one in found:
        assert one["instType"] not in ("FUTURES", "OPTION") or int(one["expTime"]) > now_ms
        assert int(one["listTime"]) < now_ms
    margin = {one["instId"]: one for one in get(sim, "public/instruments?instType=MARGIN")["data"]}
    assert margin["BTC-USDT"]["lever"] == "10"
    assert get(sim, "public/instruments?instType=OPTION&uly=ETH-USD") == {"code": "0", "msg": "", "data": []}


def test_a_change_of_terms_is_pushed_and_in_rest(sim: Simulator) -> None:
    """`instruments` has no list at first; what it says later of an instrument REST says too."""
    with Talk(sim.ws_url + "/public") as talk:
        before = {one["instId"]: one for one in get(sim, "public/instruments?instType=SPOT")["data"]}
        talk.subscribe({"channel": "instruments", "instType": "SPOT"})
        assert sim.ask("instruments") == 1
        row = talk.push("instruments")["data"][0]
        (now,) = get(sim, f"public/instruments?instType=SPOT&instId={row['instId']}")["data"]
        assert {**now, **row} == now
        assert now["maxMktSz"] != before[row["instId"]]["maxMktSz"]
        assert set(now) - set(row) == {"tradeQuoteCcyList", "initPxLmtPct", "floatPxLmtPct", "maxPxLmtPct"}


def test_the_control_api_asks(sim: Simulator) -> None:
    """Over HTTP as from Python; what is no channel is refused with a reason."""

    def post(path: str, said: object) -> Any:
        data = json.dumps(said).encode()
        with urllib.request.urlopen(f"{sim.rest_url}/control/{path}", data) as answer:
            return json.load(answer)

    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe({"channel": "liquidation-orders", "instType": "SWAP"})
        assert post("ask", {"channel": "liquidation-orders"}) == {"met": 1}
        assert talk.push("liquidation-orders")["data"][0]["instType"] == "SWAP"
    for said in ({"channel": "liquidations"}, []):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post("ask", said)
        assert "accepted" in json.load(refused.value)["error"]


def test_rest_knows_an_instrument_by_its_new_name(sim: Simulator) -> None:
    """After a rename it is the same market under the new name, and the old one is unknown."""
    before = {row[0]: row for row in get(sim, "market/history-candles?instId=SOL-USDT")["data"]}
    sim.fault("rename", inst_id="SOL-USDT", to="LUNA-USDT")
    after = {row[0]: row for row in get(sim, "market/history-candles?instId=LUNA-USDT")["data"]}
    assert before.keys() & after.keys()
    assert all(after[begin] == before[begin] for begin in before.keys() & after.keys())
    assert {row["instId"] for row in get(sim, "market/trades?instId=LUNA-USDT")["data"]} == {"LUNA-USDT"}
    assert get(sim, "market/ticker?instId=LUNA-USDT")["data"][0]["instId"] == "LUNA-USDT"
    assert get(sim, "market/ticker?instId=SOL-USDT")["code"] == "51001"
    with Talk(sim.ws_url + "/public") as talk:
        talk.subscribe("trades:LUNA-USDT")
        assert talk.push("trades")["data"][0]["instId"] == "LUNA-USDT"


def test_codes_are_others_in_demo_trading(sim: Simulator) -> None:
    """`instIdCode` of the demo environment is not that of production; all else of an instrument is."""
    with Simulator(limits=False, demo=True) as demo:
        for query in ("SWAP", "SPOT"):
            path = f"public/instruments?instType={query}"
            for one, other in zip(get(sim, path)["data"], get(demo, path)["data"], strict=True):
                assert one.pop("instIdCode") != other.pop("instIdCode")
                assert one == other


def test_a_funding_rate_that_was_paid_is_in_the_history(sim: Simulator) -> None:
    """What the channel calls settled is the newest of the history, and pages go back in steps of the interval."""
    (now,) = get(sim, "public/funding-rate?instId=BTC-USDT-SWAP")["data"]
    rows = get(sim, "public/funding-rate-history?instId=BTC-USDT-SWAP&limit=3")["data"]
    assert (rows[0]["fundingTime"], rows[0]["fundingRate"]) == (now["prevFundingTime"], now["settFundingRate"])
    older = get(sim, f"public/funding-rate-history?instId=BTC-USDT-SWAP&after={rows[-1]['fundingTime']}")["data"]
    times = [int(row["fundingTime"]) for row in rows + older]
    assert {newer - earlier for newer, earlier in pairwise(times)} == {8 * 3_600_000}


def history(sim: Simulator, inst_id: str, pages: int) -> list[dict[str, str]]:
    """Pages of trades, newest first."""
    found: list[dict[str, str]] = []
    for _ in range(pages):
        after = f"&after={found[-1]['tradeId']}" if found else ""
        found += get(sim, f"market/history-trades?instId={inst_id}&limit=100{after}")["data"]
    return found


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("public/instruments", "50014"),
        ("public/instruments?instType=SHARES", "51000"),
        ("public/instruments?instType=SPOT&instId=NO-SUCH", "51001"),
        ("market/candles", "50014"),
        ("market/candles?instId=NO-SUCH", "51001"),
        ("market/candles?instId=BTC-USDT&bar=7m", "51000"),
        ("market/candles?instId=BTC-USDT&limit=many", "51000"),
        ("market/candles?instId=BTC-USDT&after=-1", "51000"),
        ("market/candles?instId=BTC-USDT&bar=1s", "51000"),
        ("market/history-trades?instId=BTC-USDT&type=3", "51000"),
        ("market/tickers", "50014"),
        ("market/index-tickers", "50014"),
        ("public/instruments?instType=OPTION", "50014"),
        ("public/funding-rate?instId=BTC-USDT", "51000"),
        ("public/opt-summary", "50014"),
        ("sprd/books?sprdId=BTC-USDT", "51001"),
    ],
)
def test_wrong_parameters_get_their_code(sim: Simulator, path: str, code: str) -> None:
    """OKX's envelope with its code and no data."""
    said = get(sim, path)
    assert (said["code"], said["data"]) == (code, [])
    assert said["msg"]


def test_beside_a_recording_nothing_is_invented(tmp_path: Path) -> None:
    """A simulator that replays has no instruments and candles of its own, so that none get among the recorded ones."""
    raw = '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{}]}'
    file = tmp_path / "replay.jsonl"
    file.write_text(json.dumps({"recv": 1, "dir": "in", "line": 1, "raw": raw}) + "\n")
    with Simulator(replay=file) as sim:
        assert get(sim, "market/candles?instId=BTC-USDT")["code"] == "51001"
        assert get(sim, "public/instruments?instType=SPOT")["data"] == []
