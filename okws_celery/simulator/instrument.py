"""What an instrument is here: its units, its contract, and the object that describes it (PROTOCOL 8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okws_celery.simulator.numbers import POWERS, decimal_text

__all__ = ["Instrument", "instrument_object"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument. A price is a number of ticks (10 to the -`tick_decimals`), a size one of lots.

    An index and a spread are instruments too: nothing of an index is traded, a spread is the price of its second leg
    above that of its first.
    """

    inst_id: str
    inst_type: str
    base: str
    quote: str
    code: int
    tick_decimals: int
    lot_decimals: int
    ct_units: int = 1
    ct_decimals: int = 0
    """A contract is `ct_units` times 10 to the -`ct_decimals` of the base coin, or of the quote if `inverse`."""
    inverse: bool = False
    trades_per_s: float = 4.0
    changes_per_s: float = 40.0
    """Orders that makers place, change or withdraw."""
    level_lots: int = 1_000_000
    """Mean size of a book level, in lots."""
    depth: int = 400
    """Levels a side."""
    spacing: float = 0.0
    """Mean distance of two levels in ticks; 0: the book is as deep as 0.3 % of the price."""
    listed_ms: int = 0
    expires_ms: int = 0
    """0: never."""
    alias: str = ""
    strike: int = 0
    opt_type: str = ""
    legs: tuple[str, ...] = ()
    series: str = ""
    """Of an event contract, which is worth 1 if its coin is above `strike` in the end."""

    @property
    def is_spot(self) -> bool:
        """Spot sizes are in the base coin, those of derivatives in contracts."""
        return self.inst_type == "SPOT"

    @property
    def is_index(self) -> bool:
        """It has a value and no trades."""
        return self.inst_type == "INDEX"

    @property
    def is_spread(self) -> bool:
        """Two instruments traded as one; its price may be negative."""
        return bool(self.legs)

    @property
    def index(self) -> str:
        """The index that it follows."""
        return f"{self.base}-{self.quote}"

    @property
    def family(self) -> str:
        """Its `instFamily`; spot has none."""
        return "" if self.is_spot else self.index

    @property
    def settle(self) -> str:
        """The currency in which a contract settles."""
        return self.base if self.inverse or self.opt_type else self.quote

    @property
    def lowest(self) -> int:
        """The lowest price, in ticks."""
        return -(1 << 40) if self.is_spread else 1

    @property
    def highest(self) -> int:
        """The highest price, in ticks."""
        return POWERS[self.tick_decimals] - 1 if self.series else 1 << 60

    def price_text(self, ticks: int) -> str:
        """A price as OKX writes it."""
        return decimal_text(ticks, self.tick_decimals)

    def size_text(self, lots: int) -> str:
        """A size as OKX writes it."""
        return decimal_text(lots, self.lot_decimals)

    def base_text(self, lots: int, turnover: int) -> str:
        """What `lots` are in the base coin, if they cost `turnover` ticks times lots."""
        if not self.inverse:
            return decimal_text(lots * self.ct_units, self.lot_decimals + self.ct_decimals)
        if not turnover:
            return "0"
        worth = lots * lots * self.ct_units * POWERS[8 + self.tick_decimals]
        return decimal_text(worth // (turnover * POWERS[self.lot_decimals + self.ct_decimals]), 8)

    def quote_text(self, lots: int, turnover: int) -> str:
        """What `lots` are in the quote currency, if they cost `turnover` ticks times lots."""
        if self.inverse:
            return decimal_text(lots * self.ct_units, self.lot_decimals + self.ct_decimals)
        return decimal_text(turnover * self.ct_units, self.tick_decimals + self.lot_decimals + self.ct_decimals)


def instrument_object(one: Instrument, inst_type: str = "") -> dict[str, Any]:
    """The object of `GET /public/instruments` and the channel `instruments`; spot can be had as MARGIN, too."""
    spot, option = one.is_spot, bool(one.opt_type)
    margin = inst_type == "MARGIN"
    tick = decimal_text(1, one.tick_decimals)
    lot = decimal_text(1, one.lot_decimals)
    lever = "10" if margin else "" if spot or option else "100"
    return {
        "instType": inst_type or one.inst_type,
        "instId": one.inst_id,
        "instIdCode": one.code,
        "uly": "" if one.series else one.family,
        "instFamily": "" if one.series else one.family,
        "baseCcy": one.base if spot else "",
        "quoteCcy": one.quote if spot else "",
        "settleCcy": "" if spot else one.settle,
        "ctVal": "" if spot else "1" if option else decimal_text(one.ct_units, one.ct_decimals),
        "ctMult": "" if spot else decimal_text(one.ct_units, one.ct_decimals) if option else "1",
        "ctValCcy": "" if spot else one.quote if one.inverse else one.base,
        "ctType": "" if spot or option else "inverse" if one.inverse else "linear",
        "optType": one.opt_type,
        "stk": str(one.strike) if one.strike else "",
        "listTime": str(one.listed_ms),
        "contTdSwTime": str(one.listed_ms),
        "preMktSwTime": "",
        "auctionEndTime": "",
        "openType": "fix_price" if spot else "",
        "expTime": str(one.expires_ms) if one.expires_ms else "",
        "lever": lever,
        "tickSz": tick,
        "lotSz": lot,
        "minSz": lot,
        "alias": one.alias,
        "category": "1",
        "instCategory": "1",
        "groupId": "1",
        "state": "live",
        "ruleType": "normal",
        "futureSettlement": False,
        "maxLmtSz": "9999999999" if spot else "100000000",
        "maxMktSz": "1000000" if spot else "35000",
        "maxLmtAmt": "20000000",
        "maxMktAmt": "1000000" if spot else "",
        "maxTwapSz": "9999999999",
        "maxIcebergSz": "9999999999",
        "maxTriggerSz": "9999999999",
        "maxStopSz": "1000000" if spot else "35000",
        "tradeQuoteCcyList": [one.quote] if spot else [],
        "initPxLmtPct": "0.05",
        "floatPxLmtPct": "0.02",
        "maxPxLmtPct": "0.1",
        "upcChg": [],
        "seriesId": one.series,
        "rpiMinLevel": "",
        "rpiMinPxBand": "",
    }
