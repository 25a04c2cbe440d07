"""The channels of the v3 API that have a counterpart in v5, one line each (PROTOCOL 9.3, 9.4).

Columns: name, filter of a topic, v5 arguments (the first decides about the topic's state, the others
add to its data; see _arg), spelling of its rows, and the argument that takes the first one's place after a login.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.catalogue import CATALOGUE, Channel, Kind
from okws_celery.okx.v3_account import (
    FUTURES_ACCOUNT,
    FUTURES_POSITION,
    MARGIN_ACCOUNT,
    OPTION_ACCOUNT,
    OPTION_POSITION,
    SPOT_ACCOUNT,
    SWAP_ACCOUNT,
    SWAP_POSITION,
    currency_of,
)
from okws_celery.okx.v3_listings import FUTURES_INSTRUMENTS, OPTION_INSTRUMENTS, OPTION_SUMMARY
from okws_celery.okx.v3_orders import ALGO, ALGO_DERIVATIVE, ORDER, ORDER_DERIVATIVE, ORDER_OPTION
from okws_celery.okx.v3_rows import BookSpelling, CandleSpelling, RowSpelling
from okws_celery.okx.v3_state import StateView

__all__ = ["BARS", "V3", "Spelling", "V3Channel", "check_filter", "is_v3", "v3_channel"]

Spelling = RowSpelling | CandleSpelling | BookSpelling | StateView

BARS = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1H", 7200: "2H", 14400: "4H",
    21600: "6H", 43200: "12H", 86400: "1D", 604800: "1W",
}  # fmt: skip
"""v5's bar by the seconds in a v3 name; from 6H upward both open at UTC+8 boundaries."""

_PRODUCTS = ("spot", "margin", "futures", "swap", "option", "index", "system", "account")
_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ACCEPTED = "'spot/ticker:ETH-USDT', 'swap/candle60s:BTC-USD-SWAP' or 'futures/instruments' is accepted"


@dataclass(frozen=True, eq=False)
class V3Channel:
    """One line of the table. Each is there once, so that it is equal to itself alone."""

    name: str
    filter: str
    """The key by which a topic chooses, as v3 called it; "" if it chooses nothing."""
    args: tuple[Mapping[str, str], ...]
    spelling: Spelling
    login_arg: Mapping[str, str] | None = None
    """The first argument for sessions that are logged in, where that is another one."""

    @cached_property
    def channel(self) -> Channel:
        """As one of the catalogue: everything but name and identity is that of its v5 channel."""
        v5 = CATALOGUE[self.args[0]["channel"]]
        kind = Kind.LATEST if isinstance(self.spelling, RowSpelling) and v5.kind is Kind.STATE else v5.kind
        keys = (self.filter,) if self.filter else ()
        return replace(v5, name=self.name, required=keys, optional=(), kind=kind, identity=(self._identity(kind),))

    def _identity(self, kind: Kind) -> str:
        if isinstance(self.spelling, StateView):
            return self.spelling.identity
        return {Kind.LOG: "trade_id", Kind.CANDLES: "timestamp"}.get(kind, "instrument_id")

    def concerns(self, value: str, row: Mapping[str, Any]) -> bool:
        """Whether a v3 row is one of the topic with this filter; a row that does not say is."""
        said = [str(row[key]) for key in ("instrument_id", "currency", "underlying") if row.get(key)]
        if not value or not said or value in said:
            return True
        return self.filter == "underlying" and any(name.startswith(value + "-") for name in said)

    def filled(self, arg: Mapping[str, str], value: str) -> dict[str, str]:
        """A v5 argument for a filter's value."""
        values = {"@": value, "%": value, "$": currency_of(value)}
        return {key: values.get(one, one) for key, one in arg.items()}


def _line(name: str, filter_: str, args: str, spelling: Spelling, login_arg: str = "") -> V3Channel:
    return V3Channel(
        name, filter_, tuple(map(_arg, args.split(" + "))), spelling, _arg(login_arg) if login_arg else None
    )


_KEYS = {"@": "instId", "%": "instFamily", "$": "ccy"}


def _arg(text: str) -> dict[str, str]:
    """A channel, an instType, and where the filter's value goes: `@` instId, `%` instFamily, `$` ccy (its currency)."""
    channel, *words = text.split()
    return {"channel": channel, **{_KEYS.get(word, "instType"): word for word in words}}


