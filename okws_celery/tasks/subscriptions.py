"""`subscribe` and `unsubscribe`: they change what is desired, and wait for what the exchange says to it."""

from __future__ import annotations

from okws_celery.calls.subscribing import Topics, check_login, checked_topics, of_one
from okws_celery.celery import app
from okws_celery.errors import DONE, NO_WORKER, Answer, UnknownOutcome, answer
from okws_celery.store.registry import DEFAULT_OWNER, Command, now_ms
from okws_celery.tasks.base import task, too_late

__all__ = ["subscribe", "unsubscribe"]


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
    texts = checked_topics(name, topic, owner, ttl)
    late = too_late(deadline)
    if late is not None:
        return late
    deadline = deadline or now_ms() + int(app.okws.timeout_s * 1000)
    check_login(app.registry.require(name, deadline), texts)
    if not reply_to:
        command = Command("subscribe", deadline, topics=texts)
        app.registry.want(name, texts, owner, ttl, command)
        return of_one(topic, _outcome(name, command))
    # A client waits for the session itself, so that no thread here has to.
    if not app.registry.take(name, reply_to):
        return answer(NO_WORKER, "the caller has given up; nothing was done")
    app.registry.want(name, texts, owner, ttl, Command("subscribe", deadline, reply_to, texts))
    return answer(DONE, "the session answers the caller")


@task("unsubscribe")
def unsubscribe(name: str, topic: Topics, owner: str = DEFAULT_OWNER) -> Answer:
    """Have an owner leave one topic or several; the exchange is left when the last owner has left.

    It has no deadline: once asked for, it holds.
    """
    texts = checked_topics(name, topic, owner)
    app.registry.require(name)
    command = Command("unsubscribe", now_ms() + int(app.okws.timeout_s * 1000), topics=texts)
    app.registry.unwant(name, texts, owner, command)
    return of_one(topic, _outcome(name, command))


def _outcome(name: str, command: Command) -> Answer:
    said = app.registry.wait_reply(name, command.id, (command.deadline - now_ms()) / 1000)
    if said is None:
        raise UnknownOutcome(f"session {name!r}: no answer in time; it goes on trying")
    return said
