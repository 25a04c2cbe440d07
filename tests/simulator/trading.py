"""Trading by WebSocket as the tests do it: one connection that is logged in and listens to its account."""

from __future__ import annotations

import itertools
import json
import urllib.request
from typing import Any

from simulator.talking import Talk, is_push

from okws_celery.simulator import Simulator

__all__ = ["ANY_ORDERS", "Desk"]

ANY_ORDERS = {"channel": "orders", "instType": "ANY"}


class Desk(Talk):
    """A private connection. `op` sends a trading op and gives its answer; pushes are read with `row` and `rows`."""

    def __init__(self, sim: Simulator, *args: object, key: str = "demo", path: str = "private") -> None:
        super().__init__(f"{sim.ws_url}/{path}")
        self._ids = itertools.count(1)
        self._codes: dict[str, int] = {}
        self._sim = sim
        assert self.login(key, f"{key}-secret", f"{key}-pass")["event"] == "login"
        if args:
            self.subscribe(*args)

    def code(self, inst_id: str) -> int:
        """The `instIdCode` of an instrument."""
        if not self._codes:
            for inst_type in ("SPOT", "SWAP"):
                with urllib.request.urlopen(
                    f"{self._sim.rest_url}/api/v5/public/instruments?instType={inst_type}"
                ) as answer:
                    self._codes |= {one["instId"]: one["instIdCode"] for one in json.load(answer)["data"]}
        return self._codes[inst_id]

    def op(self, op: str, *args: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Send a trading op and read on until its answer; `instId` in an arg is sent as its `instIdCode`."""
        asked = str(next(self._ids))
        coded = [
            {"instIdCode": self.code(arg["instId"]), **{key: arg[key] for key in arg if key != "instId"}}
            if "instId" in arg
            else arg
            for arg in args
        ]
        self.send(json.dumps({"id": asked, "op": op, "args": coded, **more}))
        return self.until(lambda said: said.get("id") == asked)

    def place(self, inst_id: str = "BTC-USDT", **order: str) -> str:
        """Place an order that must be accepted; gives its ordId."""
        mode = "cash" if inst_id.count("-") == 1 else "cross"
        said = self.op("order", {"instId": inst_id, "tdMode": mode, "side": "buy", "sz": "0.01", **order})
        assert said["code"] == "0", said
        ord_id: str = said["data"][0]["ordId"]
        return ord_id

    def of_order(self, ord_id: str, state: str) -> list[dict[str, Any]]:
        """All rows of `orders` about an order up to one in which it is in this state; reads on until it comes."""
        if not self._seen(ord_id, state):
            self.until(lambda said: is_push(said, "orders") and self._seen(ord_id, state))
        return self._seen(ord_id, state)

    def _seen(self, ord_id: str, state: str) -> list[dict[str, Any]]:
        rows = [row for push in self.got if is_push(push, "orders") for row in push["data"] if row["ordId"] == ord_id]
        states = [row["state"] for row in rows]
        return rows[: states.index(state) + 1] if state in states else []
