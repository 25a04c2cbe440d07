"""One client's conversation with the exchange, without I/O: text and time in, steps out (PROTOCOL 2 to 4 and 11).

A step is a text to send, and what comes into force with it. Who carries steps out may do so late, or not at all: a
late ack of a login is a late login.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from okws_celery.okx.login import sign
from okws_celery.okx.topics import Arg
from okws_celery.simulator.accounts import Account, Accounts
from okws_celery.simulator.trading.operations import Desk

__all__ = ["TEXTS", "Conversation", "Counts", "Offer", "Policy", "Refusal", "Request", "Step", "Then", "Venue", "named"]

REQUESTS_PER_HOUR = 480
CONNECTIONS_PER_CHANNEL = 30
LOGIN_VALID_S = 30.0

TEXTS = {
    60004: "Invalid timestamp",
    60005: "Invalid apiKey",
    60006: "Timestamp request expired",
    60007: "Invalid sign",
    60008: "The current endpoint does not support subscribing to {channel} channels. Please check the WebSocket URL",
    60009: "Login failed.",
    60011: "Please log in",
    60012: "Invalid request: {request}",
    60013: "Invalid args",
    60014: "Requests too frequent",
    60018: (
        "Wrong URL or {arg} doesn't exist. "
        "Please use the correct URL, channel and parameters referring to API document."
    ),
    60019: "Invalid op: {op}",
    60023: "Bulk login requests too frequent",
    60024: "Wrong passphrase",
    60026: "Batch login by APIKey and token simultaneously is not supported.",
    60027: "Parameter {name} can not be empty",
    60028: "The current operation is not supported by this URL. Please use the correct URL for the operation.",
    60031: "The WebSocket endpoint does not allow multiple or repeated logins.",
    60032: "API key doesn't exist",
    60033: "Parameter {name} error",
    63999: "Login failed due to internal error. Please try again later.",
    64002: "This channel is not supported by the business URL. Please use the correct URL for {arg}.",
    64003: "Your trading fee tier doesn't meet the requirement to access this channel: {arg}",
    64004: "Subscribe to both {channel} and books-l2-tbt for {instId} is not allowed. Unsubscribe books-l2-tbt first.",
    64007: "Operation {op} failed due to WebSocket internal error. Please try again later.",
    64008: "The connection will soon be closed for a service upgrade. Please reconnect.",
    50101: "APIKey does not match current environment.",
    50110: "Your IP is not included in your API key's IP whitelist.",
}
"""What OKX says with each code; `str.format` fields are filled where it names what was wrong."""

_COUNTED = frozenset(
    {"orders", "account", "positions", "balance_and_position", "liquidation-warning", "account-greeks"}
)
_TRADING = {
    "order": "private", "batch-orders": "private", "cancel-order": "private", "batch-cancel-orders": "private",
    "amend-order": "private", "batch-amend-orders": "private", "mass-cancel": "private",
    "sprd-order": "business", "sprd-amend-order": "business", "sprd-cancel-order": "business",
    "sprd-mass-cancel": "business",
}  # fmt: skip
_SMALLER_BOOKS = ("books", "books50-l2-tbt")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Then(Enum):
    """What comes into force when a step's text is sent."""

    NOTHING = "nothing"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    LOGGED_IN = "logged in"
    LOGIN_REFUSED = "login refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One text to send.

    `arg` is what an ack or an error is about; `late_s` how long to wait before an error; `close` the close code of a
    connection that ends with it, 0 for none.
    """

    text: str
    then: Then = Then.NOTHING
    op: str = ""
    arg: Arg | None = None
    account: Account | None = None
    late_s: float = 0.0
    close: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, for who watches: `args` as sent, secrets of a login left out."""

    op: str
    id: str
    args: tuple[Any, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A channel that can be had: its canonical argument, and what it takes to have it."""

    arg: Arg
    channel: str
    inst_id: str = ""
    login: bool = False
    vip: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error event: code and text; `late_s` not None means that the ack comes first, and the error so much later.

    `close` is the close code of the connection that ends with a refused login, 0 for none.
    """

    code: int
    text: str
    late_s: float | None = None
    close: int = 0


class Venue(Protocol):
    """What there is to subscribe to."""

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """The offer that an arg of a request means on this path, or why there is none."""


class Policy(Protocol):
    """Refusals on purpose."""

    def refuse_arg(self, path: str, conn: str, arg: Arg) -> Refusal | None:
        """Asked once for every arg that would be subscribed."""

    def refuse_login(self, path: str, conn: str) -> Refusal | None:
        """Asked once for every login."""


class Counts:
    """On how many connections an account has each of the counted channels (PROTOCOL 2.3)."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], set[str]] = {}

    def enter(self, uid: str, channel: str, conn_id: str) -> int:
        """Count this connection; gives the number, which may be one too many."""
        holders = self._holders.setdefault((uid, channel), set())
        holders.add(conn_id)
        return len(holders)

    def leave(self, uid: str, channel: str, conn_id: str) -> None:
        """Count it no more."""
        self._holders.get((uid, channel), set()).discard(conn_id)


@dataclass(slots=True)
class Conversation:
    """The state of one connection: who is logged in, what is subscribed, how many requests were made."""

    path: str
    conn_id: str
    venue: Venue
    accounts: Accounts
    policy: Policy
    counts: Counts
    desk: Desk
    limits: bool = True
    account: Account | None = None
    subscribed: dict[Arg, Offer] = field(default_factory=dict)
    established: bool = False
    """Something was subscribed, or a login accepted, since the connection began."""
    _requests_s: deque[float] = field(default_factory=deque)

    def receive(self, text: str, now_s: float) -> tuple[Request | None, list[Step]]:
        """The answer to one text message at Unix time `now_s`; the request is None for `ping` and for what is none."""
        if text == "ping":
            return None, [Step("pong")]
        said = _parsed(text)
        if said is None:
            return Request("", "", (), text), [self._error(60012, "", request=text)]
        op, given = said.get("op"), said.get("args")
        args = tuple(given) if isinstance(given, list) else ()
        request_id = said.get("id", "")
        shown = _without_secrets(args) if op == "login" else args
        request = Request(str(op or ""), str(request_id), shown, _public(text, op))
        if not isinstance(op, str) or not op:
            return request, [self._error(60012, "", request=text)]
        if request_id != "" and not (isinstance(request_id, str) and _ID.fullmatch(request_id)):
            return request, [self._error(60033, "", name="id")]
        if op in _TRADING:
            return request, [self._trading(op, said, request_id, now_s)]
        if op not in ("subscribe", "unsubscribe", "login"):
            return request, [self._error(60019, request_id, op=op)]
        if self._too_frequent(now_s):
            return request, [self._error(60014, request_id)]
        if not args or not all(isinstance(arg, dict) for arg in args):
            return request, [self._error(60012, request_id, request=_public(text, op))]
        if op == "login":
            return request, [self._login(args[0], request_id, now_s)]
        take = self._subscribe if op == "subscribe" else self._unsubscribe
        return request, [step for arg in args for step in take(arg, request_id)]

    def carried_out(self, step: Step) -> None:
        """The text of this step has gone out: what it says is in force."""
        if step.then is Then.LOGGED_IN:
            self.account = step.account
            self.established = True

    def ended(self) -> None:
        """The connection is gone."""
        for arg in list(self.subscribed):
            self._drop(arg)

    def notice(self) -> str:
        """The announcement that this connection will be closed (PROTOCOL 2.4)."""
        return _dump({"event": "notice", "code": "64008", "msg": TEXTS[64008], "connId": self.conn_id})

    # -- requests

    def _subscribe(self, said: dict[str, Any], request_id: str) -> list[Step]:
        found = self.venue.look_up(self.path, said)
        if isinstance(found, Refusal):
            return [self._refused(found, request_id)]
        refusal = self.policy.refuse_arg(self.path, self.conn_id, found.arg)
        if refusal is not None:
            refused = self._refused(refusal, request_id, found.arg)
            return [refused] if refusal.late_s is None else [self._ack(said, request_id, found, lives=False), refused]
        late = self._late_refusal(found)
        if late:
            error = self._error(late, request_id, arg=named(said), channel=found.channel, instId=found.inst_id)
            return [self._ack(said, request_id, found, lives=False), error]
        steps = [self._ack(said, request_id, found)]
        if found.channel == "books-l2-tbt":
            steps += self._force_out(found)
        self.subscribed[found.arg] = found
        self.established = True
        if self.account is not None and found.channel in _COUNTED:
            steps += self._counted(found)
        return steps

    def _unsubscribe(self, said: dict[str, Any], request_id: str) -> list[Step]:
        found = self.venue.look_up(self.path, said)
        if isinstance(found, Refusal):
            return [self._refused(found, request_id)]
        self._drop(found.arg)
        text = self._event("unsubscribe", request_id, arg=said)
        return [Step(text, Then.UNSUBSCRIBED, "unsubscribe", found.arg)]

    def _login(self, said: dict[str, Any], request_id: str, now_s: float) -> Step:
        for name in ("apiKey", "passphrase", "timestamp", "sign"):
            value = said.get(name)
            if value in (None, ""):
                return self._login_error(60027, request_id, name=name)
            if not isinstance(value, (str, int, float)) or isinstance(value, bool):
                return self._login_error(60033, request_id, name=name)
        refusal = self.policy.refuse_login(self.path, self.conn_id)
        if refusal is not None:
            return self._login_refused(refusal, request_id)
        api_key, timestamp = str(said["apiKey"]), str(said["timestamp"])
        account = self.accounts.find(api_key)
        if account is None:
            return self._login_error(60032 if _UUID.fullmatch(api_key.lower()) else 60005, request_id)
        if said["passphrase"] != account.key.passphrase:
            return self._login_error(60024, request_id)
        if not re.fullmatch(r"\d{9,11}(\.\d+)?", timestamp):
            return self._login_error(60004, request_id)
        if abs(now_s - float(timestamp)) > LOGIN_VALID_S:
            return self._login_error(60006, request_id)
        if said["sign"] != sign(account.key.secret, timestamp, "GET", "/users/self/verify"):
            return self._login_error(60007, request_id)
        if self.account is not None:
            return self._login_error(60031, request_id)
        text = _dump({"event": "login", "code": "0", "msg": "", "connId": self.conn_id})
        return Step(text, Then.LOGGED_IN, "login", account=account)

    def _trading(self, op: str, said: dict[str, Any], request_id: str, now_s: float) -> Step:
        if self.path != _TRADING[op]:
            return self._error(60028, request_id)
        if not request_id:
            return self._error(60027, "", name="id")
        if self.account is None:
            return Step(_dump({"id": request_id, "op": op, "data": [], "code": "60011", "msg": TEXTS[60011]}), op=op)
        return Step(_dump(self.desk.answer(op, self.account.trader, said, now_s)), op=op)

    # -- what stands behind an ack

    def _late_refusal(self, found: Offer) -> int:
        """The code of an error that follows on the ack; 0 for none."""
        if found.login and self.account is None:
            return 60011
        if found.vip and self.account is not None and self.account.vip < found.vip:
            return 64003
        if found.channel in _SMALLER_BOOKS and self._has("books-l2-tbt", found.inst_id):
            return 64004
        return 0

    def _has(self, channel: str, inst_id: str) -> bool:
        return any(one.channel == channel and one.inst_id == inst_id for one in self.subscribed.values())

    def _force_out(self, found: Offer) -> list[Step]:
        """`books-l2-tbt` takes the place of the smaller books of its instrument (PROTOCOL 6.5)."""
        steps = []
        for arg, one in list(self.subscribed.items()):
            if one.channel in _SMALLER_BOOKS and one.inst_id == found.inst_id:
                self._drop(arg)
                said = {"channel": one.channel, "instId": one.inst_id}
                steps.append(Step(self._event("unsubscribe", "", arg=said), Then.UNSUBSCRIBED, "unsubscribe", arg))
        return steps

    def _counted(self, found: Offer) -> list[Step]:
        assert self.account is not None
        count = self.counts.enter(self.account.uid, found.channel, self.conn_id)
        over = count > CONNECTIONS_PER_CHANNEL
        if over:
            self._drop(found.arg)
        event = "channel-conn-count-error" if over else "channel-conn-count"
        said = {"event": event, "channel": found.channel, "connCount": str(min(count, CONNECTIONS_PER_CHANNEL))}
        text = _dump({**said, "connId": self.conn_id})
        return [Step(text, Then.UNSUBSCRIBED if over else Then.NOTHING, "error" if over else "", found.arg)]

    def _drop(self, arg: Arg) -> None:
        gone = self.subscribed.pop(arg, None)
        if gone is None or self.account is None or gone.channel not in _COUNTED:
            return
        if not any(one.channel == gone.channel for one in self.subscribed.values()):
            self.counts.leave(self.account.uid, gone.channel, self.conn_id)

    def _too_frequent(self, now_s: float) -> bool:
        if not self.limits:
            return False
        made = self._requests_s
        while made and made[0] <= now_s - 3600:
            made.popleft()
        if len(made) >= REQUESTS_PER_HOUR:
            return True
        made.append(now_s)
        return False

    # -- texts

    def _ack(self, said: dict[str, Any], request_id: str, found: Offer, *, lives: bool = True) -> Step:
        text = self._event("subscribe", request_id, arg=said)
        return Step(text, Then.SUBSCRIBED if lives else Then.NOTHING, "subscribe", found.arg)

    def _event(self, event: str, request_id: str, **more: Any) -> str:
        first = {"id": request_id} if request_id else {}
        return _dump({**first, "event": event, **more, "connId": self.conn_id})

    def _error(self, code: int, request_id: str, **fields: str) -> Step:
        return self._refused(Refusal(code, TEXTS[code].format(**fields)), request_id)

    def _refused(self, refusal: Refusal, request_id: str, arg: Arg | None = None) -> Step:
        text = self._event("error", request_id, msg=refusal.text, code=str(refusal.code))
        return Step(text, op="error", arg=arg, late_s=refusal.late_s or 0.0)

    def _login_error(self, code: int, request_id: str, **fields: str) -> Step:
        return self._login_refused(Refusal(code, TEXTS[code].format(**fields)), request_id)

    def _login_refused(self, refusal: Refusal, request_id: str) -> Step:
        said = self._event("error", request_id, msg=refusal.text, code=str(refusal.code))
        return Step(said, Then.LOGIN_REFUSED, "login", close=refusal.close)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def named(said: Mapping[str, Any]) -> str:
    """An arg as OKX's error texts write it: `channel:tickers,instId:BTC-USDT`."""
    return ",".join(f"{key}:{value}" for key, value in said.items())


def _without_secrets(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple({"apiKey": arg.get("apiKey", "")} if isinstance(arg, dict) else {} for arg in args)


def _public(text: str, op: object) -> str:
    return '{"op":"login"}' if op == "login" else text


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
