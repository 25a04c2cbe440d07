"""Market data of v5 spelled as the v3 API spelled it (PROTOCOL 9.3, 9.5): pure, bytes in, bytes out.

Strings stay the exchange's own strings. What v5 does not say is "".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

__all__ = ["BookSpelling", "CandleSpelling", "RowSpelling", "candle_columns", "iso", "ms_of_iso"]

_EMPTY = b'""'
_Level = list[str | int]


def iso(ms: str | int) -> str:
    """Unix ms as v3 wrote times, `2021-04-17T16:49:46.174Z`; "" for what is no time."""
    text = str(ms)
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        return ""
    seconds, rest = divmod(int(text), 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


def ms_of_iso(text: str) -> int:
    """The way back; 0 for what is no time."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return round(when.timestamp() * 1000)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class RowSpelling:
    """A flat row, field by field. The plan is text: `v3=v5`, `name` where both call it so, `v3@v5` for a time,
    `v3=` for what v5 does not say.

    `extra` are v3 fields whose values come from elsewhere, given with each call.
    """

    __slots__ = ("_decode", "_plan", "extra")

    def __init__(self, plan: str, extra: Sequence[str] = ()) -> None:
        self.extra = tuple(extra)
        # (text up to the value, position of the value in what is decoded or -1, whether it is a time)
        self._plan: list[tuple[bytes, int, bool]] = []
        sources: list[str] = []
        for token in plan.split():
            is_time = "@" in token
            name, mark, source = token.partition("@" if is_time else "=")
            source = source if mark else name
            if source and source not in sources:
                sources.append(source)
            at = sources.index(source) if source else -1
            self._plan.append((f'"{name}":'.encode(), at, is_time))
        fields = [(f"f{at}", msgspec.Raw, msgspec.Raw(_EMPTY)) for at in range(len(sources))]
        rename = {f"f{at}": source for at, source in enumerate(sources)}
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Row", fields, rename=rename)).decode

    def __call__(self, row: bytes, more: Mapping[str, bytes] | None = None) -> bytes:
        """The v3 object; `more` has JSON values of `extra`. ValueError if the row is no object."""
        values = [_text(bytes(raw)) for raw in msgspec.structs.astuple(self._decode(row))]
        parts = [
            name + (_EMPTY if at < 0 else _time(values[at]) if is_time else values[at])
            for name, at, is_time in self._plan
        ]
        parts += [f'"{name}":'.encode() + ((more or {}).get(name) or _EMPTY) for name in self.extra]
        return b"{" + b",".join(parts) + b"}"

    @property
    def names(self) -> list[str]:
        """The v3 fields, in their order."""
        return [name[1:-2].decode() for name, _, _ in self._plan] + list(self.extra)


def _text(raw: bytes) -> bytes:
    if raw[:1] == b'"':
        return raw
    return _EMPTY if raw == b"null" else msgspec.json.encode(raw.decode())


def _time(value: bytes) -> bytes:
    return f'"{iso(value[1:-1].decode())}"'.encode()


def candle_columns(*, in_currency: bool) -> tuple[str, ...]:
    """Names of the values of a candle: derivatives also tell their volume in coins."""
    return ("timestamp", "open", "high", "low", "close", "volume", *(("currency_volume",) if in_currency else ()))


class CandleSpelling:
    """The list of a candle: `[time, open, high, low, close, volume]`, for derivatives with `currency_volume`."""

    __slots__ = ("columns", "has_volume")

    def __init__(self, *, in_currency: bool, has_volume: bool = True) -> None:
        self.columns = candle_columns(in_currency=in_currency)
        self.has_volume = has_volume

    def cells(self, v5_cells: Sequence[bytes]) -> list[bytes]:
        """JSON values of the v3 list from those of a v5 row (PROTOCOL 5.1)."""
        cells = [_text(cell) for cell in v5_cells]
        taken = cells[1:5] + (cells[5 : len(self.columns)] if self.has_volume else [b'"0"'])
        taken += [_EMPTY] * (len(self.columns) - 1 - len(taken))
        return [_time(cells[0]), *taken]


class _Book(msgspec.Struct):
    asks: list[_Level] = []
    bids: list[_Level] = []
    ts: str | int | None = ""


_book = msgspec.json.Decoder(_Book)


class BookSpelling:
    """Books: levels of three columns `[px, sz, orders]` or of four `[px, sz, liquidation orders, orders]`."""

    __slots__ = ("_columns", "has_checksum")

    def __init__(self, columns: int, *, has_checksum: bool) -> None:
        self._columns = columns
        self.has_checksum = has_checksum

    def levels(self, levels: Sequence[Sequence[str | int]]) -> list[Sequence[str | int]]:
        """Levels of v5, of four columns, as this channel had them."""
        if self._columns == 4:
            return list(levels)
        return [(*level[:2], level[3]) if len(level) > 3 else level for level in levels]

    def row(self, row: bytes, inst_id: str, checksum: int | None) -> bytes:
        """One data object of a push; ValueError if it is none."""
        book = _book.decode(row)
        said: dict[str, Any] = {
            "instrument_id": inst_id,
            "asks": self.levels(book.asks),
            "bids": self.levels(book.bids),
            "timestamp": iso(book.ts or ""),
        }
        if self.has_checksum:
            said["checksum"] = checksum or 0
        return msgspec.json.encode(said)
