"""What the market says on each public channel: the shape of its pushes and when they are due (PROTOCOL 5.1 and 6).

One object for each subscribed argument, however many connections listen; it turns the state of an engine into text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.bars import bar_bounds
from okws_celery.simulator.book import Level, Window
from okws_celery.simulator.candles import Candle
from okws_celery.simulator.instruments import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.numbers import POWERS, decimal_text

__all__ = ["ORDER", "Stream", "arg_text", "stream_of", "ticker_text"]

_TENTH_MS = 100
_HEARTBEAT_MS = 60_000
_FUNDING_MS = 8 * 3_600_000

ORDER = (
    "trades trades-all bbo-tbt books-l2-tbt books50-l2-tbt books books-elp books-rpi books5 "
    "tickers mark-price index-tickers open-interest funding-rate price-limit"
).split()
"""Channels of one instrument push in this order (PROTOCOL 6.5 fixes it for books); candles come last."""


def arg_text(arg: Arg) -> str:
    """The argument as OKX writes it in a push: the channel first."""
    by_key = dict(arg)
    return json.dumps({"channel": by_key.pop("channel"), **by_key}, separators=(",", ":"))


class Stream:
    """One subscribed argument. `opening` is the first push of a new listener, `after` what all get after a step."""

    every_ms = 0
    """Shortest time between two pushes; 0: after each step."""

    def __init__(self, arg: Arg, engine: Engine) -> None:
        self.arg = arg
        self.engine = engine
        self.one: Instrument = engine.one
        self.name = dict(arg)["channel"]
        self._head = f'{{"arg":{arg_text(arg)},"data":['
        self._pushed_ms = 0

    def begin(self) -> None:
        """Somebody listens again: what changed meanwhile is not news."""

    def opening(self) -> str | None:
        """The push that follows the ack, if the channel has one."""
        return None

    def after(self, ts_ms: int) -> Iterator[str]:
        """The pushes that are due at `ts_ms`, oldest first.

        All that does not push with each step pushes on the same tenths of a second: what the channels say of one moment
        agrees.
        """
        if not self.every_ms or (ts_ms % _TENTH_MS == 0 and ts_ms - self._pushed_ms >= self.every_ms):
            for text in self.news(ts_ms):
                self._pushed_ms = ts_ms
                yield text

    def news(self, ts_ms: int) -> Iterator[str]:
        """As `after`, but asked only when `every_ms` has passed."""
        raise NotImplementedError

    def _push(self, row: str) -> str:
        return f"{self._head}{row}]}}"


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


class _FullBook(Stream):
    """`books5` and `bbo-tbt`: all that they show, each time that it changed."""

    def __init__(self, arg: Arg, engine: Engine, depth: int, every_ms: int) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._depth = depth

    def begin(self) -> None:
        self._last = self._sides()
        self._pushed_ms = self.engine.at_ms

    def opening(self) -> str:
        return self._text(self._sides(), self.engine.at_ms)

    def news(self, ts_ms: int) -> Iterator[str]:
        sides = self._sides()
        if sides != self._last or ts_ms - self._pushed_ms >= _HEARTBEAT_MS:
            self._last = sides
            yield self._text(sides, ts_ms)

    def _sides(self) -> tuple[list[str], list[str]]:
        book = self.engine.book
        return _rows(book.asks.top(self._depth), self.one), _rows(book.bids.top(self._depth), self.one)

    def _text(self, sides: tuple[list[str], list[str]], ts_ms: int) -> str:
        asks, bids = (",".join(side) for side in sides)
        named = f'"instId":"{self.one.inst_id}",' if self._depth > 1 else ""
        seq_id = self.engine.book.seq_id
        return self._push(f'{{"asks":[{asks}],"bids":[{bids}],{named}"ts":"{ts_ms}","seqId":{seq_id}}}')


class _MergedBook(Stream):
    """A snapshot, then what changed: `books` and its like. The snapshot is what the others have been shown last."""

    checksums = False

    def __init__(self, arg: Arg, engine: Engine, depth: int, every_ms: int) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._window = Window(depth)
        self._row = _rpi_rows if self.name in ("books-rpi", "books-elp") else _rows
        self._has_checksum = self.name not in ("books-rpi", "books-elp")
        self._head = f'{{"arg":{arg_text(arg)},"action":'

    def begin(self) -> None:
        self._window.show(self.engine.book, self.engine.at_ms)
        self._pushed_ms = self.engine.at_ms

    def opening(self) -> str:
        window = self._window
        return self._text("snapshot", window.asks, window.bids, -1)

    def news(self, ts_ms: int) -> Iterator[str]:
        window = self._window
        if window.seq_id != self.engine.book.seq_id:
            before = window.seq_id
            bids, asks = window.show(self.engine.book, ts_ms)
            if bids or asks:
                yield self._text("update", asks, bids, before)
            else:
                window.seq_id = before  # what changed lies deeper than this channel shows
        if ts_ms - self._pushed_ms >= _HEARTBEAT_MS:
            window.ts_ms = ts_ms
            yield self._text("update", {}, {}, window.seq_id)

    def _text(self, action: str, asks: dict[int, Level], bids: dict[int, Level], before: int) -> str:
        window, one = self._window, self.one
        checksum = ""
        if self._has_checksum:
            checksum = f'"checksum":{window.checksum(one) if self.checksums else 0},'
        return (
            f'{self._head}"{action}","data":[{{"asks":[{",".join(self._row(asks, one))}]'
            f',"bids":[{",".join(self._row(bids, one))}],"ts":"{window.ts_ms}",{checksum}'
            f'"prevSeqId":{before},"seqId":{window.seq_id}}}]}}'
        )


class _Value(Stream):
    """A channel of one row: pushed when it changed, and at the latest after `quiet_ms`."""

    def __init__(
        self, arg: Arg, engine: Engine, row: Callable[[Engine], dict[str, object]], every_ms: int, quiet_ms: int
    ) -> None:
        super().__init__(arg, engine)
        self.every_ms = every_ms
        self._row = row
        self._quiet_ms = quiet_ms
        self._seen: dict[str, object] = {}

    def begin(self) -> None:
        self._seen = self._row(self.engine)
        self._pushed_ms = self.engine.at_ms

    def opening(self) -> str:
        return self._stamped(self._row(self.engine))

    def news(self, ts_ms: int) -> Iterator[str]:
        row = self._row(self.engine)
        if row != self._seen or (self._quiet_ms and ts_ms - self._pushed_ms >= self._quiet_ms):
            self._seen = row
            yield self._stamped(row)

    def _stamped(self, row: dict[str, object]) -> str:
        return self._push(json.dumps({**row, "ts": str(self.engine.at_ms)}, separators=(",", ":")))


def stream_of(arg: Arg, engine: Engine) -> Stream | None:
    """The stream of an argument; None for a channel on which this market never has anything to say."""
    name = dict(arg)["channel"]
    if name.startswith("candle"):
        return _Candle(arg, engine)
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


def _rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    tick, lot = one.tick_decimals, one.lot_decimals
    return [
        f'["{decimal_text(price, tick)}","{decimal_text(lots, lot)}","0","{orders}"]'
        for price, (lots, orders) in levels.items()
    ]


def _rpi_rows(levels: dict[int, Level], one: Instrument) -> list[str]:
    tick, lot = one.tick_decimals, one.lot_decimals
    return [
        f'["{decimal_text(price, tick)}","{decimal_text(lots, lot)}","{decimal_text(lots, lot)}","{orders}"]'
        for price, (lots, orders) in levels.items()
    ]


def _index_ticks(engine: Engine) -> int:
    return round(engine.index * int(POWERS[engine.one.tick_decimals]))


def _mark_price(engine: Engine) -> dict[str, object]:
    one = engine.one
    kind = "MARGIN" if one.is_spot else one.inst_type
    return {"instType": kind, "instId": one.inst_id, "markPx": decimal_text(engine.mark, one.tick_decimals)}


def _index_ticker(engine: Engine) -> dict[str, object]:
    decimals, candles, index = engine.one.tick_decimals, engine.candles, _index_ticks(engine)
    return {
        "instId": engine.one.index,
        "idxPx": decimal_text(index, decimals),
        "open24h": decimal_text(candles.open_24h, decimals),
        "high24h": decimal_text(max(candles.high_24h, index), decimals),
        "low24h": decimal_text(min(candles.low_24h, index), decimals),
        "sodUtc0": decimal_text(candles.open["1Dutc"].open, decimals),
        "sodUtc8": decimal_text(candles.open["1D"].open, decimals),
    }


def _open_interest(engine: Engine) -> dict[str, object]:
    one = engine.one
    coins, decimals = engine.open_interest * one.ct_units, one.lot_decimals + one.ct_decimals
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "oi": decimal_text(engine.open_interest, one.lot_decimals),
        "oiCcy": decimal_text(coins, decimals),
        "oiUsd": decimal_text(coins * engine.last, decimals + one.tick_decimals),
    }


def _funding_rate(engine: Engine) -> dict[str, object]:
    due = bar_bounds("8H", engine.at_ms)[1]
    # Millionths of the premium over the index: the swap stands a fixed 0.02 % above its coin, give or take its book.
    premium = (engine.mark - _index_ticks(engine)) * 10_000_000 // max(1, _index_ticks(engine))
    return {
        "instType": engine.one.inst_type,
        "instId": engine.one.inst_id,
        "method": "current_period",
        "formulaType": "noRate",
        "fundingRate": decimal_text(min(37_500, max(-37_500, premium // 8)), 7),
        "fundingTime": str(due),
        "nextFundingRate": "",
        "nextFundingTime": str(due + _FUNDING_MS),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "interestRate": "0.0001",
        "impactValue": "20000",
        "settState": "settled",
        "settFundingRate": "0.00002",
        "premium": decimal_text(premium, 7),
        "prevFundingTime": str(due - _FUNDING_MS),
    }


def _price_limit(engine: Engine) -> dict[str, object]:
    one = engine.one
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "buyLmt": decimal_text(engine.mark * 102 // 100, one.tick_decimals),
        "sellLmt": decimal_text(engine.mark * 98 // 100, one.tick_decimals),
        "enabled": True,
    }


_STREAMS: dict[str, Callable[[Arg, Engine], Stream]] = {
    "tickers": _Ticker,
    "trades": _Trades,
    "trades-all": _TradesAll,
    "bbo-tbt": lambda arg, engine: _FullBook(arg, engine, 1, 0),
    "books5": lambda arg, engine: _FullBook(arg, engine, 5, 100),
    "books": lambda arg, engine: _MergedBook(arg, engine, 400, 100),
    "books-rpi": lambda arg, engine: _MergedBook(arg, engine, 400, 100),
    "books-elp": lambda arg, engine: _MergedBook(arg, engine, 400, 100),
    "books-l2-tbt": lambda arg, engine: _MergedBook(arg, engine, 400, 0),
    "books50-l2-tbt": lambda arg, engine: _MergedBook(arg, engine, 50, 0),
    "mark-price": lambda arg, engine: _Value(arg, engine, _mark_price, 200, 10_000),
    "index-tickers": lambda arg, engine: _Value(arg, engine, _index_ticker, 100, 60_000),
    "open-interest": lambda arg, engine: _Value(arg, engine, _open_interest, 3000, 0),
    "funding-rate": lambda arg, engine: _Value(arg, engine, _funding_rate, 60_000, 60_000),
    "price-limit": lambda arg, engine: _Value(arg, engine, _price_limit, 200, 0),
}
