"""Sessions of OKWS_CONFIG over restarts of workers: what is opened, left and closed, and what is none of a file's."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually
from workers import Worker

from okws_celery.errors import DONE
from okws_celery.store.registry import Registry
from okws_celery.sync import Client

ACCOUNT = 'apiKey = "demo"\nsecret = "demo-secret"\npassword = "demo-pass"\n'
ETH, CANDLES, BTC = "tickers:ETH-USDT", "candle1m:ETH-USDT", "tickers:BTC-USDT"


@pytest.fixture
def restart(start: Callable[..., Worker], tmp_path: Path, client: Client) -> Callable[..., Worker]:
    """Stops the worker that uses a config file, if there is one, and starts it with another text in the file."""
    running: dict[str, Worker] = {}

    def restart(text: str | None, file: str = "okws.toml", **variables: str) -> Worker:
        if file in running:
            running.pop(file).stop()
        if text is not None:
            (tmp_path / file).write_text(text)
        running[file] = start(**{"OKWS_CONFIG": str(tmp_path / file), **variables})
        return running[file]

    return restart


def session(name: str, *topics: str, more: str = "") -> str:
    """A session in TOML."""
    return f"[sessions.{name}]\ntopics = {json.dumps(topics)}\n{more}"


def states(client: Client, name: str) -> dict[str, Any]:
    """Topic -> state of a session."""
    return {topic: said["state"] for topic, said in client.topics(name).items()}


def open_with(client: Client, **sessions: list[str]) -> None:
    """Wait until these sessions, and no others, are open and these topics, and no others, are live."""

    def check() -> bool:
        wanted = {name: dict.fromkeys(topics, "live") for name, topics in sessions.items()}
        there = {name: states(client, name) for name in client.servers()["message"]}
        assert there == wanted
        return True

    eventually(check, timeout=60, what=f"open are {sessions}")


def ticks(registry: Registry, worker: Worker, count: int) -> None:
    """Wait until the worker's supervisor has looked so many times more."""
    for _ in range(count):
        before = registry.redis.hget("okws/workers", worker.name)
        eventually(lambda before=before: registry.redis.hget("okws/workers", worker.name) != before, timeout=30)


def test_restart_with_another_file(restart: Callable[..., Worker], client: Client) -> None:
    """What is new is opened, what has left is left and closed; an app's sessions and topics are not touched."""
    restart(session("feed", ETH, CANDLES) + session("old", BTC))
    open_with(client, feed=[ETH, CANDLES], old=[BTC])
    assert client.open_ws("app")["errorCode"] == DONE
    assert client.subscribe("app", BTC)["errorCode"] == DONE
    assert client.subscribe("feed", BTC)["errorCode"] == DONE
    restart(session("feed", ETH) + session("new", BTC))
    open_with(client, feed=[ETH, BTC], new=[BTC], app=[BTC])
    assert client.status("old")["status"] == "EXIT"


def test_server_quit_and_close(restart: Callable[..., Worker], client: Client, registry: Registry) -> None:
    """What was closed stays closed until a worker starts again; then the file holds."""
    worker = restart(session("a", ETH) + session("b", BTC))
    open_with(client, a=[ETH], b=[BTC])
    assert client.close_ws("a")["errorCode"] == DONE
    assert client.server_quit()["errorCode"] == DONE
    ticks(registry, worker, 3)
    open_with(client)
    restart(None)
    open_with(client, a=[ETH], b=[BTC])


def test_two_workers_with_one_file(restart: Callable[..., Worker], client: Client, registry: Registry) -> None:
    """The second finds all done: no session changes hands. When the first is killed, the second takes over."""
    first = restart(session("a", ETH) + session("b", BTC))
    open_with(client, a=[ETH], b=[BTC])
    holders = registry.holders(["a", "b"])
    second = restart(None, "second worker", OKWS_CONFIG=str(first.log.parent / "okws.toml"))
    ticks(registry, second, 3)
    assert registry.holders(["a", "b"]) == holders
    first.process.kill()
    eventually(lambda: all(second.name in one for one in registry.holders(["a", "b"]).values()), timeout=60)
    open_with(client, a=[ETH], b=[BTC])


