"""What changes under everybody's feet, on request: API keys that end, instruments that expire or get other names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from okws_celery.errors import BadCommand
from okws_celery.simulator.accounts import Accounts
from okws_celery.simulator.connection import Connection
from okws_celery.simulator.distribution import Distribution
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.renaming import OUTLIVES_RENAME, ChangingVenue
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.terms import is_of
from okws_celery.simulator.trading.floor import Floor

__all__ = ["Upheaval"]


class Upheaval:
    """The changes, and how each shows."""

    def __init__(
        self,
        connections: Mapping[str, Connection],
        accounts: Accounts,
        venue: ChangingVenue,
        distribution: Distribution,
        instruments: dict[str, Instrument],
        source: MarketSource,
        floor: Floor,
    ) -> None:
        self._connections = connections
        self._accounts = accounts
        self._venue = venue
        self._distribution = distribution
        self._instruments = instruments
        self._source = source
        self._floor = floor

    def change_key(self, api_key: str, *, deleted: bool) -> int:
        """Close with 4007 all who are logged in with a key, every key if none is given; gives their number."""
        met = 0
        for connection in list(self._connections.values()):
            account = connection.conversation.account
            if account is not None and api_key in ("", account.key.api_key):
                connection.close(4007)
                met += 1
        if deleted:
            self._accounts.delete(api_key)
        return met

    def deliver(self, inst_id: str) -> int:
        """An instrument expires: `instruments` says so, orders and positions end, and nothing more comes of it."""
        expired = self._instrument(inst_id)
        self._floor.deliver(expired, [account.trader for account in self._accounts])
        del self._instruments[inst_id]
        self._source.market.expired.add(self._venue.first_name(inst_id))
        self._venue.expire(inst_id)
        self._tell(expired, "expired")
        return self._silence(inst_id, frozenset())

    def enlist(self, one: Instrument) -> None:
        """There is one more instrument."""
        self._source.market.instruments[one.inst_id] = self._instruments[one.inst_id] = one
        self._tell(one, "live")

    def rename(self, inst_id: str, to: str) -> int:
        """An instrument gets another name: the old one expires, the new one is live (PROTOCOL 4)."""
        one = self._instrument(inst_id)
        if to in self._instruments:
            raise BadCommand(f"fault 'rename': to {to!r} is an instrument already")
        del self._instruments[inst_id]
        renamed = self._instruments[to] = replace(one, inst_id=to)
        self._source.market.rename(inst_id, to, self._source.clock.now_ms())
        self._venue.rename(inst_id, to)
        self._tell(one, "expired")
        self._tell(renamed, "live")
        return self._silence(inst_id, OUTLIVES_RENAME)

    def renumber(self, inst_id: str) -> int:
        """The sequence numbers of its books begin anew (PROTOCOL 6.3)."""
        self._source.engine(self._venue.first_name(self._instrument(inst_id).inst_id)).renumber()
        return 1

    def _instrument(self, inst_id: str) -> Instrument:
        market = self._source.market.instruments
        able = {name: one for name, one in self._instruments.items() if self._venue.first_name(name) in market}
        if inst_id not in able:
            known = ", ".join(list(able)[:20]) or "none"
            raise BadCommand(f"fault: inst_id {inst_id!r} is no instrument of the market; {known} are accepted")
        return able[inst_id]

    def _tell(self, one: Instrument, state: str) -> None:
        for subscription in self._distribution.of_channel("instruments"):
            by_key = dict(subscription.offer.arg)
            wanted = by_key.get("instType", "")
            if is_of(one, wanted):
                row = self._source.pulse.terms.told(one, wanted, state)
                said = {"arg": {"channel": by_key.pop("channel"), **by_key}, "data": [row]}
                self._distribution.push_to(subscription, json.dumps(said, separators=(",", ":")))

    def _silence(self, inst_id: str, surviving: frozenset[str]) -> int:
        """Nothing more comes on subscriptions by this name, those of surviving channels excepted."""
        met = 0
        for connection in self._connections.values():
            for arg, subscription in connection.subscriptions.items():
                by_key = dict(arg)
                if by_key.get("instId") == inst_id and by_key["channel"] not in surviving:
                    subscription.dead = True
                    met += 1
        return met
