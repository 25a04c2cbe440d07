"""What the market says on each public channel: the shape of its pushes and when they are due (PROTOCOL 5.1 and 6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.book_streams import FullBook, MergedBook
from okws_celery.simulator.candles import Candle
from okws_celery.simulator.market import Engine
from okws_celery.simulator.numbers import decimal_text
from okws_celery.simulator.stream import Stream
from okws_celery.simulator.value_streams import (
    Value,
    ValueCandle,
    funding_rate,
    index_ticker,
    mark_price,
    open_interest,
    price_limit,
)

__all__ = ["stream_of", "ticker_text"]


class _Ticker(Stream):
    every_ms = 100

    def begin(self) -> None:
        self._seen = self._mark()

    def opening(self) -> str:
        return self._push(ticker_text(self.engine))

    def news(self, ts_ms: int) -> Iterator[str]:
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            yield self.opening()

    def _mark(self) -> tuple[object, ...]:
        book = self.engine.book
        bid, ask = book.bids.best, book.asks.best
        last = self.engine.recent[-1].trade_id if self.engine.recent else 0
        return bid, book.bids.levels[bid], ask, book.asks.levels[ask], last


class _Trades(Stream):
    def news(self, ts_ms: int) -> Iterator[str]:
        one = self.one
        for trade in self.engine.trades:
            yield self._push(
                f'{{"instId":"{one.inst_id}","tradeId":"{trade.trade_id}"'
                f',"px":"{decimal_text(trade.price, one.tick_decimals)}"'
                f',"sz":"{decimal_text(trade.lots, one.lot_decimals)}","side":"{trade.side}","ts":"{trade.ts_ms}"'
                f',"count":"{len(trade.parts)}","source":"0","seqId":{trade.seq_id}}}'
            )


class _TradesAll(Stream):
    def news(self, ts_ms: int) -> Iterator[str]:
        one = self.one
        for trade in self.engine.trades:
            price = decimal_text(trade.price, one.tick_decimals)
            first = trade.trade_id - len(trade.parts) + 1
            for index, lots in enumerate(trade.parts):
                yield self._push(
                    f'{{"instId":"{one.inst_id}","tradeId":"{first + index}","px":"{price}"'
                    f',"sz":"{decimal_text(lots, one.lot_decimals)}","side":"{trade.side}"'
                    f',"source":"0","ts":"{trade.ts_ms}"}}'
                )


class _Candle(Stream):
    every_ms = 1000

    def __init__(self, arg: Arg, engine: Engine) -> None:
        super().__init__(arg, engine)
        self._bar = self.name.removeprefix("candle")

    def begin(self) -> None:
        self._seen = self._mark()

    def opening(self) -> str:
        return self._row(self.engine.candles.open[self._bar], confirmed=False)

    def after(self, ts_ms: int) -> Iterator[str]:
        for bar, candle in self.engine.closed:
            if bar == self._bar:
                self._pushed_ms = ts_ms
                yield self._row(candle, confirmed=True)
        yield from super().after(ts_ms)

    def news(self, ts_ms: int) -> Iterator[str]:
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            yield self.opening()

    def _row(self, candle: Candle, *, confirmed: bool) -> str:
        return self._push(json.dumps(candle.row(self.one, confirmed=confirmed), separators=(",", ":")))

    def _mark(self) -> tuple[int, int]:
        candle = self.engine.candles.open[self._bar]
        return candle.begin, candle.lots


def stream_of(arg: Arg, engine: Engine) -> Stream | None:
    """The stream of an argument; None for a channel on which this market never has anything to say."""
    name = dict(arg)["channel"]
    if name.startswith("candle"):
        return _Candle(arg, engine)
    if name.startswith(("mark-price-candle", "index-candle")):
        return ValueCandle(arg, engine)
    make = _STREAMS.get(name)
    return make(arg, engine) if make else None


def ticker_text(engine: Engine) -> str:
    """The ticker's object (PROTOCOL 5.1)."""
    one, book, candles = engine.one, engine.book, engine.candles
    decimals, lot = one.tick_decimals, one.lot_decimals
    bid, ask = book.bids.best, book.asks.best
    lots, turnover = candles.volume_24h()
    if one.is_spot:
        in_currency = decimal_text(turnover, decimals + lot)
    else:
        in_currency = decimal_text(lots * one.ct_units, lot + one.ct_decimals)
    return (
        f'{{"instType":"{one.inst_type}","instId":"{one.inst_id}","last":"{decimal_text(engine.last, decimals)}"'
        f',"lastSz":"{decimal_text(engine.last_lots, lot)}","askPx":"{decimal_text(ask, decimals)}"'
        f',"askSz":"{decimal_text(book.asks.levels[ask][0], lot)}","bidPx":"{decimal_text(bid, decimals)}"'
        f',"bidSz":"{decimal_text(book.bids.levels[bid][0], lot)}"'
        f',"open24h":"{decimal_text(candles.open_24h, decimals)}"'
        f',"high24h":"{decimal_text(candles.high_24h, decimals)}","low24h":"{decimal_text(candles.low_24h, decimals)}"'
        f',"sodUtc0":"{decimal_text(candles.open["1Dutc"].open, decimals)}"'
        f',"sodUtc8":"{decimal_text(candles.open["1D"].open, decimals)}","volCcy24h":"{in_currency}"'
        f',"vol24h":"{decimal_text(lots, lot)}","ts":"{engine.at_ms}"}}'
    )


_STREAMS: dict[str, Callable[[Arg, Engine], Stream]] = {
    "tickers": _Ticker,
    "trades": _Trades,
    "trades-all": _TradesAll,
    "bbo-tbt": lambda arg, engine: FullBook(arg, engine, 1, 0),
    "books5": lambda arg, engine: FullBook(arg, engine, 5, 100),
    "books": lambda arg, engine: MergedBook(arg, engine, 400, 100),
    "books-rpi": lambda arg, engine: MergedBook(arg, engine, 400, 100),
    "books-elp": lambda arg, engine: MergedBook(arg, engine, 400, 100),
    "books-l2-tbt": lambda arg, engine: MergedBook(arg, engine, 400, 0),
    "books50-l2-tbt": lambda arg, engine: MergedBook(arg, engine, 50, 0),
    "mark-price": lambda arg, engine: Value(arg, engine, mark_price, 200, 10_000),
    "index-tickers": lambda arg, engine: Value(arg, engine, index_ticker, 100, 60_000),
    "open-interest": lambda arg, engine: Value(arg, engine, open_interest, 3000, 0),
    "funding-rate": lambda arg, engine: Value(arg, engine, funding_rate, 60_000, 60_000),
    "price-limit": lambda arg, engine: Value(arg, engine, price_limit, 200, 0),
}
