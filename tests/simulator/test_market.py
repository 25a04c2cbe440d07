"""The market holds together: what one channel says agrees with what the others say, and with REST."""

from __future__ import annotations

import json
import urllib.request
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest
from simulator.listening import BEGIN_MS, Listener
from simulator.merging import MergedBook
from simulator.talking import Talk, is_push

from okws_celery.okx.catalogue import BARS
from okws_celery.okx.topics import parse_topic
from okws_celery.simulator import Simulator
from okws_celery.simulator.bars import bar_bounds

ALWAYS = ["BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP"]


@pytest.mark.parametrize("inst_id", ALWAYS)
def test_the_main_instruments_trade_and_move(inst_id: str) -> None:
    """They trade several times a second, and the ticker changes with it, at most every 100 ms."""
    market = Listener(f"trades:{inst_id}", f"tickers:{inst_id}")
    market.run(20)
    assert len(market.rows(f"trades:{inst_id}")) > 40
    stamps = [int(row["ts"]) for row in market.rows(f"tickers:{inst_id}")]
    assert len(stamps) > 60
    assert all(later - earlier >= 100 for earlier, later in pairwise(stamps[1:]))
    assert len({row["last"] for row in market.rows(f"tickers:{inst_id}")}) > 5


@pytest.mark.parametrize(
    "topic", ["books:BTC-USDT", "books-l2-tbt:ETH-USDT", "books50-l2-tbt:BTC-USDT-SWAP", "books-rpi:SOL-USDT"]
)
def test_books_merge_without_a_break(topic: str) -> None:
    """Snapshot and updates form a valid chain, never crossed, and never deeper than the channel."""
    market = Listener(topic)
    market.run(12)
    book = MergedBook()
    for push in market.of(topic):
        book.take(push)
        assert all(len(side) <= (50 if "50" in topic else 400) for side in book.sides.values())
    assert book.updates > 50
    assert book.resets == 0
    assert min(len(side) for side in book.sides.values()) > (49 if "50" in topic else 300)
    if not topic.startswith("books-rpi"):
        assert {row["checksum"] for row in market.rows(topic)} == {0}


@pytest.mark.parametrize("inst_id", ["BTC-USDT", "ETH-USDT"])
def test_a_number_stands_for_one_book(inst_id: str) -> None:
    """While seqId is the same nothing in the book changes, so that REST's book is that of the channels."""
    engine = Listener().source.engine(inst_id)
    before = (0, {}, {})
    for nth in range(10_000):
        engine.step()
        if nth % 100 == 99:
            engine.hit("buy", [(engine.book.asks.best, 1)])
        now = (engine.book.seq_id, dict(engine.book.bids.levels), dict(engine.book.asks.levels))
        assert now[0] > before[0] or now == before
        before = now


def test_who_joins_later_has_the_same_book() -> None:
    """The snapshot of a late reader follows on the same numbers, and both end with the same book."""
    market = Listener("books:BTC-USDT")
    market.run(3.3)
    arg = parse_topic("books:BTC-USDT").arg
    snapshot = json.loads(market.source.join(arg) or "")
    late, early = MergedBook(), MergedBook()
    late.take(snapshot)
    before = len(market.of("books:BTC-USDT"))
    market.run(5)
    for index, push in enumerate(market.of("books:BTC-USDT")):
        early.take(push)
        if index >= before:
            late.take(push)
    assert late.sides == early.sides
    assert late.updates > 20


def test_ticker_and_books_agree() -> None:
    """At one moment the ticker's bid and ask, `books5` and `bbo-tbt` are the best levels of the merged book."""
    topics = ["books:BTC-USDT", "books5:BTC-USDT", "bbo-tbt:BTC-USDT", "tickers:BTC-USDT"]
    market = Listener(*topics)
    market.run(20)
    book, bbo, compared = MergedBook(), {}, {"tickers": 0, "books5": 0, "bbo-tbt": 0}
    for push in market.order:
        channel = push["arg"]["channel"]
        (row,) = push["data"]
        if channel == "books":
            book.take(push)
            if bbo.get("ts") == book.ts:
                assert (bbo["bids"], bbo["asks"]) == ([book.best("bids")], [book.best("asks")])
                compared["bbo-tbt"] += 1
        elif channel == "bbo-tbt":
            bbo = row
        elif row["ts"] == book.ts and channel == "books5":
            assert (row["bids"], row["asks"]) == (book.top("bids", 5), book.top("asks", 5))
            assert row["seqId"] == book.seq_id
            compared["books5"] += 1
        elif row["ts"] == book.ts:
            assert [row["bidPx"], row["bidSz"]] == book.best("bids")[:2]
            assert [row["askPx"], row["askSz"]] == book.best("asks")[:2]
            compared["tickers"] += 1
    assert min(compared.values()) > 20, compared


