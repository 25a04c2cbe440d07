"""A row as the HSET of its fields. Rows of one channel nearly always have the same: their names are packed once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from okws_celery.store.batch import Batch, Pack, stem

__all__ = ["HashRow"]

_LAYOUTS = 1_000  # kept, over all channels

_anything = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_length_of = [b"%d\r\n" % length for length in range(256)].__getitem__


class _Layout(NamedTuple):
    """What rows with the same fields, all of them strings, have in common."""

    names: tuple[str, ...]
    quoted: list[bytes]
    """The names, as they stand between quotes."""
    between: list[bytes]
    """What stands outside of quotes: braces, colons, commas."""
    pieces: list[bytes]
    """For each field its packed name, and room for its value's length and its value. To be copied."""


class HashRow:
    """Writes rows, JSON objects with at least one field, to one key. What is not a string stands there as JSON text."""

    __slots__ = ("_head", "_key", "_layout", "names")

    def __init__(self, key: str) -> None:
        self._key = key
        self._head = b""
        self._layout: _Layout | None = None
        self.names: tuple[str, ...] = ()
        """Fields of the row that was written last."""

    def write(self, batch: Batch, row: bytes) -> None:
        """Add the command that writes a row, which is JSON."""
        layout = self._layout
        if layout is not None and b"\\" not in row:
            # Between quotes stand names and values by turns, if the row is like the one before.
            parts = row.split(b'"')
            if parts[::2] == layout.between and parts[1::4] == layout.quoted:
                values, pieces = parts[3::4], layout.pieces.copy()
                pieces[2::3] = values
                try:
                    pieces[1::3] = map(_length_of, map(len, values))
                except IndexError:  # a value that is longer than any of OKX's
                    return self._write_any(batch, row)
                batch.writes.append(b"%b%b\r\n" % (self._head, b"".join(pieces)))
                return None
        return self._write_any(batch, row)

    def _write_any(self, batch: Batch, row: bytes) -> None:
        fields = _anything(row)
        names = tuple(fields)
        if names != self.names:
            self.names = names
            self._layout = _layout(names)
            self._head = stem("HSET", self._key, more=2 * len(names)).removesuffix(b"\r\n")
        flat: list[Pack] = [part for name, value in fields.items() for part in (name, _as_text(bytes(value)))]
        batch.write("HSET", self._key, *flat)


@lru_cache(maxsize=_LAYOUTS)
def _layout(names: tuple[str, ...]) -> _Layout:
    quoted = [name.encode() for name in names]
    between = [b"{", *[b":", b","] * len(names)]
    between[-1] = b"}"
    pieces = [piece for name in quoted for piece in (b"\r\n$%d\r\n%b\r\n$" % (len(name), name), b"", b"")]
    return _Layout(names, quoted, between, pieces)


def _as_text(raw: bytes) -> bytes | str:
    if not raw.startswith(b'"'):
        return raw
    return msgspec.json.decode(raw, type=str) if b"\\" in raw else raw[1:-1]
