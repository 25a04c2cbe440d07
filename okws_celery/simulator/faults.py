"""Misbehaviour on request: what can go wrong, as data, and how the standing faults bear on requests and pushes.

A fault is given as `Simulator.fault(NAME, parameter=value, ...)` or `POST /control/fault {"fault": NAME, ...}`.
Each is aimed by `path` (public, private, business) and `conn` (a connId) and, where the table says *topic*, by `arg`
(`books:BTC-USDT`, or OKX's object) or `channel` (all arguments of a channel); what is not given means all. `times` is
how often it strikes, 0 for always. Of a channel that the market pushes to all alike, pushes cannot be aimed by `conn`.

    fault              parameters (default)                  what happens
    -----------------  ------------------------------------  ---------------------------------------------------------
    late_ack           topic, op (subscribe, unsubscribe,    acks and replies come so much later, null: never. A
                       login, order, ...), seconds (null),   subscription and a login are in force when the ack
                       times (0)                             comes, an unsubscription and an order at once
    refuse             topic, code (60018), text,            an error with `id`, without `arg`, in place of the ack;
                       late_s (null), times (0)              with late_s: so much after the ack, and no data
    refuse_login       code (60009), text, close (false),    logins are refused; close: and the connection closed
                       times (0)                             with 4001
    gap                topic, times (1)                      an update of a book is left out, the numbers go on
    duplicate          topic, times (1)                      a push is sent twice
    checksum           topic, times (1)                      a push of a book carries a wrong checksum
    crossed            topic, times (1)                      an update of a book brings a bid above every ask
    withhold_snapshot  topic, seconds (3), times (1)         the first push of a subscription, and all after it, wait
    topic_dead         topic                                 live subscriptions fall silent until they are made anew
    stall              seconds (3)                           nothing is read or sent, then all that waited
    half_open                                                nothing is read or sent any more, and there is no FIN
    trickle            pause_s (0.001), seconds (0: until    one byte at a time, later connections too
                       cleared)
    garbage            kind (bad_json), bad_utf8, huge,      live connections receive it: huge is 10 MB, fragmented a
                       fragmented, truncated, wrong_types,   message in three frames, truncated ends the stream in
                       binary                                the middle of a frame
    pings              count (1000)                          protocol pings in one write; right answers are counted
    together           texts                                 these text frames in one write, so in one TLS record
    send               text                                  this text frame
    notice             close_after_s (60)                    the 64008 notice, then the close
    close              code (4006), text                     closed with this code
    drop               how: fin or rst (fin)                 cut without a close frame
    stop_listening                                           new connections are refused, live ones stay
    resume                                                   new connections are taken again, on the same port
    clear                                                    all standing faults end

Standing faults wait for their occasion: those with `times`, and trickle. The others are done at once, to what lives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.endpoints import PATHS
from okws_celery.okx.ops import OPS
from okws_celery.okx.topics import Arg, parse_topic
from okws_celery.simulator.protocol import TEXTS, Refusal

__all__ = ["FAULTS", "GARBAGE", "Fault", "Faults", "arg_of", "parse_fault"]

GARBAGE = ("bad_json", "bad_utf8", "huge", "fragmented", "truncated", "wrong_types", "binary")

_AIM = {"path": "", "conn": ""}
_TOPIC = {**_AIM, "arg": None, "channel": ""}

FAULTS: dict[str, dict[str, Any]] = {
    "late_ack": {**_TOPIC, "op": "", "seconds": None, "times": 0},
    "refuse": {**_TOPIC, "code": 60018, "text": "", "late_s": None, "times": 0},
    "refuse_login": {**_AIM, "code": 60009, "text": "", "close": False, "times": 0},
    "gap": {**_TOPIC, "times": 1},
    "duplicate": {**_TOPIC, "times": 1},
    "checksum": {**_TOPIC, "times": 1},
    "crossed": {**_TOPIC, "times": 1},
    "withhold_snapshot": {**_TOPIC, "seconds": 3.0, "times": 1},
    "topic_dead": _TOPIC,
    "stall": {**_AIM, "seconds": 3.0},
    "half_open": _AIM,
    "trickle": {**_AIM, "pause_s": 0.001, "seconds": 0.0},
    "garbage": {**_AIM, "kind": "bad_json"},
    "pings": {**_AIM, "count": 1000},
    "together": {**_AIM, "texts": ()},
    "send": {**_AIM, "text": ""},
    "notice": {**_AIM, "close_after_s": 60.0},
    "close": {**_AIM, "code": 4006, "text": ""},
    "drop": {**_AIM, "how": "fin"},
    "stop_listening": {},
    "resume": {},
    "clear": {},
}
"""Every fault with its parameters and their defaults."""

_STANDING = frozenset({name for name, defaults in FAULTS.items() if "times" in defaults} | {"trickle"})
_ON_PUSH = ("gap", "checksum", "crossed", "duplicate")


@dataclass(slots=True)
class Fault:
    """One fault as it was asked for; `hits` counts how often it struck."""

    name: str
    path: str = ""
    conn: str = ""
    arg: Arg | None = None
    channel: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    hits: int = 0

    @property
    def stands(self) -> bool:
        """It waits for its occasions, instead of being done at once."""
        return self.name in _STANDING

    @property
    def spent(self) -> bool:
        """It has struck as often as it should."""
        times = self.options.get("times", 0)
        return bool(times) and self.hits >= times

    def aims_at(self, path: str, conn: str) -> bool:
        """A connection is among those meant."""
        return self.path in ("", path) and self.conn in ("", conn)

    def concerns(self, arg: Arg | None) -> bool:
        """An argument is among those meant."""
        if self.arg is not None:
            return arg == self.arg
        return not self.channel or (arg is not None and dict(arg).get("channel") == self.channel)


class Faults:
    """The standing faults, and what they mean for one request, ack or push."""

    def __init__(self) -> None:
        self.standing: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault stand."""
        self.standing.append(fault)

    def clear(self) -> None:
        """End all of them."""
        self.standing.clear()

    def remove(self, fault: Fault) -> None:
        """End one of them, if it still stands."""
        if fault in self.standing:
            self.standing.remove(fault)

    def refuse_arg(self, path: str, conn: str, arg: Arg) -> Refusal | None:
        """A refusal on purpose of one arg."""
        fault = self._strike("refuse", path, conn, arg)
        if fault is None:
            return None
        code = fault.options["code"]
        return Refusal(code, fault.options["text"] or _text(code, arg), fault.options["late_s"])

    def refuse_login(self, path: str, conn: str) -> Refusal | None:
        """A refusal on purpose of a login."""
        fault = self._strike("refuse_login", path, conn, None)
        if fault is None:
            return None
        code = fault.options["code"]
        return Refusal(code, fault.options["text"] or _text(code, ()), close=4001 if fault.options["close"] else 0)

    def late_ack(self, path: str, conn: str, op: str, arg: Arg | None) -> Fault | None:
        """The fault that makes this ack late: `seconds` is None if it never comes."""
        for fault in self.standing:
            if fault.name == "late_ack" and fault.options["op"] in ("", op) and not fault.spent:
                topical = fault.arg is not None or fault.channel
                if fault.aims_at(path, conn) and (
                    fault.concerns(arg) if op in ("subscribe", "unsubscribe") else not topical
                ):
                    fault.hits += 1
                    return fault
        return None

    def opening_delay_s(self, path: str, conn: str, arg: Arg) -> float:
        """How long the first push of a subscription is held back."""
        fault = self._strike("withhold_snapshot", path, conn, arg)
        return float(fault.options["seconds"]) if fault else 0.0

    def trickle(self, path: str, conn: str) -> Fault | None:
        """The fault that makes this connection send one byte at a time."""
        return next((one for one in self.standing if one.name == "trickle" and one.aims_at(path, conn)), None)

    def pushes(self, arg: Arg, text: str, path: str = "", conn: str = "") -> list[str]:
        """What is sent in place of one push: usually itself."""
        texts = [text]
        standing = {one.name for one in self.standing}
        for name in _ON_PUSH:
            if name in standing:
                texts = [changed for one in texts for changed in self._changed(name, arg, one, path, conn)]
        return texts

    def _changed(self, name: str, arg: Arg, text: str, path: str, conn: str) -> list[str]:
        if name in ("gap", "crossed") and '"action":"update"' not in text:
            return [text]
        if name == "checksum" and '"checksum":' not in text:
            return [text]
        fault = self._strike(name, path, conn, arg)
        if fault is None:
            return [text]
        if name == "gap":
            return []
        if name == "duplicate":
            return [text, text]
        return [_wrong_checksum(text) if name == "checksum" else _crossed(text)]

    def _strike(self, name: str, path: str, conn: str, arg: Arg | None) -> Fault | None:
        for fault in self.standing:
            aimed = fault.aims_at(path or fault.path, conn or fault.conn)
            if fault.name == name and aimed and not fault.spent and fault.concerns(arg):
                fault.hits += 1
                return fault
        return None


