"""Signing in to OKX (PROTOCOL 3): credentials, the signature and the login request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from okws_celery.errors import BadCommand

__all__ = ["HINTS", "REFUSED_FOR_GOOD", "Credentials", "credentials", "login_request", "sign"]

REFUSED_FOR_GOOD = frozenset(
    {60005, 60007, 60009, 60012, 60024, 60026, 60027, 60032, 50101, 50105, 50110, 50111, 50119}
)
"""Login errors that trying again cannot cure. 60009 is OKX's general refusal and is taken for one of them."""

_REGION_HINT = "wrong region or demo? The key works only on the stack that issued it"
HINTS = {
    60004: "the login timestamp was not understood",
    60005: "the apiKey is not known",
    60006: "this machine's clock is more than 30 s off",
    60007: "the secret does not belong to this apiKey",
    60009: f"one of apiKey, secret and password is wrong, or {_REGION_HINT}",
    60012: "OKX could not read the login: is there something in apiKey or password that does not belong there?",
    60024: "the passphrase does not belong to this apiKey",
    60026: "the key is of a kind that cannot log in here",
    60027: "one of apiKey, secret and password is empty",
    60032: _REGION_HINT,
    50101: _REGION_HINT,
    50105: "the passphrase does not belong to this apiKey",
    50110: "the key is bound to other IP addresses",
    50111: _REGION_HINT,
    50119: _REGION_HINT,
}
"""What a person can do about a refused login, by OKX's code."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key. The secret parts stay out of repr, so that no log or traceback shows them."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)

    def shows_in(self, frame: bytes) -> bool:
        """Whether any of it stands in a message."""
        return any(part.encode() in frame for part in (self.api_key, self.secret, self.passphrase))

    def masked(self, text: str) -> str:
        """The text without any of it, and without a signature."""
        for part in (self.secret, self.passphrase, self.api_key):
            text = text.replace(part, "***")
        return re.sub(r'(\\?"sign\\?"\s*:\s*\\?")[^"\\]*', r"\1***", text)


def credentials(given: Mapping[str, object]) -> Credentials | None:
    """Credentials from `apiKey` (any case), `secret`, `password` or `passphrase`; None if all are empty or missing.

    BadCommand (80010) if some are empty, or one is not text. The error names fields, never values.
    """
    by_name = {str(key).lower().replace("_", ""): value for key, value in given.items()}
    parts = {
        "apiKey": by_name.get("apikey", ""),
        "secret": by_name.get("secret", by_name.get("secretkey", "")),
        "password": by_name.get("password") or by_name.get("passphrase") or "",
    }
    wrong = [name for name, value in parts.items() if value is not None and not isinstance(value, str)]
    if wrong:
        raise BadCommand(f"credentials: {', '.join(wrong)} must be text")
    missing = [name for name, value in parts.items() if not value]
    if len(missing) == len(parts):
        return None
    if missing:
        raise BadCommand(f"credentials: {', '.join(missing)} empty; give apiKey, secret and password, or none of them")
    return Credentials(str(parts["apiKey"]), str(parts["secret"]), str(parts["password"]))


def sign(secret: str, timestamp: str, method: str, path: str, body: str = "") -> str:
    """Base64 of HMAC-SHA256 over timestamp + method + path + body."""
    digest = hmac.new(secret.encode(), f"{timestamp}{method}{path}{body}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def login_request(who: Credentials, now_s: float) -> str:
    """The login op as text; `now_s` is Unix time in seconds, by the exchange's clock."""
    timestamp = str(int(now_s))
    arg = {
        "apiKey": who.api_key,
        "passphrase": who.passphrase,
        "timestamp": timestamp,
        "sign": sign(who.secret, timestamp, "GET", "/users/self/verify"),
    }
    return json.dumps({"op": "login", "args": [arg]}, separators=(",", ":"))
