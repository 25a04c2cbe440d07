"""Whatever happens to an account's orders and to the session: hash and log agree with what the exchange has."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable

import pytest
from session.holding import DEMO, Held
from session.test_orders import log, open_orders
from simulator.signing import Rest
from waiting import eventually

from okws_celery.simulator import Simulator

STEPS = 60


@pytest.mark.parametrize("seed", range(3))
def test_hash_and_log_are_what_happened(hold: Callable[..., Held], simulator: Simulator, seed: int) -> None:
    """Orders are placed, executed and canceled, the link is cut, the session is taken over, at random: at the end the
    hash has the open orders, and the log each execution and each end once, under both names."""
    chance = random.Random(seed)
    held = hold(credentials=DEMO)
    assert held.subscribe("orders:ANY", "spot/order:BTC-USDT")["errorCode"] == 80000
    placed: list[str] = []
    alive: set[str] = set()
    parts: Counter[str] = Counter()
    for _ in range(STEPS):
        what = chance.choices(["place", "execute", "fill", "cancel", "cut", "take over"], [30, 30, 10, 15, 10, 5])[0]
        one = chance.choice(sorted(alive)) if alive else ""
        match what:
            case "cut":
                simulator.drop("private")
            case "take over":
                _end(held)
                held = hold(credentials=DEMO)
            case "execute" if parts[one] and one:
                parts[one] -= 1
                simulator.fill(one, "0.001")
            case "fill" if one:
                simulator.fill(one)
                alive.discard(one)
            case "cancel" if one:
                simulator.cancel(one)
                alive.discard(one)
            case _:
                new = simulator.place(times=chance.randint(1, 3), sz="0.01")
                placed += new
                alive.update(new)
                parts.update(dict.fromkeys(new, 5))
    fills = {(row["ordId"], row["tradeId"]) for row in _fills(simulator)}
    ended = set(placed) - alive

    def agrees() -> bool:
        rows = log(held)
        v3 = [json.loads(fields["data"]) for _, fields in held.redis.xrange(held.data.log("spot/order"))]
        assert open_orders(held).keys() == alive
        assert set(held.redis.hkeys(held.data.of("spot/order"))) == alive
        assert Counter((row["ordId"], row["tradeId"]) for row in rows if row["tradeId"]) == Counter(fills)
        assert Counter((row["order_id"], row["last_fill_id"]) for row in v3 if row["last_fill_id"]) == Counter(fills)
        assert Counter(row["ordId"] for row in rows if row["state"] in ("filled", "canceled")) == Counter(ended)
        return True

    eventually(agrees, timeout=30)


def _end(held: Held) -> None:
    eventually(lambda: held.redis.publish(held.keys.bus, "shutdown"), what="it listens")
    assert held.join() is not None


def _fills(simulator: Simulator) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    while len(rows) % 100 == 0:
        page = Rest(simulator).rows("trade/fills?limit=100" + (f"&after={rows[-1]['billId']}" if rows else ""))
        if not page:
            break
        rows += page
    return rows
