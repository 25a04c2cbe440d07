"""The market's clock, where the market cannot keep up with it."""

from __future__ import annotations

import pytest

from okws_celery.okx.topics import parse_topic
from okws_celery.simulator.source import Clock, MarketSource


@pytest.mark.parametrize(("speed", "is_held"), [(60.0, True), (1.0, False)])
def test_a_market_that_cannot_keep_up(speed: float, is_held: bool) -> None:
    """At a speed the clock waits for a market that is far behind; at OKX's own pace the market makes up for it."""
    clock = Clock(speed)
    source = MarketSource(1, clock)
    source.join(parse_topic("trades:ETH-USDT").arg)
    engine = source.market.engines["ETH-USDT"]
    clock.go_on_from(clock.now_ms() + 600_000)
    source.advance(lambda _, __: None)
    assert (clock.now_ms() - engine.at_ms < 300_000) is is_held
    while clock.now_ms() - engine.at_ms > 60_000:
        source.advance(lambda _, __: None)
