"""Trading ops (PROTOCOL 7): what a caller may send, to which path, what is added to it, and what OKX's reply means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from okws_celery.errors import DONE, UNKNOWN_OUTCOME, Answer, BadCommand, answer
from okws_celery.okx.rest import RestRequest

__all__ = ["OPS", "Op", "OpKind", "answer_of", "check_op", "code_request", "error_answer", "parse_op"]


@dataclass(frozen=True, slots=True)
class OpKind:
    """What is known of an op: its path, whether OKX heeds `expTime`, and whether it names instruments by code."""

    name: str
    path: str
    expires: bool = False
    by_code: bool = False


OPS: dict[str, OpKind] = {
    kind.name: kind
    for kind in (
        # op                          path        expTime        instIdCode
        OpKind("order",               "private",  expires=True,  by_code=True),
        OpKind("batch-orders",        "private",  expires=True,  by_code=True),
        OpKind("amend-order",         "private",  expires=True,  by_code=True),
        OpKind("batch-amend-orders",  "private",  expires=True,  by_code=True),
        OpKind("cancel-order",        "private",                 by_code=True),
        OpKind("batch-cancel-orders", "private",                 by_code=True),
        OpKind("mass-cancel",         "private"),
        OpKind("sprd-order",          "business"),
        OpKind("sprd-amend-order",    "business"),
        OpKind("sprd-cancel-order",   "business"),
        OpKind("sprd-mass-cancel",    "business"),
    )
}  # fmt: skip
"""The ops of PROTOCOL 7. Others are sent as they are: /business if they begin with `sprd-`, else /private."""

_STATE = frozenset({"subscribe", "unsubscribe"})
_NOT_TO_SEND = {
    "login": "a session logs in by itself, with the credentials of open_ws",
    "ping": "a session keeps its links alive by itself",
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_MAX_BYTES = 64 * 1024 - 256
"""OKX closes the connection when a frame is larger than 64 KB (PROTOCOL 2); the rest is for what is added here."""
_ACCEPTED = '{"op": "order", "args": [{...}]} is accepted, as OKX takes it'
_CODE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Op:
    """One op, checked. `args` and `rest` (other top-level keys, such as the caller's own expTime) are as given."""

    kind: OpKind
    args: list[dict[str, Any]] | None
    own_id: str
    """The caller's `id`, "" if he gave none: the one on the wire is the session's."""
    rest: dict[str, Any]

    @property
    def name(self) -> str:
        """`order`, `cancel-order`, ..."""
        return self.kind.name

    @property
    def inst_ids(self) -> set[str]:
        """The instruments whose instIdCode has to be filled in."""
        return {arg["instId"] for arg in self._nameless}

    def request(self, wire_id: str, codes: Mapping[str, int], expires_ms: int | None = None) -> str:
        """The frame. `codes` has an instIdCode for each of `inst_ids`; `expires_ms` is by the exchange's clock.

        A filled-in code takes the place of the instId, which OKX ignores (PROTOCOL 7).
        """
        body: dict[str, Any] = {"id": wire_id, "op": self.name}
        if self.kind.expires and expires_ms is not None and "expTime" not in self.rest:
            body["expTime"] = str(expires_ms)
        if self.args is not None:
            body["args"] = [self._coded(arg, codes) for arg in self.args]
        return _text(body | self.rest)

    @property
    def _nameless(self) -> list[dict[str, Any]]:
        if not self.kind.by_code or self.args is None:
            return []
        return [arg for arg in self.args if arg.get("instId") and arg.get("instIdCode") is None]

    def _coded(self, arg: dict[str, Any], codes: Mapping[str, int]) -> dict[str, Any]:
        if not self.kind.by_code or not arg.get("instId") or arg.get("instIdCode") is not None:
            return arg
        rest = {key: value for key, value in arg.items() if key not in ("instId", "instIdCode")}
        return {"instIdCode": codes[arg["instId"]], **rest}


def check_op(given: object) -> dict[str, Any]:
    """What a caller wants to send, as plain JSON, `subscribe` and `unsubscribe` among it; BadCommand (80010) if it is
    nothing that a session sends. Decimals become text, as OKX takes numbers."""
    if not isinstance(given, Mapping):
        raise BadCommand(f"op {_short(given)}: {_ACCEPTED}")
    try:
        op: dict[str, Any] = json.loads(_text(given))
    except (TypeError, ValueError, RecursionError) as problem:
        raise BadCommand(f"op {_short(given)}: not JSON ({problem}); {_ACCEPTED}") from None
    if not isinstance(op.get("op"), str):
        raise BadCommand(f"op {_short(given)}: 'op' is missing; {_ACCEPTED}")
    if op["op"] not in _STATE:
        parse_op(op)
    return op


def parse_op(given: Mapping[str, Any]) -> Op:
    """The op in a plain JSON object; BadCommand (80010) says what is wrong."""
    name = given.get("op")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadCommand(f"op {_short(name)}: the name of an op, such as {', '.join(OPS)}, is accepted")
    if name in _NOT_TO_SEND:
        raise BadCommand(f"op {name!r} is not for send: {_NOT_TO_SEND[name]}")
    own_id = given.get("id", "")
    if own_id and (not isinstance(own_id, str) or not _ID.fullmatch(own_id)):
        raise BadCommand(f"op {name!r}: id {_short(own_id)}; text of 1 to 32 letters and digits is accepted")
    kind = OPS.get(name) or OpKind(name, "business" if name.startswith("sprd-") else "private")
    args = given.get("args")
    if args is None and name in OPS:
        raise BadCommand(f"op {name!r}: 'args' is missing; {_ACCEPTED}")
    if args is not None and (not isinstance(args, list) or not all(isinstance(arg, dict) for arg in args)):
        raise BadCommand(f"op {name!r}: args must be a list of objects; {_ACCEPTED}")
    for arg in args or () if kind.by_code else ():
        _check_instrument(name, arg)
    size = len(_text(given).encode())
    if size > _MAX_BYTES:
        raise BadCommand(f"op {name!r}: {size} bytes; OKX takes no more than 64 KB in one request")
    rest = {key: value for key, value in given.items() if key not in ("op", "id", "args")}
    return Op(kind, args, own_id or "", rest)


def code_request(inst_id: str) -> RestRequest:
    """What to ask for an instrument's instIdCode (PROTOCOL 8.3); BadCommand if its id tells no instType."""
    parts = inst_id.split("-")
    family = "-".join(parts[:2])
    match parts:
        case [_, _]:
            query = {"instType": "SPOT"}
        case [_, _, "SWAP"]:
            query = {"instType": "SWAP"}
        case [_, _, delivery] if delivery.isdigit():
            query = {"instType": "FUTURES"}
        case [_, _, delivery, _, "C" | "P"] if delivery.isdigit():
            query = {"instType": "OPTION", "instFamily": family}
        case _:
            raise BadCommand(f"instId {_short(inst_id)}: its type cannot be told from it; give instIdCode instead")
    return RestRequest("/api/v5/public/instruments", query | {"instId": inst_id}, 9.0)


def answer_of(op: Op, reply: Mapping[str, Any]) -> Answer:
    """OKX's reply as an answer: 80000, or the code and text of the first item that failed, or of the whole request.

    The reply itself is in `reply`, with the caller's own id.
    """
    reply = _as_own(op, reply)
    items = reply.get("data")
    failed = next(_failed(items if isinstance(items, list) else []), None)
    code, text = _number(reply.get("code")), str(reply.get("msg") or "")
    if failed is not None:
        code, text = _number(failed["sCode"]), str(failed.get("sMsg") or "") or text
    if code == 0:
        return answer(DONE, f"{op.name}: accepted by OKX", reply=reply)
    return answer(code, text or f"{op.name}: refused by OKX with {code}", reply=reply)


def error_answer(op: Op, code: int, text: str, event: Mapping[str, Any]) -> Answer:
    """An error event that OKX sent in place of a reply, as an answer."""
    code = code or UNKNOWN_OUTCOME
    return answer(code, text or f"{op.name}: refused by OKX with {code}", reply=_as_own(op, event))


def _as_own(op: Op, reply: Mapping[str, Any]) -> dict[str, Any]:
    return {**reply, "id": op.own_id} if op.own_id else dict(reply)


def _failed(items: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for item in items:
        if isinstance(item, Mapping) and str(item.get("sCode", "0")) not in ("0", ""):
            yield item


def _number(code: object) -> int:
    """OKX's code; what is none cannot be told to be a success."""
    return int(str(code)) if _CODE.fullmatch(str(code)) else UNKNOWN_OUTCOME


def _check_instrument(name: str, arg: Mapping[str, Any]) -> None:
    code, inst_id = arg.get("instIdCode"), arg.get("instId")
    if code is not None and (not isinstance(code, int) or isinstance(code, bool)):
        raise BadCommand(f"op {name!r}: instIdCode {_short(code)}; a whole number is accepted, not text")
    if code is None and inst_id:
        if not isinstance(inst_id, str):
            raise BadCommand(f"op {name!r}: instId {_short(inst_id)}; text is accepted")
        code_request(inst_id)


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(dict(body), separators=(",", ":"), allow_nan=False, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} {_short(value)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
