"""A plain client of the simulator's REST, signed here and not by the project."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

from okws_celery.simulator import Simulator

__all__ = ["Rest", "away", "code_of"]


class Rest:
    """Calls of one key. What is passed as `headers` takes the place of the right ones; None leaves one out."""

    def __init__(
        self, sim: Simulator, key: str = "demo", secret: str = "demo-secret", passphrase: str = "demo-pass"
    ) -> None:
        self.sim = sim
        self.key, self.secret, self.passphrase = key, secret, passphrase

    def get(self, path: str, headers: dict[str, str | None] | None = None) -> dict[str, Any]:
        """The whole answer; `path` is what follows `/api/v5/`, with its query."""
        return self._call("GET", path, "", headers)

    def post(self, path: str, body: object, headers: dict[str, str | None] | None = None) -> dict[str, Any]:
        """The whole answer to a JSON body; text is sent as it is."""
        return self._call("POST", path, body if isinstance(body, str) else json.dumps(body), headers)

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The rows of a query that must be answered with code 0."""
        said = self.get(path)
        assert said["code"] == "0", said
        found: list[dict[str, Any]] = said["data"]
        return found

    def order(self, inst_id: str = "BTC-USDT", **more: str) -> str:
        """Place an order, by default a limit order to buy 0.01 far below the market; gives its ordId."""
        asked = {"instId": inst_id, "tdMode": "cash" if inst_id.count("-") == 1 else "cross", "side": "buy", **more}
        if "ordType" not in more:
            asked |= {"ordType": "limit", "px": more.get("px") or away(self.sim, inst_id, more.get("side", "buy"))}
        said = self.post("trade/order", {"sz": "0.01", **asked})
        assert said["code"] == "0", said
        found: str = said["data"][0]["ordId"]
        return found

    def one(self, ord_id: str, inst_id: str = "BTC-USDT") -> dict[str, Any]:
        """An order as REST shows it."""
        (row,) = self.rows(f"trade/order?instId={inst_id}&ordId={ord_id}")
        return row

    def _call(self, method: str, path: str, body: str, headers: dict[str, str | None] | None) -> dict[str, Any]:
        path = f"/api/v5/{path}"
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        timestamp = (headers or {}).get("OK-ACCESS-TIMESTAMP", timestamp) or ""
        digest = hmac.new(self.secret.encode(), f"{timestamp}{method}{path}{body}".encode(), hashlib.sha256).digest()
        signed = {
            "OK-ACCESS-KEY": self.key,
            "OK-ACCESS-PASSPHRASE": self.passphrase,
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-SIGN": base64.b64encode(digest).decode(),
            "Content-Type": "application/json",
            **(headers or {}),
        }
        request = urllib.request.Request(
            self.sim.rest_url + path,
            data=body.encode() if method == "POST" else None,
            headers={name: value for name, value in signed.items() if value is not None},
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                said: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                said = {"status": refused.code, **json.load(refused)}
        return said


def away(sim: Simulator, inst_id: str, side: str = "buy", percent: int = 1) -> str:
    """A price some per cent away from the market, on the side where an order rests."""
    with urllib.request.urlopen(f"{sim.rest_url}/api/v5/market/candles?instId={inst_id}&limit=1") as answer:
        close = float(json.load(answer)["data"][0][4])
    return f"{close * (100 - percent if side == 'buy' else 100 + percent) / 100:.1f}"


def code_of(said: dict[str, Any]) -> str:
    """The code of the one thing that was asked for."""
    code: str = said["data"][0]["sCode"] if said["code"] == "1" else said["code"]
    return code
