"""Orders: what an account's hash and log say after whatever happened to the connection."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from session.holding import DEMO, Held
from session.listening import Listener
from session.test_backfill import gaps
from session.troubled_rest import Trouble, troubled
from waiting import eventually

from okws_celery.session import Ending
from okws_celery.simulator import Simulator
from okws_celery.store.registry import now_ms

Hold = Callable[..., Held]


@pytest.fixture
def trouble(simulator: Simulator) -> Iterator[Trouble]:
    """A REST that can be made to fail."""
    with troubled(simulator.rest_url) as running:
        yield running


def open_orders(held: Held) -> dict[str, dict[str, Any]]:
    """The hash, decoded."""
    return {ord_id: json.loads(row) for ord_id, row in held.redis.hgetall(held.data.of("orders")).items()}


def log(held: Held) -> list[dict[str, Any]]:
    """Every row of the log, oldest first."""
    return [json.loads(fields["data"]) for _, fields in held.redis.xrange(held.data.log("orders"))]


def executions(held: Held) -> list[tuple[str, str]]:
    """Order and size of each execution in the log."""
    return [(row["ordId"], row["fillSz"]) for row in log(held) if row["tradeId"]]


def cut(held: Held, simulator: Simulator, path: str = "private") -> None:
    """The link breaks off, and the exchange cannot be reached."""
    simulator.stop_listening()
    simulator.drop(path)
    eventually(lambda: held.topic("orders:ANY")["state"] == "stale")


def back(held: Held, simulator: Simulator) -> None:
    """The exchange can be reached again, and what was missed is known."""
    simulator.resume()
    eventually(lambda: gaps(held, "orders:ANY") and gaps(held, "orders:ANY")[-1]["to"], timeout=20)


def test_what_is_open_at_the_subscription(hold: Hold, simulator: Simulator) -> None:
    """The channel pushes no first state: it comes from REST, marked so, and is there when subscribe returns."""
    ids = simulator.place(times=120, sz="0.01")
    simulator.fill(ids[0], "0.001")
    held = hold(credentials=DEMO)
    assert held.subscribe("orders:ANY")["errorCode"] == 80000
    found = open_orders(held)
    assert found.keys() == set(ids)
    assert {row["source"] for row in found.values()} == {"rest"}
    assert found[ids[0]]["state"] == "partially_filled"
    simulator.fill(ids[1])
    eventually(lambda: ids[1] not in open_orders(held))
    assert [row.get("source") for row in log(held) if row["ordId"] == ids[1]] == ["rest", ""]


def test_orders_that_ended_while_nobody_listened(hold: Hold, simulator: Simulator) -> None:
    """One filled and two canceled during a cut: gone from the hash, each event in the log and published, once."""
    held = hold(credentials=DEMO)
    held.subscribe("orders:ANY")
    one, two, three, stays = simulator.place(times=4, sz="0.01")
    eventually(lambda: len(open_orders(held)) == 4)
    simulator.fill(one, "0.001")
    eventually(lambda: executions(held))
    before = len(log(held))
    with Listener(held.registry.settings.redis_url, *[held.data.of(f"orders:{i}") for i in (one, two, stays)]) as heard:
        cut(held, simulator)
        simulator.fill(one, "0.002")
        simulator.fill(one)
        simulator.cancel(two)
        simulator.fill(three, "0.001")
        simulator.cancel(three)
        (new,) = simulator.place(sz="0.01")
        simulator.fill(new, "0.001")
        back(held, simulator)
        eventually(lambda: open_orders(held).keys() == {stays, new})
        published = heard.messages()
    missed = log(held)[before:]
    assert {row["source"] for row in missed} == {"rest"}
    done = Counter(executions(held))
    assert set(done.values()) == {1}
    sizes = [size for ord_id, size in executions(held) if ord_id == one]
    assert sizes[:2] == ["0.001", "0.002"]
    assert len(sizes) == 3
    assert [row["state"] for row in missed if row["ordId"] == one] == ["partially_filled", "filled"]
    assert [(row["state"], row["tradeId"]) for row in missed if row["ordId"] == two] == [("canceled", "")]
    assert [row["state"] for row in missed if row["ordId"] == three] == ["partially_filled", "canceled"]
    assert [row["ordId"] for row in published] == [one, one, two]
    assert stays not in {row["ordId"] for row in missed}
    assert open_orders(held)[stays].get("source") == ""
    assert gaps(held, "orders:ANY")[-1]["filled"]


def test_an_order_that_lived_and_died_meanwhile(hold: Hold, simulator: Simulator) -> None:
    """Nothing had ever come on this topic, and still its execution is in the log."""
    held = hold(credentials=DEMO)
    held.subscribe("orders:ANY")
    cut(held, simulator)
    (placed,) = simulator.place(sz="0.01")
    simulator.fill(placed)
    back(held, simulator)
    eventually(lambda: [ord_id for ord_id, _ in executions(held)] == [placed])
    assert open_orders(held) == {}


def test_orders_that_were_placed_and_canceled_meanwhile(hold: Hold, simulator: Simulator) -> None:
    """Nobody had seen them, and they left no execution: their end is in the log, of those that the topic is about."""
    held = hold(credentials=DEMO)
    held.subscribe("orders:ANY", "orders:instType=SPOT,instId=ETH-USDT")
    cut(held, simulator)
    (one,) = simulator.place(sz="0.01")
    simulator.cancel(one)
    back(held, simulator)
    eventually(lambda: [row["ordId"] for row in log(held)] == [one])
    assert (log(held)[0]["state"], log(held)[0]["source"]) == ("canceled", "rest")
    other = "orders:instType=SPOT,instId=ETH-USDT"
    eventually(lambda: gaps(held, other)[-1].get("filled"))
    assert len(log(held)) == 1
    assert open_orders(held) == {}


def test_nothing_new_leaves_no_trace(hold: Hold, simulator: Simulator) -> None:
    """Cuts during which nothing happened change neither hash nor log, and publish nothing."""
    held = hold(credentials=DEMO)
    held.subscribe("orders:ANY")
    ids = simulator.place(times=3, sz="0.01")
    eventually(lambda: len(open_orders(held)) == 3)
    before, logged = open_orders(held), log(held)
    with Listener(held.registry.settings.redis_url, *[held.data.of(f"orders:{i}") for i in ids]) as heard:
        for _ in range(2):
            told = len(gaps(held, "orders:ANY"))
            cut(held, simulator)
            simulator.resume()
            eventually(lambda told=told: len(gaps(held, "orders:ANY")) == told + 2, timeout=20)
        assert heard.messages() == []
    assert (open_orders(held), log(held)) == (before, logged)


def test_rest_is_older_than_the_socket(hold: Hold, simulator: Simulator, trouble: Trouble) -> None:
    """An answer that was true when it was asked for opens no order again that was closed meanwhile."""
    held = hold(credentials=DEMO, rest_url=trouble.url)
    ids = simulator.place(times=2, sz="0.01")
    trouble.seconds = 1.5
    asking = len(trouble.asked)
    subscribing = threading.Thread(target=lambda: held.subscribe("orders:ANY"))
    subscribing.start()
    eventually(lambda: any("orders-pending" in target for target in trouble.asked[asking:]))
    eventually(lambda: simulator.subscribed("orders:ANY"))
    simulator.fill(ids[0])
    eventually(lambda: executions(held))
    subscribing.join()
    eventually(lambda: ids[1] in open_orders(held))
    assert open_orders(held).keys() == {ids[1]}
    assert [row["state"] for row in log(held) if row["ordId"] == ids[0]] == ["filled"]


def test_rest_is_away_for_a_while(hold: Hold, simulator: Simulator, trouble: Trouble) -> None:
    """Asked until it answers; until then the GAP is open, and what the socket says counts."""
    held = hold(credentials=DEMO, rest_url=trouble.url)
    held.subscribe("orders:ANY")
    gone, stays = simulator.place(times=2, sz="0.01")
    eventually(lambda: len(open_orders(held)) == 2)
    trouble.always = 503
    cut(held, simulator)
    simulator.cancel(gone)
    simulator.resume()
    eventually(lambda: held.topic("orders:ANY")["state"] == "live", timeout=20)
    simulator.fill(stays, "0.001")
    eventually(lambda: executions(held))
    assert gaps(held, "orders:ANY")[-1]["to"] is None
    assert gone in open_orders(held)
    trouble.always = 0
    eventually(lambda: open_orders(held).keys() == {stays}, timeout=30)
    eventually(lambda: gaps(held, "orders:ANY")[-1].get("filled"))


def test_rest_is_away_from_the_beginning(hold: Hold, simulator: Simulator, trouble: Trouble) -> None:
    """An order that was placed and filled during a cut is told when REST answers for the first time."""
    trouble.always = 503
    held = hold(credentials=DEMO, rest_url=trouble.url)
    assert held.subscribe("orders:ANY")["errorCode"] == 80000
    cut(held, simulator)
    (placed,) = simulator.place(sz="0.01")
    simulator.fill(placed)
    simulator.resume()
    eventually(lambda: held.topic("orders:ANY")["state"] == "live", timeout=20)
    trouble.always = 0
    eventually(lambda: [ord_id for ord_id, _ in executions(held)] == [placed], timeout=30)
    eventually(lambda: gaps(held, "orders:ANY")[-1].get("filled"))
    assert open_orders(held) == {}


def test_another_holder_finds_what_happened(hold: Hold, simulator: Simulator) -> None:
    """Between the end of one worker and the begin of the next an order was filled."""
    first = hold(credentials=DEMO)
    first.subscribe("orders:ANY")
    filled, stays = simulator.place(times=2, sz="0.01")
    simulator.fill(filled, "0.001")
    eventually(lambda: len(executions(first)) == 1)
    first.redis.publish(first.keys.bus, "shutdown")
    assert first.join() is Ending.SHUTDOWN
    simulator.fill(filled)
    second = hold(credentials=DEMO)
    eventually(lambda: open_orders(second).keys() == {stays}, timeout=20)
    assert [ord_id for ord_id, _ in executions(second)] == [filled, filled]
    assert len({row["tradeId"] for row in log(second) if row["tradeId"]}) == 2


def test_rest_is_older_than_what_another_holder_heard(hold: Hold, simulator: Simulator, trouble: Trouble) -> None:
    """An order that was filled under the first worker, and that REST lists for the second, stays closed."""
    first = hold(credentials=DEMO, rest_url=trouble.url)
    first.subscribe("orders:ANY")
    filled, stays = simulator.place(times=2, sz="0.01")
    eventually(lambda: open_orders(first).keys() == {filled, stays})
    listed = json.dumps({"code": "0", "msg": "", "data": list(open_orders(first).values())})
    simulator.fill(filled)
    eventually(lambda: open_orders(first).keys() == {stays})
    first.redis.publish(first.keys.bus, "shutdown")
    assert first.join() is Ending.SHUTDOWN
    trouble.said["orders-pending"] = listed.encode()
    second = hold(credentials=DEMO, rest_url=trouble.url)
    eventually(lambda: gaps(second, "orders:ANY")[-1].get("filled"), timeout=20)
    assert open_orders(second).keys() == {stays}
    assert [row["state"] for row in log(second) if row["ordId"] == filled] == ["live", "filled"]


def test_overlapping_topics_log_a_row_once(hold: Hold, simulator: Simulator) -> None:
    """orders:SPOT and orders:ANY both bring it; hash, log and row channel have it once."""
    held = hold(credentials=DEMO)
    held.subscribe("orders:SPOT", "orders:ANY")
    (placed,) = simulator.place(sz="0.01")
    with Listener(held.registry.settings.redis_url, held.data.of(f"orders:{placed}"), held.data.of("orders")) as heard:
        simulator.fill(placed)
        eventually(lambda: len(heard.messages(held.data.of("orders"))) == 2, what="both pushes")
        eventually(lambda: open_orders(held) == {})
        assert len(heard.messages(held.data.of(f"orders:{placed}"))) == 1
    assert [row["state"] for row in log(held)] == ["live", "filled"]


def test_many_orders_ended_meanwhile(hold: Hold, simulator: Simulator) -> None:
    """More than are asked for one by one: their end is looked for in the history."""
    held = hold(credentials=DEMO)
    held.subscribe("orders:ANY")
    ids = simulator.place(times=130, sz="0.01")
    eventually(lambda: len(open_orders(held)) == 130)
    cut(held, simulator)
    for ord_id in ids[:60]:
        simulator.cancel(ord_id)
    simulator.fill(ids[60], "0.001")
    back(held, simulator)
    eventually(lambda: open_orders(held).keys() == set(ids[60:]), timeout=20)
    ended = [row for row in log(held) if row["state"] == "canceled"]
    assert {row["ordId"] for row in ended} == set(ids[:60])
    assert {row["source"] for row in ended} == {"rest"}
    assert [ord_id for ord_id, _ in executions(held)] == [ids[60]]


def test_a_gap_that_is_longer_than_rest_remembers(hold: Hold, redis_url: str) -> None:
    """No worker for four days: executions are told for three, and the GAP says so."""
    day_ms = 86_400_000
    begun = now_ms() - 4 * day_ms
    gap = {"op": "GAP", "topic": "orders:ANY", "from": begun, "to": None, "reason": "stopped"}
    with redis.Redis.from_url(redis_url) as client:
        client.hset("okex/tests/seen", "orders:ANY", begun)
        client.xadd("okex/tests/gaps", {"data": json.dumps(gap)})
    held = hold(credentials=DEMO)
    held.subscribe("orders:ANY")
    told = eventually(lambda: [gap for gap in gaps(held, "orders:ANY") if gap["to"]])
    assert [gap["from"] for gap in told] == [begun]
    assert abs(told[0]["to"] - begun - day_ms) < 60_000
    assert "filled" not in told[0]


def test_orders_that_rest_has_forgotten(hold: Hold) -> None:
    """What an earlier session left in the hash, and the exchange knows nothing of, is gone."""
    held = hold(credentials=DEMO)
    stale = {"instType": "SPOT", "instId": "BTC-USDT", "ordId": "1", "state": "live", "uTime": "1700000000000"}
    held.redis.hset(held.data.of("orders"), "1", json.dumps(stale))
    held.subscribe("orders:ANY")
    eventually(lambda: open_orders(held) == {})
