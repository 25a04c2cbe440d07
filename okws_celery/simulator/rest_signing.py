"""Who asks: OKX's headers of a private REST call (PROTOCOL 3), checked without I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from okws_celery.okx.login import sign
from okws_celery.simulator.accounts import Account, Accounts

__all__ = ["Unsigned", "signed_by"]

_VALID_S = 30.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MISSING = {
    "OK-ACCESS-KEY": 50103,
    "OK-ACCESS-PASSPHRASE": 50104,
    "OK-ACCESS-SIGN": 50106,
    "OK-ACCESS-TIMESTAMP": 50107,
}


class Unsigned(Exception):
    """A call is not what it should be; `code` is OKX's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def signed_by(
    accounts: Accounts, headers: Mapping[str, str], method: str, path: str, body: str, now_s: float, *, demo: bool
) -> Account:
    """The account that signed a call at Unix time `now_s`; `path` is with its query, as sent.

    A demo server takes calls with `x-simulated-trading: 1` only. Unsigned says what is wrong, in OKX's order.
    """
    for name, code in _MISSING.items():
        if not headers.get(name):
            raise Unsigned(code, f"Request header {name} cannot be empty.")
    timestamp = headers["OK-ACCESS-TIMESTAMP"]
    at_s = _unix_s(timestamp)
    if at_s is None:
        raise Unsigned(50112, "Invalid OK-ACCESS-TIMESTAMP")
    if abs(now_s - at_s) > _VALID_S:
        raise Unsigned(50102, "Timestamp request expired")
    api_key = headers["OK-ACCESS-KEY"]
    account = accounts.find(api_key)
    if account is None:
        # A key in OKX's form may exist on another of its stacks.
        if _UUID.fullmatch(api_key.lower()):
            raise Unsigned(50119, "API key doesn't exist")
        raise Unsigned(50111, "Invalid OK-ACCESS-KEY")
    if headers["OK-ACCESS-PASSPHRASE"] != account.key.passphrase:
        raise Unsigned(50105, "Request header OK-ACCESS-PASSPHRASE incorrect.")
    if headers["OK-ACCESS-SIGN"] != sign(account.key.secret, timestamp, method, path, body):
        raise Unsigned(50113, "Invalid Sign")
    if demo and headers.get("x-simulated-trading") != "1":
        raise Unsigned(50101, "APIKey does not match current environment.")
    return account


def _unix_s(text: str) -> float | None:
    """ISO 8601 in UTC with a Z, as OKX wants it; seconds since 1970 are taken too."""
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        return None
    try:
        return datetime.fromisoformat(text[:-1] + "+00:00").timestamp()
    except ValueError:
        return None
