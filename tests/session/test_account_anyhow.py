"""Whatever happens to an account and to the session: hashes and logs agree with what the exchange has."""

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
from okws_celery.simulator.accounts import AccountSetup

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


@pytest.mark.parametrize("hedged", [False, True], ids=["net", "long and short"])
def test_positions_are_those_that_are_open(hold: Callable[..., Held], hedged: bool) -> None:
    """Orders are filled on several contracts, events come twice and snapshots in pages of two, the link is cut, the
    session is taken over: all topics of positions agree with the account, and each execution is logged once."""
    chance = random.Random(hedged)
    setup = AccountSetup(page_rows=2, duplicates=True, late_close=True, hedged=hedged)
    with Simulator(limits=False, api_keys=[setup]) as exchange:
        urls = {"ws_url": exchange.ws_url, "rest_url": exchange.rest_url}
        held = hold(credentials=DEMO, **urls)
        topics = ["orders:ANY", "positions:ANY", "positions:SWAP", "balance_and_position"]
        topics.append("positions:instType=SWAP,instFamily=ETH-USDT")
        assert held.subscribe(*topics)["errorCode"] == 80000
        alive: set[str] = set()
        for _ in range(STEPS):
            match chance.choices(["place", "fill", "cut", "take over"], [40, 40, 10, 5])[0]:
                case "cut":
                    exchange.drop("private")
                case "take over":
                    _end(held)
                    held = hold(credentials=DEMO, **urls)
                case "fill" if alive:
                    one = chance.choice(sorted(alive))
                    exchange.fill(one)
                    alive.discard(one)
                case _:
                    side = chance.choice(["buy", "sell"])
                    more = {"posSide": {"buy": "long", "sell": "short"}[side]} if hedged else {}
                    contract = chance.choice(["BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP"])
                    mode = chance.choice(["cross", "isolated"])
                    alive.update(exchange.place(instId=contract, side=side, tdMode=mode, sz="1", **more))

        def agrees() -> bool:
            positions = {row["posId"]: row["pos"] for row in exchange.account()["positions"]}
            assert _sizes(held, "positions") == positions
            assert _sizes(held, "balance_and_position") == positions
            assert open_orders(held).keys() == alive
            return True

        eventually(agrees, timeout=30)
        trades = Counter((row["ordId"], row["tradeId"]) for row in log(held) if row["tradeId"])
        assert set(trades.values()) == {1}
        _end(held)


def _sizes(held: Held, channel: str) -> dict[str, str]:
    rows = map(json.loads, held.redis.hvals(held.data.of(channel)))
    return {row["posId"]: row["pos"] for row in rows if "posId" in row}


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
