"""What an operator sees: `inspect sessions`, Flower and events; and what nobody sees, which is a secret."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import redis
from houses import ACCOUNT, CELERY, Finished, House, Shared
from waiting import eventually
from workers import Worker

from okws_celery.celery import make_app
from okws_celery.errors import BAD_COMMAND, DONE
from okws_celery.settings import load
from okws_celery.sync import Client

SECRETS = (ACCOUNT["secret"], ACCOUNT["password"])


class TestInspect:
    def test_sessions(self, shared: Shared, name: str) -> None:
        """Status, links, topics and counters of a session that is named."""
        shared.client.open_ws(name)
        shared.client.subscribe(name, "tickers:BTC-USDT")
        eventually(lambda: _inspected(shared.house, name)["counters"].get("pushes"))
        seen = _inspected(shared.house, name)
        assert seen["status"] == "CONNECTED"
        assert seen["holder"].startswith(shared.worker.name)
        assert seen["links"]["public"]["state"] == "up"
        assert seen["links"]["public"]["frames"] > 0
        assert seen["topics"]["tickers:BTC-USDT"]["state"] == "live"
        shared.client.close_ws(name)

    def test_wrong_name(self, shared: Shared) -> None:
        """A name that nobody has is said to be none."""
        shown = shared.house.celery("inspect", "sessions", "nobody")
        assert shown.status == 0
        assert "no session 'nobody'" in shown.output

    def test_nothing_open(self, house: House, start: Callable[..., Worker]) -> None:
        """A worker without sessions says so."""
        start()
        shown = eventually(lambda: _answered(house.celery("inspect", "sessions")))
        assert "no session is open in this worker" in shown

    def test_no_worker(self, house: House) -> None:
        """Nobody there to ask is one line, as Celery says it."""
        shown = house.celery("inspect", "sessions")
        assert shown.status != 0
        assert "Traceback" not in shown.output + shown.errors


class TestSecrets:
    """Keys of the account, whose values are looked for everywhere."""

    def test_nowhere(self, house: House, start: Callable[..., Worker], client: Client) -> None:
        """Neither in Redis, nor in the worker's log at debug, nor in events, nor in what `inspect` shows."""
        worker = start(OKWS_PROFILE_DESK=json.dumps(ACCOUNT))
        with Events(house) as events:
            assert client.open_ws("client", ACCOUNT)["errorCode"] == DONE
            assert client.open_ws("profile", profile="desk")["errorCode"] == DONE
            assert client.open_ws("refused", ACCOUNT | {"apiKey": "nobody"})["errorCode"] == 60005
            house.python(f"""
                from okws_celery import tasks
                tasks.open_ws.delay("task", {ACCOUNT!r}, proxy="")
                tasks.open_ws.apply_async(kwargs={{"name": "kwargs", "auth_params": {ACCOUNT!r}}})
                assert tasks.subscribe.delay("task", "account").get(timeout=20)["errorCode"] == 80000
                assert tasks.subscribe.delay("kwargs", "orders:ANY").get(timeout=20)["errorCode"] == 80000
            """)
            eventually(lambda: {"client", "profile", "task", "kwargs"} <= events.connected())
        inspected = house.celery("inspect", "active").output + house.celery("inspect", "sessions").output
        assert "okws_celery.tasks.open_ws" in inspected
        assert worker.stop() == 0
        places = {
            "redis": _everything(house.redis_url),
            "log": worker.text(),
            "events": json.dumps(events.seen),
            "inspect": inspected,
        }
        assert "okws-sealed" in places["redis"]
        for place, text in places.items():
            for secret in SECRETS:
                assert secret not in text, place

    def test_sent_in_clear(self, shared: Shared, name: str) -> None:
        """Credentials that come in clear, by send_task, are refused and not repeated."""
        app = make_app(load(shared.house.variables))
        app.send_task(
            "okws_celery.tasks.open_ws", (name, ACCOUNT), {"reply_to": "mine"}, argsrepr="...", ignore_result=True
        )
        said = shared.registry.wait_reply(name, "mine", 10)
        assert said is not None
        assert said["errorCode"] == BAD_COMMAND
        assert "in clear" in said["message"]
        assert not any(secret in said["message"] for secret in SECRETS)
        assert shared.registry.session(name) is None
        app.close()

    def test_wrong_arguments_by_send_task(self, shared: Shared) -> None:
        """A call that does not fit is answered, not a traceback."""
        app = make_app(load(shared.house.variables))
        said = app.send_task("okws_celery.tasks.subscribe", ("x",)).get(timeout=20)
        assert said["errorCode"] == BAD_COMMAND
        assert "topic" in said["message"]
        app.close()


