"""What the load mode is asked to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.simulator.load_messages import CHANNELS, MOST_LEVELS

__all__ = ["LoadPlan", "load_names", "parse_mix", "parse_plan"]

_MOST_RATE = 10_000_000
_MOST_INSTRUMENTS = 99_999
_DEFAULT_MIX = {"tickers": 70.0, "trades": 30.0}


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is sent: messages a second over all connections, 0 for bursts only; shares of channels; instruments;
    levels of a book on each side."""

    rate: float = 0.0
    mix: Mapping[str, float] = field(default_factory=lambda: dict(_DEFAULT_MIX))
    instruments: int = 100
    levels: int = MOST_LEVELS


def load_names(count: int) -> list[str]:
    """The instruments of the load mode: `L0001-USDT` and so on."""
    return [f"L{number:04d}-USDT" for number in range(1, count + 1)]


def parse_mix(text: str) -> dict[str, float]:
    """Shares by channel from `tickers=70,trades=30`; BadCommand for anything else."""
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise BadCommand(f"mix {text!r}: channel=share,... is accepted, as in tickers=70,trades=30") from None


def parse_plan(given: Mapping[str, Any], before: LoadPlan | None = None) -> LoadPlan:
    """A plan from `rate`, `mix` (shares by channel), `instruments` and `levels`; what is not given is as before.
    BadCommand."""
    base = before or LoadPlan()
    unknown = set(given) - {"rate", "mix", "instruments", "levels"}
    if unknown:
        raise BadCommand(f"load: {', '.join(sorted(unknown))}; rate, mix, instruments, levels and burst are accepted")
    rate, mix = given.get("rate", base.rate), given.get("mix", base.mix)
    instruments, levels = given.get("instruments", base.instruments), given.get("levels", base.levels)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= _MOST_RATE:
        raise BadCommand(f"load: rate {rate!r}; a number from 0 to {_MOST_RATE:,} is accepted")
    if not isinstance(instruments, int) or not 1 <= instruments <= _MOST_INSTRUMENTS:
        raise BadCommand(f"load: instruments {instruments!r}; a number from 1 to {_MOST_INSTRUMENTS:,} is accepted")
    if not isinstance(levels, int) or not 1 <= levels <= MOST_LEVELS:
        raise BadCommand(f"load: levels {levels!r}; a number from 1 to {MOST_LEVELS} is accepted")
    shares = mix if isinstance(mix, Mapping) else {}
    usable = all(isinstance(share, (int, float)) and 0 <= share < 1e9 for share in shares.values())
    if not usable or not sum(shares.values()) or not set(shares) <= set(CHANNELS):
        raise BadCommand(f"load: mix {mix!r}; shares from 0 of {', '.join(CHANNELS)} are accepted")
    return LoadPlan(float(rate), dict(shares), instruments, levels)
