"""Public REST of spreads and of block trading."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from random import Random
from typing import Any

from okws_celery.simulator.book_streams import plain_levels
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.rest_call import UNKNOWN, Call, Problem, needed, number, one_of
from okws_celery.simulator.rest_market import candle_rows
from okws_celery.simulator.seldom import Occasion
from okws_celery.simulator.seldom_rows import block_ticker, block_trade
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.spread_streams import spread_object, spread_ticker, spread_trade

__all__ = ["block_calls"]

Query = Mapping[str, str]


def block_calls(source: MarketSource, known: Mapping[str, Instrument]) -> list[Call]:
    """The calls; `known` are the instruments that there are, without which there are no spreads."""
    blocks = _Blocks(source, known)
    base = "/api/v5/"
    # fmt: off
    return [
        Call(base + "sprd/spreads",                 20, "", blocks.spreads),
        Call(base + "sprd/books",                   20, "", blocks.books),
        Call(base + "sprd/public-trades",           20, "", blocks.trades),
        Call(base + "sprd/ticker",                  20, "", blocks.ticker),
        Call(base + "market/sprd-ticker",           20, "", blocks.ticker),
        Call(base + "market/sprd-candles",          40, "", blocks.candles),
        Call(base + "market/sprd-history-candles",  20, "", blocks.history_candles),
        Call(base + "market/block-ticker",          20, "", blocks.block_ticker),
        Call(base + "market/block-tickers",         20, "", blocks.block_tickers),
        Call(base + "public/block-trades",          20, "", blocks.block_trades),
    ]
    # fmt: on


class _Blocks:
    def __init__(self, source: MarketSource, known: Mapping[str, Instrument]) -> None:
        self._source = source
        self._known = known

    def spreads(self, query: Query) -> list[Any]:
        base, inst_id, sprd_id = query.get("baseCcy", ""), query.get("instId", ""), query.get("sprdId", "")
        found = self._source.market.spreads.values() if self._known else []
        return [
            spread_object(one)
            for one in found
            if base in ("", one.base) and sprd_id in ("", one.inst_id) and (not inst_id or inst_id in one.legs)
        ]

    def books(self, query: Query) -> list[Any]:
        engine = self._spread(query)
        depth = max(1, number(query, "sz", 5, 400))
        asks, bids = (plain_levels(side.top(depth), engine.one) for side in (engine.book.asks, engine.book.bids))
        return [{"asks": asks, "bids": bids, "ts": str(engine.at_ms), "seqId": engine.book.seq_id}]

    def trades(self, query: Query) -> list[Any]:
        engine = self._spread(query)
        return [spread_trade(engine.one, single) for single in islice(engine.log.newest_first(), 500)]

    def ticker(self, query: Query) -> list[Any]:
        return [spread_ticker(self._spread(query))]

    def candles(self, query: Query) -> list[Any]:
        engine = self._spread(query)
        return candle_rows(engine.candles, engine.one, query, Candle.spread_row, 300, recent=True)

    def history_candles(self, query: Query) -> list[Any]:
        engine = self._spread(query)
        return candle_rows(engine.candles, engine.one, query, Candle.spread_row, 100, recent=False)

    def block_ticker(self, query: Query) -> list[Any]:
        return [*block_ticker(self._occasion(needed(query, "instId")))]

    def block_tickers(self, query: Query) -> list[Any]:
        kind = one_of(query, "instType", ("SPOT", "SWAP", "FUTURES", "OPTION"))
        family = query.get("instFamily", "") or query.get("uly", "")
        some = [one for one in self._known.values() if one.inst_type == kind and family in ("", one.family)]
        return [row for one in some for row in block_ticker(self._occasion(one.inst_id))]

    def block_trades(self, query: Query) -> list[Any]:
        return [*block_trade(self._occasion(needed(query, "instId")))]

    def _spread(self, query: Query) -> Engine:
        sprd_id = needed(query, "sprdId")
        if not self._known or sprd_id not in self._source.market.spreads:
            raise Problem(51001, UNKNOWN)
        return self._source.engine(sprd_id)

    def _occasion(self, inst_id: str) -> Occasion:
        if inst_id not in self._known:
            raise Problem(51001, UNKNOWN)
        engine = self._source.engine(inst_id)
        ts_ms = engine.at_ms // 120_000 * 120_000
        return Occasion({}, engine, ts_ms, 0, True, False, Random(f"{inst_id}:{ts_ms}"))
