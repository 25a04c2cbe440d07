"""A client's conversation with the v3 API, dead since 2022, as far as recordings of it can be played (PROTOCOL 9.1).

Like `protocol` it does no I/O. That every answer goes out as a binary frame of raw deflate is the connection's affair.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from okws_celery.okx.login import sign
from okws_celery.okx.topics import Arg
from okws_celery.simulator.accounts import Account, Accounts
from okws_celery.simulator.protocol import LOGIN_VALID_S, Offer, Policy, Refusal, Request, Step, Then
from okws_celery.simulator.recording import Recording, v3_arg

__all__ = ["V3Conversation"]

_REQUESTS_PER_HOUR = 240
_TEXTS = {
    30001: "OK-ACCESS-KEY header is required",
    30002: "OK-ACCESS-SIGN header is required",
    30004: "OK-ACCESS-PASSPHRASE header is required",
    30005: "Invalid OK-ACCESS-TIMESTAMP",
    30006: "Invalid OK-ACCESS-KEY",
    30008: "Request timestamp expired",
    30013: "Invalid sign",
    30026: "Requests too frequent",
    30027: "Login failure",
    30039: "Unrecognized request",
    30040: "Channel {topic} doesn't exist",
    30041: "User not logged in / User must be logged in",
    30042: "Already logged in",
}
_PRIVATE = re.compile(r"[a-z]+/(account|margin_account|position|order|order_algo)\b.*")


@dataclass(slots=True)
class V3Conversation:
    """The state of one connection. Topics that were recorded can be had, private ones after a login."""

    path: str
    conn_id: str
    recording: Recording | None
    accounts: Accounts
    policy: Policy
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
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        op = said.get("op") if isinstance(said, dict) else None
        args = said.get("args") if isinstance(said, dict) else None
        if op not in ("subscribe", "unsubscribe", "login") or not isinstance(args, list) or not args:
            return Request(str(op or ""), "", (), text), [self._error(30039)]
        shown = ({"apiKey": str(args[0])},) if op == "login" else tuple(args)
        request = Request(op, "", shown, '{"op":"login"}' if op == "login" else text)
        if self._too_frequent(now_s):
            return request, [self._error(30026)]
        if op == "login":
            return request, [self._login([str(one) for one in args], now_s)]
        take = self._subscribe if op == "subscribe" else self._unsubscribe
        return request, [step for topic in args for step in take(str(topic))]

    def carried_out(self, step: Step) -> None:
        """The text of this step has gone out: what it says is in force."""
        if step.then is Then.LOGGED_IN:
            self.account = step.account
            self.established = True

    def ended(self) -> None:
        """The connection is gone."""
        self.subscribed.clear()

    def notice(self) -> str:
        """The v3 API announced nothing; this is its nearest: an error of the server's own."""
        return _dump({"event": "error", "message": "Internal system error", "errorCode": 30043})

    def _subscribe(self, topic: str) -> list[Step]:
        if self.recording is None or not self.recording.has_v3(topic):
            return [self._error(30040, topic=topic)]
        if _PRIVATE.fullmatch(topic) and self.account is None:
            return [self._error(30041)]
        arg = v3_arg(topic)
        ack = Step(_dump({"event": "subscribe", "channel": topic}), Then.SUBSCRIBED, "subscribe", arg)
        refusal = self.policy.refuse_arg(self.path, self.conn_id, arg)
        if refusal is not None:
            refused = self._refused(refusal, arg)
            return [refused] if refusal.late_s is None else [Step(ack.text, op="subscribe", arg=arg), refused]
        self.subscribed[arg] = Offer(arg, topic)
        self.established = True
        return [ack]

    def _unsubscribe(self, topic: str) -> list[Step]:
        arg = v3_arg(topic)
        if self.subscribed.pop(arg, None) is None:
            return [self._error(30040, topic=topic)]
        return [Step(_dump({"event": "unsubscribe", "channel": topic}), Then.UNSUBSCRIBED, "unsubscribe", arg)]

    def _login(self, args: list[str], now_s: float) -> Step:
        key, passphrase, timestamp, signature = (*args, "", "", "", "")[:4]
        account = self.accounts.find(key)
        code = 0
        if not key or not passphrase or not signature:
            code = 30001 if not key else 30004 if not passphrase else 30002
        elif account is None:
            code = 30006
        elif passphrase != account.key.passphrase:
            code = 30027
        elif not re.fullmatch(r"\d{9,11}(\.\d+)?", timestamp):
            code = 30005
        elif abs(now_s - float(timestamp)) > LOGIN_VALID_S:
            code = 30008
        elif signature != sign(account.key.secret, timestamp, "GET", "/users/self/verify"):
            code = 30013
        elif self.account is not None:
            code = 30042
        refusal = self.policy.refuse_login(self.path, self.conn_id)
        if refusal is not None or code:
            text = self._refused(refusal).text if refusal is not None else self._error(code).text
            return Step(text, Then.LOGIN_REFUSED, "login", close=4001)
        text = _dump({"event": "login", "success": True})
        return Step(text, Then.LOGGED_IN, "login", account=account)

    def _too_frequent(self, now_s: float) -> bool:
        if not self.limits:
            return False
        made = self._requests_s
        while made and made[0] <= now_s - 3600:
            made.popleft()
        if len(made) >= _REQUESTS_PER_HOUR:
            return True
        made.append(now_s)
        return False

    def _error(self, code: int, **fields: str) -> Step:
        return self._refused(Refusal(code, _TEXTS[code].format(**fields)))

    def _refused(self, refusal: Refusal, arg: Arg | None = None) -> Step:
        said = {"event": "error", "message": refusal.text, "errorCode": refusal.code}
        return Step(_dump(said), op="error", arg=arg, late_s=refusal.late_s or 0.0)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
