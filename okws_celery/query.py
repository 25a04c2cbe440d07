"""Reads what the sessions keep in Redis: `query.get("tests", "tickers:BTC-USDT")`, one round trip each.

Never through Celery and never through a worker; it imports neither Celery nor the code of the sessions.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import redis

from okws_celery.errors import BadCommand, Stale
from okws_celery.feeds import Read, Route, read_of
from okws_celery.keys import ControlKeys, DataKeys, check_name
from okws_celery.okx.catalogue import channel_of
from okws_celery.okx.topics import Topic, parse_topic
from okws_celery.okx.v3 import is_v3
from okws_celery.settings import Settings, load
from okws_celery.store.connect import client, store_error
from okws_celery.store.registry import Registry
from okws_celery.tables import Numbers, check_table, numbers_of, table

if TYPE_CHECKING:
    import pandas

__all__ = [
    "Reader",
    "fetch",
    "frame",
    "get",
    "read_of_frame",
    "read_of_path",
    "read_of_status",
    "read_of_topics",
    "servers",
    "status",
    "topic_of_path",
    "topics",
]

_SPELLINGS = {"instrument_id": "instId", "currency": "ccy"}
"""What okws called some of the keys."""
_FILTERS = ("instId", "ccy", "underlying", "instFamily", "uly")
_ALIVE = ("READY", "CONNECTED", "DISCONNECTED")


def get(
    name: str,
    path: str | Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    n: int | None = None,
    *,
    max_age: float | None = None,
) -> Any:
    """The data of a topic as they stand in Redis, in the exchange's own strings; `{}` or `[]` if there are none.

    `get("tests", "tickers:BTC-USDT")` and `get("tests", "tickers", {"instId": "BTC-USDT"})` are the same. Tickers
    and their like are a dict, a book `{"bids", "asks", "ts", "seqId", "state"}`; candles and trades are lists, oldest
    first, of which `n` takes the newest. With `max_age`, in seconds, it raises Stale when the topic or its session is
    not live, or was last heard of longer ago. BadCommand (80010) if the path is wrong, StoreError if Redis is away.
    """
    return _default_reader().get(name, path, params, n, max_age=max_age)


def frame(
    name: str,
    path: str | Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    n: int | None = None,
    *,
    decimal: bool = False,
    strings: bool = False,
    max_age: float | None = None,
) -> pandas.DataFrame:
    """Candles, or rows of a log such as trades, as a pandas DataFrame: see `tables.table`. The rest is as with `get`.

    Quantities are float64; with `decimal` they are decimal.Decimal, with `strings` the exchange's own text. It needs
    pandas: `pip install 'okws_celery[pandas]'`.
    """
    return _default_reader().frame(name, path, params, n, decimal=decimal, strings=strings, max_age=max_age)


def status(name: str) -> dict[str, Any]:
    """`{"status", "code", "msg", "hint"}` of a session.

    `status` is READY, CONNECTED, DISCONNECTED, REFUSED, EXIT, or "" if there is no such session or its worker died;
    the others say what the exchange answered where it refused the login, and what can be done about it.
    """
    return _default_reader().status(name)


def servers() -> list[str]:
    """The names of the sessions that are open and held by a worker."""
    return _default_reader().servers()


def topics(name: str) -> dict[str, dict[str, Any]]:
    """Topic -> `{"state": "pending" | "live" | "stale" | "refused", "since": ms, "reason": ..., "seen": ms}`."""
    return _default_reader().topics(name)


class Reader:
    """The same for other settings, or on a Redis client of one's own. Safe for threads."""

    def __init__(self, settings: Settings | None = None, redis_client: redis.Redis | None = None) -> None:
        self.settings = settings or load()
        self.registry = Registry(self.settings, redis_client or client(self.settings.redis_url))

    def get(
        self,
        name: str,
        path: str | Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
        n: int | None = None,
        *,
        max_age: float | None = None,
    ) -> Any:
        """See `query.get`."""
        return self._read(read_of_path(self.settings, name, path, params, n, max_age))

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
        """See `query.frame`."""
        numbers = numbers_of(decimal, strings)
        return self._read(read_of_frame(self.settings, name, path, params, n, numbers, max_age))

    def status(self, name: str) -> dict[str, Any]:
        """See `query.status`."""
        return dict(self._read(read_of_status(self.settings, name)))

    def servers(self) -> list[str]:
        """See `query.servers`."""
        return self.registry.live()

    def topics(self, name: str) -> dict[str, dict[str, Any]]:
        """See `query.topics`."""
        return dict(self._read(read_of_topics(self.settings, name)))

    def _read(self, read: Read) -> Any:
        return fetch(self.registry.redis, self.settings.redis_url, read)


