"""A row as the HSET of its fields. Rows of one channel nearly always have the same: their names are packed once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from okws_celery.store.batch import Pack, pack, stem

__all__ = ["Layout", "beginning_of", "fields_of", "layout_of"]

_LAYOUTS = 1_000  # kept, over all channels

# A character of a JSON string that means itself.
_AS_IT_STANDS = rb'[^"\\\x00-\x1f]'
_NOT_AS_IT_STANDS = re.compile(rb'["\\\x00-\x1f]')
_NOTHING = re.compile(rb"(?!)").fullmatch

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Layout:
    """What rows with the same fields, all of them strings, have in common. `LatestFeed` makes commands of it."""

    match: Callable[[bytes], re.Match[bytes] | None]
    """Tells whether a row has these fields in this order, spelled without blanks and escapes; its groups are the
    values, as they stand between their quotes."""
    pieces: list[bytes]
    """Of the command: before each value what leads to it, and room for its length and for itself; then the end. To be
    copied, and to begin with what `beginning_of` says."""


def beginning_of(key: str, names: tuple[str, ...]) -> bytes:
    """The command up to the first value."""
    return stem("HSET", key, names[0], more=2 * len(names) - 1)


@lru_cache(maxsize=_LAYOUTS)
def layout_of(names: tuple[str, ...]) -> Layout:
    """The layout of rows with these fields."""
    quoted = [name.encode() for name in names]
    pieces = [piece for name in quoted for piece in (b"\r\n$%d\r\n%b\r\n" % (len(name), name), b"", b"")]
    return Layout(_matching(quoted), [*pieces, b"\r\n"])


def _matching(names: list[bytes]) -> Callable[[bytes], re.Match[bytes] | None]:
    if any(_NOT_AS_IT_STANDS.search(name) for name in names):
        return _NOTHING
    # Nothing is tried twice: what does not match is found out on the way.
    return re.compile(
        rb"\{%b\}" % b",".join(b'"%b":"(%b*+)"' % (re.escape(name), _AS_IT_STANDS) for name in names)
    ).fullmatch


def fields_of(key: str, row: bytes) -> tuple[tuple[str, ...], bytes]:
    """The names of any row, and the whole command; what is not a string stands there as JSON text."""
    fields = _fields(row)
    flat: list[Pack] = [part for name, value in fields.items() for part in (name, _as_text(bytes(value)))]
    return tuple(fields), pack("HSET", key, *flat)


def _as_text(raw: bytes) -> bytes | str:
    if not raw.startswith(b'"'):
        return raw
    return msgspec.json.decode(raw, type=str) if b"\\" in raw else raw[1:-1]
