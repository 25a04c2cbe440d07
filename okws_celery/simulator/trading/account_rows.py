"""Balances and positions as OKX writes them, on private channels and in REST (PROTOCOL 5.3)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from okws_celery.simulator.trading.positions import Position
from okws_celery.simulator.trading.terms import MONEY, notional, plain
from okws_celery.simulator.trading.trader import Trader

__all__ = ["account_row", "balance_row", "greeks_rows", "moved_row", "position_row"]

_MAINTENANCE = Decimal("0.004")
"""Maintenance margin, as a share of what a position is worth."""

# Keys that stay empty, or at zero, for an account without borrowing (PROTOCOL 5.3).
_EMPTY = (
    "adjEq availEq borrowFroz delta deltaLever deltaNeutralStatus imr mgnRatio mmr notionalUsd "
    "notionalUsdForBorrow notionalUsdForFutures notionalUsdForOption notionalUsdForSwap ordFroz upl"
).split()
_DETAIL_EMPTY = (
    "accAvgPx clSpotInUseAmt colBorrAutoConversion crossLiab interest isoLiab liab maxLoan maxSpotInUseAmt "
    "openAvgPx spotInUseAmt spotUpl spotUplRatio totalPnl totalPnlRatio uplLiab"
).split()
_DETAIL_ZERO = (
    "borrowFroz colRes disEq fixedBal isoEq isoUpl rewardBal smtSyncEq spotCopyTradingEq spotIsoBal stgyEq twap"
).split()
_POSITION_EMPTY = (
    "baseBal baseBorrowed baseInterest bizRefId bizRefType clSpotInUseAmt deltaBS deltaPA gammaBS gammaPA interest "
    "liab liabCcy liqPx maxSpotInUseAmt nonSettleAvgPx optVal pendingCloseOrdLiabVal posCcy quoteBal quoteBorrowed "
    "quoteInterest settledPnl spotInUseAmt spotInUseCcy thetaBS thetaPA vegaBS vegaPA hedgedPos"
).split()
_GREEKS = "deltaBS deltaPA gammaBS gammaPA thetaBS thetaPA vegaBS vegaPA".split()


def account_row(trader: Trader, currencies: Iterable[str], now_ms: int) -> dict[str, Any]:
    """The object of `account` and of `GET /account/balance`, with the details of these currencies."""
    total = sum((_equity(trader, ccy) * trader.prices.usd(ccy) for ccy in trader.ledger.currencies), Decimal(0))
    return {
        "uTime": str(now_ms),
        "totalEq": plain(total.quantize(MONEY)),
        "isoEq": "0",
        **dict.fromkeys(_EMPTY, ""),
        "details": [_detail(trader, ccy) for ccy in currencies],
    }


def balance_row(trader: Trader, ccy: str) -> dict[str, str]:
    """An element of `balData` of `balance_and_position`."""
    ledger = trader.ledger
    return {"ccy": ccy, "cashBal": plain(ledger.cash(ccy)), "uTime": str(ledger.updated_ms(ccy))}


def moved_row(position: Position) -> dict[str, str]:
    """An element of `posData` of `balance_and_position`."""
    return {
        "posId": position.pos_id,
        "tradeId": position.trade_id,
        "instId": position.one.inst_id,
        "instType": position.one.inst_type,
        "mgnMode": position.margin_mode,
        "avgPx": _or_empty(position.average),
        "ccy": position.ccy,
        "posSide": position.side,
        "pos": plain(position.size),
        "posCcy": "",
        "nonSettleAvgPx": "",
        "settledPnl": "",
        "uTime": str(position.u_ms),
    }


def position_row(trader: Trader, position: Position, now_ms: int) -> dict[str, Any]:
    """The object of `positions` and of `GET /account/positions`; a closed one has `pos` "0"."""
    one, prices = position.one, trader.prices
    mark, last = prices.mark(one), prices.last(one)
    gain, gain_at_last = position.unrealized(mark), position.unrealized(last)
    worth = notional(one, abs(position.size), mark) if position.size else Decimal(0)
    maintenance = (worth * _MAINTENANCE).quantize(MONEY)
    usd = prices.usd(position.ccy)
    realized = position.pnl - position.fee
    open_ = bool(position.size)
    return {
        **dict.fromkeys(_POSITION_EMPTY, ""),
        "instType": one.inst_type,
        "instId": one.inst_id,
        "mgnMode": position.margin_mode,
        "posId": position.pos_id,
        "posSide": position.side,
        "pos": plain(position.size),
        "availPos": plain(abs(position.size)) if open_ else "",
        "avgPx": _or_empty(position.average),
        "upl": plain(gain) if open_ else "",
        "uplRatio": _ratio(gain, position.margin),
        "uplLastPx": plain(gain_at_last) if open_ else "",
        "uplRatioLastPx": _ratio(gain_at_last, position.margin),
        "lever": plain(position.lever),
        "markPx": plain(mark),
        "last": plain(last),
        "idxPx": plain(prices.index(one)),
        "usdPx": "",
        "bePx": _or_empty(position.average),
        "imr": plain(position.margin) if open_ and position.margin_mode == "cross" else "",
        "margin": plain(position.margin) if open_ and position.margin_mode == "isolated" else "",
        "mmr": plain(maintenance) if open_ else "",
        "mgnRatio": _ratio(_equity(trader, position.ccy), maintenance),
        "notionalUsd": plain((worth * usd).quantize(MONEY)) if open_ else "",
        "adl": "1" if open_ else "0",
        "ccy": position.ccy,
        "tradeId": position.trade_id,
        "realizedPnl": plain(realized),
        "pnl": plain(position.pnl),
        "fee": plain(-position.fee),
        "fundingFee": "0",
        "liqPenalty": "0",
        "closeOrderAlgo": [],
        "cTime": str(position.c_ms),
        "uTime": str(position.u_ms),
        "pTime": str(now_ms),
    }


def greeks_rows(currencies: Iterable[str], now_ms: int) -> list[dict[str, str]]:
    """The objects of `account-greeks`: nobody here holds options."""
    return [{**dict.fromkeys(_GREEKS, ""), "ccy": ccy, "ts": str(now_ms)} for ccy in currencies]


def _detail(trader: Trader, ccy: str) -> dict[str, Any]:
    ledger = trader.ledger
    cash, frozen, ordered = ledger.cash(ccy), ledger.frozen(ccy), ledger.ordered(ccy)
    gain, equity, usd = _gain(trader, ccy), _equity(trader, ccy), trader.prices.usd(ccy)
    held = frozen - ordered
    return {
        **dict.fromkeys(_DETAIL_EMPTY, ""),
        **dict.fromkeys(_DETAIL_ZERO, "0"),
        "ccy": ccy,
        "eq": plain(equity),
        "cashBal": plain(cash),
        "availBal": plain(cash - frozen),
        "availEq": plain(max(Decimal(0), equity - frozen)),
        "frozenBal": plain(frozen),
        "ordFrozen": plain(ordered),
        "spotBal": plain(cash),
        "imr": plain(held),
        "mmr": plain(_maintenance(trader, ccy)),
        "mgnRatio": _ratio(equity, _maintenance(trader, ccy)),
        "notionalLever": _ratio(_worth(trader, ccy), equity) or "0",
        "upl": plain(gain),
        "eqUsd": plain((equity * usd).quantize(MONEY)),
        "coinUsdPrice": plain(usd),
        "frpType": "0",
        "collateralEnabled": False,
        "collateralRestrict": False,
        "uTime": str(ledger.updated_ms(ccy)),
    }


def _gain(trader: Trader, ccy: str) -> Decimal:
    every = [one for one in trader.positions.values() if one.ccy == ccy and one.size]
    return sum((one.unrealized(trader.prices.mark(one.one)) for one in every), Decimal(0))


def _worth(trader: Trader, ccy: str) -> Decimal:
    every = [one for one in trader.positions.values() if one.ccy == ccy and one.size]
    return sum((notional(one.one, abs(one.size), trader.prices.mark(one.one)) for one in every), Decimal(0))


def _maintenance(trader: Trader, ccy: str) -> Decimal:
    return (_worth(trader, ccy) * _MAINTENANCE).quantize(MONEY)


def _equity(trader: Trader, ccy: str) -> Decimal:
    return trader.ledger.cash(ccy) + _gain(trader, ccy)


def _ratio(part: Decimal, whole: Decimal) -> str:
    return plain((part / whole).quantize(MONEY)) if whole else ""


def _or_empty(number: Decimal | None) -> str:
    return "" if number is None else plain(number)
