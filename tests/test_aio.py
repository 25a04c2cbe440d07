"""The module that programs written for okws imported, and how alike the two clients are."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from publisher import Publisher

from okws_celery import aio, sync
from okws_celery.errors import BAD_COMMAND, DONE, NO_SESSION, NO_WORKER, BadCommand, Stale


def methods(client: type) -> dict[str, Callable[..., Any]]:
    """The public methods of a client."""
    return {name: member for name, member in inspect.getmembers(client, inspect.isfunction) if name[0] != "_"}


class TestAlike:
    def test_methods(self) -> None:
        """Each has the methods of the other, with the same arguments, defaults and description."""
        threads, coroutines = methods(sync.Client), methods(aio.Client)
        assert threads.keys() == coroutines.keys()
        assert {"open_ws", "close_ws", "subscribe", "unsubscribe", "get", "listen", "frame", "close"} <= threads.keys()
        for name, method in threads.items():
            ours, theirs = inspect.signature(method), inspect.signature(coroutines[name])
            assert ours.parameters == theirs.parameters, name
            assert str(method.__doc__).replace("async iterator", "iterator")[:40] == str(coroutines[name].__doc__)[:40]

    def test_who_waits(self) -> None:
        """All but `listen`, which is an iterator, are awaited."""
        assert [name for name, one in methods(aio.Client).items() if not inspect.iscoroutinefunction(one)] == ["listen"]

    def test_made_alike(self) -> None:
        """So are the functions that make them."""
        assert inspect.signature(sync.client).parameters == inspect.signature(aio.client).parameters


class TestManyAtOnce:
    def test_reads_share_connections(self, redis_url: str) -> None:
        """Hundreds of reads at one time are all answered, over a few dozen connections."""

        async def program() -> int:
            client = await aio.client(redis_url)
            found = await asyncio.gather(*(client.get("crowd", "tickers:BTC-USDT") for _ in range(300)))
            assert found == [{"last": "1"}] * 300
            with redis.Redis.from_url(redis_url, decode_responses=True) as store:
                used = sum(other["cmd"] == "hgetall" for other in store.client_list())
            await client.close()
            return used

        with redis.Redis.from_url(redis_url, decode_responses=True) as store:
            store.hset("okex/crowd/tickers:BTC-USDT", "last", "1")
        assert 2 <= asyncio.run(program()) <= 40


class TestProgramsOfOkws:
    """`from okws_celery import aio as okws` and the calls of okws 2020."""

    def test_calls(self, redis_url: str) -> None:
        """As they were spelled then; there is no worker here, so what needs one says so."""

        async def program() -> None:
            from okws_celery import aio as okws

            okex = await okws.client(redis_url, timeout=0.3)
            assert (await okex.open_ws("tests", {"apiKey": "", "secret": "", "password": ""}))["errorCode"] == NO_WORKER
            assert (await okex.close_ws("tests"))["errorCode"] == NO_SESSION
            assert await okex.servers() == {"event": "info", "message": [], "errorCode": DONE}
            assert await okex.get("tests", "tickers", {"instrument_id": "ETH-USDT"}) == {}
            assert await okex.get("tests", "trades", {"instrument_id": "ETH-USDT", "n": 100}) == []
            assert (await okex.redis_clear())["errorCode"] == DONE
            assert (await okex.redis_clear("*"))["errorCode"] == BAD_COMMAND
            assert (await okex.server_quit())["errorCode"] == DONE
            await okex.close()

        asyncio.run(program())

    def test_n_among_the_parameters(self, redis_url: str) -> None:
        """It takes the newest rows, oldest first."""
        with Publisher(redis_url) as publisher:
            publisher.subscribe("trades:ETH-USDT")
            rows = [{"instId": "ETH-USDT", "tradeId": str(number), "ts": str(number)} for number in range(1, 6)]
            publisher.push("trades:ETH-USDT", *rows)

        async def read() -> Any:
            async with await aio.client(redis_url) as client:
                return await client.get("s1", "trades", {"instrument_id": "ETH-USDT", "n": 2})

        assert asyncio.run(read()) == rows[-2:]

    def test_what_raises(self, redis_url: str) -> None:
        """Reads raise what they cannot give, calls answer it."""

        async def read() -> None:
            async with await aio.client(redis_url) as client:
                with pytest.raises(BadCommand):
                    await client.get("tests", "tickerz:X")
                with pytest.raises(Stale):
                    await client.get("tests", "tickers:BTC-USDT", max_age=1)
                with pytest.raises(BadCommand):
                    await client.frame("tests", "tickers:BTC-USDT")
                with pytest.raises(BadCommand):
                    await client.get("tests", "trades:BTC-USDT", {"n": 0})
                assert (await client.subscribe("tests", "tickerz:X"))["errorCode"] == BAD_COMMAND
                assert (await client.status("tests"))["errorCode"] == NO_SESSION

        asyncio.run(read())

    def test_after_close(self, redis_url: str) -> None:
        """A client that was closed opens its connections again, as that for threads does."""

        async def call() -> None:
            client = await aio.client(redis_url)
            for _ in range(2):
                assert (await client.unsubscribe("nobody", "tickers:BTC-USDT"))["errorCode"] == NO_SESSION
                assert (await client.servers())["errorCode"] == DONE
                await client.close()

        asyncio.run(call())

    @pytest.mark.parametrize("wrong", [{"redis_url": 5}, {"redis_url": "http://x"}, {"timeout": 0}])
    def test_wrong(self, wrong: dict[str, Any]) -> None:
        """What a client cannot be made with is said when it is made."""
        with pytest.raises(BadCommand):
            asyncio.run(aio.client(**wrong))

    def test_names_of_the_module(self) -> None:
        """A name that is not there is an AttributeError, as of any module."""
        with pytest.raises(AttributeError, match="no attribute 'clinet'"):
            aio.clinet  # noqa: B018  # that it raises is what is asked


class TestRoundTrips:
    @pytest.mark.parametrize(("max_age", "commands"), [(None, 1), (1e9, 6)])
    def test_one(self, redis_url: str, max_age: float | None, commands: int) -> None:
        """A read of an async client is the bare command, no more; with `max_age` one transaction."""
        with redis.Redis.from_url(redis_url, decode_responses=True) as store:
            store.hset("okex/s1/tickers:BTC-USDT", mapping={"last": "1"})
            store.set("okex/s1/status", "CONNECTED")
            store.hset("okex/s1/topics", "tickers:BTC-USDT", json.dumps({"state": "live", "since": 1}))
            store.hset("okex/s1/seen", "tickers:BTC-USDT", 1_700_000_000_000)

            def processed() -> int:
                stats = store.info("commandstats")
                wanted = ("hgetall", "hget", "get", "multi", "exec")
                return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in wanted)

            async def read() -> int:
                async with await aio.client(redis_url) as client:
                    await client.get("s1", "tickers:BTC-USDT")
                    before = processed()
                    assert await client.get("s1", "tickers:BTC-USDT", max_age=max_age) == {"last": "1"}
                    return processed() - before

            assert asyncio.run(read()) == commands
