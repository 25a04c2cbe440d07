"""What the simulated market offers: which channel, on which path, for which instrument (PROTOCOL 1.2).

Channels of events that do not happen here (liquidations, auctions, block trades, bots, ...) are acked and stay silent,
as on a quiet day; there are no options and no spreads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.okx.catalogue import CATALOGUE, Channel
from okws_celery.simulator.channels import CHANNELS
from okws_celery.simulator.market import Market
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, named

__all__ = ["Listing"]

_VIP = {"books-l2-tbt": 4, "books50-l2-tbt": 4, "fills": 4, "economic-calendar": 1}
_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", "ANY"})


class Listing:
    """The venue of the simulated market."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """The offer, or OKX's refusal: 60027 and 60033 for keys, 64002 and 60018 for a wrong place or name."""
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
        for key in channel.required:
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
        if "instType" in channel.required and said["instType"] not in _TYPES:
            return False
        line = CHANNELS.get(channel.name)
        if line is None:
            return True
        match line.of:
            case "instrument":
                one = self._market.instruments.get(said["instId"])
            case "index":
                one = self._market.indexes.get(said["instId"])
            case _:
                one = self._market.spreads.get(said["sprdId"])
        return one is not None and one.inst_type in line.inst_types


def _missing(said: Mapping[str, Any]) -> Refusal:
    return Refusal(60018, TEXTS[60018].format(arg=named(said)))
