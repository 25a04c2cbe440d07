"""What an instrument should cost, given its index: the basis of contracts, Black and Scholes for options."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, log, pi, sqrt

from okws_celery.simulator.bars import DAY_MS
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.numbers import POWERS

__all__ = ["Greeks", "fair_price", "fair_ticks", "forward", "greeks", "volatility"]

_YEAR_MS = 365 * DAY_MS
_CARRY = 0.05
"""What futures stand above their index, per year."""
_SWAP_BASIS = 2e-4
_LEAST_OPTION_TICKS = 30


@dataclass(frozen=True, slots=True)
class Greeks:
    """Of one option: price and sensitivities in USD (Black and Scholes), and what they are in the coin."""

    price: float
    """In the coin."""
    delta: float
    gamma: float
    vega: float
    theta: float
    delta_coin: float
    gamma_coin: float
    vega_coin: float
    theta_coin: float
    lever: float


def fair_ticks(one: Instrument, index: float, ts_ms: int) -> int:
    """The price where an instrument belongs, in ticks, when its index is `index`."""
    ticks = round(fair_price(one, index, ts_ms) * POWERS[one.tick_decimals])
    if one.is_spread:
        return ticks
    if one.series:
        return min(max(5, ticks), one.highest - 5)
    return max(_LEAST_OPTION_TICKS if one.opt_type else one.depth * 20, ticks)


def fair_price(one: Instrument, index: float, ts_ms: int) -> float:
    """The same as a number: in the quote currency, for an option in its coin."""
    if one.opt_type:
        return greeks(one, index, ts_ms).price
    if one.series:
        sigma = volatility(one, index) * sqrt(max(one.expires_ms - ts_ms, 60_000) / _YEAR_MS)
        return _normal(log(index / one.strike) / sigma - sigma / 2)
    if one.is_spread:
        return _spread_basis(one, index, ts_ms)
    return forward(one, index, ts_ms)


def forward(one: Instrument, index: float, ts_ms: int) -> float:
    """What the coin costs at the delivery of a contract; of a swap and of spot, what these cost."""
    if one.expires_ms:
        return index * (1.0 + _CARRY * max(0, one.expires_ms - ts_ms) / _YEAR_MS)
    return index * (1.0 + _SWAP_BASIS) if one.inst_type == "SWAP" else index


def volatility(one: Instrument, index: float) -> float:
    """The implied volatility of an option: a smile around its index."""
    return 0.5 + 0.3 * log(one.strike / index) ** 2


def greeks(one: Instrument, index: float, ts_ms: int, vol: float = 0.0) -> Greeks:
    """All of one option's, at its own volatility or at a given one."""
    years = max(one.expires_ms - ts_ms, 60_000) / _YEAR_MS
    ahead = forward(one, index, ts_ms)
    sigma = (vol or volatility(one, index)) * sqrt(years)
    d1 = log(ahead / one.strike) / sigma + sigma / 2
    d2 = d1 - sigma
    call = one.opt_type == "C"
    sign = 1.0 if call else -1.0
    usd = sign * (ahead * _normal(sign * d1) - one.strike * _normal(sign * d2))
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    delta = _normal(d1) - (0.0 if call else 1.0)
    gamma = density / (ahead * sigma)
    vega = ahead * density * sqrt(years) / 100
    theta = -ahead * density * sigma / (2 * years) / 365
    coin = usd / ahead
    return Greeks(
        coin, delta, gamma, vega, theta, delta - coin, gamma * ahead - delta + coin, vega / ahead, theta / ahead,
        min(abs(delta) * ahead / max(usd, 1e-9), 999.0),
    )  # fmt: skip


def _spread_basis(one: Instrument, index: float, ts_ms: int) -> float:
    expires = one.legs[1].rpartition("-")[2]
    if expires == "SWAP":
        return index * _SWAP_BASIS
    return index * _CARRY * max(0, one.expires_ms - ts_ms) / _YEAR_MS


def _normal(x: float) -> float:
    return (1.0 + erf(x / sqrt(2.0))) / 2.0
