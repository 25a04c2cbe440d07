"""What REST adds, seen by a client of real workers."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from houses import ACCOUNT, House
from waiting import eventually
from workers import Worker

from okws_celery.sync import Client

Start = Callable[..., Worker]


def test_history_is_there_right_after_subscribe(start: Start, client: Client) -> None:
    """No sleep between the two calls."""
    start()
    assert client.open_ws("n")["errorCode"] == 80000
    assert client.subscribe("n", "candle1m:BTC-USDT")["errorCode"] == 80000
    rows = client.get("n", "candle1m:BTC-USDT", n=100)
    assert len(rows) == 100
    starts = [int(row[0]) for row in rows]
    assert starts == list(range(starts[0], starts[0] + 100 * 60_000, 60_000))
    assert client.redis_clear("okex/n/*")["errorCode"] == 80000
    eventually(lambda: len(client.get("n", "candle1m:BTC-USDT", n=100)) == 100, what="history is fetched again")


def test_an_order_filled_while_no_worker_lived(start: Start, client: Client, house: House) -> None:
    """Killed without a word: the next worker finds the order gone, and its execution stands in the log once."""
    first = start()
    assert client.open_ws("n", ACCOUNT)["errorCode"] == 80000
    client.subscribe("n", "orders:ANY")
    filled, stays = house.simulator.place(times=2, sz="0.01")
    eventually(lambda: client.get("n", "orders:ANY").keys() == {filled, stays})
    first.signal(signal.SIGKILL)
    first.wait()
    house.simulator.fill(filled)
    start()
    eventually(lambda: client.get("n", "orders:ANY").keys() == {stays}, timeout=60, what="the order is gone")
    registry = house.registry()
    rows = [json.loads(fields["data"]) for _, fields in registry.redis.xrange("okex/n/orders/log")]
    registry.redis.close()
    assert [(row["state"], row["source"]) for row in rows if row["ordId"] == filled] == [
        ("live", ""),
        ("filled", "rest"),
    ]
    assert len([row for row in rows if row["tradeId"]]) == 1
