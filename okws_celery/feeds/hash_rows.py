"""A row as the HSET of its fields. Rows of one channel nearly always have the same: their names are packed once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from okws_celery.store.batch import Pack, pack, stem

__all__ = ["Layout", "fields_of", "hset", "layout_of", "packed"]

_LAYOUTS = 1_000  # kept, over all channels

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_length_of = [b"%d\r\n" % length for length in range(256)].__getitem__


class Layout(NamedTuple):
    """What rows with the same fields, all of them strings, have in common."""

    names: tuple[str, ...]
    quoted: list[bytes]
    """The names, as they stand between quotes."""
    between: list[bytes]
    """What stands outside of quotes: braces, colons, commas."""
    pieces: list[bytes]
    """For each field its packed name, and room for its value's length and its value. To be copied."""


@lru_cache(maxsize=_LAYOUTS)
def layout_of(names: tuple[str, ...]) -> Layout:
    """The layout of rows with these fields."""
    quoted = [name.encode() for name in names]
    between = [b"{", *[b":", b","] * len(names)]
    between[-1] = b"}"
    pieces = [piece for name in quoted for piece in (b"\r\n$%d\r\n%b\r\n$" % (len(name), name), b"", b"")]
    return Layout(names, quoted, between, pieces)


def packed(row: bytes, layout: Layout) -> bytes:
    """The fields of a JSON row as arguments, behind `hset`; b"" if it is not of this layout, or a value is long."""
    if b"\\" in row:
        return b""
    # Between quotes stand names and values by turns.
    _, quoted, between, pieces = layout
    parts = row.split(b'"')
    if parts[::2] != between or parts[1::4] != quoted:
        return b""
    values, pieces = parts[3::4], pieces.copy()
    pieces[2::3] = values
    try:
        pieces[1::3] = map(_length_of, map(len, values))
    except IndexError:
        return b""
    return b"".join(pieces)


def hset(key: str, names: tuple[str, ...]) -> bytes:
    """The beginning of the command, up to the first field."""
    return stem("HSET", key, more=2 * len(names)).removesuffix(b"\r\n")


def fields_of(key: str, row: bytes) -> tuple[tuple[str, ...], bytes]:
    """The names of any row, and the whole command; what is not a string stands there as JSON text."""
    fields = _fields(row)
    flat: list[Pack] = [part for name, value in fields.items() for part in (name, _as_text(bytes(value)))]
    return tuple(fields), pack("HSET", key, *flat)


def _as_text(raw: bytes) -> bytes | str:
    if not raw.startswith(b'"'):
        return raw
    return msgspec.json.decode(raw, type=str) if b"\\" in raw else raw[1:-1]
