"""Which instruments exist: perpetual ones always, dated ones by the Fridays that lie ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from okws_celery.simulator.bars import DAY_MS, HOUR_MS
from okws_celery.simulator.instrument import Instrument, instrument_object

__all__ = [
    "COINS",
    "HISTORY_MS",
    "INSTRUMENTS",
    "RATES",
    "Instrument",
    "indexes",
    "instrument_object",
    "listed",
    "spreads",
]

HISTORY_MS = 720 * DAY_MS
"""How long before the simulation began its perpetual instruments were listed."""

COINS = {"BTC": 63_700.0, "ETH": 3_120.0, "SOL": 148.0, "XAUT": 2_650.0}
"""Where the walk of each coin begins, in USDT."""
RATES = {"USDT": 1.0, "USD": 0.9996}
"""What a USDT is worth in the other currencies of indexes."""

_DEMO_CODES = 500_000
_DELIVERY_MS = 8 * HOUR_MS
_FRIDAY = DAY_MS  # the epoch was a Thursday
_WEEK_MS = 7 * DAY_MS
_STRIKES = (56_000, 60_000, 64_000, 68_000, 72_000)
_QUIET: dict[str, Any] = {"trades_per_s": 1 / 600, "changes_per_s": 1 / 100}
"""One that hardly trades, as most of OKX's do: what is right for it is often forgotten."""


def listed(now_ms: int, *, demo: bool = False) -> dict[str, Instrument]:
    """All instruments that exist at a moment, by id; `instIdCode` is another in demo trading (PROTOCOL 1.1)."""
    found = (*_always(_begin(now_ms)), *_dated(now_ms))
    return {one.inst_id: replace(one, code=one.code + _DEMO_CODES) if demo else one for one in found}


def indexes(now_ms: int) -> dict[str, Instrument]:
    """All indexes by id, which a spot instrument may have, too."""
    found = {}
    for base, tick in (("BTC", 1), ("ETH", 2), ("SOL", 2), ("XAUT", 1)):
        for quote in RATES:
            found[f"{base}-{quote}"] = Instrument(
                inst_id=f"{base}-{quote}", inst_type="INDEX", base=base, quote=quote, code=0, tick_decimals=tick,
                lot_decimals=0, trades_per_s=0.2, listed_ms=_begin(now_ms),
            )  # fmt: skip
    return found


def spreads(now_ms: int) -> dict[str, Instrument]:
    """All spreads by `sprdId`."""
    begin_ms = _begin(now_ms)
    future = max((one for one in _dated(now_ms) if one.inst_type == "FUTURES"), key=lambda one: one.expires_ms)
    dated = (f"{future.base}-USDT", f"{future.base}-USDT-{_date(future.expires_ms)}")
    found = [
        _spread(40001, ("BTC-USDT", "BTC-USDT-SWAP"), "BTC", 1, begin_ms),
        _spread(40002, ("ETH-USDT", "ETH-USDT-SWAP"), "ETH", 2, begin_ms),
        _spread(40003, dated, "BTC", 1, future.listed_ms, future.expires_ms),
    ]
    return {one.inst_id: one for one in found}


def _begin(now_ms: int) -> int:
    return (now_ms - HISTORY_MS) // DAY_MS * DAY_MS


def _always(begin_ms: int) -> Iterator[Instrument]:
    yield _spot(10001, "BTC", 1, 8, 30_000_000, begin_ms)
    yield _spot(10002, "ETH", 2, 6, 4_000_000, begin_ms)
    yield _spot(10003, "SOL", 2, 6, 60_000_000, begin_ms)
    yield _spot(10004, "XAUT", 1, 6, 1_000_000, begin_ms, **_QUIET)
    yield _swap(20001, "BTC", 1, 2, begin_ms)
    yield _swap(20002, "ETH", 2, 1, begin_ms)
    yield _swap(20003, "SOL", 2, 0, begin_ms)
    yield _coin_margined(20004, "BTC", 1, 100, begin_ms)
    yield _coin_margined(20005, "ETH", 2, 10, begin_ms)


