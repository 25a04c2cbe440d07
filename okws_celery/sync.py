"""The client for threads: `okws_celery.client()`.

Commands go to a worker through Celery, answers come back on a key of their own in Redis; reads go straight to Redis.
Importing this module imports no Celery: the first command does.
"""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from okws_celery.calls.opening import Opening, close_now, wait_until_closed
from okws_celery.calls.sending import carry_out, checked_op, topics_of
from okws_celery.calls.subscribing import Topics, checked_topics, of_one, on_the_wire
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
from okws_celery.query import Reader
from okws_celery.settings import Settings, load
from okws_celery.store import upkeep
from okws_celery.store.registry import DEFAULT_OWNER, Command, now_ms

if TYPE_CHECKING:
    from okws_celery.celery import App

__all__ = ["Client", "client"]

P = ParamSpec("P")
T = TypeVar("T")


def client(redis_url: str | None = None, *, timeout: float | None = None, settings: Settings | None = None) -> Client:
    """A client on the Redis of OKWS_REDIS_URL, or on `redis_url`; `timeout` (s) is how long a call waits.

    It may be made before any worker is up, and many threads may share it.
    """
    chosen = settings or load()
    if redis_url is not None and not isinstance(redis_url, str):
        raise BadCommand(f"redis_url {redis_url!r}: text is accepted, redis://host:port/0")
    if timeout is not None and (not isinstance(timeout, int | float) or not 0 < timeout < math.inf):
        raise BadCommand(f"timeout {timeout!r}: a number of seconds above 0 is accepted")
    if redis_url is not None and redis_url != chosen.redis_url:
        # Broker and results of another Redis would be of no use with this one.
        chosen = chosen.with_(redis_url=redis_url, broker_url="", result_backend="")
    if timeout is not None:
        chosen = chosen.with_(timeout_s=timeout)
    return Client(chosen)


