"""`open_ws` as it is sent, from an app's task object and from the client alike, and `close_ws` as it takes effect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from okws_celery.calls.options import checked_options, shown_options
from okws_celery.calls.talk import Pause, Step, Talk
from okws_celery.errors import DONE, Answer, UnknownOutcome, answer
from okws_celery.keys import check_name
from okws_celery.store.registry import Registry

__all__ = ["Opening", "close_now", "until_closed"]

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Opening:
    """One `open_ws` on the wire: options checked, credentials sealed, ticket drawn."""

    name: str
    ticket: int
    deadline: int
    """Unix ms; it is not begun after it."""
    options: dict[str, Any] = field(default_factory=dict)
    reply_to: str = ""
    """Command id on which the caller waits, "" if nobody does."""

    @classmethod
    def prepared(
        cls,
        registry: Registry,
        name: object,
        auth_params: Mapping[str, Any] | None,
        options: Mapping[str, Any],
        deadline: int,
        reply_to: str = "",
    ) -> Opening:
        """Check everything, encrypt what is secret, and draw the ticket; BadCommand (80010) before anything is done."""
        checked_name = check_name(name)
        checked = checked_options(registry.settings, auth_params, options, sealing=True)
        ticket = registry.draw_ticket(checked_name)
        registry.expect(checked_name, ticket, deadline)
        return cls(checked_name, ticket, deadline, checked, reply_to)

    @property
    def arguments(self) -> tuple[tuple[str], dict[str, Any]]:
        """`args` and `kwargs` of the task."""
        options = dict(self.options)
        sealed = options.pop("credentials", None)
        wire: dict[str, Any] = options | {"ticket": self.ticket, "deadline": self.deadline}
        if sealed:
            wire["auth_params"] = sealed
        if self.reply_to:
            wire["reply_to"] = self.reply_to
        return (self.name,), wire

    @property
    def shown(self) -> dict[str, str]:
        """What events and Flower show in place of the arguments."""
        return {"argsrepr": repr((self.name,)), "kwargsrepr": shown_options(self.options)}


def close_now(registry: Registry, name: str, ticket: int | None = None) -> str:
    """Close a session, whoever is there to hear of it; the task id that is to be revoked, "" if it was not open.

    From now on no `open_ws` that was sent before can begin, wherever it waits.
    """
    registry.mark_closed(name, registry.draw_ticket(name) if ticket is None else ticket)
    record = registry.close(name)
    return record.task_id if record is not None else ""


def until_closed(registry: Registry, name: str, timeout_s: float) -> Talk[Answer]:
    """The answer to a close, once who held the session has let go; UnknownOutcome (80014) if that takes too long."""
    end = time.monotonic() + timeout_s
    token: str = yield Step(lambda: registry.holder(name))  # whoever comes after has opened it anew
    while not (yield Step(lambda: registry.let_go(name, token))):
        if time.monotonic() > end:
            raise UnknownOutcome(f"session {name!r} is marked closed, but its worker has not let go of it yet")
        yield Pause(_POLL_S)
    return answer(DONE, f"session {name} is closed")
