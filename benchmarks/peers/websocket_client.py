"""The blocking script: `websocket-client` and `redis-py`, command by command; a thread for each connection."""

import json
import sys
import threading

import redis
import websocket

from benchmarks.peers.rows import commands, paths, requests

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]


def follow(path: str, args: list[dict[str, str]]) -> None:
    store, books = redis.Redis.from_url(redis_url), {}
    ws = websocket.create_connection(f"{ws_url}/{path}")
    for request in requests(args):
        ws.send(request)
    while True:
        text = ws.recv()
        message = json.loads(text)
        if "data" in message:
            for command in commands(message, books):
                store.execute_command(*command)
            store.publish(f"okex/bench/{message['arg']['channel']}", text)


for path, args in paths(topics).items():
    threading.Thread(target=follow, args=(path, args)).start()
