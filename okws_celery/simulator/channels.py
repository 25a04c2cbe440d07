"""The channels of the market, one line each: of what they tell, for which kinds of instrument, and how (PROTOCOL 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from okws_celery.okx.catalogue import BARS
from okws_celery.okx.topics import Arg
from okws_celery.simulator.book_streams import FullBook, MergedBook
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.candle_streams import CandleStream, MarkCandleStream
from okws_celery.simulator.stream import Stream
from okws_celery.simulator.tickers import TickerStream, TradesAllStream, TradesStream
from okws_celery.simulator.value_streams import (
    Value,
    funding_rate,
    index_ticker,
    mark_price,
    open_interest,
    price_limit,
)

__all__ = ["CHANNELS", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """One channel. `of` is what its stream is given: the engine of an `instrument`, an `index` or a `spread`."""

    of: str
    inst_types: frozenset[str]
    make: Callable[[Arg, Any], Stream]


_TRADED = "SPOT SWAP FUTURES OPTION"
_CONTRACTS = "SWAP FUTURES OPTION"

# fmt: off
_ROWS: list[tuple[str, str, str, Callable[[Arg, Any], Stream]]] = [
    ("tickers",        "instrument", _TRADED,    TickerStream),
    ("trades",         "instrument", _TRADED,    TradesStream),
    ("trades-all",     "instrument", _TRADED,    TradesAllStream),
    ("bbo-tbt",        "instrument", _TRADED,    partial(FullBook, depth=1, every_ms=0)),
    ("books5",         "instrument", _TRADED,    partial(FullBook, depth=5, every_ms=100)),
    ("books",          "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=100)),
    ("books-rpi",      "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=100)),
    ("books-elp",      "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=100)),
    ("books-l2-tbt",   "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=0)),
    ("books50-l2-tbt", "instrument", _TRADED,    partial(MergedBook, depth=50, every_ms=0)),
    ("mark-price",     "instrument", _TRADED,    partial(Value, row=mark_price, every_ms=200, quiet_ms=10_000)),
    ("open-interest",  "instrument", _CONTRACTS, partial(Value, row=open_interest, every_ms=3000, quiet_ms=0)),
    ("funding-rate",   "instrument", "SWAP",     partial(Value, row=funding_rate, every_ms=60_000, quiet_ms=60_000)),
    ("price-limit",    "instrument", _TRADED,    partial(Value, row=price_limit, every_ms=200, quiet_ms=0)),
    ("index-tickers",  "index",      "INDEX",    partial(Value, row=index_ticker, every_ms=100, quiet_ms=60_000)),
]
_BARS: list[tuple[str, str, str, Callable[[Arg, Any], Stream]]] = [
    ("candle",            "instrument", _TRADED,    partial(CandleStream, row=Candle.row)),
    ("mark-price-candle", "instrument", _TRADED,    partial(MarkCandleStream, row=Candle.value_row)),
    ("index-candle",      "index",      "INDEX",    partial(CandleStream, row=Candle.value_row)),
    ("sprd-candle",       "spread",     "SPREAD",   partial(CandleStream, row=Candle.spread_row)),
]
# fmt: on

CHANNELS: dict[str, Line] = {
    name: Line(of, frozenset(types.split()), make)
    for name, of, types, make in [*_ROWS, *((row[0] + bar, *row[1:]) for row in _BARS for bar in BARS)]
}
