"""Algo orders: what is open at a subscription and after a cut."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from session.holding import DEMO, Held
from session.test_backfill import gaps
from waiting import eventually

from okws_celery.okx.login import Credentials, sign
from okws_celery.simulator import Simulator

Hold = Callable[..., Held]


def post(simulator: Simulator, path: str, body: Any, who: Credentials = DEMO) -> list[dict[str, Any]]:
    """A signed call of REST."""
    text = json.dumps(body)
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {
        "OK-ACCESS-KEY": who.api_key,
        "OK-ACCESS-PASSPHRASE": who.passphrase,
        "OK-ACCESS-TIMESTAMP": at,
        "OK-ACCESS-SIGN": sign(who.secret, at, "POST", path, text),
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(simulator.rest_url + path, text.encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        said = json.loads(answer.read())
    assert said["code"] == "0", said
    return list(said["data"])


def trigger(simulator: Simulator, **more: str) -> str:
    """The algoId of a new order that waits for a price far away."""
    order = {
        "instId": "BTC-USDT",
        "tdMode": "cash",
        "side": "buy",
        "ordType": "trigger",
        "sz": "0.01",
        "triggerPx": "1000",
        "orderPx": "900",
        **more,
    }
    return str(post(simulator, "/api/v5/trade/order-algo", order)[0]["algoId"])


def stop(simulator: Simulator) -> str:
    """The algoId of a new stop."""
    return trigger(simulator, ordType="conditional", side="sell", slTriggerPx="1000", slOrdPx="-1")


def test_open_ones_at_the_subscription_and_after_a_cut(hold: Hold, simulator: Simulator) -> None:
    """Both kinds are there when subscribe returns; the one that was canceled during a cut is gone after it."""
    gone, stays = trigger(simulator), stop(simulator)
    held = hold(credentials=DEMO)
    assert held.subscribe("orders-algo:ANY")["errorCode"] == 80000
    key = held.data.of("orders-algo")
    assert set(held.redis.hkeys(key)) == {gone, stays}
    simulator.stop_listening()
    simulator.drop("business")
    eventually(lambda: held.topic("orders-algo:ANY")["state"] == "stale")
    simulator.resume()
    post(simulator, "/api/v5/trade/cancel-algos", [{"instId": "BTC-USDT", "algoId": gone}])
    eventually(lambda: set(held.redis.hkeys(key)) == {stays}, timeout=20)
    rows = [json.loads(fields["data"]) for _, fields in held.redis.xrange(held.data.log("orders-algo"))]
    assert [row["state"] for row in rows if row["algoId"] == gone] == ["live", "canceled"]
    assert [row["source"] for row in rows if row["algoId"] == stays] == ["rest"]
    eventually(lambda: gaps(held, "orders-algo:ANY")[-1].get("filled"))


def trailing(simulator: Simulator) -> str:
    """The algoId of a new stop that follows the price."""
    return trigger(simulator, ordType="move_order_stop", side="sell", callbackRatio="0.5")


def test_trailing_stops_that_ended_during_a_cut(hold: Hold, simulator: Simulator) -> None:
    """The channel begins with all that are open, without saying so: the others are gone, under both names."""
    held = hold(credentials=DEMO)
    assert held.subscribe("algo-advance:ANY", "spot/order_algo:BTC-USDT")["errorCode"] == 80000
    keys = [held.data.of("algo-advance"), held.data.of("spot/order_algo")]

    def shown() -> list[set[str]]:
        return [set(held.redis.hkeys(key)) for key in keys]

    gone, stays = trailing(simulator), trailing(simulator)
    eventually(lambda: shown() == [{gone, stays}] * 2)
    late = simulator.fault("late_ack", op="login", seconds=None)  # so long nothing is subscribed
    simulator.drop("business")
    eventually(lambda: late.hits and not simulator.subscribed("algo-advance:ANY"))
    post(simulator, "/api/v5/trade/cancel-algos", [{"instId": "BTC-USDT", "algoId": gone}])
    simulator.clear_faults()
    simulator.drop("business")
    eventually(lambda: shown() == [{stays}] * 2, timeout=20)
    post(simulator, "/api/v5/trade/cancel-algos", [{"instId": "BTC-USDT", "algoId": stays}])
    eventually(lambda: shown() == [set()] * 2)
