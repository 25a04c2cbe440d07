"""What one writes in an afternoon: `websockets`, `redis.asyncio` and `json`, two commands for each message."""

import asyncio
import json
import sys

import redis.asyncio
import websockets


async def main(ws_url: str, redis_url: str, topics: list[str]) -> None:
    store = redis.asyncio.Redis.from_url(redis_url)
    async with websockets.connect(ws_url + "/public", max_size=None) as ws:
        args = [dict(zip(("channel", "instId"), topic.split(":"), strict=True)) for topic in topics]
        await ws.send(json.dumps({"op": "subscribe", "args": args}))
        async for text in ws:
            message = json.loads(text)
            if "data" not in message:
                continue
            channel, inst_id = message["arg"]["channel"], message["arg"]["instId"]
            for row in message["data"]:
                if channel == "trades":
                    key, data = f"okex/bench/trades:{inst_id}", {"data": json.dumps(row)}
                    await store.xadd(key, data, maxlen=10_000, approximate=True)
                else:
                    flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
                    await store.hset(f"okex/bench/{channel}:{inst_id}", mapping=flat)
            await store.publish(f"okex/bench/{channel}", text)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