def _dated(now_ms: int) -> Iterator[Instrument]:
    week = (now_ms - _FRIDAY - _DELIVERY_MS) // _WEEK_MS * _WEEK_MS + _FRIDAY + _DELIVERY_MS + _WEEK_MS
    quarter = _last_friday_of_quarter(week + _WEEK_MS)
    for alias, expires_ms in (("this_week", week), ("quarter", quarter)):
        name = _date(expires_ms)
        since_ms = expires_ms - (14 if alias == "this_week" else 190) * DAY_MS
        yield Instrument(
            inst_id=f"BTC-USDT-{name}", inst_type="FUTURES", base="BTC", quote="USDT", code=_code(30_000, expires_ms),
            tick_decimals=1, lot_decimals=2, ct_units=1, ct_decimals=2, trades_per_s=2.0, level_lots=20_000,
            listed_ms=since_ms, expires_ms=expires_ms, alias=alias,
        )  # fmt: skip
        yield Instrument(
            inst_id=f"BTC-USD-{name}", inst_type="FUTURES", base="BTC", quote="USD", code=_code(50_000, expires_ms),
            tick_decimals=1, lot_decimals=0, ct_units=100, inverse=True, trades_per_s=2.0, level_lots=100,
            listed_ms=since_ms, expires_ms=expires_ms, alias=alias,
        )  # fmt: skip
    event = f"BTC-ABOVE-DAILY-{_date(week)}-1600"
    for nth, strike in enumerate(_STRIKES[1:4]):
        yield Instrument(
            inst_id=f"{event}-{strike}", inst_type="EVENTS", base="BTC", quote="USDT", code=_code(90_000, week) + nth,
            tick_decimals=2, lot_decimals=0, trades_per_s=0.2, changes_per_s=2.0, level_lots=500, depth=20,
            spacing=1.0, listed_ms=week - _WEEK_MS, expires_ms=week, strike=strike, series="BTC-ABOVE-DAILY",
        )  # fmt: skip
    for place, expires_ms in enumerate((week, week + _WEEK_MS, quarter)):
        for nth, strike in enumerate(_STRIKES):
            for opt_type in "CP":
                # The nearest trade now and then, those of the quarter once in ten minutes.
                busy = {"trades_per_s": 0.1 / (1 + place), "changes_per_s": 2.0}
                yield Instrument(
                    inst_id=f"BTC-USD-{_date(expires_ms)}-{strike}-{opt_type}", inst_type="OPTION", base="BTC",
                    quote="USD", code=_code(100_000 + 20_000 * (2 * nth + (opt_type == "P")), expires_ms),
                    tick_decimals=4, lot_decimals=0, ct_units=1, ct_decimals=2, level_lots=50, depth=20, spacing=1.0,
                    listed_ms=expires_ms - (28 if place < 2 else 190) * DAY_MS, expires_ms=expires_ms, strike=strike,
                    opt_type=opt_type, **(_QUIET if place == 2 else busy),
                )  # fmt: skip


def _spot(code: int, base: str, tick: int, lot: int, level_lots: int, begin_ms: int, **rates: Any) -> Instrument:
    return Instrument(
        inst_id=f"{base}-USDT", inst_type="SPOT", base=base, quote="USDT", code=code, tick_decimals=tick,
        lot_decimals=lot, level_lots=level_lots, listed_ms=begin_ms, **rates,
    )  # fmt: skip


def _swap(code: int, base: str, tick: int, ct_decimals: int, begin_ms: int) -> Instrument:
    return Instrument(
        inst_id=f"{base}-USDT-SWAP", inst_type="SWAP", base=base, quote="USDT", code=code, tick_decimals=tick,
        lot_decimals=2, ct_units=1, ct_decimals=ct_decimals, level_lots=20_000, listed_ms=begin_ms,
    )  # fmt: skip


def _coin_margined(code: int, base: str, tick: int, usd: int, begin_ms: int) -> Instrument:
    return Instrument(
        inst_id=f"{base}-USD-SWAP", inst_type="SWAP", base=base, quote="USD", code=code, tick_decimals=tick,
        lot_decimals=0, ct_units=usd, inverse=True, level_lots=200, listed_ms=begin_ms,
    )  # fmt: skip


def _spread(code: int, legs: tuple[str, str], base: str, tick: int, begin_ms: int, end_ms: int = 0) -> Instrument:
    return Instrument(
        inst_id="_".join(legs), inst_type="SPREAD", base=base, quote="USDT", code=code, tick_decimals=tick,
        lot_decimals=2, trades_per_s=0.5, changes_per_s=10.0, level_lots=200, spacing=1.0, legs=legs,
        listed_ms=begin_ms, expires_ms=end_ms,
    )  # fmt: skip


def _code(base: int, expires_ms: int) -> int:
    return base + expires_ms // DAY_MS % 20_000


def _date(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%y%m%d")


def _last_friday_of_quarter(after_ms: int) -> int:
    """The first delivery of a quarter that is later than a delivery."""
    expires_ms = after_ms
    while True:
        expires_ms += _WEEK_MS
        this, following = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (expires_ms, expires_ms + _WEEK_MS))
        if this.month % 3 == 0 and following.month != this.month:
            return expires_ms


INSTRUMENTS = listed(int(time.time() * 1000))
"""Those of the moment at which this program began."""
