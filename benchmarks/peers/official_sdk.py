"""The exchange's own SDK, `python-okx`, and `redis-py`, two commands for each message.

The SDK insists on TLS; to compare like with like, its connection is made without where the stream has none.
"""

import asyncio
import json
import sys

import redis
import websockets
from okx.websocket.WsPublicAsync import WsPublicAsync

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
store = redis.Redis.from_url(redis_url)


def on_message(text: str) -> None:
    message = json.loads(text)
    if "data" not in message:
        return
    channel, inst_id = message["arg"]["channel"], message["arg"]["instId"]
    for row in message["data"]:
        if channel == "trades":
            store.xadd(f"okex/bench/trades:{inst_id}", {"data": json.dumps(row)}, maxlen=10_000, approximate=True)
        else:
            flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
            store.hset(f"okex/bench/{channel}:{inst_id}", mapping=flat)
    store.publish(f"okex/bench/{channel}", text)


async def main() -> None:
    sdk = WsPublicAsync(ws_url + "/public")
    if ws_url.startswith("ws:"):
        sdk.factory.connect = lambda: websockets.connect(sdk.url, max_size=None)
    consumer = await sdk.start()
    args = [dict(zip(("channel", "instId"), topic.split(":"), strict=True)) for topic in topics]
    await sdk.subscribe(args, on_message)
    await consumer


asyncio.run(main())
