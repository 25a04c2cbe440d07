"""The accounts of the simulated exchange: API keys, balances, and what the private channels say of them.

Orders are not taken yet, so balances stand still and there are no positions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from okws_celery.errors import BadCommand
from okws_celery.okx.login import Credentials
from okws_celery.okx.topics import Arg

__all__ = ["DEFAULT_KEY", "DEMO_KEY", "Account", "Accounts", "parse_key", "private_push"]

DEFAULT_KEY = Credentials("demo", "demo-secret", "demo-pass")
DEMO_KEY = Credentials("paper", "paper-secret", "paper-pass")
"""The key of the demo environment, which OKX calls paper trading."""
_DEFAULT_BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(10), "ETH": Decimal(100)}

Price = Callable[[str], Decimal]
"""Price of a currency in USD."""


@dataclass(slots=True)
class Account:
    """One account: balances by currency, and how far up the fee ladder it stands (PROTOCOL 6.1: gates)."""

    key: Credentials
    uid: str
    vip: int = 9
    balances: dict[str, Decimal] = field(default_factory=lambda: dict(_DEFAULT_BALANCES))
    demo: bool = False
    """Whether its key belongs to the demo environment (PROTOCOL 1.1)."""


class Accounts:
    """Accounts by API key."""

    def __init__(self, keys: Iterable[Credentials], demo_keys: Iterable[Credentials] = ()) -> None:
        self._by_key = {key.api_key: Account(key, str(446_556_100_000_000_000 + n)) for n, key in enumerate(keys)}
        for n, key in enumerate(demo_keys):
            self._by_key.setdefault(key.api_key, Account(key, str(446_556_200_000_000_000 + n), demo=True))

    def find(self, api_key: str) -> Account | None:
        """The account of an API key."""
        return self._by_key.get(api_key)

    def delete(self, api_key: str) -> None:
        """A key is one no more; all of them if none is named."""
        for one in [api_key] if api_key else list(self._by_key):
            self._by_key.pop(one, None)


def parse_key(text: str) -> Credentials:
    """`key:secret:passphrase` from a command line; BadCommand for anything else."""
    parts = text.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise BadCommand("API key: key:secret:passphrase is accepted, none of them empty")
    return Credentials(*parts)


def private_push(arg: Arg, account: Account, now_ms: int, price: Price) -> str | None:
    """The snapshot of a private channel as text; None for a channel that has none (PROTOCOL 5.3)."""
    by_key = dict(arg)
    channel = by_key.pop("channel")
    by_key.pop("extraParams", None)
    said = {"channel": channel, **by_key, "uid": account.uid}
    now = str(now_ms)
    if channel == "account":
        row = _account_row(account, now, price, by_key)
        return _dump({"arg": said, "eventType": "snapshot", "curPage": 1, "lastPage": True, "data": [row]})
    if channel == "positions":
        return _dump({"arg": said, "eventType": "snapshot", "curPage": 1, "lastPage": True, "data": []})
    if channel == "balance_and_position":
        balances = [{"ccy": ccy, "cashBal": _plain(cash), "uTime": now} for ccy, cash in account.balances.items()]
        row = {"pTime": now, "eventType": "snapshot", "balData": balances, "posData": [], "trades": []}
        return _dump({"arg": said, "data": [row]})
    if channel == "account-greeks":
        greeks = dict.fromkeys("deltaBS deltaPA gammaBS gammaPA thetaBS thetaPA vegaBS vegaPA".split(), "")
        rows = [{**greeks, "ccy": ccy, "ts": now} for ccy in account.balances if by_key.get("ccy", ccy) == ccy]
        return _dump({"arg": said, "data": rows})
    return None


# Keys of `account` that a cash account leaves empty, or at zero (PROTOCOL 5.3).
_EMPTY = (
    "adjEq availEq borrowFroz delta deltaLever deltaNeutralStatus imr isoEq mgnRatio mmr notionalUsd upl "
    "notionalUsdForBorrow notionalUsdForFutures notionalUsdForOption notionalUsdForSwap ordFroz"
).split()
_DETAIL_EMPTY = (
    "accAvgPx clSpotInUseAmt colBorrAutoConversion crossLiab imr interest isoLiab liab maxLoan maxSpotInUseAmt "
    "mgnRatio mmr notionalLever openAvgPx spotInUseAmt spotUpl spotUplRatio totalPnl totalPnlRatio twap uplLiab"
).split()
_DETAIL_ZERO = (
    "borrowFroz colRes disEq fixedBal frozenBal isoEq isoUpl ordFrozen rewardBal smtSyncEq spotCopyTradingEq "
    "spotIsoBal stgyEq upl"
).split()


def _account_row(account: Account, now: str, price: Price, wanted: Mapping[str, str]) -> dict[str, object]:
    details = []
    total = Decimal(0)
    for ccy, cash in account.balances.items():
        usd = price(ccy)
        total += cash * usd
        if wanted.get("ccy", ccy) != ccy:
            continue
        details.append(
            {
                "ccy": ccy,
                "eq": _plain(cash),
                "cashBal": _plain(cash),
                "availBal": _plain(cash),
                "availEq": _plain(cash),
                "spotBal": _plain(cash),
                "eqUsd": _plain(cash * usd),
                "coinUsdPrice": _plain(usd),
                "uTime": now,
                "frpType": "0",
                "collateralEnabled": False,
                "collateralRestrict": False,
                **dict.fromkeys(_DETAIL_EMPTY, ""),
                **dict.fromkeys(_DETAIL_ZERO, "0"),
            }
        )
    return {"uTime": now, "totalEq": _plain(total), **dict.fromkeys(_EMPTY, ""), "details": details}


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
