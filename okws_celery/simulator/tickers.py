"""The ticker and the trades of an instrument, as their channels and REST give them (PROTOCOL 5.1)."""

from __future__ import annotations

from collections.abc import Iterator

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.stream import InstrumentStream
from okws_celery.simulator.trade import Single

__all__ = ["TickerStream", "TradesAllStream", "TradesStream", "single_text", "ticker_text"]


class TickerStream(InstrumentStream):
    """`tickers`: at most every 100 ms, when the best prices changed or something was traded."""

    every_ms = 100
    engine: Engine

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
        last = self.engine.log.newest.trade_id if self.engine.log else 0
        return bid, book.bids.levels[bid], ask, book.asks.levels[ask], last


class TradesStream(InstrumentStream):
    """`trades`: what one taker took at one price is one element."""

    engine: Engine

    def news(self, ts_ms: int) -> Iterator[str]:
        one = self.one
        for trade in self.engine.trades:
            yield self._push(
                f'{{"instId":"{one.inst_id}","tradeId":"{trade.trade_id}","px":"{one.price_text(trade.price)}"'
                f',"sz":"{one.size_text(trade.lots)}","side":"{trade.side}","ts":"{trade.ts_ms}"'
                f',"count":"{len(trade.parts)}","source":"0","seqId":{trade.seq_id}}}'
            )


class TradesAllStream(InstrumentStream):
    """`trades-all`: every match by itself."""

    engine: Engine

    def news(self, ts_ms: int) -> Iterator[str]:
        for trade in self.engine.trades:
            for single in trade.singles():
                yield self._push(single_text(self.one, single))


def single_text(one: Instrument, single: Single) -> str:
    """The object of one match, as `trades-all` and REST give it."""
    return (
        f'{{"instId":"{one.inst_id}","tradeId":"{single.trade_id}","px":"{one.price_text(single.price)}"'
        f',"sz":"{one.size_text(single.lots)}","side":"{single.side}","source":"0","ts":"{single.ts_ms}"}}'
    )


def ticker_text(engine: Engine, inst_type: str = "") -> str:
    """The ticker's object."""
    one, book, candles = engine.one, engine.book, engine.candles
    px, sz = one.price_text, one.size_text
    bid, ask = book.bids.best, book.asks.best
    lots, turnover = candles.volume_24h()
    in_currency = one.quote_text(lots, turnover) if one.is_spot else one.base_text(lots, turnover)
    return (
        f'{{"instType":"{inst_type or one.inst_type}","instId":"{one.inst_id}","last":"{px(engine.last)}"'
        f',"lastSz":"{sz(engine.last_lots)}","askPx":"{px(ask)}","askSz":"{sz(book.asks.levels[ask][0])}"'
        f',"bidPx":"{px(bid)}","bidSz":"{sz(book.bids.levels[bid][0])}","open24h":"{px(candles.open_24h)}"'
        f',"high24h":"{px(candles.high_24h)}","low24h":"{px(candles.low_24h)}"'
        f',"sodUtc0":"{px(candles.open("1Dutc").open)}","sodUtc8":"{px(candles.open("1D").open)}"'
        f',"volCcy24h":"{in_currency}","vol24h":"{sz(lots)}","ts":"{engine.at_ms}"}}'
    )
