"""The market's time by itself: what moves the channels that tell of no single instrument."""

from __future__ import annotations

from okws_celery.simulator.market import STEP_MS, Market
from okws_celery.simulator.terms import Terms

__all__ = ["Pulse"]


class Pulse:
    """Moves like an engine, and knows the whole market."""

    def __init__(self, market: Market, now_ms: int) -> None:
        self.market = market
        self.terms = Terms(market.instruments)
        self.at_ms = now_ms // STEP_MS * STEP_MS

    def step(self) -> int:
        """Move on; gives the moment at which the step began."""
        self.at_ms += STEP_MS
        return self.at_ms

    def catch_up(self, now_ms: int) -> None:
        """Be at a moment."""
        self.at_ms = max(self.at_ms, now_ms // STEP_MS * STEP_MS - STEP_MS)