def _answering(
    method: Callable[Concatenate[Client, P], Answer],
) -> Callable[Concatenate[Client, P], Answer]:
    """A call answers with a code, never with an exception of ours."""

    @wraps(method)
    def answered(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return method(self, *args, **kwargs)
        except OkwsError as problem:
            return problem.answer()

    return answered


class Client:
    """Commands answer `{"event", "message", "errorCode", ...}` (see errors.answer); `get` gives the data themselves."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._reader = Reader(settings)
        self._registry = self._reader.registry
        self._lock = threading.Lock()
        self._made_app: App | None = None

    # -- commands

    @_answering
    def open_ws(
        self,
        name: str,
        auth_params: Mapping[str, Any] | None = None,
        *,
        profile: str | None = None,
        region: str | None = None,
        demo: bool | None = None,
        proxy: str | None = None,
        ws_url: str | None = None,
        rest_url: str | None = None,
        publish: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Open a session. With credentials or a profile it logs in; refused, it answers OKX's own code and text.

        80000 when it is held (public) or logged in, 80001 if it is open already, 80012 if no worker took it, 80013 if
        all are full, 80014 if the outcome did not come in time (the session goes on trying). Credentials (`apiKey`,
        `secret`, `password`) are encrypted before they are sent.
        """
        timeout_s, command_id = self._timeout(timeout), uuid.uuid4().hex
        options = {
            "profile": profile,
            "region": region,
            "demo": demo,
            "proxy": proxy,
            "ws_url": ws_url,
            "rest_url": rest_url,
            "publish": publish,
        }
        deadline = now_ms() + int(timeout_s * 1000)
        opening = self._unsent(lambda: Opening.prepared(self._registry, name, auth_params, options, deadline))
        args, kwargs = opening.arguments
        return self._ask(
            "okws_celery.tasks.open_ws", opening.name, args, kwargs, command_id, timeout_s, **opening.shown
        )

    @_answering
    def close_ws(self, name: str, *, timeout: float | None = None) -> Answer:
        """Close a session for good, with or without a worker: 80000 when nobody holds it, 80011 if it was not open."""
        check_name(name)
        closed_task = self._unsent(lambda: close_now(self._registry, name))
        if not closed_task:
            return answer(NO_SESSION, f"session {name!r} is not open")
        self._revoke(closed_task)
        return wait_until_closed(self._registry, name, self._timeout(timeout))

    @_answering
    def subscribe(
        self,
        name: str,
        topic: Topics,
        owner: str = DEFAULT_OWNER,
        ttl: float | None = None,
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Have a session subscribe a topic or a list of them: 80000 when it is live, else what OKX said.

        A list adds `topics`: topic -> its answer. The exchange is left when the last owner has left; `ttl`, in seconds,
        is renewed by subscribing again, so that an owner that crashed leaves by itself.
        """
        texts = checked_topics(name, topic, owner, ttl)
        timeout_s, command_id = self._timeout(timeout), uuid.uuid4().hex
        kwargs = {"owner": owner, "ttl": ttl, "deadline": now_ms() + int(timeout_s * 1000)}
        said = self._ask("okws_celery.tasks.subscribe", name, (name, on_the_wire(texts)), kwargs, command_id, timeout_s)
        return of_one(topic, said)

    @_answering
    def unsubscribe(
        self, name: str, topic: Topics, owner: str = DEFAULT_OWNER, *, timeout: float | None = None
    ) -> Answer:
        """Have an owner leave a topic or a list of them. It holds at once, with or without a worker."""
        texts = checked_topics(name, topic, owner)
        timeout_s = self._timeout(timeout)
        self._registry.require(name)
        command = Command("unsubscribe", now_ms() + int(timeout_s * 1000), topics=texts)
        self._registry.unwant(name, texts, owner, command)
        said = self._registry.wait_reply(name, command.id, timeout_s)
        if said is None:
            raise UnknownOutcome(f"session {name!r}: left, but the exchange did not say so within {timeout_s:g} s")
        return of_one(topic, said)

    @_answering
    def send(self, name: str, op: Mapping[str, Any], *, timeout: float | None = None) -> Answer:
        """Have a session send an op, `{"op": "order", "args": [{...}]}`; OKX's whole reply stands in `reply`.

        80000, OKX's code (of the first item that failed), 80012 if it was not sent and will not be, 80014 if it was
        sent and nobody knows what became of it. It is sent at most once, and never after `timeout`.
        """
        checked = checked_op(name, op)
        topics = topics_of(checked)
        if topics is not None:
            wish = self.subscribe if checked["op"] == "subscribe" else self.unsubscribe
            return wish(name, topics, timeout=timeout)
        deadline = now_ms() + int(self._timeout(timeout) * 1000)
        return carry_out(self._registry, name, checked, deadline)

    @_answering
    def redis_clear(self, path: str = "") -> Answer:
        """Delete the data keys that match `path` (default `okex/*`); live sessions write theirs again afterwards."""
        return upkeep.clear(self._registry, path)

    @_answering
    def server_quit(self, *, timeout: float | None = None) -> Answer:
        """Close every session for good, and tell the servers of this namespace to end. Plain workers stay up."""
        return upkeep.close_all(self._registry, self._timeout(timeout))

    # -- reads

    def get(
        self,
        name: str,
        path: str | Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        n: int | None = None,
        *,
        max_age: float | None = None,
    ) -> Any:
        """The data of a topic; see `query.get`."""
        return self._reader.get(name, path, params, n, max_age=max_age)

    @_answering
    def servers(self) -> Answer:
        """The names of the live sessions, in `message`."""
        return answer(DONE, self._reader.servers())

    @_answering
    def status(self, name: str) -> Answer:
        """The session's status in `message` and `status`; where OKX refused it, its code, text and our `hint` instead.

        80011 if there is no such session, or its worker died and no other has taken over yet.
        """
        said = self._reader.status(name)
        if said["code"]:
            return answer(said["code"], said["msg"], status=said["status"], hint=said["hint"])
        if not said["status"]:
            return answer(NO_SESSION, f"session {name!r} is not open", status="", hint="")
        return answer(DONE, said["status"], status=said["status"], hint="")

    def topics(self, name: str) -> dict[str, dict[str, Any]]:
        """The state of each topic of a session; see `query.topics`."""
        return self._reader.topics(name)

    # -- the client itself

    def close(self) -> None:
        """Close this client's connections. Sessions live on."""
        with self._lock:
            if self._made_app is not None:
                self._made_app.close()
                self._made_app = None
        self._registry.redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- within

    def _timeout(self, timeout: float | None) -> float:
        if timeout is None:
            return self.settings.timeout_s
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise BadCommand(f"timeout {timeout!r}: a number of seconds above 0 is accepted")
        return float(timeout)

    @property
    def _app(self) -> App:
        with self._lock:
            if self._made_app is None:
                from okws_celery.celery import app, make_app

                self._made_app = app if app.okws == self.settings else make_app(self.settings)
            return self._made_app

    def _ask(
        self,
        task: str,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        command_id: str,
        timeout_s: float,
        **shown: str,
    ) -> Answer:
        """Send a task that answers on our own key, and wait there."""
        self._send(task, args, kwargs | {"reply_to": command_id}, shown)
        said = self._registry.wait_reply(name, command_id, timeout_s)
        if said is None and self._registry.give_up(name, command_id):
            raise NoWorker(
                f"no worker took {task.rpartition('.')[2]} within {timeout_s:g} s; it will not be carried out"
            )
        if said is None:
            raise UnknownOutcome(f"session {name!r}: no answer within {timeout_s:g} s; it goes on trying")
        return said

    def _send(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any], shown: dict[str, str]) -> None:
        from kombu.exceptions import OperationalError

        try:
            self._app.send_task(task, args=args, kwargs=kwargs, ignore_result=True, **shown)
        except OperationalError as problem:
            raise NoWorker(f"the broker cannot be reached: {problem}") from problem

    def _revoke(self, task_id: str) -> None:
        """Keep copies that still wait in a worker from beginning; the session itself ends without it."""
        from kombu.exceptions import OperationalError

        with suppress(OperationalError):
            self._app.control.revoke(task_id)

    def _unsent(self, prepare: Callable[[], T]) -> T:
        """What goes wrong before anything was sent leaves no doubt: nothing will happen."""
        try:
            return prepare()
        except StoreError as problem:
            raise NoWorker(str(problem)) from problem
