"""`send` as it is carried out, for tasks and clients: checked, given to the session once, and what became of it.

A command has an id and a deadline. It is put before its session once, however often this is called with the same id;
the session sends it at most once and never after the deadline.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from okws_celery.errors import Answer, BadCommand, NoWorker, StoreError, UnknownOutcome
from okws_celery.keys import check_name
from okws_celery.okx.ops import check_op
from okws_celery.store.registry import Command, Registry, now_ms

__all__ = ["GRACE_S", "carry_out", "checked_op", "give", "outcome", "topics_of", "unknown"]

GRACE_S = 1.0
"""How long after its deadline the sender of a command goes on listening, s: the session says then what became of it."""


def checked_op(name: object, op: object) -> dict[str, Any]:
    """The op as plain JSON; BadCommand (80010) if the name or the op is wrong."""
    check_name(name)
    return check_op(op)


def topics_of(op: Mapping[str, Any]) -> Any:
    """The topics of a `subscribe` or `unsubscribe`, which is a wish about the session's state and no op; else None."""
    if op["op"] not in ("subscribe", "unsubscribe"):
        return None
    if "args" not in op:
        raise BadCommand(f"op {op['op']!r}: 'args' is missing; a list of topics is accepted")
    return op["args"]


def give(registry: Registry, name: str, op: Mapping[str, Any], deadline: int, command_id: str = "") -> Command:
    """Put an op before its session, unless that was done under this id before. `deadline` is Unix ms.

    NoSession (80011), BadCommand (80010) or NoWorker (80012): it was not sent, and will not be.
    """
    try:
        record = registry.require(name, deadline)
    except StoreError as problem:
        raise NoWorker(f"{op['op']}: not sent, {problem}") from problem
    if not (record.options.get("credentials") or record.options.get("profile")):
        raise BadCommand(f"{op['op']}: needs a login, and the session was opened without credentials")
    command = Command("send", deadline, command_id or uuid.uuid4().hex, request=dict(op))
    try:
        registry.send_once(name, command)
    except StoreError as problem:
        raise unknown(command, str(problem)) from problem
    return command


def outcome(registry: Registry, name: str, command: Command, said: Answer | None) -> Answer:
    """What the sender is told, given the session's answer, or None if none came before the deadline and GRACE_S."""
    if said is not None:
        return said
    try:
        withdrawn = registry.withdraw(name, command)
    except StoreError as problem:
        raise unknown(command, str(problem)) from problem
    if withdrawn:
        op = command.request["op"]
        raise NoWorker(f"{op}: not sent, nobody holds session {name!r}; it will not be carried out")
    raise unknown(command, f"session {name!r} did not say what became of it")


def unknown(command: Command, why: str) -> UnknownOutcome:
    """What the sender is told who cannot be told more."""
    op = command.request["op"]
    return UnknownOutcome(f"{op}: {why}: unknown outcome; look at the order itself before it is sent again")


def carry_out(registry: Registry, name: str, op: Mapping[str, Any], deadline: int, command_id: str = "") -> Answer:
    """All of it, blocking until the outcome is known or the deadline has passed."""
    command = give(registry, name, op, deadline, command_id)
    try:
        said = registry.wait_reply(name, command.id, (deadline - now_ms()) / 1000 + GRACE_S)
    except StoreError as problem:
        raise unknown(command, str(problem)) from problem
    return outcome(registry, name, command, said)
