"""The calendar of contracts: each is delivered at its expTime, and what is new from then on is listed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.instruments import listed
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.upheaval import Upheaval

__all__ = ["Expiry"]

log = logging.getLogger(__name__)

_LOOK_S = (0.02, 1.0)
"""Least and most time between two looks at the market's clock, which runs at its own speed and may be held."""


class Expiry:
    """Delivers and lists by the market's clock. It belongs to the event loop; `instruments` are those of today."""

    def __init__(
        self, upheaval: Upheaval, source: MarketSource, instruments: Mapping[str, Instrument], *, demo: bool
    ) -> None:
        self._upheaval = upheaval
        self._source = source
        self._instruments = instruments
        self._demo = demo
        self._next_ms = self._first_ms()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Begin, and go on until `stop`."""
        clock = self._source.clock
        if clock.now_ms() >= self._next_ms:
            try:
                self._pass(clock.now_ms())
            except Exception:
                log.exception("the calendar stumbled")
            self._next_ms = self._first_ms()
        least_s, most_s = _LOOK_S
        wait_s = (self._next_ms - clock.now_ms()) / 1000 / clock.speed
        self._timer = asyncio.get_running_loop().call_later(min(most_s, max(least_s, wait_s)), self.watch)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _first_ms(self) -> int:
        return min((one.expires_ms for one in self._instruments.values() if one.expires_ms), default=1 << 62)

    def _pass(self, now_ms: int) -> None:
        market = self._source.market
        for gone in market.expired:
            market.engines.pop(gone, None)  # nobody has asked for it since the delivery before this
        for inst_id in [name for name, one in self._instruments.items() if 0 < one.expires_ms <= now_ms]:
            self._upheaval.deliver(inst_id)
        for one in listed(now_ms, demo=self._demo).values():
            if one.inst_id not in market.instruments:
                self._upheaval.enlist(one)
