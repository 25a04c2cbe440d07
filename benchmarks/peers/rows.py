"""What the peers store of one push: the commands that this project's own keys are made of, one by one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from sortedcontainers import SortedDict

__all__ = ["Book", "commands", "paths", "requests"]


class Book:
    """A merged order book, best price first on each side."""

    def __init__(self) -> None:
        self.sides = {"asks": SortedDict(), "bids": SortedDict(lambda price: -price)}

    def merge(self, action: str, row: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            if action == "snapshot":
                side.clear()
            for level in row[name]:
                if level[1] == "0":
                    side.pop(float(level[0]), None)
                else:
                    side[float(level[0])] = level
        self.ts, self.seq_id = row["ts"], row["seqId"]

    def command(self, key: str, encode: Callable[[Any], str | bytes] = json.dumps) -> tuple[Any, ...]:
        sides = {name: encode(list(side.values())) for name, side in self.sides.items()}
        fields = sides | {"ts": self.ts, "seqId": self.seq_id, "state": "live"}
        return ("HSET", key, *(part for pair in fields.items() for part in pair))


def commands(message: dict[str, Any], books: dict[str, Book]) -> list[tuple[Any, ...]]:
    """For one push, as decoded from JSON; `books` are those merged so far, by key."""
    channel, inst_id = message["arg"]["channel"], message["arg"]["instId"]
    key = f"okex/bench/{channel}:{inst_id}"
    made: list[tuple[Any, ...]] = []
    for row in message["data"]:
        if channel == "trades":
            made.append(("XADD", key, "MAXLEN", "~", 10_000, "*", "data", json.dumps(row)))
        elif channel == "books":
            book = books.setdefault(key, Book())
            book.merge(message["action"], row)
            made.append(book.command(key))
        elif channel.startswith("candle"):
            made += [("ZREMRANGEBYSCORE", key, row[0], row[0]), ("ZADD", key, row[0], json.dumps(row))]
        else:
            flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
            made.append(("HSET", key, *(part for pair in flat.items() for part in pair)))
    return made


def requests(args: list[dict[str, str]]) -> Iterator[str]:
    """What subscribes them: the exchange takes no request above 64 KB (PROTOCOL 2)."""
    for start in range(0, len(args), 500):
        yield json.dumps({"op": "subscribe", "args": args[start : start + 500]})


def paths(topics: list[str]) -> dict[str, list[dict[str, str]]]:
    """What to subscribe at each path of the exchange that is needed (PROTOCOL 1.2): its args."""
    args: dict[str, list[dict[str, str]]] = {}
    for topic in topics:
        channel, _, inst_id = topic.partition(":")
        path = "business" if channel.startswith("candle") else "public"
        args.setdefault(path, []).append({"channel": channel, "instId": inst_id})
    return args
