"""A session held in a thread of the test: what a worker does, without a worker."""

from __future__ import annotations

import threading
import time
from typing import Any

import redis

from okws_celery.errors import Answer
from okws_celery.keys import ControlKeys, DataKeys
from okws_celery.okx.login import Credentials
from okws_celery.session import Ending, Plan, Session
from okws_celery.session.clock import Clock
from okws_celery.settings import Settings
from okws_celery.store.fence import new_token
from okws_celery.store.registry import DEFAULT_OWNER, Command, Registry, now_ms

DEMO = Credentials("demo", "demo-secret", "demo-pass")


class FastClock(Clock):
    """Unix time that runs `speed` times as fast from the beginning on: an hour of silence need not be waited for.

    What waits for sockets goes by monotonic time, which is left alone.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._begin, self._begin_time = time.monotonic(), time.time()
        super().__init__()

    @property
    def behind(self) -> float:
        """Grows with every look at `now`, not with each `read` alone: half a second between two is 15 s here."""
        return self._begin_time + (self.now - self._begin) * self._speed - self.now

    @behind.setter
    def behind(self, seconds: float) -> None:
        """What this machine's clocks say is not asked for."""


class Held:
    """One running session and what a test wants to know of it."""

    def __init__(
        self,
        redis_url: str,
        ws_url: str,
        name: str = "tests",
        credentials: Credentials | None = None,
        registry_url: str = "",
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        """`registry_url` is for a test that puts something between the session and its Redis."""
        settings = Settings(
            redis_url=redis_url,
            ws_url=ws_url,
            rest_url=options.pop("rest_url", ""),
            ca_file=options.pop("ca_file", ""),
            backfill=options.pop("backfill", 300),
            deflate=options.pop("deflate", False),
        )
        self.registry = Registry(settings.with_(redis_url=registry_url or redis_url))
        self.redis: redis.Redis = self.registry.redis
        self.name = name
        self.data: DataKeys = self.registry.data(name)
        self.keys: ControlKeys = self.registry.keys(name)
        self.token = new_token("w1")
        self.statuses: list[str] = []
        self.ending: Ending | None = None
        assert self.registry.acquire(name, self.token)
        ticket = self.registry.draw_ticket(name)
        record = self.registry.open(name, ticket=ticket, task_id=f"task-{ticket}", options=options)
        assert record is not None
        plan = Plan(name, self.token, record, credentials, "w1", reply_id="opening")
        session = Session(plan, settings, Registry(settings), self.statuses.append, clock=clock)
        self._thread = threading.Thread(target=self._hold, args=(session,), daemon=True)
        self._thread.start()

    def _hold(self, session: Session) -> None:
        self.ending = session.run()

    def opened(self, timeout: float = 10.0) -> Answer | None:
        """The answer that open_ws waits for."""
        return self.registry.wait_reply(self.name, "opening", timeout)

    def subscribe(
        self, *topics: str, owner: str = DEFAULT_OWNER, ttl_s: float | None = None, wait: float = 10.0
    ) -> Answer:
        """Subscribe and wait for the exchange's answer; {} if none came."""
        command = Command("subscribe", now_ms() + int(wait * 1000), topics=list(topics))
        self.registry.want(self.name, topics, owner, ttl_s, command)
        return self.registry.wait_reply(self.name, command.id, wait) or {}

    def unsubscribe(self, *topics: str, owner: str = DEFAULT_OWNER, wait: float = 10.0) -> Answer:
        """Unsubscribe and wait for the exchange's answer; {} if none came."""
        command = Command("unsubscribe", now_ms() + int(wait * 1000), topics=list(topics))
        self.registry.unwant(self.name, topics, owner, command)
        return self.registry.wait_reply(self.name, command.id, wait) or {}

    def topic(self, text: str) -> dict[str, Any]:
        """What okex/N/topics says of a topic."""
        import json

        return dict(json.loads(self.redis.hget(self.data.topics, text) or "{}"))

    def join(self, timeout: float = 10.0) -> Ending | None:
        """Wait until the session has ended."""
        self._thread.join(timeout)
        return self.ending

    def close(self, timeout: float = 10.0) -> Ending | None:
        """close_ws."""
        self.registry.close(self.name)
        return self.join(timeout)
