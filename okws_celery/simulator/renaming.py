"""A venue in which instruments expire or get other names while it runs (PROTOCOL 4, Instrument rename)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from okws_celery.okx.topics import Arg
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, Venue, named

__all__ = ["OUTLIVES_RENAME", "ChangingVenue"]

OUTLIVES_RENAME = frozenset(
    (
        "trades trades-all option-trades bbo-tbt books books5 books-rpi books-elp books-l2-tbt books50-l2-tbt positions"
    ).split()
)
"""Channels whose subscriptions go on under the old name."""


class ChangingVenue:
    """Another venue, and what has become of its instruments. The market goes on under the first names."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._gone: set[str] = set()
        self._first: dict[str, str] = {}
        self._latest: dict[str, str] = {}

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """What the other venue says, under the names of today; a name that is one no more is 60018."""
        inst_id = str(said.get("instId", ""))
        if inst_id in self._gone:
            return Refusal(60018, TEXTS[60018].format(arg=named(said)))
        first = self._first.get(inst_id)
        if first is None:
            return self._venue.look_up(path, said)
        found = self._venue.look_up(path, {**said, "instId": first})
        if isinstance(found, Refusal):
            return replace(found, text=found.text.replace(first, inst_id))
        return replace(found, arg=_with_inst_id(found.arg, inst_id), inst_id=inst_id)

    def expire(self, inst_id: str) -> None:
        """An instrument is not there any more."""
        self._gone.add(inst_id)

    def rename(self, inst_id: str, to: str) -> None:
        """An instrument has another name from now on."""
        first = self._first.pop(inst_id, inst_id)
        self._gone.add(inst_id)
        self._gone.discard(to)
        self._first[to] = first
        self._latest[first] = to

    def first_name(self, inst_id: str) -> str:
        """Under which name the market knows an instrument."""
        return self._first.get(inst_id, inst_id)

    def market_arg(self, arg: Arg) -> Arg:
        """An argument under the name that the market knows."""
        first = self._first.get(dict(arg).get("instId", "")) if self._first else None
        return arg if first is None else _with_inst_id(arg, first)

    def todays_arg(self, market_arg: Arg) -> Arg | None:
        """An argument of the market under the name of today; None if it has no other."""
        latest = self._latest.get(dict(market_arg).get("instId", "")) if self._latest else None
        return None if latest is None else _with_inst_id(market_arg, latest)

    def todays_text(self, market_arg: Arg, text: str) -> str:
        """A push of the market under the name of today."""
        first = dict(market_arg).get("instId", "")
        return text.replace(f'"{first}"', f'"{self._latest.get(first, first)}"')


def _with_inst_id(arg: Arg, inst_id: str) -> Arg:
    return tuple(sorted({**dict(arg), "instId": inst_id}.items()))
