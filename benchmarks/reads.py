"""What a read costs beside the bare command of redis-py on the same Redis, in the same process, by turns."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import redis
import redis.asyncio

import okws_celery
from okws_celery import aio
from okws_celery.embedded import EmbeddedRedis

__all__ = ["reads"]

_CALLS = 200
_NAME = "bench"
_SYNC = ("redis-py", "redis-py, json.loads", "client().get", "ratio")
_ASYNC = ("redis.asyncio", "aio.client().get", "ratio ")
_TICKER = "okex/bench/tickers:BTC-USDT"
_CANDLES = "okex/bench/candle1m:BTC-USDT"
_BOOK = "okex/bench/books:BTC-USDT"


@dataclass(frozen=True)
class _Case:
    name: str
    ours: tuple[Any, ...]
    bare: tuple[Any, ...]
    decoded: Callable[[Any], Any]
    """What a reader makes of the bare command's reply, to have what ours gives."""


def _decoded_book(book: dict[str, str]) -> dict[str, Any]:
    return book | {side: json.loads(book[side]) for side in ("bids", "asks")}


_CASES = (
    _Case("a ticker", (_NAME, "tickers:BTC-USDT"), ("HGETALL", _TICKER), dict),
    _Case(
        "100 candles",
        (_NAME, "candle1m:BTC-USDT", None, 100),
        ("ZRANGE", _CANDLES, -100, -1),
        lambda rows: list(map(json.loads, rows)),
    ),
    _Case("a book of 400 levels", (_NAME, "books:BTC-USDT"), ("HGETALL", _BOOK), _decoded_book),
)


def reads(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """A line for each read: us a call, medians over the rounds, and their ratio."""
    with EmbeddedRedis(folder) as server:
        _fill(server.url)
        sync = _sync(server.url, rounds)
        aside = asyncio.run(_async(server.url, rounds))
    lines = []
    for case in _CASES:
        line: dict[str, Any] = {"read": case.name}
        for names, (bare, *others) in ((_SYNC, sync[case.name]), (_ASYNC, aside[case.name])):
            line |= dict(zip(names, (bare, *others, others[-1] / bare), strict=True))
        lines.append(line)
    return lines


def _sync(url: str, rounds: int) -> dict[str, tuple[float, ...]]:
    store = redis.Redis.from_url(url, decode_responses=True)
    with okws_celery.client(url) as client:
        return {
            case.name: _by_turns(
                rounds,
                lambda case=case: store.execute_command(*case.bare),
                lambda case=case: case.decoded(store.execute_command(*case.bare)),
                lambda case=case: client.get(*case.ours),
            )
            for case in _CASES
        }


def _by_turns(rounds: int, *calls: Callable[[], Any]) -> tuple[float, ...]:
    taken: tuple[list[float], ...] = tuple([] for _ in calls)
    for _ in range(rounds):
        for times, call in zip(taken, calls, strict=True):
            began = time.perf_counter()
            for _ in range(_CALLS):
                call()
            times.append((time.perf_counter() - began) / _CALLS * 1e6)
    return tuple(map(median, taken))


async def _async(url: str, rounds: int) -> dict[str, tuple[float, float]]:
    store = redis.asyncio.Redis.from_url(url, decode_responses=True)
    found = {}
    async with await aio.client(url) as client:
        for case in _CASES:
            taken: tuple[list[float], list[float]] = [], []
            calls: tuple[Callable[[], Awaitable[Any]], ...] = (
                lambda case=case: store.execute_command(*case.bare),
                lambda case=case: client.get(*case.ours),
            )
            for _ in range(rounds):
                for times, call in zip(taken, calls, strict=True):
                    began = time.perf_counter()
                    for _ in range(_CALLS):
                        await call()
                    times.append((time.perf_counter() - began) / _CALLS * 1e6)
            found[case.name] = median(taken[0]), median(taken[1])
    await store.aclose()
    return found


def _fill(url: str) -> None:
    """Keys as a session writes them: rows as the exchange sends them, which is without a space."""
    with redis.Redis.from_url(url) as store:
        prices = "last askPx bidPx open24h high24h low24h sodUtc0 sodUtc8 lastSz askSz bidSz volCcy24h vol24h".split()
        names = {"instType": "SPOT", "instId": "BTC-USDT", "ts": "1786613174000"}
        store.hset(_TICKER, mapping=dict.fromkeys(prices, "63707.31") | names)
        for minute in range(300):
            ts = 1786613160000 + 60_000 * minute
            row = [str(ts), "63707.3", "63709", "63700.1", "63707.2", "12.5", "796341.2", "796341.2", "1"]
            store.zadd(_CANDLES, {msgspec.json.encode(row): ts})
        sides = {
            side: msgspec.json.encode([[f"{63707 + sign * level / 10:.1f}", "0.5", "0", "1"] for level in range(400)])
            for side, sign in (("bids", -1), ("asks", 1))
        }
        store.hset(_BOOK, mapping=sides | {"ts": "1786613174000", "seqId": "12", "state": "live"})
