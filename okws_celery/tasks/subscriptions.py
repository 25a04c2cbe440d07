"""`subscribe` and `unsubscribe`: they change what is desired, and wait for what the exchange says to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from okws_celery.celery import app
from okws_celery.errors import DONE, NO_WORKER, Answer, BadCommand, UnknownOutcome, answer
from okws_celery.keys import check_name
from okws_celery.okx.topics import parse_topic
from okws_celery.store.registry import DEFAULT_OWNER, Command, now_ms
from okws_celery.tasks.base import task, too_late

__all__ = ["subscribe", "unsubscribe"]

Topics = str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]
"""One topic, as text or as OKX's arg object, or several."""


@task("subscribe")
def subscribe(
    name: str,
    topic: Topics,
    owner: str = DEFAULT_OWNER,
    ttl: float | None = None,
    *,
    deadline: int | None = None,
    reply_to: str = "",
) -> Answer:
    """Have a session subscribe one topic or several, for an owner; 80000, or the exchange's own code and text.

    A list adds `topics`: topic -> its answer. `ttl`, in seconds, is renewed by subscribing again: an owner that does
    not leaves by itself. The last two arguments are the wire's own.
    """
    texts = _checked(name, topic, owner)
    if ttl is not None and not (isinstance(ttl, int | float) and 0 < ttl < math.inf):
        raise BadCommand(f"subscribe: ttl {ttl!r}; a number of seconds above 0 is accepted")
    late = too_late(deadline)
    if late is not None:
        return late
    app.registry.require(name)
    command = _command("subscribe", texts, deadline, reply_to)
    if reply_to and not app.registry.take(name, reply_to):
        return answer(NO_WORKER, "the caller has given up; nothing was done")
    app.registry.want(name, texts, owner, ttl, command)
    return _outcome(name, topic, command, reply_to)


@task("unsubscribe")
def unsubscribe(name: str, topic: Topics, owner: str = DEFAULT_OWNER, *, reply_to: str = "") -> Answer:
    """Have an owner leave one topic or several; the exchange is left when the last owner has left.

    It has no deadline: once asked for, it holds. `reply_to` is the wire's own.
    """
    texts = _checked(name, topic, owner)
    app.registry.require(name)
    command = _command("unsubscribe", texts, None, reply_to)
    if reply_to:
        app.registry.take(name, reply_to)
    app.registry.unwant(name, texts, owner, command)
    return _outcome(name, topic, command, reply_to)


def _checked(name: str, topic: Topics, owner: str) -> list[str]:
    """The topics as text, each once; BadCommand if one is wrong, and then none of them is touched."""
    check_name(name)
    check_name(owner, "owner")
    several = [topic] if isinstance(topic, str | Mapping) else topic
    if not isinstance(several, list | tuple) or not several:
        raise BadCommand("topic: a topic or a list of them is accepted")
    return list(dict.fromkeys(parse_topic(one).text for one in several))


def _command(op: str, texts: list[str], deadline: int | None, reply_to: str) -> Command:
    deadline = deadline or now_ms() + int(app.okws.timeout_s * 1000)
    return Command(op, deadline, reply_to, topics=texts) if reply_to else Command(op, deadline, topics=texts)


def _outcome(name: str, topic: Topics, command: Command, reply_to: str) -> Answer:
    """What the session says. A client hears it from the session itself, so that no thread waits here for it."""
    if reply_to:
        return answer(DONE, "the answer goes to the caller's own key")
    said = app.registry.wait_reply(name, command.id, (command.deadline - now_ms()) / 1000)
    if said is None:
        raise UnknownOutcome(f"session {name!r}: no answer from the exchange in time; it goes on trying")
    return of_one(said) if isinstance(topic, str | Mapping) else said


def of_one(said: Answer) -> Answer:
    """The answer for the one topic of a session's answer."""
    return next(iter(said.get("topics", {}).values()), said)
