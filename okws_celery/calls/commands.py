"""Every call of the clients as a conversation: what is checked, sent, waited for, and answered.

`okws_celery.client()` and `okws_celery.aio.client()` carry the same ones out and add nothing of their own.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from okws_celery.calls.listening import Listening
from okws_celery.calls.opening import Opening, close_now, until_closed
from okws_celery.calls.sending import GRACE_S, checked_op, give, outcome, topics_of, unknown
from okws_celery.calls.subscribing import Topics, checked_topics, of_one, on_the_wire
from okws_celery.calls.talk import Fetch, Pause, Step, Talk, Wait
from okws_celery.errors import (
    DONE,
    NO_SESSION,
    Answer,
    BadCommand,
    NoWorker,
    OkwsError,
    StoreError,
    UnknownOutcome,
    answer,
)
from okws_celery.keys import check_name
from okws_celery.query import read_of_status
from okws_celery.settings import Settings, load
from okws_celery.store import servers, upkeep
from okws_celery.store.registry import DEFAULT_OWNER, Command, Registry, now_ms

__all__ = ["Calls", "Post", "settings_of_client"]

P = ParamSpec("P")
T = TypeVar("T")

_SERVER_S = 90.0
"""How long a starting server is waited for; it gives itself 60 s."""
_POLL_S = 0.1
_SLICE_S = 2.0
"""One blocking read stays below the connection's timeout, so that a dead connection is noticed."""


class Post(Protocol):
    """How tasks reach a worker. It blocks, and is safe for threads."""

    def prepare(self) -> None:
        """Do what the first task has to wait for, which may take seconds, before a deadline is set."""

    def send(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any], shown: Mapping[str, str]) -> None:
        """Hand a task to the broker, shown to monitors as `shown`.

        NoWorker (80012) if the broker is away, UnknownOutcome (80014) if it may have taken it all the same.
        """

    def revoke(self, task_id: str) -> None:
        """Keep copies of a task from beginning, as far as the broker can be reached."""

    def close(self) -> None:
        """Close the connections to the broker."""


def settings_of_client(redis_url: str | None, timeout: float | None, settings: Settings | None) -> Settings:
    """The settings of a client: those given or those of the environment, with a Redis and a timeout of its own."""
    chosen = settings or load()
    if redis_url is not None and not isinstance(redis_url, str):
        raise BadCommand(f"redis_url {redis_url!r}: text is accepted, redis://host:port/0")
    if timeout is not None and (not isinstance(timeout, int | float) or not 0 < timeout < math.inf):
        raise BadCommand(f"timeout {timeout!r}: a number of seconds above 0 is accepted")
    if redis_url is not None and redis_url != chosen.redis_url:
        # Broker and results of another Redis would be of no use with this one.
        chosen = chosen.with_(redis_url=redis_url, broker_url="", result_backend="")
    return chosen if timeout is None else chosen.with_(timeout_s=timeout)


def _answering(
    method: Callable[Concatenate[Calls, P], Talk[Answer]],
) -> Callable[Concatenate[Calls, P], Talk[Answer]]:
    """A call answers with a code, never with an exception of ours."""

    @wraps(method)
    def answered(self: Calls, /, *args: P.args, **kwargs: P.kwargs) -> Talk[Answer]:
        try:
            return (yield from method(self, *args, **kwargs))
        except OkwsError as problem:
            return problem.answer()

    return answered