def fetch(client: Any, url: str, read: Read) -> Any:
    """Carry a read out on a client of redis-py, in one round trip; StoreError names the Redis at `url`."""
    try:
        if len(read.commands) == 1:
            return read.shape([client.execute_command(*read.commands[0])])
        with client.pipeline() as pipe:
            for command in read.commands:
                pipe.execute_command(*command)
            replies = pipe.execute()
    except redis.RedisError as problem:
        raise store_error(url, problem) from problem
    return read.shape(replies)


def topic_of_path(path: str | Mapping[str, Any], params: Mapping[str, Any] | None = None) -> tuple[Topic, int | None]:
    """The topic that a path and its parameters mean, and the `n` that may stand among them.

    Of state (orders, positions, balances) a reader may want all that there is, so nothing is required of it.
    """
    if params is not None and not isinstance(params, Mapping):
        raise BadCommand(f'params {params!r}: a dict is accepted, {{"instId": "BTC-USDT"}}')
    given = {_SPELLINGS.get(str(key), str(key)): value for key, value in (params or {}).items()}
    n = given.pop("n", None)
    if isinstance(path, str) and is_v3(path):
        return _v3_topic(path, given), n
    if given and isinstance(path, Mapping):
        return parse_topic({**path, **given}, partial=True), n
    if given and isinstance(path, str) and channel_of(path).known:
        return parse_topic({"channel": path, **given}, partial=True), n
    topic = parse_topic(path, partial=True)
    return (parse_topic({**topic.arg_object, **given}, partial=True) if given else topic), n


def _v3_topic(path: str, given: Mapping[str, Any]) -> Topic:
    """okws gave the filter of a topic as a parameter; under which key matters little, as there is only one."""
    if not given:
        return parse_topic(path)
    unknown = [key for key in given if key not in _FILTERS]
    values = list(dict.fromkeys(str(value) for value in given.values()))
    if unknown or len(values) > 1 or ":" in path:
        raise BadCommand(f"params {dict(given)!r} of {path!r}: one of {', '.join(_FILTERS)} is accepted, and n")
    return parse_topic(f"{path}:{values[0]}")


def read_of_path(
    settings: Settings,
    name: str,
    path: str | Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    n: int | None = None,
    max_age: float | None = None,
) -> Read:
    """A `get` as commands of one round trip and what their replies mean: no I/O, so that any client may use it."""
    if not params and type(name) is type(path) is str and (n is None or type(n) is int):
        data, topic, read = _remembered(settings.prefix, name, path, n)
    else:
        data, topic, read = _planned(settings.prefix, name, path, params, n)
    if max_age is None:
        return read
    if isinstance(max_age, bool) or not isinstance(max_age, int | float) or math.isnan(max_age):
        raise BadCommand(f"max_age {max_age!r}: a number of seconds is accepted")
    return _fresh(read, data, topic, max_age)


def _planned(
    prefix: str, name: str, path: str | Mapping[str, Any], params: Mapping[str, Any] | None, n: int | None
) -> tuple[DataKeys, Topic, Read]:
    data = DataKeys(prefix, check_name(name))
    topic, n_in_params = topic_of_path(path, params)
    n = n_in_params if n is None else n
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise BadCommand(f"n {n!r}: a whole number above 0 is accepted")
    return data, topic, read_of(topic, Route(topic, data.of("")).key, n)


