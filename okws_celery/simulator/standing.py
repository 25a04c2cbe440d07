"""The faults that stand, and what they mean for one request, ack, push or REST call; the table is that of `faults`."""

from __future__ import annotations

import json

from okws_celery.okx.topics import Arg
from okws_celery.simulator.faults import Fault
from okws_celery.simulator.protocol import TEXTS, Refusal

__all__ = ["StandingFaults"]

_ON_PUSH = ("gap", "lose", "checksum", "crossed", "reorder", "duplicate")


class StandingFaults:
    """All faults that wait for their occasion, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.standing: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault stand; those that have struck as often as they should make room, once all they held is sent."""
        self.standing = [one for one in self.standing if not one.spent or one.held] + [fault]

    def clear(self) -> None:
        """End all of them."""
        self.standing.clear()

    def remove(self, fault: Fault) -> None:
        """End one of them, if it still stands."""
        if fault in self.standing:
            self.standing.remove(fault)

    # -- requests

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
            if fault.name == "late_ack" and fault.options["op"] in ("", op):
                topical = fault.arg is not None or fault.channel
                meant = fault.concerns(arg) if op in ("subscribe", "unsubscribe") else not topical
                if meant and fault.aims_at(path, conn) and fault.strikes():
                    return fault
        return None

    def rest(self, path: str) -> Fault | None:
        """The fault that meets a REST call."""
        for fault in self.standing:
            if fault.name == "rest" and path.startswith(fault.options["endpoint"]) and fault.strikes():
                return fault
        return None

    # -- pushes

    def opening_delay_s(self, path: str, conn: str, arg: Arg) -> float:
        """How long the first push of a subscription is held back."""
        fault = self._strike("withhold_snapshot", path, conn, arg)
        return float(fault.options["seconds"]) if fault else 0.0

    def trickle(self, path: str, conn: str) -> Fault | None:
        """The fault that makes this connection send one byte at a time."""
        return next((one for one in self.standing if one.name == "trickle" and one.aims_at(path, conn)), None)

    def pushes(self, arg: Arg, text: str, path: str) -> list[str]:
        """What all who listen are sent in place of one push: usually itself."""
        faults = [one for one in self.standing if not one.conn and one.name in _ON_PUSH]
        return _changed_by(faults, arg, text, path, "") if faults else [text]

    def pushes_to(self, conn: str, arg: Arg, texts: list[str], path: str) -> list[str]:
        """What one connection is sent in place of that, by faults that are aimed at it alone."""
        faults = [one for one in self.standing if one.conn == conn and one.name in _ON_PUSH]
        if not faults:
            return texts
        return [changed for text in texts for changed in _changed_by(faults, arg, text, path, conn)]

    def pushes_of(self, conn: str, arg: Arg, text: str, path: str) -> list[str]:
        """What one connection is sent in place of a push that is for it alone: a private or a recorded one."""
        faults = [one for one in self.standing if one.conn in ("", conn) and one.name in _ON_PUSH]
        return _changed_by(faults, arg, text, path, conn) if faults else [text]

    @property
    def personal(self) -> bool:
        """Whether any fault is aimed at one connection's pushes."""
        return any(one.conn and one.name in _ON_PUSH for one in self.standing)

    def _strike(self, name: str, path: str, conn: str, arg: Arg | None) -> Fault | None:
        for fault in self.standing:
            if fault.name == name and fault.aims_at(path, conn) and fault.concerns(arg) and fault.strikes():
                return fault
        return None


def _changed_by(faults: list[Fault], arg: Arg, text: str, path: str, conn: str) -> list[str]:
    texts = [text]
    for fault in sorted(faults, key=lambda one: _ON_PUSH.index(one.name)):
        if fault.aims_at(path, conn) and fault.concerns(arg):
            texts = [changed for one in texts for changed in _changed(fault, arg, one, conn)]
    return texts


def _changed(fault: Fault, arg: Arg, text: str, conn: str) -> list[str]:
    name = fault.name
    if name == "reorder":
        return _reordered(fault, (arg, conn), text)
    if name in ("gap", "crossed") and '"action":"update"' not in text:
        return [text]
    if name == "checksum" and '"checksum":' not in text:
        return [text]
    if not fault.strikes():
        return [text]
    if name in ("gap", "lose"):
        return []
    if name == "duplicate":
        return [text, text]
    return [_crossed(text) if name == "crossed" else _with_checksum(text, fault.options["becomes"])]


def _reordered(fault: Fault, stream: tuple[Arg, str], text: str) -> list[str]:
    held = fault.held.pop(stream, None)
    if '"action":"snapshot"' in text:
        return [text]  # a book begins anew: what was held back belongs to the old one
    if held is not None:
        return [text, held]
    if fault.strikes():
        fault.held[stream] = text
        return []
    return [text]


def _text(code: int, arg: Arg) -> str:
    by_key = dict(arg)
    said = {"channel": by_key.pop("channel"), **by_key} if arg else {}
    words = ",".join(f"{key}:{value}" for key, value in said.items())
    wanted = {"arg": words, "channel": said.get("channel", ""), "instId": said.get("instId", ""), "name": "instId"}
    return TEXTS.get(code, f"Refused with {code}").format(op="subscribe", request="", **wanted)


def _with_checksum(text: str, becomes: str) -> str:
    push = json.loads(text)
    for row in push["data"]:
        row["checksum"] = 0 if becomes == "zero" else (row["checksum"] or 20260623) ^ 1
    return json.dumps(push, separators=(",", ":"))


def _crossed(text: str) -> str:
    push = json.loads(text)
    for row in push["data"]:
        row["bids"] = [["999999999", "1", "0", "1"], *row["bids"]]
    return json.dumps(push, separators=(",", ":"))
