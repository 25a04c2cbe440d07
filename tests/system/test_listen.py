"""Listening to a real session: many at once, every push to each, in every form of publishing."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from bridge import KINDS
from houses import ACCOUNT, Shared
from waiting import eventually

from okws_celery import aio
from okws_celery.errors import DONE, BadCommand
from okws_celery.settings import load

ORDERS = 1_000


def order(number: int) -> dict[str, Any]:
    """A push of one order, as OKX sends it."""
    time = str(1_800_000_000_000 + number)
    row = {"instType": "SPOT", "instId": "BTC-USDT", "ordId": str(number), "state": "live", "uTime": time}
    return {"arg": {"channel": "orders", "instType": "ANY", "uid": "1"}, "data": [row]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_update_reaches_every_reader(shared: Shared, name: str, kind: str) -> None:
    """DEMAND story 8: reader gets the first of two order updates, never the second. Here 1,000 pushes come in one
    write, the stream has all of them, and so has each of two listeners."""
    client = shared.client
    assert client.open_ws(name, ACCOUNT)["errorCode"] == DONE
    assert client.subscribe(name, "orders:ANY")["errorCode"] == DONE
    # A session of another test may be logged in as well, so only this one's link is written to.
    (conn,) = [
        one.conn_id
        for one in shared.house.simulator.connections("private")
        if {"channel": "orders", "instType": "ANY"} in one.subscriptions
    ]
    texts = [json.dumps(order(number), separators=(",", ":")) for number in range(ORDERS)]
    seen: list[list[int]] = [[], []]
    with shared.house.client(kind=kind) as reading:
        listeners = [reading.listen(name, "orders:ANY", timeout=30) for _ in seen]

        def listen(listener: Any, numbers: list[int]) -> None:
            for item in listener:
                if not item.get("snapshot"):
                    numbers += [int(row["ordId"]) for row in item["data"]]
                if len(numbers) >= ORDERS:
                    return

        threads = [threading.Thread(target=listen, args=pair) for pair in zip(listeners, seen, strict=True)]
        for thread in threads:
            thread.start()
        shared.house.simulator.fault("together", conn=conn, texts=texts)
        for thread in threads:
            thread.join(90)
    assert seen == [list(range(ORDERS))] * 2
    logged = shared.registry.redis.xrange(f"okex/{name}/orders/log")
    assert [json.loads(fields["data"])["ordId"] for _, fields in logged] == [str(number) for number in range(ORDERS)]
    assert len(client.get(name, "orders")) == ORDERS
    client.close_ws(name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("publish", ["both", "pushes", "rows"])
def test_forms(shared: Shared, name: str, kind: str, publish: str) -> None:
    """A listener finds out in which form its session publishes: it hears the trades that Redis keeps, in every one."""
    assert shared.client.open_ws(name, publish=publish)["errorCode"] == DONE
    assert shared.client.subscribe(name, "trades:BTC-USDT")["errorCode"] == DONE
    ids: list[int] = []
    with (
        shared.house.client(kind=kind) as reading,
        reading.listen(name, "trades:BTC-USDT", timeout=30) as listener,
    ):
        for item in listener:
            ids += [int(row["tradeId"]) for row in item["data"]]
            if len(ids) > 20 and "snapshot" not in item:
                break
    kept = [int(row["tradeId"]) for row in shared.client.get(name, "trades:BTC-USDT")]
    assert ids == kept[: len(ids)]
    shared.client.close_ws(name)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_published(shared: Shared, name: str, kind: str) -> None:
    """A session that publishes nothing cannot be listened to, and says so."""
    assert shared.client.open_ws(name, publish="none")["errorCode"] == DONE
    with shared.house.client(kind=kind) as reading, pytest.raises(BadCommand, match="OKWS_PUBLISH"):
        reading.listen(name, "trades:BTC-USDT")
    shared.client.close_ws(name)


@pytest.mark.parametrize("kind", KINDS)
def test_session_closed_and_opened(shared: Shared, name: str, kind: str) -> None:
    """A listener outlives its session, and hears the next one of that name."""
    client, topic = shared.client, "tickers:BTC-USDT"
    with shared.house.client(kind=kind) as reading:
        listener = reading.listen(name, topic, events=True, timeout=30)
        for _ in range(2):
            client.open_ws(name)
            client.subscribe(name, topic)
            assert any("data" in item for item in listener)
            client.close_ws(name)
            assert any(item.get("op") == "EXIT" for item in listener)


def test_hundreds_of_coroutines(shared: Shared, name: str) -> None:
    """Calls, reads and listeners of one async client, hundreds at a time."""

    async def all_at_once() -> None:
        async with await aio.client(settings=load(shared.house.variables).with_(timeout_s=60)) as client:
            assert (await client.open_ws(name))["errorCode"] == DONE
            calls = [client.subscribe(name, "tickers:BTC-USDT", owner=f"o{number}") for number in range(300)]
            assert {said["errorCode"] for said in await asyncio.gather(*calls)} == {DONE}
            reads = [client.get(name, "tickers:BTC-USDT") for _ in range(1_000)]
            assert {ticker["instId"] for ticker in await asyncio.gather(*reads)} == {"BTC-USDT"}

            async def first_two() -> list[bool]:
                async with client.listen(name, "tickers:BTC-USDT") as listener:
                    return [item.get("snapshot", False) async for item, _ in _with_count(listener, 2)]

            assert await asyncio.gather(*[first_two() for _ in range(100)]) == [[True, False]] * 100
            assert (await client.close_ws(name))["errorCode"] == DONE

    asyncio.run(all_at_once())


def test_nothing_is_left(shared: Shared, name: str) -> None:
    """A client that was closed has no connection and no thread left."""

    async def use() -> None:
        async with await aio.client(settings=load(shared.house.variables)) as client:
            await client.open_ws(name)
            await client.subscribe(name, "tickers:BTC-USDT")
            await anext(client.listen(name, "tickers:BTC-USDT"))
            await client.close_ws(name)

    before = threading.active_count()
    asyncio.run(use())
    eventually(lambda: threading.active_count() <= before)


async def _with_count(listener: Any, count: int) -> Any:
    async for item in listener:
        yield item, count
        count -= 1
        if not count:
            return
