"""`ccxt`'s watch methods in loops, and `redis.asyncio`: of what comes between two turns only the last is seen."""

import asyncio
import json
import sys

import ccxt.pro
import redis.asyncio

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
names = sorted({topic.partition(":")[2] for topic in topics})
channels = {topic.partition(":")[0] for topic in topics}


def market(exchange: ccxt.pro.okx, name: str) -> dict[str, object]:
    base, _, quote = name.partition("-")
    parts = {"id": name, "symbol": f"{base}/{quote}", "base": base, "quote": quote, "baseId": base, "quoteId": quote}
    return exchange.safe_market_structure(parts | {"type": "spot", "spot": True, "active": True})


async def watch(exchange: ccxt.pro.okx, store: redis.asyncio.Redis, channel: str) -> None:
    symbols = [name.replace("-", "/") for name in names]
    method = exchange.watch_tickers if channel == "tickers" else exchange.watch_trades_for_symbols
    while True:
        got = await method(symbols)
        for one in got.values() if isinstance(got, dict) else got:
            row = one["info"]
            key = f"okex/bench/{channel}:{row['instId']}"
            if channel == "trades":
                await store.xadd(key, {"data": json.dumps(row)}, maxlen=10_000, approximate=True)
            else:
                await store.hset(key, mapping=row)
            arg = {"channel": channel, "instId": row["instId"]}
            await store.publish(f"okex/bench/{channel}", json.dumps({"arg": arg, "data": [row]}))


async def main() -> None:
    exchange = ccxt.pro.okx({"newUpdates": True})
    exchange.urls["api"]["ws"] = ws_url
    exchange.set_markets([market(exchange, name) for name in names])
    store = redis.asyncio.Redis.from_url(redis_url)
    await asyncio.gather(*(watch(exchange, store, channel) for channel in channels))


asyncio.run(main())
