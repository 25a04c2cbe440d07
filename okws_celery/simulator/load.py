"""Load mode: messages at a set rate, or so many as fast as they are read, for benchmarks (`load_messages` has them).

The rate is that of all messages over all connections; the mix says in which shares they fall to channels, and those of
a channel go round its subscriptions. The share of a channel that nobody subscribes is not sent. Faults of single pushes
do not bear on what is sent here; those of connections do, and a reader that falls far behind is closed with 4005.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.frames import text_frame
from okws_celery.simulator.load_messages import CHANNELS, Make, Maker, encoded, maker
from okws_celery.simulator.load_plan import LoadPlan, load_names
from okws_celery.simulator.protocol import TEXTS, Offer, Refusal, named

__all__ = ["Load"]

_TICK_S = 0.001
_CHUNK = 500
"""Messages of a burst between two looks at how much the readers have taken."""
_MOST_BEHIND_S = 0.25
"""What a late tick sends at once; more than this is left out, and the rate is missed."""
_SLOTS = 100


@dataclass(slots=True)
class _Burst:
    wanted: int
    sent: int = 0
    began_us: int = 0
    ended_us: int = 0


class Load:
    """The venue of a simulator in load mode, and its sender."""

    def __init__(self, plan: LoadPlan) -> None:
        self.names = load_names(plan.instruments)
        self._known = frozenset(self.names)
        self._makers: dict[Subscription, Maker] = {}
        self._out: dict[Connection, list[bytes]] = {}
        self._rings: dict[str, Iterator[tuple[list[bytes], Make]]] = {}
        self._dealt = True
        self._sent: dict[str, int] = dict.fromkeys(CHANNELS, 0)
        self._first_us = self._last_us = 0
        self._burst = _Burst(0)
        self._awake = asyncio.Event()
        self.set_plan(plan)
        self._task = asyncio.create_task(self._run())

    def set_plan(self, plan: LoadPlan) -> None:
        """Send at another rate, or another mix, from now on; the instruments stay."""
        self.plan = plan
        self._turns = cycle(_turns(plan.mix))
        self._done = 0
        self._began_s = time.perf_counter()
        self._awake.set()

    def look_up(self, path: str, said: Mapping[str, Any]) -> Offer | Refusal:
        """Every channel that can be sent, for every instrument of the plan; the rest is 60018."""
        name, inst_id = str(said.get("channel", "")), str(said.get("instId", ""))
        if name not in CHANNELS or inst_id not in self._known or CATALOGUE[name].path != path:
            return Refusal(60018, TEXTS[60018].format(arg=named(said)))
        return Offer((("channel", name), ("instId", inst_id)), name, inst_id)

    def join(self, subscription: Subscription) -> None:
        """A subscription gets its share from now on."""
        one = maker(subscription.offer.channel, subscription.offer.inst_id, self.plan.levels)
        if one.opening:
            subscription.connection.send_text(one.opening)
        if not self._makers:
            self._done, self._began_s = 0, time.perf_counter()
        self._makers[subscription] = one
        self._changed()

    def leave(self, subscription: Subscription) -> None:
        """It gets nothing more."""
        if self._makers.pop(subscription, None) is not None:
            self._changed()

    def burst(self, count: int) -> None:
        """Send so many messages as fast as they are read; meanwhile nothing goes out at the rate."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadCommand(f"burst {count!r}: a number of messages from 1 is accepted")
        self._burst = _Burst(count)
        self._awake.set()

    def state(self) -> dict[str, Any]:
        """What was asked for and what was sent; times are Unix us."""
        return {
            "rate": self.plan.rate,
            "mix": dict(self.plan.mix),
            "instruments": len(self.names),
            "subscriptions": len(self._makers),
            "sent": {channel: count for channel, count in self._sent.items() if count},
            "sent_in_all": sum(self._sent.values()),
            "first_sent_us": self._first_us,
            "last_sent_us": self._last_us,
            "burst": {
                "wanted": self._burst.wanted,
                "sent": self._burst.sent,
                "began_us": self._burst.began_us,
                "ended_us": self._burst.ended_us,
            },
        }

    def stop(self) -> None:
        """End."""
        self._task.cancel()

    # -- sending

    async def _run(self) -> None:
        while True:
            if not self._wanted or not (self.plan.rate or self._bursting):
                self._awake.clear()
                await self._awake.wait()
                self._done, self._began_s = 0, time.perf_counter()
            elif self._bursting:
                await self._send_burst()
                self._done, self._began_s = 0, time.perf_counter()
            else:
                self._send(self._due())
                await asyncio.sleep(_TICK_S)

    @property
    def _wanted(self) -> bool:
        """Somebody subscribes what the mix has."""
        self._deal()
        return any(self.plan.mix.get(channel) for channel in self._rings)

    @property
    def _bursting(self) -> bool:
        return self._burst.sent < self._burst.wanted

    def _due(self) -> int:
        """How many messages the rate asks for by now."""
        rate = self.plan.rate
        due = int((time.perf_counter() - self._began_s) * rate) - self._done
        most = max(1, int(rate * _MOST_BEHIND_S))
        if due > most:
            self._began_s += (due - most) / rate
            due = most
        self._done += due
        return due

    async def _send_burst(self) -> None:
        burst = self._burst
        burst.began_us = burst.began_us or time.time_ns() // 1000
        while burst.sent < burst.wanted and burst is self._burst and self._wanted:
            for connection in list(self._out):
                await connection.steady()
            burst.sent += self._send(min(_CHUNK, burst.wanted - burst.sent))
            await asyncio.sleep(0)
        burst.ended_us = time.time_ns() // 1000

    def _send(self, turns: int) -> int:
        """Take so many turns of the mix; gives how many messages went out."""
        self._deal()
        us = time.time_ns() // 1000
        ms = us // 1000
        rings, sent = self._rings, 0
        for channel in islice(self._turns, turns):
            ring = rings.get(channel)
            if ring is not None:
                out, make = next(ring)
                out.append(make(ms, us))
                self._sent[channel] += 1
                sent += 1
        if sent:
            self._first_us = self._first_us or us
            self._last_us = us
            for connection, out in self._out.items():
                if out:
                    connection.send(b"".join(out))
                    out.clear()
        return sent

    def _changed(self) -> None:
        """Subscriptions came or went. Thousands do at once, so that the rings wait for the next look at them."""
        self._dealt = False
        self._awake.set()

    def _deal(self) -> None:
        """Give each channel the ring of its subscriptions anew, if they changed."""
        if self._dealt:
            return
        self._dealt = True
        self._out = {subscription.connection: [] for subscription in self._makers}
        shares: dict[str, list[tuple[list[bytes], Make]]] = {}
        for subscription, one in self._makers.items():
            encode = subscription.connection.encode
            make = one.make if encode is text_frame else encoded(one.make, encode)
            share = (self._out[subscription.connection], make)
            shares.setdefault(subscription.offer.channel, []).append(share)
        self._rings = {channel: cycle(ring) for channel, ring in shares.items()}


def _turns(mix: Mapping[str, float]) -> list[str]:
    """Which channel's turn it is, over and over: each as often as its share, and evenly spread."""
    whole = sum(mix.values())
    slots = {channel: max(1, round(_SLOTS * share / whole)) for channel, share in mix.items() if share}
    spread = [((number + 0.5) / count, channel) for channel, count in slots.items() for number in range(count)]
    return [channel for _, channel in sorted(spread)]
