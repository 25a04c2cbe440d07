"""Orders sent by clients and tasks, through a real worker."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from houses import ACCOUNT, House, Shared
from waiting import eventually
from workers import Worker

from okws_celery import aio
from okws_celery.errors import BAD_COMMAND, DONE, NO_SESSION, NO_WORKER, UNKNOWN_OUTCOME, Answer
from okws_celery.sync import Client

DOCS = Path(__file__).parent.parent.parent / "docs"
BTC = 10001
"""Its instIdCode."""


def placing(cl_ord_id: str, **more: Any) -> dict[str, Any]:
    """The op that places an order that nobody fills."""
    asked = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1000", "sz": "0.001"}
    return {"op": "order", "args": [{**asked, "clOrdId": cl_ord_id}], **more}


def placed(house: House, cl_ord_id: str) -> int:
    """How many requests to place this order arrived at the exchange."""
    requests = [request for request in house.simulator.requests if request.op == "order"]
    return sum(arg.get("clOrdId") == cl_ord_id for request in requests for arg in request.args)


@pytest.fixture
def opened(shared: Shared, name: str) -> Iterator[str]:
    """A session that is logged in."""
    assert shared.client.open_ws(name, ACCOUNT)["errorCode"] == DONE
    yield name
    shared.client.close_ws(name)


class TestClient:
    """client.send"""

    def test_order(self, shared: Shared, opened: str) -> None:
        """Placed by instId and canceled by code; OKX's replies come back with the caller's ids."""
        said = shared.client.send(opened, placing(opened, id="1512"))
        assert (said["event"], said["errorCode"], said["reply"]["id"]) == ("info", DONE, "1512")
        ord_id = said["reply"]["data"][0]["ordId"]
        gone = shared.client.send(
            opened, {"op": "cancel-order", "args": [{"instIdCode": BTC, "ordId": ord_id}], "id": "1513"}
        )
        assert (gone["errorCode"], gone["reply"]["id"]) == (DONE, "1513")

    def test_fifty_at_once(self, shared: Shared, opened: str) -> None:
        """Threads of one client, each with its own order."""
        said: dict[str, Answer] = {}

        def place(cl_ord_id: str) -> None:
            said[cl_ord_id] = shared.client.send(opened, placing(cl_ord_id))

        names = [f"{opened}n{number}" for number in range(50)]
        threads = [threading.Thread(target=place, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {name: one["errorCode"] for name, one in said.items()} == dict.fromkeys(names, DONE)
        assert {name: one["reply"]["data"][0]["clOrdId"] for name, one in said.items()} == {one: one for one in names}

    def test_subscribe_is_no_op(self, shared: Shared, opened: str) -> None:
        """A subscribe through send is the same wish as by `subscribe`: recorded, kept over reconnects, left again."""
        topics = ["tickers:BTC-USDT", {"channel": "trades", "instId": "ETH-USDT"}]
        said = shared.client.send(opened, {"op": "subscribe", "args": topics})
        assert said["errorCode"] == DONE
        assert set(said["topics"]) == {"tickers:BTC-USDT", "trades:ETH-USDT"}
        assert {state["state"] for state in shared.client.topics(opened).values()} == {"live"}
        said = shared.client.send(opened, {"op": "unsubscribe", "args": topics[:1]})
        assert said["errorCode"] == DONE
        assert list(shared.client.topics(opened)) == ["trades:ETH-USDT"]
        said = shared.client.send(opened, {"op": "subscribe", "args": ["tickers:NO-SUCH"]})
        assert said["errorCode"] == 60018

    @pytest.mark.parametrize(
        ("op", "complaint"),
        [
            ({"op": "login", "args": [{"apiKey": "hidden"}]}, "logs in by itself"),
            ({"op": "order"}, "'args' is missing"),
            ({"op": "subscribe"}, "'args' is missing"),
            ({"op": "subscribe", "args": ["nope"]}, "nope"),
            ({"op": "batch-orders", "args": [{"tag": "x" * 70_000}]}, "64 KB"),
            ("order", "as OKX takes it"),
        ],
    )
    def test_wrong_op(self, shared: Shared, opened: str, op: Any, complaint: str) -> None:
        """One line says what is wrong."""
        said = shared.client.send(opened, op)
        assert said["errorCode"] == BAD_COMMAND
        assert complaint in said["message"]
        assert "hidden" not in said["message"]

    def test_wrong_timeout(self, shared: Shared, opened: str) -> None:
        """As with every call."""
        assert shared.client.send(opened, placing("a"), timeout=0)["errorCode"] == BAD_COMMAND

    def test_who_may_not(self, shared: Shared, name: str) -> None:
        """No session, a session without a login."""
        assert shared.client.send(name, placing("a"))["errorCode"] == NO_SESSION
        assert shared.client.open_ws(name)["errorCode"] == DONE
        said = shared.client.send(name, placing("a"))
        assert said["errorCode"] == BAD_COMMAND
        assert "login" in said["message"]
        shared.client.close_ws(name)

    def test_reply_that_does_not_come(self, shared: Shared, opened: str) -> None:
        """Unknown, and the answer does not pretend to know."""
        fault = shared.house.simulator.fault("late_ack", op="order", times=1)
        said = shared.client.send(opened, placing(opened), timeout=1.0)
        shared.house.simulator.end_fault(fault)
        assert said["errorCode"] == UNKNOWN_OUTCOME
        assert "unknown outcome" in said["message"]
        assert placed(shared.house, opened) == 1

    def test_worker_is_gone(self, house: House, client: Client, start: Callable[..., Worker]) -> None:
        """Killed: no worker takes the command, so certainly nothing was sent, and the next one sends nothing."""
        first = start()
        assert client.open_ws("s1", ACCOUNT)["errorCode"] == DONE
        first.process.kill()
        first.process.wait()
        said = client.send("s1", placing("lost"), timeout=0.5)
        assert said["errorCode"] == NO_WORKER
        assert "not sent" in said["message"]
        start()
        assert client.send("s1", placing("next"), timeout=30)["errorCode"] == DONE
        assert (placed(house, "lost"), placed(house, "next")) == (0, 1)

    def test_worker_is_killed_before_the_reply(
        self, house: House, client: Client, start: Callable[..., Worker]
    ) -> None:
        """Sent, and nobody left to hear the reply: unknown; the worker that takes the session over sends it no more."""
        first = start()
        assert client.open_ws("s1", ACCOUNT)["errorCode"] == DONE
        fault = house.simulator.fault("late_ack", op="order")
        said: list[Answer] = []
        caller = threading.Thread(target=lambda: said.append(client.send("s1", placing("lost"), timeout=3)))
        caller.start()
        eventually(lambda: placed(house, "lost"))
        first.process.kill()
        first.process.wait()
        house.simulator.end_fault(fault)
        start()
        caller.join()
        assert [one["errorCode"] for one in said] == [UNKNOWN_OUTCOME]
        assert "unknown outcome" in said[0]["message"]
        assert client.send("s1", placing("next"), timeout=30)["errorCode"] == DONE
        assert (placed(house, "lost"), placed(house, "next")) == (1, 1)


class TestAsyncClient:
    """(await aio.client()).send"""

    def test_many_at_once(self, shared: Shared, opened: str) -> None:
        """The same calls in coroutines: orders, a topic, an op that is none."""
        names = [f"{opened}a{number}" for number in range(30)]

        async def calls() -> list[Answer]:
            client = await aio.client(settings=shared.client.settings)
            async with client:
                said = await asyncio.gather(*(client.send(opened, placing(name, id=name)) for name in names))
                topic = await client.send(opened, {"op": "subscribe", "args": ["tickers:BTC-USDT"]})
                left = await client.send(opened, {"op": "unsubscribe", "args": ["tickers:BTC-USDT"]})
                return [*said, topic, left, await client.send(opened, {"op": "ping"})]

        *said, topic, left, ping = asyncio.run(calls())
        assert [(one["errorCode"], one["reply"]["id"]) for one in said] == [(DONE, name) for name in names]
        assert (topic["errorCode"], left["errorCode"], ping["errorCode"]) == (DONE, DONE, BAD_COMMAND)


class TestTask:
    """tasks.send"""

    def test_order(self, shared: Shared, opened: str) -> None:
        """The answer of OKX is the task's result."""
        said = run(shared, f"tasks.send.delay({opened!r}, {placing(opened, id='7')!r}).get(timeout=30)")
        assert (said["errorCode"], said["reply"]["id"], said["reply"]["data"][0]["clOrdId"]) == (DONE, "7", opened)
        said = run(shared, f"tasks.send.delay({opened!r}, {{'op': 'cancel-order', 'args': [{{}}]}}).get(timeout=30)")
        assert str(said["errorCode"]) == said["reply"]["data"][0]["sCode"] != "0"

    def test_delivered_twice(self, shared: Shared, opened: str) -> None:
        """A broker that delivers a task twice has one order placed."""
        call = f"tasks.send.apply_async(({opened!r}, {placing(opened)!r}), task_id={opened!r}, expires=3)"
        assert run(shared, f"[{call}.get(timeout=30)['errorCode'], {call}.id]") == [DONE, opened]
        eventually(lambda: shared.worker.text().count(f"tasks.send[{opened}] succeeded") == 2, timeout=30)
        assert placed(shared.house, opened) == 1

    def test_too_late(self, shared: Shared, opened: str) -> None:
        """Taken after its deadline it is not carried out."""
        program = f"tasks.send.apply_async(({opened!r}, {placing(opened)!r}), countdown=1, kwargs={{'deadline': 5}})"
        assert run(shared, f"{program}.get(timeout=30)")["errorCode"] == NO_WORKER
        assert placed(shared.house, opened) == 0

    def test_subscribe_and_bad_ops(self, shared: Shared, opened: str) -> None:
        """The same as by the client."""
        said = run(shared, f"tasks.send.delay({opened!r}, {{'op': 'subscribe', 'args': ['account']}}).get(timeout=30)")
        assert said["topics"]["account"]["errorCode"] == DONE
        said = run(
            shared, f"tasks.send.delay({opened!r}, {{'op': 'unsubscribe', 'args': ['account']}}).get(timeout=30)"
        )
        assert said["topics"]["account"]["errorCode"] == DONE
        said = run(shared, f"tasks.send.delay({opened!r}, {{'op': 'login'}}).get(timeout=30)")
        assert said["errorCode"] == BAD_COMMAND

    def test_orders_are_not_logged(self, house: House, client: Client, start: Callable[..., Worker]) -> None:
        """Neither the arguments nor the result of the task stand in a worker's log above debug."""
        worker = start("-l", "info")
        assert client.open_ws("s1", ACCOUNT)["errorCode"] == DONE
        house.python(f"""
            from okws_celery import tasks
            assert tasks.send.delay("s1", {placing("hush")!r}).get(timeout=30)["errorCode"] == 80000
        """)
        assert "tasks.send" in worker.text()
        assert "hush" not in worker.text()


