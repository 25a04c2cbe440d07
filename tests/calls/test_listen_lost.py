"""A listener whose connection to Redis breaks off, goes dead, or is cut because its reader is slow."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from publisher import Publisher
from tcp_proxy import TcpProxy
from waiting import eventually

from okws_celery import aio
from okws_celery.calls.listening import Listening, conversation
from okws_celery.calls.talk import Effect, Fetch, Hear, Pause, Tell
from okws_celery.errors import StoreError
from okws_celery.settings import load
from okws_celery.sync import Client

BTC = "BTC-USDT"
TRADES = f"trades:{BTC}"


@pytest.fixture
def proxy(redis_url: str) -> Iterator[TcpProxy]:
    """A proxy before Redis, through which only the listener goes."""
    where = urlsplit(redis_url)
    with TcpProxy(where.hostname or "", where.port or 0) as made:
        yield made


@pytest.fixture
def far(proxy: TcpProxy, client_of: Callable[[str], Client]) -> Client:
    """A client behind the proxy."""
    return client_of(f"redis://127.0.0.1:{proxy.port}/0")


def trade(number: int) -> dict[str, str]:
    """A trade; its time rises with its number."""
    return {"instId": BTC, "tradeId": str(number), "px": "1", "sz": "2", "side": "buy", "ts": str(1_000_000 + number)}


def ticker(number: int) -> dict[str, str]:
    """A ticker."""
    return {"instId": BTC, "last": str(number), "ts": str(1_000_000 + number)}


def order(number: int, state: str, at: int) -> dict[str, str]:
    """An order."""
    return {"instType": "SPOT", "ordId": str(number), "state": state, "uTime": str(1_000_000 + at)}


def take(listener: Any, count: int) -> list[dict[str, Any]]:
    """So many items."""
    return list(itertools.islice(listener, count))


def gap(topic: str, start: int, end: int) -> dict[str, Any]:
    """What a listener says after it was away."""
    times = {"from": 1_000_000 + start, "to": 1_000_000 + end}
    return {"op": "GAP", "topic": topic, **times, "reason": "reader reconnected"}


class TestCut:
    """The connection ends; what came meanwhile is said to be missing, and then filled in from what Redis keeps."""

    def test_log(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """Each trade is given once, in order, behind the gap."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(1))
        with far.listen("s1", TRADES) as listener:
            publisher.push(TRADES, trade(2))
            assert len(take(listener, 2)) == 2
            proxy.refuse()
            assert proxy.cut()
            publisher.push(TRADES, trade(3))
            publisher.push(TRADES, trade(4), trade(5))
            proxy.refuse(False)
            first, *rows = take(listener, 4)
            publisher.push(TRADES, trade(6))
            rows += take(listener, 1)
        assert first == gap(TRADES, 2, 3)
        assert [push["data"] for push in rows] == [[trade(number)] for number in range(3, 7)]

    def test_nothing_missed(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """The gap is told also where nothing turns out to be missing."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(1))
        with far.listen("s1", TRADES) as listener:
            take(listener, 1)
            proxy.cut()
            assert take(listener, 1) == [gap(TRADES, 1, 1)]
            publisher.push(TRADES, trade(2))
            assert take(listener, 1)[0]["data"] == [trade(2)]

    def test_latest(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """The value as it stands now."""
        topic = f"tickers:{BTC}"
        publisher.subscribe(topic)
        publisher.push(topic, ticker(1))
        with far.listen("s1", topic) as listener:
            take(listener, 1)
            proxy.refuse()
            proxy.cut()
            publisher.push(topic, ticker(2))
            publisher.push(topic, ticker(3))
            proxy.refuse(False)
            first, second = take(listener, 2)
        assert first == gap(topic, 1, 3)
        assert (second["data"], second["snapshot"]) == ([ticker(3)], True)

    def test_orders(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """What happened to an order meanwhile is told row by row, then how things stand: nothing is open."""
        publisher.subscribe("orders:SPOT")
        publisher.push("orders:SPOT", order(1, "live", 1))
        with far.listen("s1", "orders:SPOT") as listener:
            publisher.push("orders:SPOT", order(2, "live", 2))
            take(listener, 2)
            proxy.refuse()
            proxy.cut()
            missed = [order(1, "partially_filled", 3), order(1, "filled", 4), order(2, "canceled", 5)]
            for row in missed:
                publisher.push("orders:SPOT", row)
            proxy.refuse(False)
            first, *rows, last = take(listener, 5)
        assert first == gap("orders:SPOT", 2, 3)
        assert [push["data"] for push in rows] == [[row] for row in missed]
        assert (last["data"], last["snapshot"]) == ([], True)

    def test_gaps_meanwhile(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """Gaps that the session announced while the listener was away are told afterwards, and only once."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(1))
        with far.listen("s1", TRADES) as listener:
            publisher.broken(TRADES, "first")
            take(listener, 2)
            proxy.refuse()
            proxy.cut()
            publisher.push(TRADES, trade(2))
            publisher.broken(TRADES, "second")
            proxy.refuse(False)
            items = take(listener, 4)
        assert [item.get("reason") for item in items] == ["reader reconnected", None, "first", "second"]

    def test_again_and_again(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """Ten cuts: ten gaps, and every trade once."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(0))
        with far.listen("s1", TRADES) as listener:
            items = take(listener, 1)
            for number in range(1, 11):
                proxy.cut()
                publisher.push(TRADES, trade(number))
                items += take(listener, 2)
        assert sum("op" in item for item in items) == 10
        assert [row for item in items for row in item.get("data", ())] == [trade(number) for number in range(11)]

    def test_timeout_while_away(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """With a timeout the reader is told that Redis is away, and can go on when it is back."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(1))
        with far.listen("s1", TRADES, timeout=0.5) as listener:
            take(listener, 1)
            proxy.refuse()
            proxy.cut()
            with pytest.raises(StoreError, match=str(proxy.port)):
                next(listener)
            proxy.refuse(False)
            assert eventually(lambda: _next_or_none(listener), timeout=20) == gap(TRADES, 1, 1)


class TestDead:
    def test_black_hole(self, far: Client, proxy: TcpProxy, publisher: Publisher) -> None:
        """DEMAND story 9, the reader: nothing comes through and nothing ends. The awaited pong tells."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(1))
        far.get("s1", TRADES)  # so that the client has a connection that goes dead as well
        with far.listen("s1", TRADES) as listener:
            take(listener, 1)
            assert proxy.black_hole() >= 2
            publisher.push(TRADES, trade(2))
            assert take(listener, 2) == [
                gap(TRADES, 1, 2),
                {
                    "arg": {"channel": "trades", "instId": BTC},
                    "data": [trade(2)],
                    "replay": True,
                    "id": "1000002-2",
                },
            ]

    def test_silence(self, redis_url: str) -> None:
        """A quiet connection is pinged every 3 s and given up 5 s after a ping that nothing answers."""
        talk = conversation(Listening(load({"OKWS_REDIS_URL": redis_url}), "s1", TRADES, None, False))
        _start(talk)
        assert talk.send([[b"pong", b"fence"]]) == Hear(0.5)
        for _ in range(3):
            assert _silence(talk) == (Tell(("PING",)), 3.0)
            assert talk.send(None) == Hear(0.5)
            assert talk.send([[b"pong", b""]]) == Hear(0.5)
        assert _silence(talk) == (Tell(("PING",)), 3.0)
        talk.send(None)
        effect, silent_s = _silence(talk)
        assert isinstance(effect, Pause)
        assert silent_s == 5.0

    def test_fence_unanswered(self, redis_url: str) -> None:
        """The ping that follows the read must be answered like any other."""
        talk = conversation(Listening(load({"OKWS_REDIS_URL": redis_url}), "s1", TRADES, None, False))
        _start(talk)
        effect, silent_s = _silence(talk)
        assert isinstance(effect, Pause)
        assert silent_s == 5.0

    def test_slow_reader(self, far: Client, publisher: Publisher) -> None:
        """A reader that Redis cuts off because it does not read learns that, and what it missed."""
        publisher.redis.config_set("client-output-buffer-limit", "pubsub 1mb 1mb 0")
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(0))
        with far.listen("s1", TRADES) as listener:
            items = take(listener, 1)
            padding = "x" * 1_000
            for start in range(1, 40_000, 500):
                for number in range(start, start + 500):
                    publisher.push(TRADES, trade(number) | {"pad": padding}, flush=False)
                publisher.flush()
            while "op" not in items[-1]:
                items += take(listener, 1)
            first = int(next(listener)["data"][0]["tradeId"])
        # What lay in buffers is given before the gap; what Redis keeps of the rest comes after it.
        before = [int(item["data"][0]["tradeId"]) for item in items[:-1]]
        assert before == list(range(len(before)))
        assert len(before) < 40_000
        assert items[-1]["from"] == 1_000_000 + before[-1]
        assert items[-1]["to"] == 1_000_000 + first


class TestReaders:
    def test_closed_from_another_thread(self, redis_url: str, publisher: Publisher) -> None:
        """Who waits for the next push is let go when the listener is closed."""
        client = Client(load({"OKWS_REDIS_URL": redis_url}))
        listener = client.listen("s1", TRADES)
        waiting = threading.Thread(target=list, args=(listener,))
        waiting.start()
        listener.close()
        waiting.join(20)
        assert not waiting.is_alive()
        client.close()
        eventually(lambda: publisher.redis.pubsub_channels() == [])

    @pytest.mark.parametrize("away", [False, True])
    def test_closed_from_another_task(self, redis_url: str, free_port: Callable[[], int], away: bool) -> None:
        """The same for coroutines, also while Redis is away."""
        url = f"redis://127.0.0.1:{free_port()}/0" if away else redis_url

        async def read() -> list[Any]:
            async with await aio.client(url) as client:
                listener = client.listen("s1", TRADES)
                waiting = asyncio.ensure_future(anext(listener, None))
                await asyncio.sleep(0.05)
                await listener.close()
                return [await waiting, [item async for item in listener]]

        assert asyncio.run(read()) == [None, []]

    def test_two_threads_share_one(self, redis_url: str, publisher: Publisher) -> None:
        """Each push goes to one of them."""
        publisher.subscribe(TRADES)
        seen: list[dict[str, Any]] = []
        with Client(load({"OKWS_REDIS_URL": redis_url})) as client, client.listen("s1", TRADES, timeout=5) as listener:
            threads = [threading.Thread(target=lambda: seen.extend(take(listener, 100))) for _ in range(2)]
            for thread in threads:
                thread.start()
            for number in range(200):
                publisher.push(TRADES, trade(number))
            for thread in threads:
                thread.join(60)
        assert sorted(int(item["data"][0]["tradeId"]) for item in seen) == list(range(200))

    def test_cancelled_waits(self, redis_url: str, publisher: Publisher) -> None:
        """A coroutine that is cancelled while it waits for the next push takes nothing with it."""
        publisher.subscribe(TRADES)

        async def read() -> list[int]:
            seen: list[int] = []
            async with await aio.client(redis_url) as client, client.listen("s1", TRADES) as listener:
                for number in range(300):
                    if number % 3 == 0:
                        publisher.push(TRADES, trade(number), trade(number + 1), trade(number + 2))
                    try:
                        item = await asyncio.wait_for(anext(listener), 0.0001 * (number % 7))
                    except TimeoutError:
                        continue
                    seen += [int(row["tradeId"]) for row in item["data"]]
                while len(seen) < 300:
                    seen += [int(row["tradeId"]) for row in (await anext(listener))["data"]]
            return seen

        assert asyncio.run(read()) == list(range(300))

    def test_cancelled_while_it_begins(self, redis_url: str, publisher: Publisher) -> None:
        """Nor does one that is cancelled while the listener connects, subscribes and reads."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(0))

        async def read() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = []
            async with await aio.client(redis_url) as client:
                for steps in range(60):
                    listener = client.listen("s1", TRADES)
                    waiting = asyncio.ensure_future(anext(listener))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    waiting.cancel()
                    await asyncio.wait([waiting])
                    items.append(await anext(listener) if waiting.cancelled() else waiting.result())
                    await listener.close()
            return items

        assert [item["data"] for item in asyncio.run(read())] == [[trade(0)]] * 60

    def test_cancelled_on_the_way_in(self, redis_url: str, publisher: Publisher) -> None:
        """A visitor who left while `async with client.listen(...)` began leaves no connection open behind."""
        publisher.subscribe(TRADES)
        publisher.push(TRADES, trade(0))

        async def read() -> int:
            begun = 0
            async with await aio.client(redis_url) as client:

                async def visit() -> None:
                    nonlocal begun
                    async with client.listen("s1", TRADES) as listener:
                        begun += 1
                        async for _ in listener:
                            pass

                for steps in range(60):
                    visiting = asyncio.ensure_future(visit())
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    visiting.cancel()
                    await asyncio.wait([visiting])
                    assert visiting.cancelled()
                assert len(asyncio.all_tasks()) == 1
            return begun

        gc.collect()  # what other tests have left
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            assert asyncio.run(read()) < 60
            gc.collect()
        assert not [str(one.message) for one in warned if issubclass(one.category, ResourceWarning)]

    def test_memory(self, redis_url: str, far: Client, publisher: Publisher) -> None:
        """DEMAND story 11: subscriber grows for ever. Here what a listener holds stays as it was."""
        publisher.subscribe(f"tickers:{BTC}")
        with far.listen("s1", f"tickers:{BTC}") as listener:
            counts = []
            for start in range(0, 40_000, 10_000):
                for number in range(start, start + 10_000, 200):
                    for each in range(number, number + 200):
                        publisher.push(f"tickers:{BTC}", ticker(each), flush=False)
                    publisher.flush()
                    assert len(take(listener, 200)) == 200
                gc.collect()
                counts.append(len(gc.get_objects()))
        assert counts[-1] - counts[1] < 2_000, counts


def _start(talk: Any) -> None:
    """The first steps of a conversation whose Redis does all that it is asked to, up to where it hears."""
    effect, confirmations = next(talk), []
    while True:
        match effect:
            case Fetch():
                effect = talk.send("both")
            case Tell(("SUBSCRIBE", *channels)):
                confirmations = [[b"subscribe", channel.encode(), 1] for channel in channels]
                effect = talk.send(None)
            case Hear() if confirmations:
                effect, confirmations = talk.send(confirmations), []
            case Hear():
                return
            case _:
                effect = talk.send(None)


def _silence(talk: Any) -> tuple[Effect, float]:
    """What it does when nothing comes, and after how many seconds."""
    effect, silent_s = Hear(0.5), 0.0
    while isinstance(effect, Hear):
        silent_s += effect.seconds
        effect = talk.send([])
    return effect, silent_s


def _next_or_none(listener: Any) -> Any:
    try:
        return next(listener, None)
    except StoreError:
        return None