@lru_cache(maxsize=4096)
def _remembered(prefix: str, name: str, path: str, n: int | None) -> tuple[DataKeys, Topic, Read]:
    # Who reads the same again and again pays for Redis only.
    return _planned(prefix, name, path, None, n)


def read_of_frame(
    settings: Settings,
    name: str,
    path: str | Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    n: int | None = None,
    numbers: Numbers = "float",
    max_age: float | None = None,
) -> Read:
    """A `frame` in the same form; BadCommand (80010) before Redis is asked if there can be no table."""
    topic, _ = topic_of_path(path, params)
    check_table(topic)
    read = read_of_path(settings, name, path, params, n, max_age)
    return Read(read.commands, lambda replies: table(topic, read.shape(replies), numbers))


def _fresh(read: Read, data: DataKeys, topic: Topic, max_age: float) -> Read:
    # A topic that names less than a subscription does stands for every topic of its channel.
    whole = topic.v3 is None and any(not dict(topic.arg).get(key) for key in topic.channel.required)
    states: tuple[str | int, ...] = ("HGETALL", data.topics) if whole else ("HGET", data.topics, topic.text)
    seens: tuple[str | int, ...] = ("HGETALL", data.seen) if whole else ("HGET", data.seen, topic.text)

    def shape(replies: list[Any]) -> Any:
        word, told, seen = replies[-3:]
        if word not in _ALIVE:
            raise Stale(f"{topic.text}: session {data.name} is {word or 'not there'}")
        if whole:
            told = {text: state for text, state in told.items() if text.partition(":")[0] == topic.channel.name}
        else:
            told, seen = {topic.text: told} if told else {}, {topic.text: seen}
        if not told:
            raise Stale(f"{topic.text}: not subscribed")
        for text, state in told.items():
            _check_age(text, json.loads(state), int(seen.get(text) or 0), max_age)
        return read.shape(replies[:-3])

    return Read([*read.commands, ("GET", data.status), states, seens], shape)


def _check_age(text: str, state: dict[str, Any], seen_ms: int, max_age: float) -> None:
    if state["state"] != "live":
        raise Stale(f"{text}: {state['state']}" + (f", {state['reason']}" if state.get("reason") else ""))
    age_s = time.time() - seen_ms / 1000
    if age_s > max_age:
        raise Stale(f"{text}: last heard of {f'{age_s:.1f} s ago' if seen_ms else 'never'}")


def read_of_status(settings: Settings, name: str) -> Read:
    name = check_name(name)
    keys, data = ControlKeys(settings.namespace, name), DataKeys(settings.prefix, name)

    def shape(replies: list[Any]) -> dict[str, Any]:
        word, (code, msg, hint) = replies
        refused = word == "REFUSED"
        return {
            "status": word or "",
            "code": int(code or 0) if refused else 0,
            "msg": msg or "" if refused else "",
            "hint": hint or "" if refused else "",
        }

    return Read([("GET", data.status), ("HMGET", keys.session, "code", "msg", "hint")], shape)


def read_of_topics(settings: Settings, name: str) -> Read:
    data = DataKeys(settings.prefix, check_name(name))

    def shape(replies: list[Any]) -> dict[str, dict[str, Any]]:
        states, seen = replies
        return {
            topic: json.loads(text) | ({"seen": int(seen[topic])} if topic in seen else {})
            for topic, text in sorted(states.items())
        }

    return Read([("HGETALL", data.topics), ("HGETALL", data.seen)], shape)


_VARIABLES = ("OKWS_REDIS_URL", "OKWS_CONFIG", "OKWS_PREFIX", "OKWS_NAMESPACE")
_readers: dict[tuple[str | None, ...], Reader] = {}


def _default_reader() -> Reader:
    given = tuple(os.environ.get(variable) for variable in _VARIABLES)
    reader = _readers.get(given)
    if reader is None:
        reader = _readers.setdefault(given, Reader())
    return reader
