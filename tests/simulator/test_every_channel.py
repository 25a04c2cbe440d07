"""Every channel that needs no account can be subscribed, and says something that the project's feeds accept."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from feeds.conftest import Bench
from simulator.listening import BEGIN_MS, Listener
from simulator.talking import Talk

from okws_celery.okx.catalogue import BARS, CATALOGUE, Channel
from okws_celery.simulator import Simulator
from okws_celery.simulator.bars import bar_bounds
from okws_celery.simulator.channels import CHANNELS

SPREAD = "BTC-USDT_BTC-USDT-SWAP"
GATED = ("books-l2-tbt", "books50-l2-tbt", "economic-calendar")
"""Of the market, though they need a login."""
OPEN = [name for name, channel in CATALOGUE.items() if not channel.login or name in GATED]
SELDOM = {"estimated-price", "call-auction-details", "adl-warning", "instruments"}
"""Asked to speak, since it would take long to wait for them."""
FIELDS = {
    "tickers": (
        "instType instId last lastSz askPx askSz bidPx bidSz open24h high24h low24h vol24h volCcy24h sodUtc0 sodUtc8 ts"
    ),
    "trades": "instId tradeId px sz side ts count source seqId",
    "trades-all": "instId tradeId px sz side ts source",
    "option-trades": "instId instFamily tradeId px sz side optType fillVol fwdPx idxPx markPx ts",
    "index-tickers": "instId idxPx open24h high24h low24h sodUtc0 sodUtc8 ts",
    "mark-price": "instType instId markPx ts",
    "price-limit": "instType instId buyLmt sellLmt enabled ts",
    "open-interest": "instType instId oi oiCcy oiUsd ts",
    "opt-summary": (
        "instType instId uly delta gamma vega theta deltaBS gammaBS vegaBS thetaBS lever markVol "
        "bidVol askVol realVol volLv fwdPx ts"
    ),
    "estimated-price": "instType instId settlePx settleType ts",
    "event-contract-markets": (
        "seriesId eventId instId listTime fixTime expTime state outcome floorStrike capStrike "
        "settleValue disputed hitDir"
    ),
    "liquidation-orders": "instType instId instFamily uly details",
    "adl-warning": (
        "instType instFamily state bal ts ccy maxBal maxBalTs adlType adlBal adlRecBal decRate adlRate adlRecRate"
    ),
    "call-auction-details": "instId eqPx matchedSz unmatchedSz auctionEndTime state ts",
    "status": "title state begin end preOpenBegin href serviceType system scheDesc maintType env ts",
    "economic-calendar": (
        "calendarId date region category event refDate actual previous forecast prevInitial importance ccy unit ts"
    ),
    "public-struc-block-trades": "cTime blockTdId groupId legs",
    "public-block-trades": "instId tradeId px sz side fillVol fwdPx idxPx markPx groupId ts",
    "block-tickers": "instType instId vol24h volCcy24h ts",
    "sprd-public-trades": "sprdId tradeId px sz side ts",
    "sprd-tickers": "sprdId last lastSz askPx askSz bidPx bidSz open24h high24h low24h vol24h ts",
    "sprd-bbo-tbt": "asks bids ts seqId",
    "sprd-books5": "asks bids ts seqId",
    "sprd-books-l2-tbt": "asks bids ts checksum prevSeqId seqId",
    "bbo-tbt": "asks bids ts seqId",
    "books5": "asks bids instId ts seqId",
    "books": "asks bids ts checksum prevSeqId seqId",
    "books-rpi": "asks bids ts prevSeqId seqId",
}
"""The keys of a row (PROTOCOL 5 and 6)."""
COLUMNS = {"candle": 9, "mark-price-candle": 6, "index-candle": 6, "sprd-candle": 7}


def example(channel: Channel, market: Listener) -> str:
    """A topic of a channel that exists."""
    future = next(one for one in market.source.market.instruments.values() if one.inst_type == "FUTURES")
    option = next(one for one in market.source.market.instruments.values() if one.opt_type)
    if channel.name.startswith("sprd-"):
        return f"{channel.name}:{SPREAD}"
    if channel.name.startswith("index-"):
        return f"{channel.name}:BTC-USD"
    special = {
        "funding-rate": "BTC-USD-SWAP",
        "open-interest": future.inst_id,
        "public-block-trades": option.inst_id,
        "opt-summary": "BTC-USD",
        "option-trades": "instType=OPTION,instFamily=BTC-USD",
        "estimated-price": f"instType=FUTURES,instFamily={future.family}",
        "event-contract-markets": "EVENTS",
        "liquidation-orders": "SWAP",
        "adl-warning": "FUTURES",
        "instruments": "OPTION",
    }
    value = special.get(channel.name, "BTC-USDT" if channel.required else "")
    return f"{channel.name}:{value}" if value else channel.name


@pytest.fixture(scope="module")
def market() -> Listener:
    """One market for all of them."""
    return Listener()


@pytest.fixture
def bench(redis_url: str) -> Iterator[Bench]:
    """A feed before an empty Redis."""
    made = Bench(redis_url)
    yield made
    made.close()


def test_no_channel_of_the_market_is_left_out() -> None:
    """What needs no account is there, in every bar that OKX has."""
    assert set(OPEN) <= set(CHANNELS)


@pytest.mark.parametrize("name", OPEN)
def test_a_row_of_every_channel(name: str, market: Listener, bench: Bench) -> None:
    """It pushes a row in its shape within ten minutes, or when it is asked to; the feed of the channel takes it."""
    topic = example(CATALOGUE[name], market)
    market.join(topic)
    if name in SELDOM:
        assert market.source.ask(name) == 1
    push = market.run_until_push(topic, 600)
    market.leave(topic)
    row = push["data"][0]
    stem = name.rpartition("candle")
    if stem[1]:
        assert len(row) == COLUMNS[stem[0] + "candle"]
    elif name in FIELDS:
        assert set(row) == set(FIELDS[name].split())
    bench.start(topic)
    assert bench.push_frame(json.dumps(push).encode()) == ""
    bench.feed.render(bench.batch)
    bench.flush()
    assert bench.read()


@pytest.mark.parametrize("bar", BARS)
def test_every_bar_closes_on_its_time(bar: str) -> None:
    """A bar opens where the calendar says, is confirmed once within a second of its end, and the next one follows."""
    begin, end = bar_bounds(bar, BEGIN_MS)
    kinds = {"candle": "BTC-USDT", "mark-price-candle": "BTC-USDT", "index-candle": "BTC-USD", "sprd-candle": SPREAD}
    topics = [f"{kind}{bar}:{of}" for kind, of in kinds.items() if bar != "1s" or kind == "candle"]
    market = Listener(*topics, begin_ms=end - 3000 if bar != "1s" else BEGIN_MS)
    market.run(6)
    for topic in topics:
        rows = market.rows(topic)
        closed = [row for row in rows if row[-1] == "1"]
        if bar == "1s":
            assert len(closed) >= 5
            continue
        assert [int(row[0]) for row in closed] == [begin]
        assert int(rows[-1][0]) == end
        assert rows[rows.index(closed[0]) + 1][0] == str(end)
        assert market.closed_ms[topic] - end <= 1000


def test_rare_channels_over_a_socket_by_request() -> None:
    """`Simulator.ask` and the control API make a channel speak that is silent on most days."""
    with Simulator(limits=False) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.subscribe({"channel": "call-auction-details", "instId": "BTC-USDT"})
        assert sim.ask("call-auction-details") == 1
        assert talk.push("call-auction-details")["data"][0]["state"] == "call_auction"


def test_option_trades_of_one_and_of_all() -> None:
    """The family brings the trades of each of its options, one option its own; `trades` has the same ids."""
    market = Listener("option-trades:instType=OPTION,instFamily=BTC-USD")
    inst_id = next(one.inst_id for one in market.source.market.instruments.values() if one.opt_type)
    market.join(f"option-trades:instType=OPTION,instId={inst_id}")
    market.join(f"trades-all:{inst_id}")
    market.run(120)
    mine = market.rows(f"option-trades:instType=OPTION,instId={inst_id}")[1:]
    everything = market.rows("option-trades:instType=OPTION,instFamily=BTC-USD")[1:]
    assert len({row["instId"] for row in everything}) > 5
    assert mine == [row for row in everything if row["instId"] == inst_id]
    assert [row["tradeId"] for row in mine] == [row["tradeId"] for row in market.rows(f"trades-all:{inst_id}")]


def test_a_summary_tells_of_the_whole_family() -> None:
    """One push has every option; calls have a positive delta, puts a negative one."""
    market = Listener("opt-summary:BTC-USD")
    market.run(3)
    options = {one.inst_id for one in market.source.market.instruments.values() if one.opt_type}
    for push in market.of("opt-summary:BTC-USD"):
        assert {row["instId"] for row in push["data"]} == options
        for row in push["data"]:
            assert (float(row["deltaBS"]) > 0) is row["instId"].endswith("-C")
            assert float(row["bidVol"]) < float(row["markVol"]) < float(row["askVol"])
