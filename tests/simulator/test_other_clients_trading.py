"""Clients of other makers trade on the simulator, unchanged but for the URL: ccxt and OKX's own python-okx."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
import pytest
from okx.Account import AccountAPI
from okx.Funding import FundingAPI
from okx.Trade import TradeAPI
from okx.websocket.WsPrivateAsync import WsPrivateAsync

from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate

KEY = ("demo", "demo-secret", "demo-pass")


@asynccontextmanager
async def ccxt_of(sim: Simulator) -> AsyncIterator[Any]:
    """ccxt's OKX with the default key, its markets loaded."""
    key = {"apiKey": KEY[0], "secret": KEY[1], "password": KEY[2]}
    exchange = ccxt.pro.okx({**key, "enableRateLimit": False})
    exchange.urls["api"]["rest"] = sim.rest_url
    exchange.urls["api"]["ws"] = sim.ws_url
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


def test_ccxt_sees_the_account(sim: Simulator) -> None:
    """Currencies, balances, fees and leverage, each with the meaning that ccxt gives them."""

    async def run() -> None:
        async with ccxt_of(sim) as exchange:
            assert "USDT" in exchange.currencies
            balance = await exchange.fetch_balance()
            assert balance["total"]["USDT"] == balance["free"]["USDT"] == 100_000
            assert (balance["total"]["BTC"], balance["total"]["ETH"]) == (10, 100)
            assert (await exchange.fetch_trading_fee("BTC/USDT"))["taker"] == 0.001
            await exchange.set_leverage(7, "BTC/USDT:USDT", {"mgnMode": "cross"})
            leverage = await exchange.fetch_leverage("BTC/USDT:USDT", {"marginMode": "cross"})
            assert leverage["longLeverage"] == 7

    asyncio.run(run())


def test_ccxt_trades_by_rest_and_is_told_by_socket(sim: Simulator) -> None:
    """An order is created, watched, changed, fetched and canceled; another is filled, and its trade is known."""

    async def run() -> None:
        async with ccxt_of(sim) as exchange:
            watched = asyncio.create_task(exchange.watch_orders())
            traded = asyncio.create_task(exchange.watch_my_trades())
            balance = asyncio.create_task(exchange.watch_balance())
            assert (await asyncio.wait_for(balance, 20))["free"]["USDT"] == 100_000
            while not sim.subscribed("orders:ANY"):
                await asyncio.sleep(0.02)
            price = round((await exchange.fetch_ohlcv("BTC/USDT", limit=1))[-1][4] * 0.99, 1)
            order = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, price)
            (told,) = await asyncio.wait_for(watched, 20)
            assert (told["id"], told["status"], told["price"], told["amount"]) == (order["id"], "open", price, 0.01)
            assert [one["id"] for one in await exchange.fetch_open_orders("BTC/USDT")] == [order["id"]]
            await exchange.edit_order(order["id"], "BTC/USDT", "limit", "buy", 0.02, price)
            assert (await exchange.fetch_order(order["id"], "BTC/USDT"))["amount"] == 0.02
            await exchange.cancel_order(order["id"], "BTC/USDT")
            assert [one["id"] for one in await exchange.fetch_canceled_orders("BTC/USDT")] == [order["id"]]
            market = await exchange.create_order("BTC/USDT", "market", "sell", 0.5)
            trades = await asyncio.wait_for(traded, 20)
            assert {one["order"] for one in trades} == {market["id"]}
            closed = await exchange.fetch_closed_orders("BTC/USDT")
            assert [(one["id"], one["status"], one["filled"]) for one in closed] == [(market["id"], "closed", 0.5)]
            mine = await exchange.fetch_my_trades("BTC/USDT")
            assert sum(one["amount"] for one in mine) == pytest.approx(0.5)
            assert {one["id"] for one in trades} <= {one["id"] for one in mine}

    asyncio.run(run())


def test_ccxt_trades_by_socket(sim: Simulator) -> None:
    """Orders over the WebSocket, with the codes of instruments that REST told."""

    async def run() -> None:
        async with ccxt_of(sim) as exchange:
            price = round((await exchange.fetch_ohlcv("BTC/USDT", limit=1))[-1][4] * 0.99, 1)
            order = await exchange.create_order_ws("BTC/USDT", "limit", "buy", 0.01, price)
            edited = await exchange.edit_order_ws(order["id"], "BTC/USDT", "limit", "buy", 0.03, price)
            assert edited["id"] == order["id"]
            assert [one["sz"] for one in sim.account()["orders"]] == ["0.03"]
            assert (await exchange.cancel_order_ws(order["id"], "BTC/USDT"))["id"] == order["id"]
            assert sim.account()["orders"] == []
            with pytest.raises(ccxt.InsufficientFunds):
                await exchange.create_order("BTC/USDT", "limit", "buy", 100, price)
            with pytest.raises(ccxt.OrderNotFound):
                await exchange.fetch_order("1", "BTC/USDT")

    asyncio.run(run())


