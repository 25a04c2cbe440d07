"""The blocking script: `websocket-client` and `redis-py`, two commands for each message."""

import json
import sys

import redis
import websocket

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
store = redis.Redis.from_url(redis_url)
ws = websocket.create_connection(ws_url + "/public")
args = [dict(zip(("channel", "instId"), topic.split(":"), strict=True)) for topic in topics]
ws.send(json.dumps({"op": "subscribe", "args": args}))
while True:
    text = ws.recv()
    message = json.loads(text)
    if "data" not in message:
        continue
    channel, inst_id = message["arg"]["channel"], message["arg"]["instId"]
    for row in message["data"]:
        if channel == "trades":
            store.xadd(f"okex/bench/trades:{inst_id}", {"data": json.dumps(row)}, maxlen=10_000, approximate=True)
        else:
            flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
            store.hset(f"okex/bench/{channel}:{inst_id}", mapping=flat)
    store.publish(f"okex/bench/{channel}", text)
