"""Contracts and the summaries of options spelled as rows of v3 (PROTOCOL 9.3, 9.5). What v5 does not say is ""."""

from __future__ import annotations

from okws_celery.okx.v3_rows import iso
from okws_celery.okx.v3_state import Fields, StateView, at, of_key, one

__all__ = ["FUTURES_INSTRUMENTS", "OPTION_INSTRUMENTS", "OPTION_SUMMARY"]

_OPTION_STATES = {"preopen": "1", "live": "2", "suspend": "3", "settling": "4", "expired": "4"}


def _futures_instrument(row: Fields) -> Fields:
    underlying = at(row, "uly") or at(row, "instFamily")
    base, _, quote = underlying.partition("-")
    return {
        "instrument_id": at(row, "instId"),
        "underlying": underlying,
        "base_currency": at(row, "baseCcy") or base,
        "quote_currency": at(row, "quoteCcy") or quote,
        "settlement_currency": at(row, "settleCcy"),
        "contract_val": at(row, "ctVal"),
        "contract_val_currency": at(row, "ctValCcy"),
        "listing": iso(at(row, "listTime"))[:10],
        "delivery": iso(at(row, "expTime"))[:10],
        "tick_size": at(row, "tickSz"),
        "trade_increment": at(row, "lotSz"),
        "alias": at(row, "alias"),
        "is_inverse": {"inverse": "true", "linear": "false"}.get(at(row, "ctType"), ""),
        "underlying_index": base,
    }


def _option_instrument(row: Fields) -> Fields:
    return {
        "instrument_id": at(row, "instId"),
        "underlying": at(row, "uly") or at(row, "instFamily"),
        "settlement_currency": at(row, "settleCcy"),
        "contract_val": at(row, "ctVal"),
        "option_type": at(row, "optType"),
        "strike": at(row, "stk"),
        "tick_size": at(row, "tickSz"),
        "lot_size": at(row, "lotSz"),
        "listing": iso(at(row, "listTime")),
        "delivery": iso(at(row, "expTime")),
        "state": _OPTION_STATES.get(at(row, "state"), ""),
        "trading_start_time": iso(at(row, "contTdSwTime") or at(row, "listTime")),
        "timestamp": iso(at(row, "uTime")),
    }


def _summary(row: Fields) -> Fields:
    return {
        "instrument_id": at(row, "instId"),
        "underlying": at(row, "uly") or "-".join(at(row, "instId").split("-")[:2]),
        **dict.fromkeys(_PRICES_ELSEWHERE, ""),
        "delta": at(row, "delta"),
        "gamma": at(row, "gamma"),
        "vega": at(row, "vega"),
        "theta": at(row, "theta"),
        "leverage": at(row, "lever"),
        "mark_vol": at(row, "markVol"),
        "bid_vol": at(row, "bidVol"),
        "ask_vol": at(row, "askVol"),
        "realized_vol": at(row, "realVol"),
        "timestamp": iso(at(row, "ts")),
    }


_PRICES_ELSEWHERE = (
    "best_bid best_bid_size best_ask best_ask_size last high_24h low_24h volume_24h change_rate open_interest "
    "mark_price highest_buy lowest_sell estimated_price"
).split()
"""What v5 has in tickers, mark-price, price-limit and open-interest."""


def _of_underlying(value: str, row: Fields) -> str:
    """The subscription is to all options; those of the topic's underlying only."""
    inst_id = at(row, "instId")
    return inst_id if inst_id.startswith(value + "-") else ""


FUTURES_INSTRUMENTS = StateView(of_key("instId"), one(_futures_instrument), pushed="list", mirrored=True)
OPTION_INSTRUMENTS = StateView(_of_underlying, one(_option_instrument), mirrored=True)
OPTION_SUMMARY = StateView(of_key("instId"), one(_summary), mirrored=True)
