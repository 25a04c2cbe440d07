"""The exchange's own SDK, `python-okx`, and `redis-py`, command by command.

The SDK insists on TLS; to compare like with like, its connection is made without where the stream has none.
"""

import asyncio
import json
import sys

import redis
import websockets
from okx.websocket.WsPublicAsync import WsPublicAsync

from benchmarks.peers.rows import commands, paths

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
store, books = redis.Redis.from_url(redis_url), {}


def on_message(text: str) -> None:
    message = json.loads(text)
    if "data" in message:
        for command in commands(message, books):
            store.execute_command(*command)
        store.publish(f"okex/bench/{message['arg']['channel']}", text)


async def follow(path: str, args: list[dict[str, str]]) -> None:
    sdk = WsPublicAsync(f"{ws_url}/{path}")
    if ws_url.startswith("ws:"):
        sdk.factory.connect = lambda: websockets.connect(sdk.url, max_size=None)
    consumer = await sdk.start()
    await sdk.subscribe(args, on_message)
    await consumer


async def main() -> None:
    await asyncio.gather(*(follow(path, args) for path, args in paths(topics).items()))


asyncio.run(main())
