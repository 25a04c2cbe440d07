"""ccxt pro watches the simulated market, unchanged but for its URLs: what it makes of it is what REST says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
import pytest
from simulator.agreement import Books, Tickers, assert_trades, history

from okws_celery.simulator import Simulator

PATIENCE_S = 60


@asynccontextmanager
async def ccxt_of(sim: Simulator) -> AsyncIterator[Any]:
    """ccxt's OKX with the default key, its markets and currencies loaded."""
    key = {"apiKey": "demo", "secret": "demo-secret", "password": "demo-pass"}
    exchange = ccxt.pro.okx({**key, "enableRateLimit": False})
    exchange.urls["api"]["rest"] = sim.rest_url
    exchange.urls["api"]["ws"] = sim.ws_url
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


def test_ccxt_knows_the_markets(sim: Simulator) -> None:
    """Markets of each kind, with their steps and sizes, as REST describes the instruments."""

    async def run() -> None:
        async with ccxt_of(sim) as exchange:
            for kind, is_kind in (("SPOT", "spot"), ("SWAP", "swap"), ("FUTURES", "future"), ("OPTION", "option")):
                asked = {"instType": kind, **({"instFamily": "BTC-USD"} if kind == "OPTION" else {})}
                told = (await exchange.publicGetPublicInstruments(asked))["data"]
                live = [one for one in told if one["state"] == "live"]
                assert live
                for one in live:
                    market = exchange.market(exchange.safe_symbol(one["instId"]))
                    assert (market["id"], market["type"]) == (one["instId"], is_kind)
                    assert market["precision"]["price"] == float(one["tickSz"])
                    assert market["limits"]["amount"]["min"] == float(one["minSz"])
            assert exchange.currencies["USDT"]["networks"]

    asyncio.run(run())


def test_ccxt_watches_tickers() -> None:
    """One ticker, and several at once: row for row REST's of the same moment."""

    async def run(sim: Simulator) -> None:
        async with ccxt_of(sim) as exchange, asyncio.timeout(PATIENCE_S):
            tickers = Tickers()

            async def one() -> None:
                while True:
                    ticker = await exchange.watch_ticker("BTC/USDT")
                    assert ticker["bid"] < ticker["ask"]
                    tickers.had(ticker["info"])

            async def several() -> None:
                while True:
                    for symbol, ticker in (await exchange.watch_tickers(["ETH/USDT", "BTC/USDT:USDT"])).items():
                        assert symbol in ("ETH/USDT", "BTC/USDT:USDT")
                        tickers.had(ticker["info"])

            async with _while_watching(one(), several()):
                while len(tickers.confirmed) < 3:
                    for inst_id in ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP"):
                        (told,) = (await exchange.publicGetMarketTicker({"instId": inst_id}))["data"]
                        tickers.told(told)

    with Simulator(seed=7, limits=False, speed=4) as sim:
        asyncio.run(run(sim))


def test_ccxt_keeps_a_book() -> None:
    """Hundreds of updates pass its checks of integrity, and its book is REST's at the same seqId, level for level.

    A gap does not pass them; watched again, the book is right again.
    """

    async def run(sim: Simulator) -> None:
        async with ccxt_of(sim) as exchange, asyncio.timeout(PATIENCE_S):
            books = Books()

            async def watch() -> None:
                while True:
                    book = await exchange.watch_order_book("BTC/USDT")
                    books.had(book["nonce"], book["bids"], book["asks"])

            async def confirm(updates: int) -> None:
                async with _while_watching(watch()):
                    while len(books.seen) < updates or books.confirmed < 3:
                        asked = {"instId": "BTC-USDT", "sz": "400"}
                        (told,) = (await exchange.publicGetMarketBooks(asked))["data"]
                        books.told(told)

            await confirm(300)
            gap = sim.fault("gap", arg="books:BTC-USDT")
            with pytest.raises(ccxt.InvalidNonce):
                await watch()
            assert gap.hits == 1
            books = Books()
            await confirm(50)

    with Simulator(seed=7, limits=False, speed=8) as sim:
        asyncio.run(run(sim))


def test_ccxt_watches_trades() -> None:
    """No trade is missing between the first and the last, and each is what REST's history tells."""

    async def run(sim: Simulator) -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []
        async with ccxt_of(sim) as exchange, asyncio.timeout(PATIENCE_S):
            while len(got) < 100:
                for trade in await exchange.watch_trades("BTC/USDT"):
                    row = trade["info"]
                    assert (trade["id"], trade["side"]) == (row["tradeId"], row["side"])
                    assert (trade["price"], trade["amount"]) == (float(row["px"]), float(row["sz"]))
                    got.append(row)
        return got

    with Simulator(seed=7, limits=False, speed=10) as sim:
        got = asyncio.run(run(sim))
        rest: Any = ccxt.okx({"enableRateLimit": False})
        rest.urls["api"]["rest"] = sim.rest_url

        def page(after: str) -> list[dict[str, Any]]:
            asked = {"instId": "BTC-USDT", "after": after} if after else {"instId": "BTC-USDT"}
            rows: list[dict[str, Any]] = rest.publicGetMarketHistoryTrades(asked)["data"]
            return rows

        assert_trades(got, history(page, got[0]))


def test_ccxt_watches_candles() -> None:
    """Candles follow each other minute by minute, and the closed ones are REST's."""

    async def run(sim: Simulator) -> None:
        async with ccxt_of(sim) as exchange, asyncio.timeout(PATIENCE_S):
            last: dict[int, list[float]] = {}
            while len(last) < 4:
                for candle in await exchange.watch_ohlcv("BTC/USDT", "1m"):
                    last[candle[0]] = list(candle)
            begins = sorted(last)
            assert begins == list(range(begins[0], begins[0] + 4 * 60_000, 60_000))
            told = {one[0]: one for one in await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=100)}
            assert [last[begin] for begin in begins[:-1]] == [told[begin] for begin in begins[:-1]]

    with Simulator(seed=7, limits=False, speed=60) as sim:
        asyncio.run(run(sim))


@asynccontextmanager
async def _while_watching(*watching: Any) -> AsyncIterator[None]:
    """Let coroutines run beside a block; one that fails ends the block with what it raised."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in watching]
        yield
        for task in tasks:
            task.cancel()
