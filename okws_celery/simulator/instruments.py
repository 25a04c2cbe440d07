"""What can be traded here: the instruments, their units, and the objects that describe them (PROTOCOL 8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okws_celery.simulator.numbers import decimal_text

__all__ = ["INSTRUMENTS", "Instrument", "instrument_object"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument. A price is a number of ticks (10 to the -`tick_decimals`), a size one of lots."""

    inst_id: str
    inst_type: str
    base: str
    quote: str
    code: int
    price: float
    """Where the walk begins, in the quote currency."""
    tick_decimals: int
    lot_decimals: int
    ct_units: int = 1
    ct_decimals: int = 0
    """A contract is `ct_units` times 10 to the -`ct_decimals` of the base coin; 1 for spot."""
    trades_per_s: float = 4.0
    changes_per_s: float = 40.0
    """Orders that makers place, change or withdraw."""
    level_lots: int = 1_000_000
    """Mean size of a book level, in lots."""

    @property
    def is_spot(self) -> bool:
        """Spot sizes are in the base coin, those of derivatives in contracts."""
        return self.inst_type == "SPOT"

    @property
    def index(self) -> str:
        """The index that it follows."""
        return f"{self.base}-{self.quote}"


def _spot(code: int, base: str, price: float, tick: int, lot: int, level_lots: int, **rates: Any) -> Instrument:
    return Instrument(f"{base}-USDT", "SPOT", base, "USDT", code, price, tick, lot, level_lots=level_lots, **rates)


def _swap(code: int, base: str, price: float, tick: int, ct_decimals: int, level_lots: int) -> Instrument:
    return Instrument(
        f"{base}-USDT-SWAP", "SWAP", base, "USDT", code, price, tick, 2, 1, ct_decimals, level_lots=level_lots
    )


INSTRUMENTS: dict[str, Instrument] = {
    one.inst_id: one
    for one in (
        _spot(10001, "BTC", 63700.0, 1, 8, 30_000_000),
        _spot(10002, "ETH", 3120.0, 2, 6, 4_000_000),
        _spot(10003, "SOL", 148.0, 2, 6, 60_000_000),
        # One that hardly trades, as most of OKX's do: what is right for it is often forgotten.
        _spot(10004, "XAUT", 2650.0, 1, 6, 1_000_000, trades_per_s=1 / 600, changes_per_s=1 / 100),
        _swap(20001, "BTC", 63700.0, 1, 2, 20_000),
        _swap(20002, "ETH", 3120.0, 2, 1, 20_000),
        _swap(20003, "SOL", 148.0, 2, 0, 20_000),
    )
}


def instrument_object(one: Instrument, list_ms: int) -> dict[str, object]:
    """The object of `GET /public/instruments` and the channel `instruments`."""
    swap = not one.is_spot
    tick = decimal_text(1, one.tick_decimals)
    lot = decimal_text(1, one.lot_decimals)
    return {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "instIdCode": one.code,
        "uly": one.index if swap else "",
        "instFamily": one.index if swap else "",
        "baseCcy": "" if swap else one.base,
        "quoteCcy": "" if swap else one.quote,
        "settleCcy": one.quote if swap else "",
        "ctVal": decimal_text(one.ct_units, one.ct_decimals) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": one.base if swap else "",
        "ctType": "linear" if swap else "",
        "optType": "",
        "stk": "",
        "listTime": str(list_ms),
        "contTdSwTime": str(list_ms),
        "preMktSwTime": "",
        "auctionEndTime": "",
        "openType": "fix_price",
        "expTime": "",
        "lever": "100" if swap else "10",
        "tickSz": tick,
        "lotSz": lot,
        "minSz": lot,
        "alias": "",
        "category": "1",
        "instCategory": "1",
        "groupId": "1",
        "state": "live",
        "ruleType": "normal",
        "futureSettlement": False,
        "maxLmtSz": "100000000" if swap else "9999999999",
        "maxMktSz": "35000" if swap else "1000000",
        "maxLmtAmt": "20000000",
        "maxMktAmt": "" if swap else "1000000",
        "maxTwapSz": "9999999999",
        "maxIcebergSz": "9999999999",
        "maxTriggerSz": "9999999999",
        "maxStopSz": "35000" if swap else "1000000",
        "tradeQuoteCcyList": [] if swap else [one.quote],
        "initPxLmtPct": "0.05",
        "floatPxLmtPct": "0.02",
        "maxPxLmtPct": "0.1",
        "upcChg": [],
        "seriesId": "",
    }
