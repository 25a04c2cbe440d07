"""Market data of v5 spelled as the v3 API spelled it (PROTOCOL 9.3, 9.5): pure, bytes in, bytes out.

Strings stay the exchange's own strings. What v5 does not say is "".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    __slots__ = ("_decode", "_decode_any", "_plan", "_row", "extra", "names")

    def __init__(self, plan: str, extra: Sequence[str] = ()) -> None:
        self.extra = tuple(extra)
        self.names = [token.partition("@" if "@" in token else "=")[0] for token in plan.split()] + list(extra)
        """The v3 fields, in their order."""
        # Of each field: the position of its value in what is decoded, -1 for none, and whether it is a time.
        self._plan: list[tuple[int, bool]] = []
        sources: list[str] = []
        for token in plan.split():
            name, mark, source = token.partition("@" if "@" in token else "=")
            source = source if mark else name
            if source and source not in sources:
                sources.append(source)
            self._plan.append((sources.index(source) if source else -1, "@" in token))
        self._decode = _decoder(sources, str, "")
        self._decode_any = _decoder(sources, msgspec.Raw, msgspec.Raw(_EMPTY))
        self._row = _struct(self.names, str, "")

    def __call__(self, row: bytes, more: Mapping[str, str] | None = None) -> bytes:
        """The v3 object; `more` has values of `extra`. ValueError if the row is no object."""
        try:
            values = msgspec.structs.astuple(self._decode(row))
        except msgspec.ValidationError:
            values = tuple(_as_text(bytes(raw)) for raw in msgspec.structs.astuple(self._decode_any(row)))
        said = [("" if at < 0 else iso(values[at]) if is_time else values[at]) for at, is_time in self._plan]
        if self.extra:
            said += [(more or {}).get(name, "") for name in self.extra]
        return msgspec.json.encode(self._row(*said))


def _struct(names: Sequence[str], kind: Any, default: Any) -> Any:
    fields = [(f"f{at}", kind, default) for at in range(len(names))]
    return msgspec.defstruct("Row", fields, rename={f"f{at}": name for at, name in enumerate(names)})


def _decoder(names: Sequence[str], kind: Any, default: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(_struct(names, kind, default)).decode


def _as_text(raw: bytes) -> str:
    """What should have been a string: a number as it stands, null as nothing."""
    if raw[:1] == b'"':
        return msgspec.json.decode(raw, type=str)
    return "" if raw == b"null" else raw.decode()


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