class TestPage:
    """docs/trading.md, and its Chinese sister"""

    def test_programs_do_what_they_say(self, shared: Shared) -> None:
        """Placed and canceled by the client, placed by a task, and found again in the log of orders."""
        by_client, by_task, search = programs("trading.md")
        opened, placed, canceled = shared.house.python(by_client).splitlines()
        assert ast.literal_eval(opened)["errorCode"] == DONE
        done, ord_id = placed.split()
        assert (done, canceled, ord_id.isdigit()) == ("80000", "80000", True)
        assert shared.house.python(by_task).split() == ["80000"]
        eventually(lambda: shared.house.python(search) == "['canceled', 'live']\n")
        shared.client.close_ws("ok1")

    def test_both_languages_have_the_same_code(self) -> None:
        """Programs differ in their comments only; tables have as many rows."""
        pages = "trading.md", "trading.zh-CN.md"
        english, chinese = ([ast.dump(ast.parse(one)) for one in programs(page)] for page in pages)
        assert english == chinese
        rows = [re.findall(r"^(#+|\|)", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE) for page in pages]
        assert rows[0] == rows[1]


def programs(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def run(shared: Shared, expression: str) -> Any:
    """What an expression about `tasks` gives in a program of its own."""
    program = f"import json\nfrom okws_celery import tasks\nprint(json.dumps({expression}))"
    return json.loads(shared.house.python(program))
