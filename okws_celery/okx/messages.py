"""What OKX sends, decoded: pushes, control events and replies to ops (PROTOCOL 2.1 to 4, 7)."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["PONG", "BadMessage", "Event", "Push", "Reply", "decode"]

PONG = b"pong"
"""The bare text that answers `ping`; it is not JSON."""


class BadMessage(ValueError):
    """A frame that is not one of OKX's messages: bad UTF-8, bad JSON, wrong types."""


class Push(msgspec.Struct, frozen=True):
    """Data: `arg` as raw JSON (the key of a route), the rows still raw, and the marks of books and account pages."""

    arg: msgspec.Raw
    data: list[msgspec.Raw]
    action: str = ""
    event_type: str = ""
    page: int = 0
    last_page: bool = True


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


class _Envelope(msgspec.Struct):
    # Only what decides where a message goes is typed; OKX adds fields almost monthly and they pass.
    arg: msgspec.Raw = msgspec.Raw(b"")
    data: list[msgspec.Raw] | None = None
    action: str = ""
    eventType: str = ""
    curPage: int = 0
    lastPage: bool = True
    event: str = ""
    op: str = ""
    id: str | None = ""
    code: str | int = "0"
    msg: str | None = ""
    channel: str = ""


_envelope = msgspec.json.Decoder(_Envelope)


def decode(frame: bytes) -> Push | Event | Reply:
    """One text frame as a value; BadMessage if it is none of OKX's. The bare `pong` is not for here."""
    try:
        if not frame.isascii():
            # What passes through raw is not looked at again, so bad UTF-8 must be caught here.
            frame.decode()
        said = _envelope.decode(frame)
        if said.event:
            return _event(said)
        if said.op:
            return Reply(said.id or "", said.op, msgspec.json.decode(frame))
        if said.data is not None and said.arg:
            return Push(said.arg, said.data, said.action, said.eventType, said.curPage, said.lastPage)
    except (ValueError, RecursionError) as problem:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        raise BadMessage(str(problem)) from None
    raise BadMessage("neither event, nor op, nor arg with data")


def _event(said: _Envelope) -> Event:
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
