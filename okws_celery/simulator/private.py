"""Who is told what of an account: the listeners to its private channels, at once, in windows of 50 ms, or every 5 s."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from okws_celery.okx.topics import Arg
from okws_celery.simulator.accounts import Account, Accounts
from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.private_streams import account_news, moved_news, position_news, row_news, snapshot
from okws_celery.simulator.standing import StandingFaults
from okws_celery.simulator.trading.positions import PositionKey
from okws_celery.simulator.trading.trader import Told, Trader

__all__ = ["PrivatePushes"]

_WINDOW_S = 0.05
_EVERY_S = 5.0
_PERIODIC = ("account", "positions", "account-greeks")
_INTERVALS_S = {"2000": 2.0, "3000": 3.0, "4000": 4.0}


class PrivatePushes:
    """Pushes of private channels. It belongs to the event loop; `connections` are the live ones."""

    def __init__(
        self,
        accounts: Accounts,
        connections: Mapping[str, Connection],
        faults: StandingFaults,
        now_ms: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._faults = faults
        self._now_ms = now_ms
        self._accounts = {account.trader: account for account in accounts}
        self._woken: dict[Trader, None] = {}
        self._windows: dict[Trader, tuple[dict[str, None], dict[PositionKey, None]]] = {}

    def begin(self, subscription: Subscription) -> bool:
        """A subscription flows from now on: its snapshot, if it has one, and the timer of the next ones.

        False if nobody is logged in: then it is no private channel of an account.
        """
        account = subscription.connection.conversation.account
        if account is None or not subscription.offer.login:
            return False
        self._snapshot(subscription, account)
        self._repeat(subscription)
        return True

    def wake(self, trader: Trader) -> None:
        """Something happened to an account: its listeners are told when the present call is over."""
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._tell)
        self._woken[trader] = None

    def _tell(self) -> None:
        woken, self._woken = self._woken, {}
        for trader in woken:
            told, trader.told = trader.told, Told()
            currencies, trader.ledger.changed = trader.ledger.changed, {}
            news = partial(_at_once, told=told, currencies=currencies, now_ms=self._now_ms())
            self._send(self._accounts[trader], news)
            if trader not in self._windows:
                self._windows[trader] = ({}, {})
                asyncio.get_running_loop().call_later(_WINDOW_S, self._tell_window, trader)
            self._windows[trader][0].update(currencies)
            self._windows[trader][1].update(told.positions)

    def _tell_window(self, trader: Trader) -> None:
        currencies, keys = self._windows.pop(trader)
        now_ms = self._now_ms()

        def changed(arg: Arg, account: Account) -> Iterable[str | None]:
            channel = dict(arg)["channel"]
            if channel == "account":
                yield account_news(arg, account, currencies, now_ms)
            elif channel == "positions":
                yield position_news(arg, account, keys, now_ms)

        self._send(self._accounts[trader], changed)

    def _send(self, account: Account, texts: Callable[[Arg, Account], Iterable[str | None]]) -> None:
        """To each connection of an account all that is to be said, in one write."""
        known: dict[Arg, list[str]] = {}
        for connection in list(self._connections.values()):
            if connection.conversation.account is not account:
                continue
            framed = []
            for arg, subscription in connection.subscriptions.items():
                if not subscription.offer.login or not subscription.flowing or subscription.dead:
                    continue
                if arg not in known:
                    known[arg] = [text for text in texts(arg, account) if text is not None]
                framed += self._framed(connection, arg, known[arg])
            if framed:
                connection.send(b"".join(framed))

    def _framed(self, connection: Connection, arg: Arg, texts: Iterable[str]) -> list[bytes]:
        path, conn_id = connection.path, connection.conn_id
        return [connection.encode(one) for text in texts for one in self._faults.pushes_of(conn_id, arg, text, path)]

    # -- snapshots

    def _snapshot(self, subscription: Subscription, account: Account) -> None:
        if not subscription.dead:
            arg, connection = subscription.offer.arg, subscription.connection
            framed = self._framed(connection, arg, snapshot(arg, account, self._now_ms()))
            if framed:
                connection.send(b"".join(framed))

    def _repeat(self, subscription: Subscription) -> None:
        by_key = dict(subscription.offer.arg)
        if by_key["channel"] not in _PERIODIC:
            return
        try:
            interval = str(json.loads(by_key.get("extraParams", "{}")).get("updateInterval", ""))
        except (ValueError, AttributeError):
            interval = ""
        if interval != "0":
            every_s = _INTERVALS_S.get(interval, _EVERY_S) if by_key["channel"] == "positions" else _EVERY_S
            self._after(subscription, every_s)

    def _after(self, subscription: Subscription, every_s: float) -> None:
        subscription.timers.clear()
        later = asyncio.get_running_loop().call_later(every_s, self._again, subscription, every_s)
        subscription.timers.append(later)

    def _again(self, subscription: Subscription, every_s: float) -> None:
        account = subscription.connection.conversation.account
        if account is not None:
            self._snapshot(subscription, account)
        self._after(subscription, every_s)


def _at_once(
    arg: Arg, account: Account, told: Told, currencies: Mapping[str, None], now_ms: int
) -> Iterable[str | None]:
    if dict(arg)["channel"] == "balance_and_position" and (told.trades or told.delivered):
        event = "filled" if told.trades else "delivered"
        yield moved_news(arg, account, currencies, told.positions, told.trades, now_ms, event)
    for said in told.rows:
        yield row_news(arg, account, said)
