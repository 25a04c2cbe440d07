"""What the simulated market offers: which channel, on which path, for which instrument (PROTOCOL 1.2).

What this market says nothing about (bots, deposits, quotes, ...) is acked and stays silent, as on a quiet day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.okx.catalogue import CATALOGUE, Channel
from okws_celery.simulator.channels import CHANNELS
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Market
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, named

__all__ = ["Listing"]

_VIP = {"books-l2-tbt": 4, "books50-l2-tbt": 4, "fills": 4, "economic-calendar": 1}
_ID_OR_FAMILY = frozenset({"option-trades", "estimated-price"})
_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", "ANY"})


class Listing:
    """The venue of the simulated market."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """The offer, or OKX's refusal: 60027, 60033 and 64000 for keys, 64002 and 60018 for a wrong place or name."""
        name = said.get("channel")
        if name in (None, ""):
            return Refusal(60027, TEXTS[60027].format(name="channel"))
        for key, value in said.items():
            if not isinstance(value, str):
                return Refusal(60033, TEXTS[60033].format(name=key))
        channel = CATALOGUE.get(str(name))
        if channel is None:
            return _missing(said)
        if channel.path != path:
            plain = path == "business" and channel.path == "public" and not channel.login
            return Refusal(64002, TEXTS[64002].format(arg=named(said))) if plain else _missing(said)
        if "uly" in said:
            return Refusal(64000, TEXTS[64000])
        for key in (*channel.required, *_needed_too(channel, said)):
            if not said.get(key):
                return Refusal(60027, TEXTS[60027].format(name=key))
        if not self._exists(channel, said):
            return _missing(said)
        values = {key: said[key] for key in channel.arg_keys if said.get(key)}
        return Offer(
            arg=tuple(sorted({"channel": channel.name, **values}.items())),
            channel=channel.name,
            inst_id=said.get("instId", ""),
            login=channel.login,
            vip=_VIP.get(channel.name, 0),
        )

    def _exists(self, channel: Channel, said: Mapping[str, str]) -> bool:
        market, line = self._market, CHANNELS.get(channel.name)
        if line is None:
            return "instType" not in channel.required or said["instType"] in _TYPES
        if "instType" in channel.required and said["instType"] not in line.inst_types:
            return False
        one: Instrument | None
        if line.of == "index":
            one = market.indexes.get(said["instId"])
        elif line.of == "spread":
            one = market.spreads.get(said["sprdId"])
        elif said.get("instId"):
            one = market.instruments.get(said["instId"])
        else:
            family = said.get("instFamily")
            return not family or any(known.family == family for known in market.instruments.values())
        return one is not None and one.inst_type in line.inst_types


def _needed_too(channel: Channel, said: Mapping[str, str]) -> tuple[str, ...]:
    """One of two optional keys must be there, where neither would mean too much."""
    is_open = channel.name in _ID_OR_FAMILY and not said.get("instId")
    return ("instFamily",) if is_open else ()


def _missing(said: Mapping[str, Any]) -> Refusal:
    return Refusal(60018, TEXTS[60018].format(arg=named(said)))