class TestFlower:
    def test_sessions_are_listed(
        self, house: House, start: Callable[..., Worker], client: Client, free_port: Callable[[], int]
    ) -> None:
        """A Flower that starts after the sessions lists them within a minute, by name, connected, without secrets."""
        pytest.importorskip("flower")
        start()
        assert client.open_ws("early", ACCOUNT)["errorCode"] == DONE
        port = free_port()
        options = ("flower", f"--port={port}", "--address=127.0.0.1")
        with house.running("flower", *CELERY, *options, FLOWER_UNAUTHENTICATED_API="1"):
            url = f"http://127.0.0.1:{port}/api/tasks"
            listed = eventually(lambda: _tasks_in_flower(url, "early"), timeout=70, what="the session is in Flower")
        assert [task["state"] for task in listed] == ["CONNECTED"]
        assert not any(secret in json.dumps(listed) for secret in SECRETS)


def test_heartbeats(house: House, start: Callable[..., Worker]) -> None:
    """A worker beats every 5 s, or as often as its command line says, says how often, and listens to no other's."""
    usual, told = start(), start("--heartbeat-interval", "3")
    with Events(house) as events:
        expected = {usual.name: 5.0, told.name: 3.0}
        eventually(lambda: events.intervals() == expected, timeout=30, what="heartbeats of both")
    assert "Starting Heart" in usual.text()
    assert "Starting Gossip" not in usual.text()


class Events:
    """All Celery events while it lasts."""

    def __init__(self, house: House) -> None:
        self._app = make_app(load(house.variables))
        self._connection = self._app.connection_for_read()
        self._receiver = self._app.events.Receiver(self._connection, handlers={"*": self._take})
        self._thread = threading.Thread(target=self._receiver.capture, daemon=True)
        self.seen: list[dict[str, Any]] = []

    def connected(self) -> set[str]:
        """The names of the sessions of which it was said that they are connected."""
        return {event["args"].strip("(),'") for event in list(self.seen) if event["type"] == "task-connected"}

    def heard(self) -> list[dict[str, Any]]:
        """Heartbeats, also those that were asked for."""
        return [event for event in list(self.seen) if event["type"] == "worker-heartbeat"]

    def intervals(self) -> dict[str, float]:
        """Worker -> how often it says that it beats, s. A beat that was asked for always says 5, and not `active`."""
        return {event["hostname"]: event["freq"] for event in self.heard() if "active" in event}

    def _take(self, event: dict[str, Any]) -> None:
        self.seen.append(event)

    def __enter__(self) -> Events:
        self._thread.start()
        # The receiver asks the workers to speak up once it listens; if that is too early, there is a next time.
        eventually(self.heard, timeout=30, what="a heartbeat")
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        self._thread.join(10)
        self._connection.release()
        self._app.close()


def _inspected(house: House, name: str) -> dict[str, Any]:
    """What `inspect sessions` says of a session."""
    shown = house.celery("inspect", "--json", "sessions", name)
    replies = json.loads(shown.output or "{}") if shown.status == 0 else {}
    return next((reply["ok"][name] for reply in replies.values() if name in reply["ok"]), {"counters": {}})


def _answered(shown: Finished) -> str:
    return shown.output if shown.status == 0 else ""


def _everything(redis_url: str) -> str:
    """All keys of a Redis with all that is in them, as text."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        read = {
            "string": store.get,
            "hash": store.hgetall,
            "list": lambda key: store.lrange(key, 0, -1),
            "set": store.smembers,
            "zset": lambda key: store.zrange(key, 0, -1),
            "stream": store.xrange,
        }
        return "\n".join(f"{key} {read[store.type(key)](key)}" for key in store.scan_iter() if store.exists(key))


def _tasks_in_flower(url: str, session: str) -> list[dict[str, Any]]:
    """The held tasks of a session that Flower knows."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            tasks = json.load(reply).values()
    except OSError:
        return []
    return [
        task for task in tasks if task["name"] == "okws_celery.tasks.open_ws" and f"'{session}'" in str(task["args"])
    ]
