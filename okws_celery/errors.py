"""The exceptions of okws_celery and the codes that answers carry.

    OkwsError                    anything this package raises on purpose
    ├── BadCommand     80010     the caller: a malformed name, topic, option or config
    │   └── ConfigError          the caller: a config file, with file, section and line
    ├── NoSession      80011     the caller: no session of that name is open
    ├── AlreadyOpen    80001     the caller: a live session has that name
    ├── NoWorker       80012     nobody answers, and nothing will happen later
    ├── NoCapacity     80013     every worker is full
    ├── UnknownOutcome 80014     no outcome in time; it may still happen
    ├── Refused        OKX's     the exchange: its own code and text
    ├── Stale                    the data: not live, or older than asked for
    └── StoreError               Redis: not reachable, or answered with an error
        └── StoreRefused         Redis: answered with an error, so that trying again is of no use

An error of one module alone stands there: `okws_celery.server.ServerError`.

Answers of tasks and clients are dicts made by `answer()`; the exceptions are their counterpart in calls that raise.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ALREADY_OPEN",
    "BAD_COMMAND",
    "DONE",
    "NO_CAPACITY",
    "NO_SESSION",
    "NO_WORKER",
    "UNKNOWN_OUTCOME",
    "AlreadyOpen",
    "Answer",
    "BadCommand",
    "ConfigError",
    "NoCapacity",
    "NoSession",
    "NoWorker",
    "OkwsError",
    "Refused",
    "Stale",
    "StoreError",
    "StoreRefused",
    "UnknownOutcome",
    "answer",
]

DONE = 80000
ALREADY_OPEN = 80001
BAD_COMMAND = 80010
NO_SESSION = 80011
NO_WORKER = 80012
NO_CAPACITY = 80013
UNKNOWN_OUTCOME = 80014

Answer = dict[str, Any]
"""`{"event": "info" | "error", "message": str | list, "errorCode": int, ...}`, the form of okws."""


class OkwsError(Exception):
    """Base of the tree. `code` is the errorCode of the answer that says the same."""

    code: int = UNKNOWN_OUTCOME

    def answer(self, **more: Any) -> Answer:
        """This error as an answer dict."""
        return answer(self.code, str(self), **more)


class BadCommand(OkwsError):
    """The caller gave something that cannot be understood; nothing was done."""

    code = BAD_COMMAND


class ConfigError(BadCommand):
    """A config file or an environment variable is wrong; the text names the place."""


class NoSession(OkwsError):
    """No session of that name is open."""

    code = NO_SESSION


class AlreadyOpen(OkwsError):
    """A live session has that name already."""

    code = ALREADY_OPEN


class NoWorker(OkwsError):
    """No worker took the command before its deadline; it will not be carried out later."""

    code = NO_WORKER


class NoCapacity(OkwsError):
    """Every worker holds as many sessions as it may."""

    code = NO_CAPACITY


class UnknownOutcome(OkwsError):
    """The command was taken, but its outcome did not come in time."""

    code = UNKNOWN_OUTCOME


class Refused(OkwsError):
    """OKX refused: `code` and the text are its own (PROTOCOL 2.5), `hint` is ours and may be empty."""

    def __init__(self, code: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.hint = hint


class Stale(OkwsError):
    """The data asked for are not live, or older than `max_age`."""


class StoreError(OkwsError):
    """Redis cannot be reached or refused a command."""


class StoreRefused(StoreError):
    """Redis was reached and refused a command or a login; it would the next time."""


def answer(code: int, message: Any, **more: Any) -> Answer:
    """An answer dict: `event` is "info" for 80000 and "error" for every other code."""
    return {"event": "info" if code == DONE else "error", "message": message, "errorCode": code, **more}