def parse_fault(given: Mapping[str, Any]) -> Fault:
    """A fault from its description; BadCommand says what is wrong and what is accepted."""
    name = given.get("fault")
    defaults = FAULTS.get(str(name))
    if defaults is None:
        raise BadCommand(f"fault {name!r}: {', '.join(FAULTS)} are accepted")
    unknown = set(given) - {"fault"} - set(defaults)
    if unknown:
        takes = ", ".join(defaults) or "no parameter"
        raise BadCommand(f"fault {name!r}: {', '.join(sorted(unknown))} is not one of its parameters; it takes {takes}")
    options = {**defaults, **{key: value for key, value in given.items() if key != "fault"}}
    path = options.pop("path", "")
    if path not in ("", *PATHS):
        raise BadCommand(f"fault {name!r}: path {path!r}; {', '.join(PATHS)} are accepted")
    _check(str(name), options)
    arg = options.pop("arg", None)
    return Fault(
        name=str(name),
        path=path,
        conn=str(options.pop("conn", "")),
        arg=None if arg in (None, "") else arg_of(arg),
        channel=str(options.pop("channel", "")),
        options=options,
    )


def arg_of(given: object) -> Arg:
    """An argument from topic text or OKX's object, also of a channel or instrument that only a recording knows."""
    return parse_topic(given).arg


