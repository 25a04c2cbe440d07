"""Logging in to OKX: with the exchange's clock, and what a refusal means.

The clock's offset is measured in the background when a connection is up, so that no login waits for REST; until then it
is taken for 0. A login that comes with a wrong time (60006) has it measured at once and is repeated: that heals a clock
that is wrong. Should it not help, it is an ordinary refusal for now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from okws_celery.okx.login import HINTS, REFUSED_FOR_GOOD, Credentials, login_request
from okws_celery.okx.messages import Event
from okws_celery.okx.rest import RestError
from okws_celery.session.clock import Clock
from okws_celery.session.link import Link, LinkLost
from okws_celery.session.mailbox import Mailbox
from okws_celery.session.rest_client import RestClient

__all__ = ["Logins", "Owner"]

_ALREADY_LOGGED_IN = 60031
_EXPIRED = 60006
_MEASURE_AGAIN_S = 3600.0
_HEAL_AGAIN_S = 60.0
_MEASURING_S = 10.0
"""How long a login waits at most for the clock to be measured, s."""
_NOTABLE_S = 5.0

_log = logging.getLogger(__name__)


class Owner(Protocol):
    """The session, as far as logins concern it."""

    def logged_in(self) -> None:
        """The key is good."""

    def login_refused(self, code: int, text: str, hint: str) -> None:
        """The key will never do: the session is to end."""


class Logins:
    """The logins of one session. Belongs to its loop."""

    def __init__(
        self,
        name: str,
        credentials: Credentials | None,
        rest: RestClient,
        mailbox: Mailbox,
        clock: Clock,
        owner: Owner,
    ) -> None:
        self._name = name
        self._credentials = credentials
        self._rest = rest
        self._mailbox = mailbox
        self._clock = clock
        self._owner = owner
        self._measured_at = -_MEASURE_AGAIN_S
        self._healed_at = -_HEAL_AGAIN_S
        # Links whose login waits for the clock; None while it is not being measured.
        self._waiting: list[Link] | None = None

    def connected(self) -> None:
        """A connection is up: measure the clock if that was not done of late."""
        if self._clock.now - self._measured_at >= _MEASURE_AGAIN_S:
            self._measured_at = self._clock.now
            self._measure()

    def send(self, link: Link) -> None:
        """Log in on this link."""
        assert self._credentials is not None
        link.login(login_request(self._credentials, time.time() + self._rest.offset_s), self._clock.now)

    def acknowledged(self, link: Link) -> None:
        """The exchange said yes."""
        link.login_acknowledged()
        link.held_open = False
        self._owner.logged_in()

    def refused(self, link: Link, event: Event) -> bool:
        """The exchange said no. True if the link must wait for the clock; LinkLost to try again later."""
        hint = HINTS.get(event.code, "")
        if event.code == _ALREADY_LOGGED_IN:
            self.acknowledged(link)
        elif event.code in REFUSED_FOR_GOOD:
            self._owner.login_refused(event.code, event.text, hint)
        elif event.code == _EXPIRED and self._clock.now - self._healed_at >= _HEAL_AGAIN_S:
            self._healed_at = self._clock.now
            self._measure(link)
            return True
        else:
            raise LinkLost(f"login: {event.code} {event.text} {hint}".rstrip())
        return False

    def _measure(self, link: Link | None = None) -> None:
        begin = self._waiting is None
        self._waiting = [*(self._waiting or ()), *([link] if link is not None else ())]
        if begin:
            self._mailbox.run(self._helper, f"okws-clock-{self._name}")

    def _helper(self) -> Callable[[], None]:
        try:
            self._rest.measure_clock()
        except RestError as problem:
            _log.info("session %s: the exchange's clock could not be measured: %s", self._name, problem)
        return self._measured

    def _measured(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        if abs(self._rest.offset_s) >= _NOTABLE_S:
            _log.warning("session %s: this clock is %+.1f s off the exchange's", self._name, -self._rest.offset_s)
        for link in waiting:
            link.not_before = self._clock.now

    @property
    def measuring_until(self) -> float:
        """Until when (monotonic, s) a link that waits for the clock should not be connected."""
        return self._clock.now + _MEASURING_S
