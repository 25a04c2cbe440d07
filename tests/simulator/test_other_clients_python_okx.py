"""OKX's own python-okx reads the simulated market, unchanged but for its URLs; it speaks TLS and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.websocket.WsPublicAsync import WsPublicAsync
from simulator.agreement import Books, Tickers, assert_trades, history
from simulator.merging import MergedBook

from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate

PATIENCE_S = 60


@pytest.fixture
def tls_sim(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Simulator]]:
    """Starts a simulator over TLS, whose certificate this process trusts as a user's would."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate.cert)
    running: list[Simulator] = []

    def start(**options: Any) -> Simulator:
        running.append(Simulator(seed=7, limits=False, tls=(certificate.cert, certificate.key), **options).start())
        return running[-1]

    yield start
    for one in running:
        one.stop()


def market_of(sim: Simulator) -> Any:
    """The SDK's market data."""
    return MarketAPI(flag="0", domain=sim.rest_url)


def test_python_okx_reads_by_rest(tls_sim: Callable[..., Simulator]) -> None:
    """Instruments, prices, candles and trades, which agree with one another; an error is OKX's."""
    sim = tls_sim()
    market, public = market_of(sim), PublicAPI(flag="0", domain=sim.rest_url)
    for kind in ("SPOT", "SWAP", "FUTURES"):
        ids = {one["instId"] for one in public.get_instruments(instType=kind)["data"] if one["state"] == "live"}
        assert ids == {one["instId"] for one in market.get_tickers(instType=kind)["data"]}
    (ticker,) = market.get_ticker("BTC-USDT-SWAP")["data"]
    (limit,) = public.get_price_limit("BTC-USDT-SWAP")["data"]
    assert Decimal(limit["sellLmt"]) < Decimal(ticker["bidPx"]) < Decimal(ticker["askPx"]) < Decimal(limit["buyLmt"])
    (mark,) = public.get_mark_price("SWAP", instId="BTC-USDT-SWAP")["data"]
    (index,) = market.get_index_tickers(instId="BTC-USDT")["data"]
    for px in (mark["markPx"], index["idxPx"]):
        assert float(px) == pytest.approx(float(ticker["last"]), rel=0.01)
    (interest,) = public.get_open_interest("SWAP", instId="BTC-USDT-SWAP")["data"]
    (funding,) = public.get_funding_rate("BTC-USDT-SWAP")["data"]
    now_ms = int(public.get_system_time()["data"][0]["ts"])
    assert int(interest["oi"].split(".")[0]) > 0
    assert now_ms < int(funding["fundingTime"])
    recent = market.get_candlesticks("BTC-USDT", bar="1m", limit="50")["data"]
    closed = [one for one in recent if one[-1] == "1"]
    before = str(int(closed[-1][0]) - 1)
    older = market.get_history_candlesticks("BTC-USDT", bar="1m", before=before, after=recent[0][0], limit="100")
    assert older["data"] == closed
    trades = market.get_trades("BTC-USDT", limit="10")["data"]
    again = market.get_history_trades("BTC-USDT", after=trades[0]["tradeId"], limit="9")["data"]
    assert again == trades[1:]
    assert market.get_ticker("NO-SUCH")["code"] == "51001"


def test_python_okx_hears_the_market(tls_sim: Callable[..., Simulator]) -> None:
    """Tickers, trades and books by the public socket: every number follows on the last, and REST says the same."""
    sim = tls_sim(speed=4)
    market = market_of(sim)
    merged, books, tickers = MergedBook(), Books(), Tickers()
    trades: list[dict[str, Any]] = []

    def hear(text: str) -> None:
        said = json.loads(text)
        if "data" not in said:
            assert said["event"] == "subscribe"
        elif said["arg"]["channel"] == "books":
            merged.take(said)
            books.had(merged.seq_id, merged.top("bids", 400), merged.top("asks", 400))
        elif said["arg"]["channel"] == "tickers":
            tickers.had(*said["data"])
        else:
            trades.extend(said["data"])

    async def run() -> None:
        client = WsPublicAsync(url=sim.ws_url + "/public")
        consuming = await client.start()
        channels = ("tickers", "trades", "books")
        await client.subscribe([{"channel": name, "instId": "BTC-USDT"} for name in channels], hear, id="sdk1")
        async with asyncio.timeout(PATIENCE_S):
            while merged.updates < 100 or books.confirmed < 2 or not tickers.confirmed or len(trades) < 20:
                assert not consuming.done(), consuming
                tickers.told(*(await asyncio.to_thread(market.get_ticker, "BTC-USDT"))["data"])
                books.told(*(await asyncio.to_thread(market.get_orderbook, "BTC-USDT", "400"))["data"])
        await client.stop()
        await consuming

    asyncio.run(run())
    assert_trades(trades, history(lambda after: market.get_history_trades("BTC-USDT", after=after)["data"], trades[0]))


def test_python_okx_hears_candles(tls_sim: Callable[..., Simulator]) -> None:
    """Candles and single trades by the business socket; what is closed is REST's."""
    sim = tls_sim(speed=60)
    market = market_of(sim)
    closed: list[list[str]] = []
    singles: list[dict[str, Any]] = []

    def hear(text: str) -> None:
        said = json.loads(text)
        if "data" not in said:
            assert said["event"] == "subscribe"
        elif said["arg"]["channel"] == "candle1m":
            closed.extend(row for row in said["data"] if row[-1] == "1")
        else:
            singles.extend(said["data"])

    async def run() -> None:
        client = WsPublicAsync(url=sim.ws_url + "/business")
        consuming = await client.start()
        channels = ("candle1m", "trades-all")
        await client.subscribe([{"channel": name, "instId": "BTC-USDT"} for name in channels], hear)
        async with asyncio.timeout(PATIENCE_S):
            while len(closed) < 3 or len(singles) < 20:
                assert not consuming.done(), consuming
                await asyncio.sleep(0.02)
        await client.unsubscribe([{"channel": name, "instId": "BTC-USDT"} for name in channels], lambda text: None)
        await client.stop()
        await consuming

    asyncio.run(run())
    begins = [int(row[0]) for row in closed]
    assert begins == list(range(begins[0], begins[0] + 60_000 * len(begins), 60_000))
    told = market.get_candlesticks("BTC-USDT", bar="1m", limit="100")["data"]
    assert [row for row in reversed(told) if begins[0] <= int(row[0]) <= begins[-1]] == closed
    first = {**singles[0], "count": "1"}
    past = history(lambda after: market.get_history_trades("BTC-USDT", after=after)["data"], first)
    last_id, first_id = singles[-1]["tradeId"], singles[0]["tradeId"]
    told_ids = [one for one in reversed(past) if int(first_id) <= int(one["tradeId"]) <= int(last_id)]
    assert told_ids == singles
