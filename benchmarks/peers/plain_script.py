"""What one writes in an afternoon: `websockets`, `redis.asyncio` and `json`, command by command."""

import asyncio
import json
import sys

import redis.asyncio
import websockets

from benchmarks.peers.rows import commands, paths, requests

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]


async def follow(store: redis.asyncio.Redis, path: str, args: list[dict[str, str]]) -> None:
    books = {}
    async with websockets.connect(f"{ws_url}/{path}", max_size=None) as ws:
        for request in requests(args):
            await ws.send(request)
        async for text in ws:
            message = json.loads(text)
            if "data" in message:
                for command in commands(message, books):
                    await store.execute_command(*command)
                await store.publish(f"okex/bench/{message['arg']['channel']}", text)


async def main() -> None:
    store = redis.asyncio.Redis.from_url(redis_url)
    await asyncio.gather(*(follow(store, path, args) for path, args in paths(topics).items()))


asyncio.run(main())