def test_checksums_when_they_are_wanted() -> None:
    """With checksums on, each message of a book carries the CRC-32 of the book after it."""
    market = Listener("books:ETH-USDT", checksums=True)
    market.run(5)
    book = MergedBook()
    for push in market.of("books:ETH-USDT"):
        book.take(push)
        assert push["data"][0]["checksum"] == book.checksum()
    assert book.updates > 20


def test_both_trade_channels_tell_of_the_same_trades() -> None:
    """`trades` sums up what `trades-all` has one by one: `count` of them, the newest id, the size of all."""
    market = Listener("trades:BTC-USDT", "trades-all:BTC-USDT")
    market.run(60)
    single = {int(row["tradeId"]): row for row in market.rows("trades-all:BTC-USDT")}
    assert list(single) == list(range(min(single), max(single) + 1))
    assert all("count" not in row and "seqId" not in row for row in single.values())
    seen, last_ts = 0, 0
    for row in market.rows("trades:BTC-USDT"):
        newest, count = int(row["tradeId"]), int(row["count"])
        parts = [single[trade_id] for trade_id in range(newest - count + 1, newest + 1)]
        assert sum(Decimal(part["sz"]) for part in parts) == Decimal(row["sz"])
        assert {(part["px"], part["side"], part["ts"]) for part in parts} == {(row["px"], row["side"], row["ts"])}
        assert int(row["ts"]) >= last_ts
        last_ts = int(row["ts"])
        seen += count
    assert seen == len(single)
    assert any(row["count"] != "1" for row in market.rows("trades:BTC-USDT"))


@pytest.mark.parametrize(
    ("inst_id", "contract", "seconds", "bars"),
    [("ETH-USDT", "1", 370, {"1s": 250, "1m": 4, "3m": 1}), ("BTC-USDT-SWAP", "0.01", 130, {"1s": 100, "1m": 1})],
)
def test_candles_are_made_of_the_trades(inst_id: str, contract: str, seconds: int, bars: dict[str, int]) -> None:
    """Each closed candle has the first, highest, lowest and last price and the sums of the trades within it."""
    market = Listener(f"trades:{inst_id}", *(f"candle{bar}:{inst_id}" for bar in bars))
    market.run(seconds)
    size = Decimal(contract)
    for bar, least in bars.items():
        topic = f"candle{bar}:{inst_id}"
        closed = [row for row in market.rows(topic) if row[8] == "1"]
        begins = [int(row[0]) for row in closed]
        assert begins == list(range(begins[0], begins[-1] + 1, bar_bounds(bar, 0)[1])), "each candle closes once"
        by_begin = defaultdict(list)
        for trade in market.rows(f"trades:{inst_id}"):
            by_begin[bar_bounds(bar, int(trade["ts"]))[0]].append(trade)
        compared = 0
        for previous, row in pairwise(closed):
            trades = by_begin[int(row[0])]
            if not trades:
                assert len({previous[4], *row[1:5]}) == 1, "a bar without trades repeats the close before it"
                assert row[5:8] == ["0", "0", "0"]
                continue
            prices = [Decimal(one["px"]) for one in trades]
            assert [Decimal(price) for price in row[1:5]] == [prices[0], max(prices), min(prices), prices[-1]]
            volume = sum(Decimal(one["sz"]) for one in trades)
            turnover = sum(Decimal(one["sz"]) * Decimal(one["px"]) for one in trades) * size
            assert Decimal(row[5]) == volume
            assert Decimal(row[6]) == (turnover if size == 1 else volume * size)
            assert Decimal(row[7]) == turnover
            compared += 1
        assert compared >= least