def test_two_files(restart: Callable[..., Worker], client: Client) -> None:
    """Each looks after its own: of a session in both, only the topics that no file has any more are left."""
    restart(session("one", ETH) + session("both", ETH, BTC), "first.toml")
    restart(session("two", ETH) + session("both", ETH, CANDLES), "second.toml")
    open_with(client, one=[ETH], two=[ETH], both=[ETH, BTC, CANDLES])
    restart("", "second.toml")
    open_with(client, one=[ETH], both=[ETH, BTC])
    restart(session("one", ETH), "first.toml")
    open_with(client, one=[ETH])


def test_refused_for_good(restart: Callable[..., Worker], client: Client, registry: Registry) -> None:
    """A session that OKX refused is left alone, whatever restarts, until its credentials are others."""
    wrong = ACCOUNT.replace("demo-pass", "wrong")
    restart(session("desk", "account", more=wrong))
    eventually(lambda: client.status("desk")["errorCode"] == 60024, timeout=60)
    record = registry.session("desk")
    worker = restart(None)
    ticks(registry, worker, 3)
    assert registry.session("desk") == record
    restart(session("desk", "account", more=ACCOUNT))
    open_with(client, desk=["account"])
    everything = [value for key in registry.redis.scan_iter("*") for value in stored(registry, key)]
    assert not [value for value in everything if "demo-secret" in value or "demo-pass" in value]


def test_other_options(restart: Callable[..., Worker], client: Client, registry: Registry) -> None:
    """With other options in the file the session is opened anew and keeps its topics, an app's as well."""
    restart(session("feed", ETH))
    open_with(client, feed=[ETH])
    assert client.subscribe("feed", BTC)["errorCode"] == DONE
    restart(session("feed", ETH, more='publish = "rows"\n'))
    open_with(client, feed=[ETH, BTC])
    record = registry.session("feed")
    assert record is not None
    assert record.options == {"publish": "rows"}


def test_session_of_an_app(restart: Callable[..., Worker], start: Callable[..., Worker], client: Client) -> None:
    """A name that an app has opened already keeps the app's options; the file's topics come and go."""
    start()
    assert client.open_ws("mine", publish="pushes")["errorCode"] == DONE
    worker = restart(session("mine", ETH, more='publish = "rows"\n'))
    open_with(client, mine=[ETH])
    assert "session mine: opened by an app, whose options it keeps" in worker.text()
    restart("")
    open_with(client, mine=[])


def test_redis_emptied(restart: Callable[..., Worker], client: Client, registry: Registry, tmp_path: Path) -> None:
    """After Redis lost everything, what the file wanted is known again, and closed when it leaves the file."""
    restart(session("a", ETH) + session("b", ETH))
    open_with(client, a=[ETH], b=[ETH])
    registry.redis.flushall()
    file = f"{socket.gethostname()}:{tmp_path / 'okws.toml'}"
    eventually(lambda: registry.redis.hget("okws/configs", file), timeout=30)
    open_with(client, a=[ETH], b=[ETH])
    restart(session("a", ETH))
    open_with(client, a=[ETH])


def test_profile(restart: Callable[..., Worker], client: Client, registry: Registry) -> None:
    """A session that names a profile has no credentials in Redis, not even encrypted ones."""
    profile = '{"apiKey": "demo", "secret": "demo-secret", "password": "demo-pass"}'
    restart(session("desk", "account", more='profile = "desk"\n'), OKWS_PROFILE_DESK=profile)
    open_with(client, desk=["account"])
    record = registry.session("desk")
    assert record is not None
    assert record.options == {"profile": "desk"}


def test_wrong_file(start: Callable[..., Worker], tmp_path: Path) -> None:
    """A worker whose file is wrong does not start, and says in one line what and where."""
    (tmp_path / "okws.toml").write_text(session("a", ETH, "tickerz:BTC-USDT"))
    worker = start(wait=False, OKWS_CONFIG=str(tmp_path / "okws.toml"))
    assert worker.wait(60) == 2
    (line,) = worker.text().strip().splitlines()
    assert "okws.toml, line 2, [sessions.a] topics: topic 'tickerz:BTC-USDT'" in line


def stored(registry: Registry, key: str) -> list[str]:
    """Everything that stands under a key, as text."""
    match registry.redis.type(key):
        case "hash":
            return [text for pair in registry.redis.hgetall(key).items() for text in pair]
        case "list":
            return list(registry.redis.lrange(key, 0, -1))
        case "string":
            return [registry.redis.get(key)]
    return []
