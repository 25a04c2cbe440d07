"""What the simulated market offers: which channel, on which path, for which instrument (PROTOCOL 1.2).

Channels of events that do not happen here (liquidations, auctions, block trades, bots, ...) are acked and stay silent,
as on a quiet day; there are no options and no spreads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okws_celery.okx.catalogue import CATALOGUE, Channel
from okws_celery.simulator.instruments import INSTRUMENTS
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, named

__all__ = ["Listing"]

_VIP = {"books-l2-tbt": 4, "books50-l2-tbt": 4, "fills": 4, "economic-calendar": 1}
_INDEXES = {one.index for one in INSTRUMENTS.values()}
_SWAP_ONLY = ("funding-rate",)
_DERIVATIVES_ONLY = ("open-interest",)


class Listing:
    """The venue of the simulated market."""

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
        if not _exists(channel, said):
            return _missing(said)
        values = {key: said[key] for key in channel.arg_keys if said.get(key)}
        return Offer(
            arg=tuple(sorted({"channel": channel.name, **values}.items())),
            channel=channel.name,
            inst_id=said.get("instId", ""),
            login=channel.login,
            vip=_VIP.get(channel.name, 0),
        )


def _missing(said: Mapping[str, Any]) -> Refusal:
    return Refusal(60018, TEXTS[60018].format(arg=named(said)))


def _exists(channel: Channel, said: Mapping[str, str]) -> bool:
    if "instId" in channel.required:
        inst_id = said["instId"]
        if channel.name.startswith("index-"):
            return inst_id in _INDEXES
        one = INSTRUMENTS.get(inst_id)
        if one is None:
            return False
        if channel.name in _SWAP_ONLY or channel.name in _DERIVATIVES_ONLY:
            return one.inst_type == "SWAP"
        return True
    if "instType" in channel.required and said["instType"] not in (
        "SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", "ANY",
    ):  # fmt: skip
        return False
    return not channel.name.startswith("sprd-") or channel.login