@pytest.mark.parametrize("inst_id", [*ALWAYS, "BTC-USD-SWAP", "BTC-USDT_BTC-USDT-SWAP"])
def test_the_minutes_around_the_beginning_are_made_of_their_trades(inst_id: str) -> None:
    """In the minute in which the market began, and before and after it, REST's candles are REST's trades."""
    market = Listener()
    engine = market.source.engine(inst_id)
    market.source.watch(inst_id, lambda _: None)
    market.run(125)
    by_minute = defaultdict(list)
    for single in engine.log.newest_first():
        if single.ts_ms < BEGIN_MS - 7_200_000:
            break
        by_minute[single.ts_ms // 60_000 * 60_000].insert(0, single)
    candles = engine.candles.rows("1m", before_ms=1 << 62, after_ms=BEGIN_MS - 7_200_000, limit=200)
    assert len(candles) > 120
    for candle in candles:
        trades = by_minute[candle.begin]
        if trades:
            prices = [one.price for one in trades]
            found = [candle.open, candle.high, candle.low, candle.close]
            assert found == [prices[0], max(prices), min(prices), prices[-1]]
        assert candle.lots == sum(one.lots for one in trades)
        assert candle.turnover == sum(one.lots * one.price for one in trades)


def test_a_candle_closes_on_time_and_at_most_once_a_second_before() -> None:
    """The last push of a candle has `confirm` 1 and no trade after its end; the next push opens the next candle."""
    market = Listener("candle1m:BTC-USDT")
    market.run(200)
    rows = market.rows("candle1m:BTC-USDT")
    for earlier, later in pairwise(rows):
        assert (earlier[0] == later[0]) is (earlier[8] == "0")
    confirmed = [row for row in rows if row[8] == "1"]
    assert len(confirmed) == 3
    assert len(rows) <= 200 + 3 + 1


def test_rest_and_socket_have_the_same_candles() -> None:
    """A closed candle is the same row in REST; REST's rows follow on each other without a hole, newest first."""
    market = Listener("candle1m:BTC-USDT", "candle5m:BTC-USDT", "candle1H:BTC-USDT")
    market.run(310)
    for bar in ("1m", "5m", "1H"):
        rows = {row[0]: row for row in market.rest(bar, "BTC-USDT", 300)}
        for row in market.rows(f"candle{bar}:BTC-USDT"):
            if row[8] == "1":
                assert rows[row[0]] == row
        assert rows[market.rows(f"candle{bar}:BTC-USDT")[-1][0]][8] == "0"
    for bar in BARS:
        if bar == "1s":
            continue
        rows = market.rest(bar, "BTC-USDT", 30)
        for newer, older in pairwise(rows):
            assert bar_bounds(bar, int(older[0])) == (int(older[0]), int(newer[0]))
            assert abs(Decimal(older[4]) / Decimal(newer[1]) - 1) < Decimal("0.002"), (bar, older, newer)
        assert [row[8] for row in rows] == ["0"] + ["1"] * (len(rows) - 1)
        assert all(Decimal(low) <= min(Decimal(o), Decimal(c)) for _, o, _, low, c, *_ in rows)
        assert all(Decimal(high) >= max(Decimal(o), Decimal(c)) for _, o, high, _, c, *_ in rows)


def test_longer_candles_hold_the_shorter() -> None:
    """An hour's high, low and volume are those of its minutes, in the past that was made up as well."""
    market = Listener("tickers:ETH-USDT")
    market.run(30)
    hours, minutes = market.rest("1H", "ETH-USDT", 6), market.rest("1m", "ETH-USDT", 300)
    for hour in hours[:4]:
        inside = [row for row in minutes if int(hour[0]) <= int(row[0]) < int(hour[0]) + 3_600_000]
        assert Decimal(hour[2]) == max(Decimal(row[2]) for row in inside)
        assert Decimal(hour[3]) == min(Decimal(row[3]) for row in inside)
        assert Decimal(hour[5]) == sum(Decimal(row[5]) for row in inside)
        assert Decimal(hour[7]) == sum(Decimal(row[7]) for row in inside)


def test_the_ticker_knows_the_last_day() -> None:
    """High, low and volume of 24 hours are those of the minutes of that time."""
    market = Listener("tickers:BTC-USDT")
    market.run(90)
    ticker = market.rows("tickers:BTC-USDT")[-1]
    rows = market.rest("1m", "BTC-USDT", 1441)
    assert Decimal(ticker["high24h"]) == max(Decimal(row[2]) for row in rows)
    assert Decimal(ticker["low24h"]) == min(Decimal(row[3]) for row in rows)
    assert ticker["open24h"] == rows[-1][1]
    assert Decimal(ticker["vol24h"]) == sum(Decimal(row[5]) for row in rows)
    assert Decimal(ticker["volCcy24h"]) == sum(Decimal(row[6]) for row in rows)


def test_a_seed_repeats_a_run() -> None:
    """The same seed gives the same pushes from the first to the last, another seed others."""
    runs = []
    for seed in (5, 5, 6):
        market = Listener("books:BTC-USDT", "trades:BTC-USDT", "tickers:ETH-USDT", seed=seed)
        market.run(5)
        runs.append(market.order)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_market_that_nobody_watched_has_gone_on() -> None:
    """After hours without a listener time is made up for: candles have no hole, ids and numbers have risen."""
    market = Listener("books:BTC-USDT", "trades:BTC-USDT")
    market.run(5)
    old_seq, old_id = market.rows("books:BTC-USDT")[-1]["seqId"], int(market.rows("trades:BTC-USDT")[-1]["tradeId"])
    market.leave("books:BTC-USDT")
    market.leave("trades:BTC-USDT")
    assert market.source.wait_s is None
    market.clock.ms += 7_200_000
    market.join("books:BTC-USDT")
    market.join("trades:BTC-USDT")
    market.run(5)
    assert market.rows("books:BTC-USDT")[-1]["seqId"] > old_seq
    assert int(market.rows("trades:BTC-USDT")[-1]["tradeId"]) > old_id + 100
    rows = market.rest("1m", "BTC-USDT", 200)
    assert [int(row[0]) for row in rows] == list(range(int(rows[0][0]), int(rows[0][0]) - 200 * 60_000, -60_000))
    assert sum(row[5] != "0" for row in rows[:100]) > 90


def test_a_quiet_book_beats_once_a_minute() -> None:
    """Where nothing changes for 60 s an empty update says so, with equal numbers; nothing else does."""
    market = Listener("books:XAUT-USDT", "trades:XAUT-USDT", "tickers:XAUT-USDT")
    market.run(700)
    book = MergedBook()
    stamps = []
    for push in market.of("books:XAUT-USDT"):
        book.take(push)
        stamps.append(int(push["data"][0]["ts"]))
    assert book.heartbeats > 1
    assert max(later - earlier for earlier, later in pairwise(stamps)) <= 60_000
    assert len(market.rows("trades:XAUT-USDT")) < 20


def test_candles_of_mark_price_and_index() -> None:
    """Six columns, close once a minute, and end at the price that the channel of the value says."""
    topics = {
        "mark-price-candle1m:BTC-USDT-SWAP": "mark-price:BTC-USDT-SWAP",
        "index-candle1m:ETH-USDT": "index-tickers:ETH-USDT",
    }
    market = Listener(*topics, *topics.values())
    market.run(130)
    for topic, values in topics.items():
        rows = market.rows(topic)
        assert {len(row) for row in rows} == {6}
        assert sum(row[5] == "1" for row in rows) == 2
        for earlier, later in pairwise(rows):
            assert (earlier[0] == later[0]) is (earlier[5] == "0")
        prices = [Decimal(row.get("markPx") or row["idxPx"]) for row in market.rows(values)]
        assert abs(Decimal(rows[-1][4]) / prices[-1] - 1) < Decimal("0.001")


def test_one_value_channels_begin_at_once_and_keep_their_pace() -> None:
    """Mark price, index, funding, open interest and limits have a first push, their own shape, and agree in price."""
    topics = {
        "mark-price:BTC-USDT-SWAP": 200,
        "index-tickers:BTC-USDT": 100,
        "funding-rate:BTC-USDT-SWAP": 30_000,
        "open-interest:BTC-USDT-SWAP": 3000,
        "price-limit:BTC-USDT-SWAP": 200,
    }
    market = Listener(*topics)
    market.run(130)
    for topic, least_ms in topics.items():
        stamps = [int(row["ts"]) for row in market.rows(topic)]
        assert len(stamps) >= 3, topic
        assert all(later - earlier >= least_ms for earlier, later in pairwise(stamps[1:])), topic
    mark = Decimal(market.rows("mark-price:BTC-USDT-SWAP")[-1]["markPx"])
    index = Decimal(market.rows("index-tickers:BTC-USDT")[-1]["idxPx"])
    limit = market.rows("price-limit:BTC-USDT-SWAP")[-1]
    assert abs(mark / index - 1) < Decimal("0.002")
    assert Decimal(limit["sellLmt"]) < mark < Decimal(limit["buyLmt"])
    funding = market.rows("funding-rate:BTC-USDT-SWAP")[-1]
    assert int(funding["nextFundingTime"]) - int(funding["fundingTime"]) == 8 * 3_600_000
    assert abs(Decimal(funding["fundingRate"])) <= Decimal(funding["maxFundingRate"])


def test_prices_stand_on_the_tick_and_sizes_on_the_lot() -> None:
    """Every price is a multiple of the instrument's tick, every size of its lot, as REST gives them."""
    with Simulator(limits=False) as sim:
        units = {}
        for kind in ("SPOT", "SWAP"):
            with urllib.request.urlopen(f"{sim.rest_url}/api/v5/public/instruments?instType={kind}") as answer:
                units |= {one["instId"]: one for one in json.load(answer)["data"]}
    assert set(ALWAYS) < set(units)
    for inst_id, one in units.items():
        market = Listener(f"books:{inst_id}", f"trades:{inst_id}")
        market.run(3)
        tick, lot = Decimal(one["tickSz"]), Decimal(one["lotSz"])
        levels = [level for push in market.of(f"books:{inst_id}") for level in push["data"][0]["asks"]]
        found = [level[:2] for level in levels] + [[row["px"], row["sz"]] for row in market.rows(f"trades:{inst_id}")]
        assert all(Decimal(price) % tick == 0 and Decimal(size) % lot == 0 for price, size in found)


def test_all_of_it_over_a_socket(sim: Simulator) -> None:
    """A client that subscribes to several channels in one request gets a first push of each, and a book that merges."""
    with Talk(sim.ws_url + "/public") as talk:
        channels = ["tickers", "trades", "books", "books5", "bbo-tbt", "mark-price", "index-tickers", "open-interest"]
        talk.ask("subscribe", *(f"{channel}:BTC-USDT-SWAP" for channel in channels if channel != "index-tickers"))
        talk.ask("subscribe", "index-tickers:BTC-USDT", "status", "funding-rate:BTC-USDT-SWAP")
        wanted = {*channels, "status", "funding-rate"}
        talk.until(
            lambda _: wanted <= {one["arg"]["channel"] for one in talk.got if "data" in one} and len(talk.got) > 50
        )
        book = MergedBook()
        for push in talk.got:
            if is_push(push, "books"):
                book.take(push)
        assert book.updates > 3


def test_two_clients_get_the_same_bytes(sim: Simulator) -> None:
    """Numbers and pushes of one instrument are equal on all connections."""
    with Talk(sim.ws_url + "/public") as one, Talk(sim.ws_url + "/public") as other:
        for talk in (one, other):
            talk.subscribe("books:BTC-USDT")
        for talk in (one, other):
            talk.until(lambda _, talk=talk: len(talk.got) > 8)
        updates = [
            {
                push["data"][0]["seqId"]: push
                for push in talk.got
                if is_push(push, "books") and push["action"] == "update"
            }
            for talk in (one, other)
        ]
        common = updates[0].keys() & updates[1].keys()
        assert len(common) > 3
        assert all(updates[0][seq_id] == updates[1][seq_id] for seq_id in common)
