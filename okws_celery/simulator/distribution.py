"""Who listens to what, and the way of a push to them: under which name of its instrument, and past which faults."""

from __future__ import annotations

from collections.abc import Iterator

from okws_celery.okx.topics import Arg
from okws_celery.simulator.connection import Connection, Subscription
from okws_celery.simulator.frames import Message
from okws_celery.simulator.renaming import ChangingVenue
from okws_celery.simulator.standing import StandingFaults

__all__ = ["Distribution"]


class Distribution:
    """All subscriptions whose ack has gone out, by argument."""

    def __init__(self, venue: ChangingVenue, faults: StandingFaults) -> None:
        self._venue = venue
        self._faults = faults
        self._listeners: dict[Arg, dict[Connection, Subscription]] = {}

    def join(self, subscription: Subscription) -> None:
        """A subscription is there; it is sent something when it is `flowing`."""
        self._listeners.setdefault(subscription.offer.arg, {})[subscription.connection] = subscription

    def leave(self, subscription: Subscription) -> bool:
        """It is there no more. True if nobody listens to the same thing any more, under whichever name."""
        arg = subscription.offer.arg
        listeners = self._listeners.get(arg, {})
        listeners.pop(subscription.connection, None)
        if listeners:
            return False
        self._listeners.pop(arg, None)
        market_arg = self._venue.market_arg(arg)
        return market_arg not in self._listeners and self._venue.todays_arg(market_arg) not in self._listeners

    def of_channel(self, channel: str) -> Iterator[Subscription]:
        """All subscriptions of a channel."""
        for arg, listeners in list(self._listeners.items()):
            if dict(arg)["channel"] == channel:
                yield from list(listeners.values())

    def emit(self, arg: Arg, text: str) -> None:
        """Send one push of the market to all who listen."""
        self._push(arg, text)
        todays_arg = self._venue.todays_arg(arg)
        if todays_arg is not None:
            self._push(todays_arg, self._venue.todays_text(arg, text))

    def push_to(self, subscription: Subscription, text: str) -> None:
        """Send one push to one subscription alone."""
        connection, arg = subscription.connection, subscription.offer.arg
        if not subscription.dead:
            for changed in self._faults.pushes_of(connection.conn_id, arg, text, connection.path):
                connection.send_text(changed)

    def send_recorded(self, connection: Connection, recorded: list[tuple[Arg, str]]) -> None:
        """Send recorded pushes to one connection, in one write."""
        framed = []
        for arg, text in recorded:
            subscription = connection.subscriptions.get(arg)
            if subscription is not None and not subscription.dead:
                texts = self._faults.pushes_of(connection.conn_id, arg, text, connection.path)
                framed += [connection.encode(changed) for changed in texts]
        if framed:
            connection.send(b"".join(framed))

    def _push(self, arg: Arg, text: str) -> None:
        listeners = self._listeners.get(arg)
        if not listeners:
            return
        path = next(iter(listeners)).path
        texts = self._faults.pushes(arg, text, path)
        messages = [Message(one) for one in texts]
        personal = self._faults.personal
        for connection, subscription in listeners.items():
            if not subscription.flowing or subscription.dead:
                continue
            if personal:
                messages = [Message(one) for one in self._faults.pushes_to(connection.conn_id, arg, texts, path)]
            for message in messages:
                connection.send_message(message)
