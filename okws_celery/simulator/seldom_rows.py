"""What the channels say that speak seldom (PROTOCOL 5.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from okws_celery.simulator.bars import HOUR_MS, MINUTE_MS
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine, Market
from okws_celery.simulator.numbers import POWERS
from okws_celery.simulator.pricing import fair_price, forward, volatility
from okws_celery.simulator.seldom import Occasion
from okws_celery.simulator.terms import is_of

__all__ = [
    "DELAY_MS",
    "adl_warning",
    "block_ticker",
    "block_trade",
    "calendar",
    "call_auction",
    "estimated_price",
    "event_market",
    "liquidation",
    "maintenance",
    "structured_block_trade",
]

Rows = Iterator[dict[str, Any]]

DELAY_MS = 15 * MINUTE_MS
"""Block trades are told of so much later."""
_SETTLING_MS = HOUR_MS
_STATES = ("scheduled", "ongoing", "completed")


def event_market(at: Occasion) -> Rows:
    """The present terms of an event contract."""
    events = [one for one in at.engine.market.living if one.inst_type == "EVENTS"]
    one = events[at.rng.randrange(len(events))]
    event, _, _ = one.inst_id.rpartition("-")
    yield {
        "seriesId": one.series,
        "eventId": event,
        "instId": one.inst_id,
        "listTime": str(one.listed_ms),
        "fixTime": "",
        "expTime": str(one.expires_ms),
        "state": "live",
        "outcome": "0",
        "floorStrike": str(one.strike),
        "capStrike": "",
        "settleValue": "",
        "disputed": False,
        "hitDir": "",
    }


def liquidation(at: Occasion) -> Rows:
    """An order by which a position of somebody was closed."""
    wanted = at.keys["instType"]
    some = [one for one in at.engine.market.living if is_of(one, wanted) and one.inst_type != "EVENTS"]
    if not some:
        return
    one = some[at.rng.randrange(len(some))]
    sells = at.rng.random() < 0.5
    price = round(_fair(at.engine.market, one, at.ts_ms) * (0.99 if sells else 1.01), one.tick_decimals)
    yield {
        "instType": "MARGIN" if one.is_spot else one.inst_type,
        "instId": one.inst_id,
        "instFamily": one.family,
        "uly": one.family,
        "details": [
            {
                "side": "sell" if sells else "buy",
                "posSide": "long" if sells else "short",
                "bkPx": f"{price:.{one.tick_decimals}f}",
                "sz": one.size_text(1 + at.rng.randrange(one.level_lots)),
                "bkLoss": "0",
                "ccy": one.quote if one.is_spot else "",
                "ts": str(at.ts_ms),
            }
        ],
    }


def adl_warning(at: Occasion) -> Rows:
    """The insurance fund of a family shrinks, and recovers."""
    wanted, family = at.keys["instType"], at.keys.get("instFamily", "")
    families = sorted({one.family for one in at.engine.market.living if is_of(one, wanted)} - {""})
    if family and family not in families:
        return
    if families:
        yield {
            "instType": wanted,
            "instFamily": family or families[at.rng.randrange(len(families))],
            "state": "adl" if 2 <= at.nth < 5 else "warning",
            "bal": f"{280_784_384.95 - at.nth * 1_000_000:.2f}",
            "ts": str(at.ts_ms),
            **dict.fromkeys("ccy maxBal maxBalTs adlType adlBal adlRecBal decRate adlRate adlRecRate".split(), ""),
        }


def call_auction(at: Occasion) -> Rows:
    """An auction under way, and the last word at its end."""
    engine: Engine = at.engine
    one = engine.one
    yield {
        "instId": one.inst_id,
        "eqPx": one.price_text(engine.mark),
        "matchedSz": one.size_text(one.level_lots * (at.nth + 1)),
        "unmatchedSz": one.size_text(at.rng.randrange(one.level_lots)),
        "auctionEndTime": str((at.ts_ms // 1000 - at.nth + 10) * 1000),
        "state": "continuous_trading" if at.last else "call_auction",
        "ts": str(at.ts_ms),
    }


def estimated_price(at: Occasion) -> Rows:
    """What contracts near their end would be settled at."""
    market: Market = at.engine.market
    wanted, family, inst_id = at.keys["instType"], at.keys.get("instFamily", ""), at.keys.get("instId", "")
    for one in market.living:
        named = inst_id == one.inst_id if inst_id else family in ("", one.family)
        is_near = at.asked or one.expires_ms - at.ts_ms <= _SETTLING_MS
        if one.inst_type == wanted and named and one.expires_ms > at.ts_ms and is_near:
            yield {
                "instType": one.inst_type,
                "instId": one.inst_id,
                "settlePx": f"{market.index(one.index, at.ts_ms):.2f}",
                "settleType": "exercise" if one.opt_type else "delivery",
                "ts": str(at.ts_ms),
            }


def maintenance(at: Occasion) -> Rows:
    """A maintenance of a part that hurts nobody: announced, under way, over; before that one that is long over."""
    state = "completed" if at.last else _STATES[min(at.nth // 10, 2)]
    begin = at.ts_ms // 1000 * 1000 - at.nth * 1000 + 10_000
    if at.last and not at.nth:
        begin -= 7 * 86_400_000
    yield {
        "title": "Spread trading system upgrade",
        "state": state,
        "begin": str(begin),
        "end": str(begin + 10_000),
        "preOpenBegin": "",
        "href": "",
        "serviceType": "10",
        "system": "unified",
        "scheDesc": "",
        "maintType": "1",
        "env": "1",
        "ts": str(at.ts_ms),
    }


def calendar(at: Occasion) -> Rows:
    """A number that an office of statistics has published."""
    yield {
        "calendarId": str(at.ts_ms // 1000),
        "date": str(at.ts_ms),
        "region": "United States",
        "category": "Manufacturing PMI",
        "event": "Manufacturing PMI Final",
        "refDate": str(at.ts_ms - 30 * 86_400_000),
        "actual": f"{at.rng.uniform(45, 55):.1f}",
        "previous": "47.3",
        "forecast": "49.3",
        "prevInitial": "",
        "importance": "2",
        "ccy": "",
        "unit": "",
        "ts": str(at.ts_ms),
    }


def block_ticker(at: Occasion) -> Rows:
    """What was traded in blocks within a day."""
    engine: Engine = at.engine
    one = engine.one
    lots = one.level_lots * 50
    worth = lots * engine.last
    yield {
        "instType": one.inst_type,
        "instId": one.inst_id,
        "vol24h": one.size_text(lots),
        "volCcy24h": one.quote_text(lots, worth) if one.is_spot else one.base_text(lots, worth),
        "ts": str(at.ts_ms),
    }


def block_trade(at: Occasion) -> Rows:
    """A block that was traded a quarter of an hour ago."""
    engine: Engine = at.engine
    one, option = engine.one, bool(engine.one.opt_type)
    ts_ms = at.ts_ms - DELAY_MS
    yield {
        "instId": one.inst_id,
        "tradeId": str(ts_ms),
        "px": one.price_text(engine.mark),
        "sz": one.size_text(one.level_lots * (10 + at.rng.randrange(90))),
        "side": at.rng.choice(("buy", "sell")),
        "fillVol": f"{volatility(one, engine.index):.4f}" if option else "",
        "fwdPx": f"{forward(one, engine.index, ts_ms):.2f}" if option else "",
        "idxPx": f"{engine.index:.{min(one.tick_decimals, 4)}f}" if not one.is_spot else "",
        "markPx": one.price_text(engine.mark) if not one.is_spot else "",
        "groupId": "",
        "ts": str(ts_ms),
    }


def structured_block_trade(at: Occasion) -> Rows:
    """A swap against its spot, a quarter of an hour ago."""
    market: Market = at.engine.market
    ts_ms = at.ts_ms - DELAY_MS
    legs = []
    for place, inst_id in enumerate(("BTC-USDT", "BTC-USDT-SWAP")):
        one = market.instruments[inst_id]
        legs.append(
            {
                "instId": inst_id,
                "px": f"{_fair(market, one, ts_ms):.1f}",
                "sz": str((1, 100)[place] * (10 + at.rng.randrange(90))),
                "side": ("buy", "sell")[place],
                "tradeId": str(ts_ms + place),
            }
        )
    yield {"cTime": str(ts_ms), "blockTdId": str(ts_ms), "groupId": "", "legs": legs}


def _fair(market: Market, one: Instrument, ts_ms: int) -> float:
    price = fair_price(one, market.index(one.index, ts_ms), ts_ms)
    return round(price * POWERS[one.tick_decimals]) / POWERS[one.tick_decimals]