_TICKER = (
    "instrument_id=instId last last_qty=lastSz best_ask=askPx best_ask_size=askSz best_bid=bidPx best_bid_size=bidSz "
    "open_24h=open24h high_24h=high24h low_24h=low24h timestamp@ts "
)
_SPOT_TICKER = RowSpelling(
    _TICKER + "base_volume_24h=vol24h quote_volume_24h=volCcy24h open_utc0=sodUtc0 open_utc8=sodUtc8"
)
_TICKERS = RowSpelling(_TICKER + "volume_24h=vol24h volume_token_24h=volCcy24h", extra=("open_interest",))
_INDEX = RowSpelling("instrument_id=instId last=idxPx open_24h=open24h high_24h=high24h low_24h=low24h timestamp@ts")
_TRADE = "instrument_id=instId trade_id=tradeId side price=px timestamp@ts "
_TRADE_SIZE = RowSpelling(_TRADE + "size=sz")
_TRADE_QTY = RowSpelling(_TRADE + "qty=sz")
_TRADES = RowSpelling("instrument_id=instId trade_id=tradeId trade_side=side price=px qty=sz timestamp@ts")
_MARK = RowSpelling("instrument_id=instId mark_price=markPx timestamp@ts")
_RANGE = RowSpelling("instrument_id=instId highest=buyLmt lowest=sellLmt timestamp@ts")
_ESTIMATED = RowSpelling("instrument_id=instId settlement_price=settlePx timestamp@ts")
_FUNDING = RowSpelling(
    "instrument_id=instId funding_rate=fundingRate estimated_rate=nextFundingRate funding_time@fundingTime "
    "settlement_time@nextFundingTime interest_rate=interestRate"
)
_THREE = BookSpelling(3, has_checksum=False)
_THREE_CHECKED = BookSpelling(3, has_checksum=True)
_FOUR = BookSpelling(4, has_checksum=False)
_FOUR_CHECKED = BookSpelling(4, has_checksum=True)

_OI = " + open-interest @"
_BOOKS, _TBT = "books @", "books-l2-tbt @"

# fmt: off
_LINES = [
    # -- tickers, trades
    _line("spot/ticker",             "instrument_id", "tickers @",                        _SPOT_TICKER),
    _line("futures/ticker",          "instrument_id", "tickers @" + _OI,                  _TICKERS),
    _line("swap/ticker",             "instrument_id", "tickers @" + _OI,                  _TICKERS),
    _line("option/ticker",           "instrument_id", "tickers @" + _OI,                  _TICKERS),
    _line("index/ticker",            "instrument_id", "index-tickers @",                  _INDEX),
    _line("spot/trade",              "instrument_id", "trades @",                         _TRADE_SIZE),
    _line("futures/trade",           "instrument_id", "trades @",                         _TRADE_QTY),
    _line("swap/trade",              "instrument_id", "trades @",                         _TRADE_SIZE),
    _line("option/trade",            "instrument_id", "trades @",                         _TRADE_QTY),
    _line("option/trades",           "underlying",    "option-trades OPTION %",           _TRADES),
    # -- books
    _line("spot/depth5",             "instrument_id", "books5 @",                         _THREE),
    _line("spot/depth",              "instrument_id", _BOOKS,                             _THREE_CHECKED),
    _line("spot/depth_l2_tbt",       "instrument_id", _BOOKS,                             _FOUR_CHECKED, _TBT),
    _line("futures/depth5",          "instrument_id", "books5 @",                         _FOUR),
    _line("futures/depth",           "instrument_id", _BOOKS,                             _FOUR_CHECKED),
    _line("futures/depth_l2_tbt",    "instrument_id", _BOOKS,                             _FOUR_CHECKED, _TBT),
    _line("swap/depth5",             "instrument_id", "books5 @",                         _FOUR),
    _line("swap/depth",              "instrument_id", _BOOKS,                             _FOUR_CHECKED),
    _line("swap/depth_l2_tbt",       "instrument_id", _BOOKS,                             _FOUR_CHECKED, _TBT),
    _line("option/depth5",           "instrument_id", "books5 @",                         _FOUR),
    _line("option/depth",            "instrument_id", _BOOKS,                             _FOUR_CHECKED),
    _line("option/depth_l2_tbt",     "instrument_id", _BOOKS,                             _FOUR_CHECKED, _TBT),
    # -- prices and contracts
    _line("futures/mark_price",      "instrument_id", "mark-price @",                     _MARK),
    _line("swap/mark_price",         "instrument_id", "mark-price @",                     _MARK),
    _line("futures/price_range",     "instrument_id", "price-limit @",                    _RANGE),
    _line("swap/price_range",        "instrument_id", "price-limit @",                    _RANGE),
    _line("futures/estimated_price", "instrument_id", "estimated-price FUTURES @",        _ESTIMATED),
    _line("swap/funding_rate",       "instrument_id", "funding-rate @",                   _FUNDING),
    _line("futures/instruments",     "",              "instruments FUTURES",              FUTURES_INSTRUMENTS),
    _line("option/instruments",      "underlying",    "instruments OPTION",               OPTION_INSTRUMENTS),
    _line("option/summary",          "underlying",    "opt-summary %",                    OPTION_SUMMARY),
    # -- the account
    _line("spot/account",            "currency",      "account $",                        SPOT_ACCOUNT),
    _line("spot/margin_account",     "instrument_id", "account + positions MARGIN @",     MARGIN_ACCOUNT),
    _line("futures/account",         "underlying",    "account $",                        FUTURES_ACCOUNT),
    _line("swap/account",            "instrument_id", "account $",                        SWAP_ACCOUNT),
    _line("option/account",          "underlying",    "account $",                        OPTION_ACCOUNT),
    _line("futures/position",        "instrument_id", "positions FUTURES @",              FUTURES_POSITION),
    _line("swap/position",           "instrument_id", "positions SWAP @",                 SWAP_POSITION),
    _line("option/position",         "underlying",    "positions OPTION %",               OPTION_POSITION),
    _line("spot/order",              "instrument_id", "orders SPOT @",                    ORDER),
    _line("futures/order",           "instrument_id", "orders FUTURES @",                 ORDER_DERIVATIVE),
    _line("swap/order",              "instrument_id", "orders SWAP @",                    ORDER_DERIVATIVE),
    _line("option/order",            "underlying",    "orders OPTION %",                  ORDER_OPTION),
    _line("spot/order_algo",         "instrument_id", "orders-algo SPOT @ + algo-advance SPOT @", ALGO),
    _line("futures/order_algo",     "instrument_id", "orders-algo FUTURES @ + algo-advance FUTURES @", ALGO_DERIVATIVE),
    _line("swap/order_algo",         "instrument_id", "orders-algo SWAP @ + algo-advance SWAP @", ALGO_DERIVATIVE),
] + [
    _line(f"{product}/candle{seconds}s", "instrument_id", f"{prefix}candle{bar} @", spelling)
    for product, prefix, spelling in (
        ("spot", "", CandleSpelling(in_currency=False)),
        ("futures", "", CandleSpelling(in_currency=True)),
        ("swap", "", CandleSpelling(in_currency=True)),
        ("option", "", CandleSpelling(in_currency=True)),
        ("index", "index-", CandleSpelling(in_currency=False, has_volume=False)),
    )
    for seconds, bar in BARS.items()
]
# fmt: on

