"""Contracts end at their expTime, and others begin: a simulator that runs past a Friday is an OKX of the next week."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from okws_celery.simulator.exchange import Options
from okws_celery.simulator.server import Server

WEEK_MS = 7 * 86_400_000
KINDS = {"FUTURES": "", "OPTION": "&instFamily=BTC-USD", "EVENTS": ""}


async def listed(session: aiohttp.ClientSession, server: Server) -> dict[str, int]:
    """What REST lists of contracts that end, with their expTime."""
    found = {}
    for kind, more in KINDS.items():
        async with session.get(f"{server.rest_url}/api/v5/public/instruments?instType={kind}{more}") as answer:
            found |= {one["instId"]: int(one["expTime"]) for one in (await answer.json())["data"]}
    return found


def test_a_friday_passes() -> None:
    """What expires is said to have, falls silent and is 60018; its orders and positions end; what is new can be had."""

    async def run(server: Server) -> None:
        exchange = server.exchange
        async with aiohttp.ClientSession() as session:
            before = await listed(session, server)
            friday = min(before.values())
            ending = {inst_id for inst_id, expires_ms in before.items() if expires_ms == friday}
            weekly = next(inst_id for inst_id in ending if inst_id.startswith("BTC-USDT-"))
            exchange.clock.go_on_from(friday - 3000)
            trader = next(iter(exchange.accounts)).trader
            order = {"tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
            exchange.floor.place(trader, order, exchange.instruments[weekly])
            async with session.ws_connect(server.ws_url + "/public") as ws:
                asked = [{"channel": "instruments", "instType": kind} for kind in KINDS]
                await ws.send_json({"op": "subscribe", "args": [*asked, {"channel": "tickers", "instId": weekly}]})
                states: dict[str, list[str]] = {"expired": [], "live": []}
                while len(states["expired"]) < len(ending) or not states["live"]:
                    said: dict[str, Any] = await ws.receive_json(timeout=20)
                    if "data" in said and said["arg"]["channel"] == "tickers":
                        assert weekly not in states["expired"]
                    elif "data" in said:
                        states[said["data"][0]["state"]].append(said["data"][0]["instId"])
                assert set(states["expired"]) == ending
                assert [one.size for one in trader.positions.values()] == [0]
                after = await listed(session, server)
                assert before.keys() - after.keys() == ending
                assert set(states["live"]) <= after.keys() - before.keys()
                assert min(after.values()) == friday + WEEK_MS
                fresh = next(inst_id for inst_id in after if inst_id.startswith("BTC-USDT-") and inst_id not in before)
                await ws.send_json({"op": "subscribe", "args": [{"channel": "tickers", "instId": weekly}]})
                await ws.send_json({"op": "subscribe", "args": [{"channel": "tickers", "instId": fresh}]})
                got = []
                while len(got) < 2:
                    text = await ws.receive_str(timeout=20)
                    got += [text] if '"error"' in text or f'"instId":"{fresh}","last"' in text else []
                assert json.loads(got[0])["code"] == "60018"
                exchange.floor.place(trader, order, exchange.instruments[fresh])
                assert sorted(one.size for one in trader.positions.values()) == [0, 1]

    async def serve() -> None:
        server = Server(Options(limits=False), "127.0.0.1", 0)
        await server.start()
        try:
            await run(server)
        finally:
            await server.stop()

    asyncio.run(serve())
