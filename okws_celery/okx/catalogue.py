"""Every channel of OKX v5, one line each (PROTOCOL 1.2 and 5): adding a channel is adding a line.

Columns of the tables: path, login, required argument keys, optional ones, kind of feed, identity of a row, and the
longest time in seconds that a living channel may be silent (0: any time is legal).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["BARS", "CATALOGUE", "Channel", "Kind", "channel_of"]


class Kind(Enum):
    """How rows of a channel are kept in Redis (one file of feeds/ each), and with that their order."""

    LATEST = "latest"
    """The last that came."""
    CANDLES = "candles"
    """By `ts`."""
    LOG = "log"
    """As they happened: by their time, then by the number that is their identity."""
    BOOK = "book"
    """By `seqId`; levels best first."""
    STATE = "state"
    """By identity; of one identity the row with the later `uTime` counts, then with the later `pTime` or `ts`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What is known of one channel. `depth` is the nominal number of book levels, `logged` adds the `/log` stream."""

    name: str
    path: str
    login: bool
    required: tuple[str, ...]
    optional: tuple[str, ...]
    kind: Kind
    identity: tuple[str, ...]
    silence_s: int = 0
    depth: int = 0
    logged: bool = False
    known: bool = True

    @property
    def arg_keys(self) -> tuple[str, ...]:
        """Argument keys in the order in which topics spell them."""
        return self.required + self.optional


def _channel(name: str, path: str, need: str, keys: str, more: str, kind: str, row: str, silence_s: int = 0) -> Channel:
    base, _, depth = kind.partition("/")
    logged = base.endswith("+log")
    return Channel(
        name=name,
        path=path,
        login=need == "login",
        required=tuple(keys.split()),
        optional=tuple(more.split()),
        kind=Kind(base.removesuffix("+log")),
        identity=tuple(row.split()),
        silence_s=silence_s,
        depth=int(depth or 0),
        logged=logged,
    )


# fmt: off
_ROWS: list[tuple[Any, ...]] = [
    # name, path, login, required, optional, kind[/depth], identity of a row, longest silence in s
    # -- public market data
    ("tickers",               "public",   "-",     "instId",            "",                     "latest",    "instId"),
    ("trades",                "public",   "-",     "instId",            "",                     "log",       "tradeId"),
    ("option-trades",         "public",   "-",     "instType",          "instId instFamily",    "log",       "tradeId"),
    ("call-auction-details",  "public",   "-",     "instId",            "",                     "latest",    "instId"),
    ("books",                 "public",   "-",     "instId",            "",                     "book/400",  "instId", 65),
    ("books5",                "public",   "-",     "instId",            "",                     "book/5",    "instId", 65),
    ("bbo-tbt",               "public",   "-",     "instId",            "",                     "book/1",    "instId", 65),
    ("books-l2-tbt",          "public",   "login", "instId",            "",                     "book/400",  "instId", 65),
    ("books50-l2-tbt",        "public",   "login", "instId",            "",                     "book/50",   "instId", 65),
    ("books-rpi",             "public",   "-",     "instId",            "",                     "book/400",  "instId", 65),
    ("books-elp",             "public",   "-",     "instId",            "",                     "book/400",  "instId", 65),
    ("open-interest",         "public",   "-",     "instId",            "",                     "latest",    "instId"),
    ("funding-rate",          "public",   "-",     "instId",            "",                     "latest",    "instId", 95),
    ("price-limit",           "public",   "-",     "instId",            "",                     "latest",    "instId"),
    ("opt-summary",           "public",   "-",     "instFamily",        "",                     "state",     "instId"),
    ("estimated-price",       "public",   "-",     "instType",          "instFamily instId",    "state",     "instId"),
    ("mark-price",            "public",   "-",     "instId",            "",                     "latest",    "instId", 15),
    ("index-tickers",         "public",   "-",     "instId",            "",                     "latest",    "instId", 65),
    ("liquidation-orders",    "public",   "-",     "instType",          "",                     "log",       ""),
    ("adl-warning",           "public",   "-",     "instType",          "instFamily",           "state",     "instType instFamily"),
    ("instruments",           "public",   "-",     "instType",          "",                     "state",     "instId"),
    ("event-contract-markets", "public",  "-",     "instType",          "",                     "state",     "instId"),
    ("status",                "public",   "-",     "",                  "",                     "latest",    ""),
    # -- business, open to all
    ("trades-all",            "business", "-",     "instId",            "",                     "log",       "tradeId"),
    ("sprd-bbo-tbt",          "business", "-",     "sprdId",            "",                     "book/1",    "sprdId"),
    ("sprd-books5",           "business", "-",     "sprdId",            "",                     "book/5",    "sprdId"),
    ("sprd-books-l2-tbt",     "business", "-",     "sprdId",            "",                     "book/400",  "sprdId"),
    ("sprd-public-trades",    "business", "-",     "sprdId",            "",                     "log",       "tradeId"),
    ("sprd-tickers",          "business", "-",     "sprdId",            "",                     "latest",    "sprdId", 5),
    ("public-struc-block-trades", "business", "-", "",                  "",                     "log",       "blockTdId"),
    ("public-block-trades",   "business", "-",     "instId",            "",                     "log",       "tradeId"),
    ("block-tickers",         "business", "-",     "instId",            "",                     "latest",    "instId", 310),
    # -- business, after login
    ("orders-algo",           "business", "login", "instType",          "instFamily instId",    "state+log", "algoId"),
    ("algo-advance",          "business", "login", "instType",          "instId algoId",        "state",     "algoId"),
    ("grid-orders-spot",      "business", "login", "instType",          "instId algoId",        "state",     "algoId"),
    ("grid-orders-contract",  "business", "login", "instType",          "instId algoId",        "state",     "algoId"),
    ("grid-positions",        "business", "login", "algoId",            "",                     "state",     "algoId instId posSide"),
    ("grid-sub-orders",       "business", "login", "algoId",            "",                     "state",     "ordId"),
    ("algo-recurring-buy",    "business", "login", "instType",          "algoId",               "state",     "algoId"),
    ("copytrading-lead-notification", "business", "login", "instType",  "instId",               "log",       ""),
    ("deposit-info",          "business", "login", "",                  "ccy",                  "state",     "depId"),
    ("withdrawal-info",       "business", "login", "",                  "ccy",                  "state",     "wdId"),
    ("rfqs",                  "business", "login", "",                  "",                     "state",     "rfqId"),
    ("quotes",                "business", "login", "",                  "",                     "state",     "quoteId"),
    ("struc-block-trades",    "business", "login", "",                  "",                     "log",       "blockTdId"),
    ("sprd-orders",           "business", "login", "",                  "sprdId",               "state",     "ordId"),
    ("sprd-trades",           "business", "login", "",                  "sprdId",               "log",       "tradeId"),
    ("economic-calendar",     "business", "login", "",                  "",                     "state",     "calendarId"),
    # -- private
    ("account",               "private",  "login", "",                  "ccy extraParams",      "state+log", "ccy"),
    ("positions",             "private",  "login", "instType",          "instFamily instId extraParams", "state+log", "posId"),
    ("balance_and_position",  "private",  "login", "",                  "",                     "state+log", "ccy posId"),
    ("orders",                "private",  "login", "instType",          "instFamily instId",    "state+log", "ordId"),
    ("fills",                 "private",  "login", "",                  "instId",               "log",       "tradeId"),
    ("liquidation-warning",   "private",  "login", "instType",          "instFamily instId",    "log",       ""),
    ("account-greeks",        "private",  "login", "",                  "ccy",                  "state",     "ccy"),
]

BARS = (
    "1s 1m 3m 5m 15m 30m 1H 2H 4H 6H 12H 1D 2D 3D 5D 1W 1M 3M "
    "6Hutc 12Hutc 1Dutc 2Dutc 3Dutc 5Dutc 1Wutc 1Mutc 3Mutc"
).split()

_CANDLE_ROWS: list[tuple[Any, ...]] = [
    # name without bar, path, login, required, optional, kind, identity
    ("candle",                "business", "-",     "instId",            "",                     "candles",   "ts"),
    ("mark-price-candle",     "business", "-",     "instId",            "",                     "candles",   "ts"),
    ("index-candle",          "business", "-",     "instId",            "",                     "candles",   "ts"),
    ("sprd-candle",           "business", "-",     "sprdId",            "",                     "candles",   "ts"),
]
# fmt: on

_UNIT_S = {"s": 1, "m": 60, "H": 3_600, "D": 86_400, "W": 7 * 86_400, "M": 31 * 86_400}


def _bar_silence_s(name: str, bar: str) -> int:
    """A bar is pushed when it closes, also without a trade; of spreads that is not known, so any silence is legal."""
    plain = bar.removesuffix("utc")
    return 0 if name.startswith("sprd") else int(plain[:-1]) * _UNIT_S[plain[-1]] + 65


CATALOGUE: dict[str, Channel] = {row[0]: _channel(*row) for row in _ROWS} | {
    row[0] + bar: _channel(*(row[0] + bar, *row[1:], _bar_silence_s(row[0], bar)))
    for row in _CANDLE_ROWS
    for bar in BARS
    if bar != "1s" or row[0] == "candle"
}
"""Channel by its name, candles once for every bar they come in (`1s` exists for `candle` only)."""


def channel_of(name: str) -> Channel:
    """The catalogue's line, or for a channel that it does not know: any keys, kept as 'latest', public until OKX says
    that it lives elsewhere."""
    return CATALOGUE.get(name) or Channel(name, "public", False, (), (), Kind.LATEST, (), known=False)
