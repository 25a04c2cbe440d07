"""The accounts of the simulated exchange: API keys, and for each the state that all its connections share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from okws_celery.errors import BadCommand
from okws_celery.okx.login import Credentials, credentials
from okws_celery.simulator.trading.ledger import Ledger
from okws_celery.simulator.trading.prices import Prices
from okws_celery.simulator.trading.trader import Habits, Trader

__all__ = [
    "DEFAULT_KEY",
    "DEMO_KEY",
    "Account",
    "AccountSetup",
    "Accounts",
    "parse_account",
    "parse_accounts",
    "parse_key",
]

DEFAULT_KEY = Credentials("demo", "demo-secret", "demo-pass")
DEMO_KEY = Credentials("paper", "paper-secret", "paper-pass")
"""The key of the demo environment, which OKX calls paper trading."""
_DEFAULT_BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(10), "ETH": Decimal(100)}
_FIRST_UID = 446_556_100_000_000_000
_SETUP_KEYS = {
    "apiKey", "secret", "password", "passphrase", "balances", "vip", "acctLv", "posMode", "duplicates", "lateClose",
    "pageRows",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountSetup:
    """One account as it begins. `vip` is its rung on the fee ladder, 0 for none: some channels take more (64003).

    `level` is OKX's acctLv: 1 trades spot only, 2 derivatives with cross or isolated margin too. `hedged` is
    long_short_mode. `duplicates`, `late_close` and `page_rows` are those of `Habits`.
    """

    key: Credentials = DEFAULT_KEY
    balances: Mapping[str, Decimal] = field(default_factory=lambda: dict(_DEFAULT_BALANCES))
    vip: int = 0
    level: int = 2
    hedged: bool = False
    duplicates: bool = False
    late_close: bool = False
    page_rows: int = 20


@dataclass(slots=True, eq=False)
class Account:
    """One account: its key, its number, how far up the fee ladder it stands, and what it trades."""

    key: Credentials
    uid: str
    vip: int
    trader: Trader
    demo: bool = False
    """Whether its key belongs to the demo environment (PROTOCOL 1.1)."""


class Accounts:
    """Accounts by API key. `begin_ms` is the moment from which their ids count."""

    def __init__(
        self,
        setups: Iterable[Credentials | AccountSetup],
        prices: Prices,
        begin_ms: int,
        demo_setups: Iterable[Credentials | AccountSetup] = (),
    ) -> None:
        ids = itertools.count(begin_ms * 1_000_000)
        self._by_key: dict[str, Account] = {}
        every = [*((False, given) for given in setups), *((True, given) for given in demo_setups)]
        for number, (demo, given) in enumerate(every):
            setup = given if isinstance(given, AccountSetup) else AccountSetup(given)
            habits = Habits(setup.level, setup.hedged, setup.duplicates, setup.late_close, setup.page_rows)
            ledger = Ledger(setup.balances, begin_ms)
            trader = Trader(ledger, prices, lambda: str(next(ids)), vip=setup.vip, habits=habits)
            account = Account(setup.key, str(_FIRST_UID + number), setup.vip, trader, demo)
            self._by_key.setdefault(setup.key.api_key, account)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_key.values())

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


def parse_account(given: object) -> AccountSetup:
    """An account from a JSON object: `apiKey`, `secret`, `passphrase`, and what else differs from the default.

        {"apiKey": "a", "secret": "b", "passphrase": "c", "balances": {"USDT": "5000"}, "vip": 5, "acctLv": "1",
         "posMode": "long_short_mode", "duplicates": true, "lateClose": true, "pageRows": 5}

    BadCommand names what is wrong and what is accepted.
    """
    if not isinstance(given, dict):
        raise BadCommand('account: a JSON object is accepted: {"apiKey": ..., "secret": ..., "passphrase": ...}')
    unknown = sorted(set(given) - _SETUP_KEYS)
    if unknown:
        raise BadCommand(f"account: {', '.join(unknown)} is not known; {', '.join(sorted(_SETUP_KEYS))} are accepted")
    key = credentials(given)
    if key is None:
        raise BadCommand("account: apiKey, secret and passphrase are needed")
    mode = given.get("posMode", "net_mode")
    if mode not in ("net_mode", "long_short_mode"):
        raise BadCommand(f"account: posMode {mode!r}; net_mode, long_short_mode are accepted")
    return AccountSetup(
        key=key,
        balances=_balances(given["balances"]) if "balances" in given else dict(_DEFAULT_BALANCES),
        vip=_whole(given, "vip", 0, range(10)),
        level=_whole(given, "acctLv", 2, range(1, 3)),
        hedged=mode == "long_short_mode",
        duplicates=bool(given.get("duplicates")),
        late_close=bool(given.get("lateClose")),
        page_rows=_whole(given, "pageRows", 20, range(1, 1001)),
    )


def parse_accounts(file: str) -> list[AccountSetup]:
    """The accounts of a JSON file: a list of what `parse_account` takes. BadCommand says what is wrong with it."""
    try:
        given = json.loads(Path(file).read_text())
    except OSError as problem:
        raise BadCommand(f"accounts: {file!r} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise BadCommand(f"accounts: {file!r} is not JSON") from None
    if not isinstance(given, list) or not given:
        raise BadCommand(f"accounts: {file!r}: a list of accounts is accepted")
    return [parse_account(one) for one in given]


def _whole(given: Mapping[str, Any], name: str, default: int, accepted: range) -> int:
    value = given.get(name, default)
    if str(value).isdecimal() and int(value) in accepted:
        return int(value)
    raise BadCommand(f"account: {name} {value!r}; {accepted.start} to {accepted.stop - 1} is accepted")


def _balances(given: object) -> dict[str, Decimal]:
    try:
        assert isinstance(given, dict)
        balances = {str(ccy): Decimal(str(amount)) for ccy, amount in given.items()}
        assert all(amount.is_finite() and amount >= 0 for amount in balances.values())
    except (AssertionError, InvalidOperation):
        raise BadCommand('account: balances: {"USDT": "1000", ...} is accepted, amounts from 0') from None
    return balances
