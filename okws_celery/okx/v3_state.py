"""How rows of v5 that exist for a while (orders, positions, balances, contracts) are spelled as rows of v3.

One v3 row may be made of several v5 rows: both sides of a position, an account and its positions. A view says to which
v3 row a v5 row belongs, and spells the v3 row from all that belong to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Fields", "StateView", "at", "of_key", "one"]

Fields = dict[str, Any]
"""A row, decoded."""


@dataclass(frozen=True, slots=True)
class StateView:
    """`field` names the v3 row that a v5 row belongs to, "" for none; `spell` makes it. Both get the topic's filter.

    `pushed` is the shape of `data` in a push: `rows`, `named` ({field: row}), or `list` (a list of all rows in one).
    `single`: a topic has one row, which `get` gives as it is; else it gives a list. `identity` is the
    v3 row's own key.
    `mirrored`: v5's identity is v3's, so that rows found in Redis can be told apart by it. `back` makes of a v3 row as
    much of the v5 row as it takes to know it again.
    """

    field: Callable[[str, Fields], str]
    spell: Callable[[str, Sequence[Fields]], Fields]
    identity: str = "instrument_id"
    single: bool = False
    pushed: str = "rows"
    mirrored: bool = False
    back: Callable[[Fields], Fields] | None = None


def of_key(key: str) -> Callable[[str, Fields], str]:
    """A v3 row for each value of a key of v5."""

    def field(_value: str, row: Fields) -> str:
        return str(row.get(key) or "")

    return field


def one(spell: Callable[[Fields], Fields]) -> Callable[[str, Sequence[Fields]], Fields]:
    """A v3 row from a single v5 row."""

    def spelled(_value: str, rows: Sequence[Fields]) -> Fields:
        return spell(rows[-1])

    return spelled


def at(row: Fields, key: str) -> str:
    """A value of a v5 row as text, "" if it is missing or null."""
    value = row.get(key)
    return "" if value is None else str(value)
