"""What OKX sends, decoded: pushes, control events and replies to ops (PROTOCOL 2.1 to 4, 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["PONG", "BadMessage", "Event", "Push", "Reply", "decode", "decode_push"]

PONG = b"pong"
"""The bare text that answers `ping`; it is not JSON."""


class BadMessage(ValueError):
    """A frame that is not one of OKX's messages: bad UTF-8, bad JSON, wrong types."""


class Push(msgspec.Struct, frozen=True, gc=False):
    """Data: `arg` as raw JSON (the key of a route), the rows still raw, and the marks of books and account pages."""

    arg: msgspec.Raw
    data: list[msgspec.Raw]
    action: str = ""
    event_type: str = msgspec.field(default="", name="eventType")
    page: int = msgspec.field(default=0, name="curPage")
    last_page: bool = msgspec.field(default=True, name="lastPage")


class Event(msgspec.Struct, frozen=True):
    """A control message: subscribe, unsubscribe, login, error, notice, channel-conn-count, channel-conn-count-error.

    `code` is OKX's number, 0 if none was given; `arg` is None where OKX gives none, as with every error.
    """

    kind: str
    code: int = 0
    text: str = ""
    id: str = ""
    arg: dict[str, Any] | None = None
    channel: str = ""


class Reply(msgspec.Struct, frozen=True):
    """The answer to a trading op (PROTOCOL 7), matched by `id`; `body` is the whole object."""

    id: str
    op: str
    body: dict[str, Any]


class _Control(msgspec.Struct):
    # Only what decides where a message goes is typed; OKX adds fields almost monthly and they pass.
    arg: msgspec.Raw = msgspec.Raw(b"")
    event: str = ""
    op: str = ""
    id: str | None = ""
    code: str | int = "0"
    msg: str | None = ""
    channel: str = ""


decode_push: Callable[[bytes], Push] = msgspec.json.Decoder(Push).decode
"""A push that is known to be ASCII, as nearly all are; ValueError or RecursionError for whatever is none."""

_control = msgspec.json.Decoder(_Control).decode


def decode(frame: bytes) -> Push | Event | Reply:
    """One text frame as a value; BadMessage if it is none of OKX's. The bare `pong` is not for here."""
    try:
        if not frame.isascii():
            # What passes through raw is not looked at again, so bad UTF-8 must be caught here.
            frame.decode()
        try:
            # Nearly all that comes is a push, and nothing else has both arg and data.
            return decode_push(frame)
        except msgspec.ValidationError as problem:
            return _controlled(frame, problem)
    except (ValueError, RecursionError) as problem:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        raise BadMessage(str(problem)) from None


def _controlled(frame: bytes, no_push: msgspec.ValidationError) -> Event | Reply:
    said = _control(frame)
    if said.event:
        return _event(said)
    if said.op:
        return Reply(said.id or "", said.op, msgspec.json.decode(frame))
    if said.arg:
        raise no_push
    raise BadMessage("neither event, nor op, nor arg with data")


def _event(said: _Control) -> Event:
    arg = msgspec.json.decode(said.arg) if said.arg else None
    code = str(said.code)
    return Event(
        kind=said.event,
        code=int(code) if code.isdecimal() else 0,
        text=said.msg or "",
        id=said.id or "",
        arg=arg if isinstance(arg, dict) else None,
        channel=said.channel,
    )