def _check(name: str, options: Mapping[str, Any]) -> None:
    for key in ("seconds", "late_s", "pause_s", "close_after_s", "times", "count", "code"):
        value = options.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            raise BadCommand(f"fault {name!r}: {key} {value!r}; a number from 0 is accepted")
    choices = {"kind": GARBAGE, "how": ("fin", "rst"), "op": ("", "subscribe", "unsubscribe", "login", *OPS)}
    for key, accepted in choices.items():
        if key in options and options[key] not in accepted:
            raise BadCommand(f"fault {name!r}: {key} {options[key]!r}; {', '.join(accepted)} are accepted")
    texts = options.get("texts", ())
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise BadCommand(f"fault {name!r}: texts {texts!r}; a list of texts is accepted")


def _text(code: int, arg: Arg) -> str:
    by_key = dict(arg)
    said = {"channel": by_key.pop("channel"), **by_key} if arg else {}
    words = ",".join(f"{key}:{value}" for key, value in said.items())
    wanted = {"arg": words, "channel": said.get("channel", ""), "instId": said.get("instId", ""), "name": "instId"}
    return TEXTS.get(code, f"Refused with {code}").format(op="subscribe", request="", **wanted)


def _wrong_checksum(text: str) -> str:
    push = json.loads(text)
    for row in push["data"]:
        row["checksum"] = (row["checksum"] or 20260623) ^ 1
    return json.dumps(push, separators=(",", ":"))


def _crossed(text: str) -> str:
    push = json.loads(text)
    for row in push["data"]:
        row["bids"] = [["999999999", "1", "0", "1"], *row["bids"]]
    return json.dumps(push, separators=(",", ":"))