V3: dict[str, V3Channel] = {line.name: line for line in _LINES}
"""Channel by its name."""

_ELSEWHERE = {
    "system/status": "the v5 topic 'status' tells about maintenance",
    "futures/liquidation": "the v5 topic 'liquidation-orders:FUTURES' tells about liquidations",
    "swap/liquidation": "the v5 topic 'liquidation-orders:SWAP' tells about liquidations",
    "spot/all_ticker_3s": "v5 has no channel of all tickers; each is subscribed by itself, 'spot/ticker:ETH-USDT'",
}


def is_v3(name: str) -> bool:
    """Whether a channel's name has the form of v3, `spot/ticker`."""
    return name.partition("/")[0] in _PRODUCTS and "/" in name


def v3_channel(name: str) -> V3Channel:
    """The line of a channel; BadCommand if v5 has no counterpart of it."""
    found = V3.get(name)
    if found is not None:
        return found
    candle = re.fullmatch(r"(\w+)/candle(\w+)", name)
    if name in _ELSEWHERE:
        hint = _ELSEWHERE[name]
    elif candle and f"{candle[1]}/candle60s" in V3:
        hint = f"candles come in {', '.join(map(str, BARS))} seconds, '{candle[1]}/candle60s'"
    elif near := get_close_matches(name, V3, n=3, cutoff=0.7):
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = _ACCEPTED
    raise BadCommand(f"v3 topic {name!r} has no counterpart in API v5; {hint}")


def check_filter(found: V3Channel, value: str) -> None:
    """BadCommand if a topic's filter cannot be right."""
    if not found.filter:
        if value:
            raise BadCommand(f"topic {found.name + ':' + value!r}: {found.name} takes no filter")
        return
    if not value:
        raise BadCommand(f"topic {found.name!r}: {found.filter} missing; '{found.name}:{_example(found)}' is accepted")
    if not _VALUE.fullmatch(value):
        raise BadCommand(f"topic {found.name!r}: {found.filter} {value!r} has characters that no OKX name has")
    product = found.name.partition("/")[0]
    if found.filter == "instrument_id" and product != "index" and value.endswith("-SWAP") != (product == "swap"):
        what = "is a swap" if product != "swap" else "is no swap"
        raise BadCommand(
            f"topic {found.name + ':' + value!r}: {value} {what}; '{found.name}:{_example(found)}' is accepted"
        )


_EXAMPLES = {
    "spot": "BTC-USDT",
    "futures": "BTC-USD-260925",
    "swap": "BTC-USD-SWAP",
    "option": "BTC-USD-260925-100000-C",
    "index": "BTC-USD",
}


def _example(found: V3Channel) -> str:
    if found.filter == "instrument_id":
        return _EXAMPLES[found.name.partition("/")[0]]
    return "USDT" if found.filter == "currency" else "BTC-USD"
