"""Public REST about the market: candles, books, trades and tickers (PROTOCOL 8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, takewhile
from typing import Any

from okws_celery.okx.catalogue import BARS
from okws_celery.simulator.book_streams import plain_levels
from okws_celery.simulator.candle import Candle
from okws_celery.simulator.candles import Candles
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.rest_call import FAR_MS, UNKNOWN, Call, Problem, needed, number, one_of
from okws_celery.simulator.seconds import second_candles
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.tickers import single_text, ticker_text
from okws_celery.simulator.trade import Single
from okws_celery.simulator.value_streams import index_ticker

__all__ = ["candle_rows", "market_calls"]

_RECENT_BARS = 1440
"""Only `history-` calls go further back."""

Query = Mapping[str, str]
Row = Callable[..., list[str]]


def market_calls(source: MarketSource, known: Mapping[str, Instrument]) -> list[Call]:
    """The calls of `/api/v5/market`; `known` are the instruments that there are."""
    market = _Market(source, known)
    base = "/api/v5/market/"
    # fmt: off
    return [
        Call(base + "candles",                    40, "", market.candles),
        Call(base + "history-candles",            20, "", market.history_candles),
        Call(base + "index-candles",              20, "", market.index_candles),
        Call(base + "history-index-candles",      10, "", market.history_index_candles),
        Call(base + "mark-price-candles",         20, "", market.mark_candles),
        Call(base + "history-mark-price-candles", 20, "", market.history_mark_candles),
        Call(base + "books",                      40, "", market.books),
        Call(base + "books-full",                 10, "", market.books_full),
        Call(base + "books-rpi",                  40, "", market.books_rpi),
        Call(base + "trades",                    100, "", market.trades),
        Call(base + "history-trades",             20, "", market.history_trades),
        Call(base + "ticker",                     20, "", market.ticker),
        Call(base + "tickers",                    20, "", market.tickers),
        Call(base + "index-tickers",              20, "", market.index_tickers),
    ]
    # fmt: on


class _Market:
    def __init__(self, source: MarketSource, known: Mapping[str, Instrument]) -> None:
        self._source = source
        self._known = known

    def candles(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        return candle_rows(engine.candles, engine.one, query, Candle.row, 300, recent=True)

    def history_candles(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        if query.get("bar") == "1s" and not engine.one.opt_type:
            before_ms, after_ms, limit = _page(query, 300)
            found = second_candles(engine, before_ms, after_ms, limit)
            return [candle.row(engine.one, confirmed=True) for candle in found]
        return candle_rows(engine.candles, engine.one, query, Candle.row, 300, recent=False)

    def mark_candles(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        return candle_rows(engine.marks, engine.one, query, Candle.value_row, 100, recent=True)

    def history_mark_candles(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        return candle_rows(engine.marks, engine.one, query, Candle.value_row, 100, recent=False)

    def index_candles(self, query: Query) -> list[Any]:
        return self._index_candles(query, recent=True)

    def history_index_candles(self, query: Query) -> list[Any]:
        return self._index_candles(query, recent=False)

    def books(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        book, depth = engine.book, number(query, "sz", 1, 400)
        asks, bids = (plain_levels(side.top(depth), engine.one, "0") for side in (book.asks, book.bids))
        return [{"asks": asks, "bids": bids, "ts": str(engine.at_ms), "seqId": book.seq_id}]

    def books_full(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        depth = number(query, "sz", 1, 5000)
        asks, bids = (plain_levels(side.top(depth), engine.one) for side in (engine.book.asks, engine.book.bids))
        return [{"asks": asks, "bids": bids, "ts": str(engine.at_ms)}]

    def books_rpi(self, query: Query) -> list[Any]:
        (book,) = self.books(query)
        for level in (*book["asks"], *book["bids"]):
            level[2] = level[1]
        return [book]

    def trades(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        return _singles(engine, engine.log.newest_first(), number(query, "limit", 100, 500))

    def history_trades(self, query: Query) -> list[Any]:
        engine = self._engine(query)
        limit = number(query, "limit", 100, 100)
        kind = query.get("type", "") or "1"
        after, before = number(query, "after", FAR_MS), number(query, "before", -1)
        if kind == "1":
            older = engine.log.newest_first(below_id=after)
            return _singles(engine, takewhile(lambda one: one.trade_id > before, older), limit)
        if kind == "2":
            older = engine.log.newest_first(below_ms=after)
            return _singles(engine, takewhile(lambda one: one.ts_ms > before, older), limit)
        raise Problem(51000, "Parameter type error")

    def ticker(self, query: Query) -> list[Any]:
        return [json.loads(ticker_text(self._engine(query)))]

    def tickers(self, query: Query) -> list[Any]:
        kind = one_of(query, "instType", ("SPOT", "SWAP", "FUTURES", "OPTION", "EVENTS"))
        family = query.get("instFamily", "") or query.get("uly", "")
        wanted = [one for one in self._known.values() if one.inst_type == kind and family in ("", one.family)]
        return [json.loads(ticker_text(self._source.engine(one.inst_id))) for one in wanted]

    def index_tickers(self, query: Query) -> list[Any]:
        inst_id, quote = query.get("instId", ""), query.get("quoteCcy", "")
        if not inst_id and not quote:
            raise Problem(50014, "Either parameter quoteCcy or instId is required.")
        indexes = self._source.market.indexes if self._known else {}
        wanted = [one for one in indexes.values() if inst_id in ("", one.inst_id) and quote in ("", one.quote)]
        if inst_id and not wanted:
            raise Problem(51001, UNKNOWN)
        engines = [self._source.index_engine(one.inst_id) for one in wanted]
        return [{**index_ticker(engine), "ts": str(engine.at_ms)} for engine in engines]

    def _index_candles(self, query: Query, *, recent: bool) -> list[Any]:
        inst_id = needed(query, "instId")
        if not self._known or inst_id not in self._source.market.indexes:
            raise Problem(51001, UNKNOWN)
        engine = self._source.index_engine(inst_id)
        return candle_rows(engine.candles, engine.one, query, Candle.value_row, 100, recent=recent)

    def _engine(self, query: Query) -> Engine:
        inst_id = needed(query, "instId")
        if inst_id not in self._known:
            raise Problem(51001, UNKNOWN)
        return self._source.engine(inst_id)


def _page(query: Query, most: int) -> tuple[int, int, int]:
    """`after`, which means older than, `before`, newer than, and `limit`."""
    return number(query, "after", FAR_MS), number(query, "before", -1), max(1, number(query, "limit", 100, most))


def candle_rows(
    candles: Candles, one: Instrument, query: Query, row: Row, most: int, *, recent: bool
) -> list[list[str]]:
    """A page of candles as a query asks for them, at most `most`; `recent`: the open one too, but not years back."""
    bar = query.get("bar", "") or "1m"
    if bar not in BARS or bar == "1s":
        raise Problem(51000, "Parameter bar error")
    before_ms, after_ms, limit = _page(query, most)
    now = candles.open(bar)
    if recent:
        after_ms = max(after_ms, now.begin - (_RECENT_BARS - 1) * (now.end - now.begin) - 1)
    else:
        before_ms = min(before_ms, now.begin)
    found = candles.rows(bar, before_ms=before_ms, after_ms=after_ms, limit=limit)
    return [row(candle, one, confirmed=candle is not now) for candle in found]


def _singles(engine: Engine, singles: Iterator[Single], limit: int) -> list[Any]:
    return [json.loads(single_text(engine.one, single)) for single in islice(singles, limit)]