class Calls:
    """The calls of one client. Its methods take what the clients' methods of the same names take."""

    def __init__(self, settings: Settings, registry: Registry, post: Post) -> None:
        self.settings = settings
        self.registry = registry
        self.post = post

    # -- commands

    @_answering
    def open_ws(
        self, name: str, auth_params: Mapping[str, Any] | None, options: Mapping[str, Any], timeout: float | None
    ) -> Talk[Answer]:
        """Seal the credentials, send the task, wait for the session's own answer.

        While a server of the namespace is starting its worker, the call waits for that, and then as long as it may.
        """
        timeout_s = self.timeout_s(timeout)
        end = time.monotonic() + _SERVER_S
        while True:
            while (yield from self._server_is_starting()) and time.monotonic() < end:
                yield Pause(_POLL_S)
            try:
                return (yield from self._open(name, auth_params, options, timeout_s))
            except NoWorker:
                # It may have begun to start after we looked.
                if time.monotonic() > end or not (yield from self._server_is_starting()):
                    raise

    def _open(
        self, name: str, auth_params: Mapping[str, Any] | None, options: Mapping[str, Any], timeout_s: float
    ) -> Talk[Answer]:
        deadline = yield from self._deadline(timeout_s)
        opening: Opening = yield from self._unsent(
            lambda: Opening.prepared(self.registry, name, auth_params, options, deadline)
        )
        args, kwargs = opening.arguments
        return (yield from self.ask("open_ws", opening.name, args, kwargs, timeout_s, opening.shown))

    def _server_is_starting(self) -> Talk[bool]:
        return (yield from self._unsent(lambda: servers.is_starting(self.registry)))

    @_answering
    def close_ws(self, name: str, timeout: float | None) -> Talk[Answer]:
        """Mark it closed, revoke its task, wait until nobody holds it."""
        check_name(name)
        timeout_s = self.timeout_s(timeout)
        ticket: int = yield from self._unsent(lambda: self.registry.draw_ticket(name))
        closed_task = yield Step(lambda: close_now(self.registry, name, ticket))
        if not closed_task:
            return answer(NO_SESSION, f"session {name!r} is not open")
        yield Step(lambda: self.post.revoke(closed_task))
        return (yield from until_closed(self.registry, name, timeout_s))

    @_answering
    def subscribe(self, name: str, topic: Topics, owner: str, ttl: float | None, timeout: float | None) -> Talk[Answer]:
        """Send the task, which records what is wanted, and wait for what the session says of it."""
        texts = checked_topics(name, topic, owner, ttl)
        timeout_s = self.timeout_s(timeout)
        kwargs = {"owner": owner, "ttl": ttl, "deadline": (yield from self._deadline(timeout_s))}
        said = yield from self.ask("subscribe", name, (name, on_the_wire(texts)), kwargs, timeout_s)
        return of_one(topic, said)

    @_answering
    def unsubscribe(self, name: str, topic: Topics, owner: str, timeout: float | None) -> Talk[Answer]:
        """Record it at once, with or without a worker, and wait for what the session says of it."""
        texts = checked_topics(name, topic, owner)
        timeout_s = self.timeout_s(timeout)
        command = Command("unsubscribe", now_ms() + int(timeout_s * 1000), topics=texts)

        def leave() -> None:
            self.registry.require(name)
            self.registry.unwant(name, texts, owner, command)

        yield Step(leave)
        said = yield from self.reply(name, command.id, timeout_s)
        if said is None:
            raise UnknownOutcome(f"session {name!r}: left, but the exchange did not say so within {timeout_s:g} s")
        return of_one(topic, said)

    @_answering
    def send(self, name: str, op: Mapping[str, Any], timeout: float | None) -> Talk[Answer]:
        """Put the op before the session, without a worker between, and wait for what it says became of it."""
        checked = checked_op(name, op)
        topics = topics_of(checked)
        if topics is not None and checked["op"] == "subscribe":
            return (yield from self.subscribe(name, topics, DEFAULT_OWNER, None, timeout))
        if topics is not None:
            return (yield from self.unsubscribe(name, topics, DEFAULT_OWNER, timeout))
        timeout_s = self.timeout_s(timeout)
        deadline = now_ms() + int(timeout_s * 1000)
        command: Command = yield Step(lambda: give(self.registry, name, checked, deadline))
        try:
            said = yield from self.reply(name, command.id, (deadline - now_ms()) / 1000 + GRACE_S)
        except StoreError as problem:
            raise unknown(command, str(problem)) from problem
        told: Answer = yield Step(lambda: outcome(self.registry, name, command, said))
        return told

    @_answering
    def redis_clear(self, path: str) -> Talk[Answer]:
        """Delete, and poke the sessions."""
        said: Answer = yield Step(lambda: upkeep.clear(self.registry, path))
        return said

    @_answering
    def server_quit(self, timeout: float | None) -> Talk[Answer]:
        """Close all sessions and announce QUIT."""
        timeout_s = self.timeout_s(timeout)
        said: Answer = yield Step(lambda: upkeep.close_all(self.registry, timeout_s))
        return said

    # -- reads

    def listen(self, name: str, topic: Topics, since: int | str | None, events: bool) -> Listening:
        """What a listener is made with; it carries out a conversation of its own."""
        return Listening(self.settings, name, topic, since, events)

    @_answering
    def servers(self) -> Talk[Answer]:
        """The names of the live sessions."""
        return answer(DONE, (yield Step(self.registry.live)))

    @_answering
    def status(self, name: str) -> Talk[Answer]:
        """The word; where OKX refused, its code, text and hint."""
        said = yield Fetch(read_of_status(self.settings, name))
        if said["code"]:
            return answer(said["code"], said["msg"], status=said["status"], hint=said["hint"])
        if not said["status"]:
            return answer(NO_SESSION, f"session {name!r} is not open", status="", hint="")
        return answer(DONE, said["status"], status=said["status"], hint="")

    # -- what calls are made of

    def timeout_s(self, timeout: float | None) -> float:
        """How long a call waits; BadCommand (80010) if that is no time."""
        if timeout is None:
            return self.settings.timeout_s
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise BadCommand(f"timeout {timeout!r}: a number of seconds above 0 is accepted")
        return float(timeout)

    def ask(
        self,
        task: str,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout_s: float,
        shown: Mapping[str, str] | None = None,
    ) -> Talk[Answer]:
        """Send a task that answers on a key of this call's own, and wait there.

        NoWorker (80012) if nobody took it: then nobody will. UnknownOutcome (80014) if it was taken.
        """
        command_id = uuid.uuid4().hex
        wire = kwargs | {"reply_to": command_id}
        try:
            yield Step(lambda: self.post.send(f"okws_celery.tasks.{task}", args, wire, shown or {}))
        except UnknownOutcome as problem:
            with suppress(StoreError):
                if (yield Step(lambda: self.registry.give_up(name, command_id))):
                    raise NoWorker(f"{problem}; it will not be carried out") from problem
            raise
        said = yield from self.reply(name, command_id, timeout_s)
        if said is not None:
            return said
        if (yield Step(lambda: self.registry.give_up(name, command_id))):
            raise NoWorker(f"no worker took {task} within {timeout_s:g} s; it will not be carried out")
        raise UnknownOutcome(f"session {name!r}: no answer within {timeout_s:g} s; it goes on trying")

    def reply(self, name: str, command_id: str, timeout_s: float) -> Talk[Answer | None]:
        """The answer to a command, None if none comes in time."""
        end = time.monotonic() + timeout_s
        key = self.registry.keys(name).reply(command_id)
        while (left := end - time.monotonic()) > 0:
            text = yield Wait(key, max(0.01, min(left, _SLICE_S)))
            if text:
                return dict(json.loads(text))
        return None

    def _deadline(self, timeout_s: float) -> Talk[int]:
        """Until when a task that is sent next may be begun, Unix ms."""
        yield Step(self.post.prepare)
        return now_ms() + int(timeout_s * 1000)

    def _unsent(self, prepare: Callable[[], T]) -> Talk[T]:
        """What goes wrong before anything was sent leaves no doubt: nothing will happen."""
        try:
            prepared: T = yield Step(prepare)
            return prepared
        except StoreError as problem:
            raise NoWorker(str(problem)) from problem
