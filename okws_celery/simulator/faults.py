"""Misbehaviour on request: what can go wrong, as one table, and a fault as it was asked for.

A fault is given as `Simulator.fault(NAME, parameter=value, ...)`, as `okws simulator fault NAME parameter=value ...` or
as `POST /control/fault {"fault": NAME, ...}`. Each is aimed by `path` (public, private, business, v3) and `conn` (a
connId) and, if it is about a topic, by `arg` (`books:BTC-USDT`, or OKX's object) or `channel` (all arguments of a
channel); what is not given means all.

Standing faults wait for their occasion and strike `times` times, 0 for always; the others are done at once, to what
lives, and again every `every_s` seconds if that is given. `chance` is the probability that one strikes when it could;
what it decides follows from `seed`. `clear` ends all that stand or repeat.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.endpoints import PATHS
from okws_celery.okx.ops import OPS
from okws_celery.okx.topics import Arg, parse_topic

__all__ = ["FAULTS", "GARBAGE", "MEANINGS", "Fault", "arg_of", "parse_fault"]

GARBAGE = ("bad_json", "bad_utf8", "huge", "fragmented", "truncated", "wrong_types", "binary")

_CONN = {"path": "", "conn": ""}
_TOPIC = {**_CONN, "arg": None, "channel": ""}
_CHANCE = {"chance": 1.0, "seed": 0}
_ONCE = {"times": 1, **_CHANCE}
_ALWAYS = {"times": 0, **_CHANCE}
_NOW = {"every_s": 0.0, **_CHANCE}

_TABLE: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("late_ack", {**_TOPIC, "op": "", "seconds": None, **_ALWAYS}, "acks and replies (of op subscribe, unsubscribe, login, order, ...) come so much later, null: never. A subscription and a login are in force when the ack comes, an unsubscription and an order at once"),
    ("refuse", {**_TOPIC, "code": 60018, "text": "", "late_s": None, **_ALWAYS}, "an error with `id`, without `arg`, in place of the ack; with late_s: so much after the ack, and no data"),
    ("refuse_login", {**_CONN, "code": 60009, "text": "", "close": False, **_ALWAYS}, "logins are refused (60005 key, 60032 region, 60006 clock, 50101 environment); close: and the connection closed with 4001"),
    ("gap", {**_TOPIC, **_ONCE}, "an update of a book is left out, the numbers go on"),
    ("lose", {**_TOPIC, **_ONCE}, "a push is not sent, public or private"),
    ("duplicate", {**_TOPIC, **_ONCE}, "a push is sent twice"),
    ("reorder", {**_TOPIC, **_ONCE}, "a push comes after the next one of its argument"),
    ("checksum", {**_TOPIC, "becomes": "wrong", **_ONCE}, "a push of a book carries a wrong checksum; becomes zero: 0"),
    ("crossed", {**_TOPIC, **_ONCE}, "an update of a book brings a bid above every ask"),
    ("withhold_snapshot", {**_TOPIC, "seconds": 3.0, **_ONCE}, "the first push of a subscription, and all after it, wait"),
    ("topic_dead", {**_TOPIC, **_NOW}, "live subscriptions fall silent until they are made anew"),
    ("stall", {**_CONN, "seconds": 3.0, **_NOW}, "nothing is read or sent, then all that waited"),
    ("half_open", {**_CONN, **_NOW}, "nothing is read or sent any more, and there is no FIN"),
    ("trickle", {**_CONN, "pause_s": 0.001, "seconds": 0.0}, "one byte at a time, later connections too; 0 seconds: until cleared"),
    ("garbage", {**_CONN, "kind": "bad_json", **_NOW}, "bad_json, bad_utf8, wrong_types, binary; huge: 10 MB; fragmented: a message in three frames; truncated: the stream ends in the middle of a frame"),
    ("pings", {**_CONN, "count": 1000, **_NOW}, "protocol pings in one write; right answers are counted"),
    ("together", {**_CONN, "texts": (), **_NOW}, "these text frames in one write, so in one TLS record"),
    ("send", {**_CONN, "text": "", **_NOW}, "this text frame"),
    ("notice", {**_CONN, "close_after_s": 60.0, **_NOW}, "the 64008 notice, then the close"),
    ("close", {**_CONN, "code": 4006, "text": "", **_NOW}, "closed with this code and text (OKX's own if none is given)"),
    ("drop", {**_CONN, "how": "fin", **_NOW}, "cut without a close frame, by fin or rst"),
    ("key_changed", {"api_key": "", "deleted": False}, "connections logged in with this key (all keys) are closed with 4007; deleted: and it can log in no more"),
    ("deliver", {"inst_id": ""}, "an instrument expires: `instruments` says so, its topics fall silent, new subscriptions are 60018"),
    ("rename", {"inst_id": "", "to": ""}, "an instrument gets another instId: `instruments` says so, trades and books go on under the old one, other topics fall silent"),
    ("renumber", {"inst_id": ""}, "the sequence numbers of an instrument begin anew, as after a maintenance (PROTOCOL 6.3)"),
    ("rest", {"endpoint": "", "status": 503, "code": 0, "seconds": 0.0, **_ALWAYS}, "REST answers (those whose path begins so) with this HTTP status (429, 503; 200 for the true answer) and OKX's code, after so many seconds"),
    ("stop_listening", {"seconds": 0.0}, "new connections are refused, live ones stay; 0 seconds: until Python's `Simulator.resume`, since HTTP cannot ask for it then"),
    ("resume", {}, "new connections are taken again, on the same port"),
    ("clear", {}, "all standing and repeated faults end"),
)  # fmt: skip

FAULTS: dict[str, dict[str, Any]] = {name: parameters for name, parameters, _ in _TABLE}
"""Every fault with its parameters and their defaults."""
MEANINGS: dict[str, str] = {name: meaning for name, _, meaning in _TABLE}
"""What happens, by fault."""

_STANDING = frozenset({name for name, defaults in FAULTS.items() if "times" in defaults} | {"trickle"})
_NUMBERS = "seconds late_s pause_s close_after_s every_s times count code status chance".split()
_RANGES = {("", "chance"): (0, 1), ("close", "code"): (1000, 4999), ("rest", "status"): (200, 599)}
"""Of a fault's numbers, or of every fault's: the least and the most."""
_MOST_REASON = 123
"""Bytes of text in a close frame (RFC 6455, 5.5.1)."""
_CHOICES: dict[str, tuple[Any, ...]] = {
    "kind": GARBAGE,
    "how": ("fin", "rst"),
    "op": ("", "subscribe", "unsubscribe", "login", *OPS),
    "becomes": ("wrong", "zero"),
}


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
    held: dict[tuple[Arg, str], str] = field(default_factory=dict, repr=False)
    """Pushes that wait for the next one of their argument, of one connection or of all."""
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._random.seed(self.options.get("seed", 0))

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

    def strikes(self) -> bool:
        """Whether it strikes at this occasion; counts it."""
        if self.spent or not self.happens():
            return False
        self.hits += 1
        return True

    def happens(self) -> bool:
        """What chance says."""
        chance = float(self.options.get("chance", 1.0))
        return chance >= 1 or self._random.random() < chance


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
    if path not in ("", *PATHS, "v3"):
        raise BadCommand(f"fault {name!r}: path {path!r}; {', '.join(PATHS)}, v3 are accepted")
    _check(str(name), options)
    arg = options.pop("arg", None)
    return Fault(
        name=str(name),
        path=path,
        conn=str(options.pop("conn", "")),
        arg=None if arg in (None, "") else (("channel", str(arg)),) if path == "v3" else arg_of(arg),
        channel=str(options.pop("channel", "")),
        options=options,
    )


def arg_of(given: object) -> Arg:
    """An argument from topic text or OKX's object, also of a channel or instrument that only a recording knows."""
    return parse_topic(given).arg


