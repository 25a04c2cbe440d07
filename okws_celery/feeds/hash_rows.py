"""A row as the HSET of its fields. Rows of one channel nearly always have the same: their names are packed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from okws_celery.store.batch import Pack, pack, stem

__all__ = ["Layout", "beginning_of", "fields_of", "layout_of"]

_LAYOUTS = 1_000  # kept, over all channels

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Layout:
    """What rows with the same fields, all of them strings, have in common.

    A row that is split at its quotes has names and values at every other place by turns, and between them what
    separates them. `LatestFeed.render` makes a command of it, as a call more for each is felt there.
    """

    quoted: list[bytes]
    """The names."""
    between: list[bytes]
    """Braces, colons, commas."""
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
    between = [b"{", *[b":", b","] * len(names)]
    between[-1] = b"}"
    pieces = [piece for name in quoted for piece in (b"\r\n$%d\r\n%b\r\n" % (len(name), name), b"", b"")]
    return Layout(quoted, between, [*pieces, b"\r\n"])


def fields_of(key: str, row: bytes) -> tuple[tuple[str, ...], bytes]:
    """The names of any row, and the whole command; what is not a string stands there as JSON text."""
    fields = _fields(row)
    flat: list[Pack] = [part for name, value in fields.items() for part in (name, _as_text(bytes(value)))]
    return tuple(fields), pack("HSET", key, *flat)


def _as_text(raw: bytes) -> bytes | str:
    if not raw.startswith(b'"'):
        return raw
    return msgspec.json.decode(raw, type=str) if b"\\" in raw else raw[1:-1]