def test_ccxt_holds_a_position(sim: Simulator) -> None:
    """A swap is bought, watched as a position, and closed."""

    async def run() -> None:
        async with ccxt_of(sim) as exchange:
            await exchange.create_order("BTC/USDT:USDT", "market", "buy", 5)
            (held,) = await exchange.fetch_positions()
            assert (held["symbol"], held["contracts"], held["side"]) == ("BTC/USDT:USDT", 5, "long")
            (told,) = await asyncio.wait_for(exchange.watch_positions(), 20)
            assert (told["contracts"], told["entryPrice"]) == (5, held["entryPrice"])
            await exchange.create_order("BTC/USDT:USDT", "market", "sell", 5, None, {"reduceOnly": True})
            assert await exchange.fetch_positions() == []

    asyncio.run(run())


def test_ccxt_places_orders_that_wait_for_a_price(sim: Simulator) -> None:
    """A stop loss and a trigger wait, and are canceled."""

    async def run() -> None:
        async with ccxt_of(sim) as exchange:
            low = round((await exchange.fetch_ohlcv("BTC/USDT", limit=1))[-1][4] * 0.95, 1)
            stop = await exchange.create_order("BTC/USDT", "market", "sell", 0.01, None, {"stopLossPrice": low})
            trigger = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, low, {"triggerPrice": low})
            for order, kind in ((stop, "conditional"), (trigger, "trigger")):
                waiting = await exchange.fetch_open_orders("BTC/USDT", params={"trigger": True, "ordType": kind})
                assert [one["id"] for one in waiting] == [order["id"]]
            await exchange.cancel_orders([stop["id"], trigger["id"]], "BTC/USDT", {"trigger": True})
            assert await exchange.fetch_open_orders("BTC/USDT", params={"trigger": True}) == []

    asyncio.run(run())


def test_python_okx_trades(sim: Simulator) -> None:
    """OKX's own SDK: account, an order and its life, a batch, fills, currencies."""
    given: dict[str, Any] = {"flag": "0", "domain": sim.rest_url, "debug": False}
    account, trade, funding = AccountAPI(*KEY, **given), TradeAPI(*KEY, **given), FundingAPI(*KEY, **given)
    assert account.get_account_config()["data"][0]["uid"] == sim.account()["uid"]
    held = {one["ccy"]: one["cashBal"] for one in account.get_account_balance()["data"][0]["details"]}
    assert held == {"USDT": "100000", "BTC": "10", "ETH": "100"}
    assert {one["ccy"] for one in funding.get_currencies()["data"]} > set(held)
    plain = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy"}
    px = sim.place() and sim.account()["orders"][0]["px"]
    said = trade.place_order(**plain, ordType="limit", px=px, sz="0.01", clOrdId="sdk1")
    ord_id = said["data"][0]["ordId"]
    assert trade.get_order("BTC-USDT", clOrdId="sdk1")["data"][0]["ordId"] == ord_id
    assert trade.amend_order("BTC-USDT", ordId=ord_id, newSz="0.02")["code"] == "0"
    assert {one["sz"] for one in trade.get_order_list(instType="SPOT")["data"]} == {
        "0.02",
        sim.account()["orders"][0]["sz"],
    }
    assert trade.cancel_order("BTC-USDT", ordId=ord_id)["code"] == "0"
    assert trade.cancel_order("BTC-USDT", ordId=ord_id)["data"][0]["sCode"] == "51400"
    market = {**plain, "ordType": "market", "sz": "100"}
    said = trade.place_multiple_orders([market, {**market, "instId": "NO-SUCH"}])
    assert (said["code"], [one["sCode"] for one in said["data"]]) == ("2", ["0", "51001"])
    assert {one["ordId"] for one in trade.get_fills()["data"]} == {said["data"][0]["ordId"]}
    states = [one["state"] for one in trade.get_orders_history(instType="SPOT")["data"]]
    assert states == ["filled", "canceled"]
    wrong = AccountAPI(KEY[0], "not-the-secret", KEY[2], **given)
    assert wrong.get_account_balance()["code"] == "50113"


def test_python_okx_is_told_by_socket(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its private WebSocket, which insists on TLS: login, a subscription, an order, and the pushes about it."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate.cert)

    async def run(sim: Simulator) -> None:
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        client = WsPrivateAsync(KEY[0], KEY[2], KEY[1], sim.ws_url + "/private")
        consuming = await client.start()

        async def until(key: str, value: str) -> dict[str, Any]:
            while True:
                said = await asyncio.wait_for(heard.get(), 20)
                if said.get(key) == value or (said.get("arg", {}).get(key) == value and "data" in said):
                    return said

        await client.subscribe(
            [{"channel": "orders", "instType": "SPOT"}], lambda text: heard.put_nowait(json.loads(text))
        )
        assert (await until("event", "login"))["code"] == "0"
        await until("event", "subscribe")
        order = {"instIdCode": 10001, "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "100"}
        await client.place_order([order], id="sdk7")
        said = await until("id", "sdk7")
        assert (said["code"], said["data"][0]["sCode"]) == ("0", "0")
        states = []
        while "filled" not in states:
            (row,) = (await until("channel", "orders"))["data"]
            assert row["ordId"] == said["data"][0]["ordId"]
            states.append(row["state"])
        assert states[0] == "live"
        await client.stop()
        await consuming

    with Simulator(seed=7, limits=False, tls=(certificate.cert, certificate.key)) as sim:
        asyncio.run(run(sim))