def _check(name: str, options: Mapping[str, Any]) -> None:
    for key, default in FAULTS[name].items():
        if isinstance(default, str) and not isinstance(options.get(key, ""), str):
            raise BadCommand(f"fault {name!r}: {key} {options[key]!r}; a text is accepted")
    for key in _NUMBERS:
        value, default = options.get(key), FAULTS[name].get(key)
        if value == default:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise BadCommand(f"fault {name!r}: {key} {value!r}; a number from 0 is accepted")
    for (of, key), (least, most) in _RANGES.items():
        if of in ("", name) and key in options and not least <= options[key] <= most:
            raise BadCommand(f"fault {name!r}: {key} {options[key]!r}; {least} to {most} is accepted")
    if name == "close" and len(str(options["text"]).encode()) > _MOST_REASON:
        raise BadCommand(f"fault 'close': text of more than {_MOST_REASON} bytes; a close frame holds no more")
    if not isinstance(options.get("seed", 0), int):
        raise BadCommand(f"fault {name!r}: seed {options['seed']!r}; a whole number is accepted")
    for key, accepted in _CHOICES.items():
        if key in options and options[key] not in accepted:
            raise BadCommand(f"fault {name!r}: {key} {options[key]!r}; {', '.join(accepted)} are accepted")
    texts = options.get("texts", ())
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise BadCommand(f"fault {name!r}: texts {texts!r}; a list of texts is accepted")
    for key in ("inst_id", "to"):
        if name in ("deliver", "rename", "renumber") and not options.get(key, "-"):
            raise BadCommand(f"fault {name!r}: {key} missing; an instId is accepted")
