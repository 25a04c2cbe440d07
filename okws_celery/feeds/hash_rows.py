"""A row as the HSET of its fields. Rows of one channel nearly always have the same: their names are packed once."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from okws_celery.store.batch import Batch, Pack

__all__ = ["HashRow"]

_LAYOUTS = 1_000  # kept, over all channels

_texts = msgspec.json.Decoder(dict[str, str]).decode
_anything = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_length_of = [f"{length}\r\n" for length in range(256)].__getitem__


class HashRow:
    """Writes rows, JSON objects with at least one field, to one key. What is not a string stands there as JSON text."""

    __slots__ = ("_head", "_key", "_layout", "names")

    def __init__(self, key: str) -> None:
        self._key = key
        self._head = ""
        self._layout: list[str] = []
        self.names: tuple[str, ...] = ()
        """Fields of the row that was written last."""

    def write(self, batch: Batch, row: bytes) -> None:
        """Add the command that writes a row."""
        packed = self._packed(row)
        if packed is not None:
            batch.append(packed)
            return
        fields = _anything(row)
        self.names = tuple(fields)
        self._layout = []
        flat: list[Pack] = [part for name, value in fields.items() for part in (name, _as_text(bytes(value)))]
        batch.write("HSET", self._key, *flat)

    def _packed(self, row: bytes) -> bytes | None:
        """The command for a row that has only strings, ASCII and not long, as nearly all have; else None."""
        try:
            fields = _texts(row)
        except msgspec.ValidationError:
            return None
        names = tuple(fields)
        if names != self.names or not self._layout:
            self._layout = _layout(names)
            self._head = f"*{2 + 2 * len(names)}\r\n$4\r\nHSET\r\n${len(self._key.encode())}\r\n{self._key}"
            self.names = names
        values = fields.values()
        pieces = self._layout.copy()
        pieces[2::3] = values
        try:
            pieces[1::3] = map(_length_of, map(len, values))
        except IndexError:
            return None
        packed = f"{self._head}{''.join(pieces)}\r\n"
        # Lengths are counted in characters here, and in bytes by Redis.
        return packed.encode() if packed.isascii() else None


@lru_cache(maxsize=_LAYOUTS)
def _layout(names: tuple[str, ...]) -> list[str]:
    """For each field its packed name and room for its value's length and its value. Shared: to be copied."""
    return [piece for name in names for piece in (f"\r\n${len(name)}\r\n{name}\r\n$", "", "")]


def _as_text(raw: bytes) -> bytes | str:
    if not raw.startswith(b'"'):
        return raw
    return msgspec.json.decode(raw, type=str) if b"\\" in raw else raw[1:-1]
