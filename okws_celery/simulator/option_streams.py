"""The channels of options (PROTOCOL 5.1): the summary of a family, and their trades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from okws_celery.okx.topics import Arg
from okws_celery.simulator.market import Engine, Market
from okws_celery.simulator.numbers import POWERS
from okws_celery.simulator.pricing import forward, greeks, volatility
from okws_celery.simulator.pulse import Pulse
from okws_celery.simulator.stream import InstrumentStream, Stream
from okws_celery.simulator.trade import Single

__all__ = ["OptionTradesStream", "SummaryStream", "option_trade", "summary"]


class SummaryStream(Stream):
    """`opt-summary`: every option of a family in one push."""

    every_ms = 1000
    engine: Pulse

    def __init__(self, arg: Arg, engine: Pulse) -> None:
        super().__init__(arg, engine)
        self.engine = engine
        self._family = dict(arg)["instFamily"]

    def opening(self) -> str:
        rows = summary(self.engine.market, self._family, self.engine.at_ms)
        return self._push(json.dumps(rows, separators=(",", ":"))[1:-1])

    def news(self, ts_ms: int) -> Iterator[str]:
        yield self.opening()


class OptionTradesStream(InstrumentStream):
    """`option-trades`, as far as it tells of one option; the first push may be an old trade."""

    engine: Engine

    def __init__(self, arg: Arg, engine: Engine) -> None:
        super().__init__(arg, engine)
        self.engine = engine

    def opening(self) -> str | None:
        return self._text(next(self.engine.log.newest_first()))

    def news(self, ts_ms: int) -> Iterator[str]:
        for trade in self.engine.trades:
            for single in trade.singles():
                yield self._text(single)

    def _text(self, single: Single) -> str:
        return self._push(json.dumps(option_trade(self.engine, single), separators=(",", ":")))


def option_trade(engine: Engine, single: Single) -> dict[str, Any]:
    """The object of one match of an option."""
    one, index = engine.one, engine.index
    return {
        "instId": one.inst_id,
        "instFamily": one.family,
        "tradeId": str(single.trade_id),
        "px": one.price_text(single.price),
        "sz": one.size_text(single.lots),
        "side": single.side,
        "optType": one.opt_type,
        "fillVol": f"{volatility(one, index) * single.price / max(1, engine.mark):.6f}",
        "fwdPx": f"{forward(one, index, single.ts_ms):.2f}",
        "idxPx": f"{index:.1f}",
        "markPx": one.price_text(engine.mark),
        "ts": str(single.ts_ms),
    }


def summary(market: Market, family: str, ts_ms: int) -> list[dict[str, Any]]:
    """The objects of `opt-summary`, one for each option of a family that has not expired."""
    return [
        _row(market, one.inst_id, ts_ms)
        for one in market.living
        if one.opt_type and one.family == family and one.expires_ms > ts_ms
    ]


def _row(market: Market, inst_id: str, ts_ms: int) -> dict[str, Any]:
    one = market.instruments[inst_id]
    index = market.index(one.index, ts_ms)
    vol = volatility(one, index)
    all_of_it = greeks(one, index, ts_ms)
    tick = 1 / POWERS[one.tick_decimals]
    spread = min(vol / 2, tick / max(1e-9, all_of_it.vega_coin) / 100)
    return {
        "instType": "OPTION",
        "instId": inst_id,
        "uly": one.family,
        "delta": f"{all_of_it.delta_coin:.10f}",
        "gamma": f"{all_of_it.gamma_coin:.10f}",
        "vega": f"{all_of_it.vega_coin:.10f}",
        "theta": f"{all_of_it.theta_coin:.10f}",
        "deltaBS": f"{all_of_it.delta:.10f}",
        "gammaBS": f"{all_of_it.gamma:.10f}",
        "vegaBS": f"{all_of_it.vega:.10f}",
        "thetaBS": f"{all_of_it.theta:.10f}",
        "lever": f"{all_of_it.lever:.6f}",
        "markVol": f"{vol:.10f}",
        "bidVol": f"{vol - spread:.10f}",
        "askVol": f"{vol + spread:.10f}",
        "realVol": "",
        "volLv": f"{vol:.10f}",
        "fwdPx": f"{forward(one, index, ts_ms):.10f}",
        "ts": str(ts_ms),
    }
