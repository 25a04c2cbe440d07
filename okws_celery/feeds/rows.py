"""Looking into a row without taking it apart: the few fields that a feed needs, and what Redis gave back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import astuple

from okws_celery.feeds.route import BadPush

__all__ = ["RowReader", "entries", "is_error", "ms", "pairs", "text"]


class RowReader:
    """Takes named fields out of a row as text, "" where one is missing, null or empty; BadPush if a type is wrong.

    Everything else in the row passes unread: OKX adds fields almost monthly.
    """

    __slots__ = ("_decode", "_texts")

    def __init__(self, *names: str) -> None:
        self._texts, self._decode = _decoders(names)

    def __call__(self, row: bytes) -> tuple[str, ...]:
        """The fields of one row, in the order in which they were named."""
        try:
            try:
                values: tuple[str, ...] = astuple(self._texts(row))  # nearly always; the other types cost more to admit
            except msgspec.ValidationError:
                values = tuple("" if value is None else str(value) for value in astuple(self._decode(row)))
        except ValueError as problem:
            raise BadPush(f"row {row[:80]!r}: {problem}") from None
        return values


@lru_cache(maxsize=1_000)
def _decoders(names: tuple[str, ...]) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """One for fields that are texts, if they are there, and one for whatever OKX may make of them."""
    texts = [(name, str, "") for name in names]
    others = [(name, str | int | None, "") for name in names]
    return (
        msgspec.json.Decoder(msgspec.defstruct("Row", texts, gc=False)).decode,
        msgspec.json.Decoder(msgspec.defstruct("Row", others, gc=False)).decode,
    )


def ms(value: str) -> int:
    """An exchange time, Unix ms; 0 if there is none, or if it is no time (15 digits reach the year 33,000)."""
    return int(value) if len(value) <= 15 and value.isascii() and value.isdigit() else 0


def text(value: object) -> str:
    """A reply as text, whether or not the client decoded it; "" for nil."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def is_error(reply: object) -> bool:
    """Whether a reply is an error: redis-py and hiredis both give it as an exception that was not raised."""
    return isinstance(reply, Exception)


def pairs(reply: Any) -> dict[str, str]:
    """A hash as a dict, from HGETALL's flat list or from a client that made a dict of it."""
    if isinstance(reply, dict) and isinstance(next(iter(reply), None), str):
        return reply  # of a client that decodes
    if isinstance(reply, Mapping):
        return {text(key): text(value) for key, value in reply.items()}
    if not isinstance(reply, Sequence):
        return {}
    return {text(key): text(value) for key, value in zip(reply[::2], reply[1::2], strict=False)}


def entries(reply: Any) -> Iterable[tuple[str, dict[str, str]]]:
    """Stream entries as (id, fields), from XRANGE's and XREVRANGE's lists as sent or as a client shaped them."""
    for entry in reply if isinstance(reply, Sequence) else ():
        if len(entry) == 2:
            yield text(entry[0]), pairs(entry[1])
