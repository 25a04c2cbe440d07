"""The client for threads: `okws_celery.client()`.

Commands go to a worker through Celery, answers come back on a key of their own in Redis; reads go straight to Redis.
Importing this module imports no Celery: the first command does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from okws_celery.calls.commands import Calls, settings_of_client
from okws_celery.calls.drivers import Driver
from okws_celery.calls.listeners import Listener, Listeners
from okws_celery.calls.subscribing import Topics
from okws_celery.errors import Answer
from okws_celery.post import CeleryPost
from okws_celery.query import read_of_frame, read_of_path, read_of_topics
from okws_celery.settings import Settings
from okws_celery.store.registry import DEFAULT_OWNER, Registry
from okws_celery.tables import numbers_of

if TYPE_CHECKING:
    import pandas

__all__ = ["Client", "client"]


def client(redis_url: str | None = None, *, timeout: float | None = None, settings: Settings | None = None) -> Client:
    """A client on the Redis of OKWS_REDIS_URL, or on `redis_url`; `timeout` (s) is how long a call waits.

    It may be made before any worker is up, and many threads may share it.
    """
    return Client(settings_of_client(redis_url, timeout, settings))


class Client:
    """Commands answer `{"event", "message", "errorCode", ...}` (see errors.answer); `get` gives the data themselves.

    What each call does is in calls/commands.py, for this client and for the one of `okws_celery.aio`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._registry = Registry(settings)
        self._calls = Calls(settings, self._registry, CeleryPost(settings))
        driver = Driver(self._registry)
        self._run, self._fetch = driver.run, driver.fetch
        self._listeners = Listeners[Listener]()

    # -- commands

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
        options = {
            "profile": profile,
            "region": region,
            "demo": demo,
            "proxy": proxy,
            "ws_url": ws_url,
            "rest_url": rest_url,
            "publish": publish,
        }
        return self._run(self._calls.open_ws(name, auth_params, options, timeout))

    def close_ws(self, name: str, *, timeout: float | None = None) -> Answer:
        """Close a session for good, with or without a worker: 80000 when nobody holds it, 80011 if it was not open."""
        return self._run(self._calls.close_ws(name, timeout))

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
        return self._run(self._calls.subscribe(name, topic, owner, ttl, timeout))

    def unsubscribe(
        self, name: str, topic: Topics, owner: str = DEFAULT_OWNER, *, timeout: float | None = None
    ) -> Answer:
        """Have an owner leave a topic or a list of them. It holds at once, with or without a worker."""
        return self._run(self._calls.unsubscribe(name, topic, owner, timeout))

    def send(self, name: str, op: Mapping[str, Any], *, timeout: float | None = None) -> Answer:
        """Have a session send an op, `{"op": "order", "args": [{...}]}`; OKX's whole reply stands in `reply`.

        80000, OKX's code (of the first item that failed), 80012 if it was not sent and will not be, 80014 if it was
        sent and nobody knows what became of it. It is sent at most once, and never after `timeout`.
        """
        return self._run(self._calls.send(name, op, timeout))

    def redis_clear(self, path: str = "") -> Answer:
        """Delete the data keys that match `path` (default `okex/*`); live sessions write theirs again afterwards."""
        return self._run(self._calls.redis_clear(path))

    def server_quit(self, *, timeout: float | None = None) -> Answer:
        """Close every session for good, and tell the servers of this namespace to end. Plain workers stay up."""
        return self._run(self._calls.server_quit(timeout))

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
        return self._fetch(read_of_path(self.settings, name, path, params, n, max_age))

    def frame(
        self,
        name: str,
        path: str | Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        n: int | None = None,
        *,
        decimal: bool = False,
        strings: bool = False,
        max_age: float | None = None,
    ) -> pandas.DataFrame:
        """Candles or trades as a pandas DataFrame; see `query.frame`."""
        numbers = numbers_of(decimal, strings)
        return self._fetch(read_of_frame(self.settings, name, path, params, n, numbers, max_age))

    def listen(
        self,
        name: str,
        topic: Topics,
        *,
        since: int | str | None = None,
        events: bool = False,
        timeout: float | None = None,
    ) -> Listener:
        """Every push of a topic or of several from here on, and every gap in them, as an iterator of dicts.

        Pushes are as OKX sent them; before the first comes one made from the key, with `"snapshot": True`. `since` (ms
        of the exchange, or the id of a stream entry) replays logs, candles and account channels from there instead. A
        gap is `{"op": "GAP", "topic", "from", "to", "reason"}`; `events` adds STALE, LIVE and the session's own. It
        ends when it is closed, or when nothing has come for `timeout` seconds. BadCommand (80010) where the session
        publishes nothing. Each listener has a connection of its own and belongs to one thread.
        """
        listening = self._calls.listen(name, topic, since, events)
        return self._listeners.add(Listener(listening, self.settings.redis_url, timeout).begin())

    def servers(self) -> Answer:
        """The names of the live sessions, in `message`."""
        return self._run(self._calls.servers())

    def status(self, name: str) -> Answer:
        """The session's status in `message` and `status`; where OKX refused it, its code, text and our `hint` instead.

        80011 if there is no such session, or its worker died and no other has taken over yet.
        """
        return self._run(self._calls.status(name))

    def topics(self, name: str) -> dict[str, dict[str, Any]]:
        """The state of each topic of a session; see `query.topics`."""
        topics: dict[str, dict[str, Any]] = self._fetch(read_of_topics(self.settings, name))
        return topics

    # -- the client itself

    def close(self) -> None:
        """Close this client's connections and listeners. Sessions live on."""
        for listener in self._listeners:
            listener.close()
        self._calls.post.close()
        self._registry.redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
