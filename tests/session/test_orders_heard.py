"""What a listener is told of an account's orders that changed while the private link was down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bridge import KINDS, make_client
from session.holding import DEMO, Held
from session.test_orders import back, cut, executions, open_orders
from waiting import eventually

from okws_celery.simulator import Simulator

Hold = Callable[..., Held]


@pytest.mark.parametrize("publish", ["both", "pushes", "rows"])
@pytest.mark.parametrize("kind", KINDS)
def test_orders_that_ended_meanwhile(hold: Hold, simulator: Simulator, kind: str, publish: str) -> None:
    """DEMAND story 7, as a listener hears it: one filled and two canceled during a cut. It is given each execution
    once, and at the end the orders that are open."""
    held = hold(credentials=DEMO, publish=publish)
    held.subscribe("orders:ANY")
    with (
        make_client(kind, held.registry.settings) as client,
        client.listen(held.name, "orders:ANY", timeout=3) as listener,
    ):
        one, two, three, stays = simulator.place(times=4, sz="0.01")
        simulator.fill(one, "0.001")
        eventually(lambda: executions(held))
        cut(held, simulator)
        simulator.fill(one, "0.002")
        simulator.fill(one)
        simulator.cancel(two)
        simulator.fill(three, "0.001")
        simulator.cancel(three)
        back(held, simulator)
        eventually(lambda: open_orders(held).keys() == {stays})
        items = list(listener)
    rows = [row for item in items if "data" in item and "snapshot" not in item for row in item["data"]]
    assert sorted(_filled(rows)) == sorted(executions(held))
    assert {row["ordId"] for row in rows if row["state"] == "canceled"} == {two, three}
    last = [item for item in items if item.get("snapshot")][-1]
    assert [row["ordId"] for row in last["data"]] == [stays]
    assert [item["to"] is None for item in items if item.get("op") == "GAP"] == [True, False]


def _filled(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["ordId"], row["fillSz"]) for row in rows if row["tradeId"]]
