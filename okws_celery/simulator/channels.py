"""The channels of the market, one line each: of what they tell, for which kinds of instrument, and how (PROTOCOL 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from okws_celery.okx.catalogue import BARS
from okws_celery.okx.topics import Arg
from okws_celery.simulator.book_streams import FullBook, MergedBook, rpi_rows, spread_rows
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.candle_streams import CandleStream, MarkCandleStream
from okws_celery.simulator.instruments_stream import InstrumentsStream
from okws_celery.simulator.option_streams import OptionTradesStream, SummaryStream
from okws_celery.simulator.seldom import SeldomStream
from okws_celery.simulator.seldom_rows import (
    adl_warning,
    block_ticker,
    block_trade,
    calendar,
    call_auction,
    estimated_price,
    event_market,
    liquidation,
    maintenance,
    structured_block_trade,
)
from okws_celery.simulator.spread_streams import SpreadTickerStream, SpreadTradesStream
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
    """One channel. `of` says of what it tells, and so what its stream is given.

    instrument, index, spread: the engine of what `instId` or `sprdId` names. options: that of each option of `instId`
    or `instFamily`, a stream each. market: the pulse of the whole market. `inst_types` are those it exists for.
    """

    of: str
    inst_types: frozenset[str]
    make: Callable[[Arg, Any], Stream]


_TRADED = "SPOT SWAP FUTURES OPTION EVENTS"
_CONTRACTS = "SWAP FUTURES OPTION EVENTS"
_BLOCKS = "SPOT SWAP FUTURES OPTION"
_LEVERED = "MARGIN SWAP FUTURES OPTION ANY"
_ALL = "SPOT MARGIN SWAP FUTURES OPTION EVENTS ANY"
_SECOND, _MINUTE = 1000, 60_000

# fmt: off
_ROWS: list[tuple[str, str, str, Callable[[Arg, Any], Stream]]] = [
    ("tickers",              "instrument", _TRADED,    TickerStream),
    ("trades",               "instrument", _TRADED,    TradesStream),
    ("trades-all",           "instrument", _TRADED,    TradesAllStream),
    ("bbo-tbt",              "instrument", _TRADED,    partial(FullBook, depth=1, every_ms=0)),
    ("books5",               "instrument", _TRADED,    partial(FullBook, depth=5, every_ms=100)),
    ("books",                "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=100)),
    ("books-rpi",            "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=100, columns=rpi_rows, checksum="")),
    ("books-elp",            "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=100, columns=rpi_rows, checksum="")),
    ("books-l2-tbt",         "instrument", _TRADED,    partial(MergedBook, depth=400, every_ms=0)),
    ("books50-l2-tbt",       "instrument", _TRADED,    partial(MergedBook, depth=50, every_ms=0)),
    ("mark-price",           "instrument", _TRADED,    partial(Value, row=mark_price, every_ms=200, quiet_ms=10 * _SECOND)),
    ("open-interest",        "instrument", _CONTRACTS, partial(Value, row=open_interest, every_ms=3 * _SECOND, quiet_ms=0)),
    ("funding-rate",         "instrument", "SWAP",     partial(Value, row=funding_rate, every_ms=_MINUTE, quiet_ms=_MINUTE)),
    ("price-limit",          "instrument", _TRADED,    partial(Value, row=price_limit, every_ms=200, quiet_ms=0)),
    ("call-auction-details", "instrument", "SPOT",     partial(SeldomStream, rows=call_auction, every_ms=10 * _MINUTE, pushes=11)),
    ("block-tickers",        "instrument", _BLOCKS,    partial(SeldomStream, rows=block_ticker, every_ms=5 * _MINUTE)),
    ("public-block-trades",  "instrument", _BLOCKS,    partial(SeldomStream, rows=block_trade, every_ms=2 * _MINUTE)),
    ("index-tickers",        "index",      "INDEX",    partial(Value, row=index_ticker, every_ms=100, quiet_ms=_MINUTE)),
    ("option-trades",        "options",    "OPTION",   OptionTradesStream),
    ("opt-summary",          "market",     "",         SummaryStream),
    ("instruments",          "market",     _ALL,       InstrumentsStream),
    ("event-contract-markets", "market",   "EVENTS",   partial(SeldomStream, rows=event_market, every_ms=_MINUTE)),
    ("liquidation-orders",   "market",     _LEVERED,   partial(SeldomStream, rows=liquidation, every_ms=20 * _SECOND)),
    ("adl-warning",          "market",     _LEVERED,   partial(SeldomStream, rows=adl_warning, every_ms=5 * _MINUTE, pushes=8)),
    ("estimated-price",      "market",     "FUTURES OPTION EVENTS", partial(SeldomStream, rows=estimated_price, every_ms=200)),
    ("status",               "market",     "",         partial(SeldomStream, rows=maintenance, every_ms=60 * _MINUTE, pushes=21, opens=True)),
    ("public-struc-block-trades", "market", "",        partial(SeldomStream, rows=structured_block_trade, every_ms=2 * _MINUTE)),
    ("economic-calendar",    "market",     "",         partial(SeldomStream, rows=calendar, every_ms=_MINUTE)),
    ("sprd-tickers",         "spread",     "SPREAD",   SpreadTickerStream),
    ("sprd-public-trades",   "spread",     "SPREAD",   SpreadTradesStream),
    ("sprd-bbo-tbt",         "spread",     "SPREAD",   partial(FullBook, depth=1, every_ms=0, columns=spread_rows)),
    ("sprd-books5",          "spread",     "SPREAD",   partial(FullBook, depth=5, every_ms=100, columns=spread_rows)),
    ("sprd-books-l2-tbt",    "spread",     "SPREAD",   partial(MergedBook, depth=400, every_ms=0, columns=spread_rows, checksum="real")),
]
_BARS: list[tuple[str, str, str, Callable[[Arg, Any], Stream]]] = [
    ("candle",            "instrument", _TRADED,    partial(CandleStream, row=Candle.row)),
    ("mark-price-candle", "instrument", _TRADED,    partial(MarkCandleStream, row=Candle.value_row)),
    ("index-candle",      "index",      "INDEX",    partial(CandleStream, row=Candle.value_row)),
    ("sprd-candle",       "spread",     "SPREAD",   partial(CandleStream, row=Candle.spread_row)),
]
# fmt: on

_NOT_FOR = {"candle1s": {"OPTION"}}

CHANNELS: dict[str, Line] = {
    name: Line(of, frozenset(types.split()) - _NOT_FOR.get(name, set()), make)
    for name, of, types, make in [*_ROWS, *((row[0] + bar, *row[1:]) for row in _BARS for bar in BARS)]
}
