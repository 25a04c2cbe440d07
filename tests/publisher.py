"""What a session writes and publishes, without a session: its board and feeds on a real Redis."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Any, Self

import redis

from okws_celery.feeds import Limits
from okws_celery.keys import DataKeys
from okws_celery.okx.messages import Push, decode
from okws_celery.okx.topics import parse_topic
from okws_celery.session.board import Board
from okws_celery.store.batch import Batch, pack

__all__ = ["Publisher"]


class Publisher:
    """Pushes go to Redis one by one, each in a transaction of its own, unless `together` collects them."""

    def __init__(self, url: str, name: str = "s1", publish: str = "both", **limits: int) -> None:
        self.redis: Any = redis.Redis.from_url(url)
        self.board = Board(DataKeys("okex", name), publish, Limits(**limits))
        self._batch = Batch()
        self.redis.set(f"okws/{{{name}}}/counters", json.dumps({"publish": publish}))

    def subscribe(self, *topics: str) -> None:
        """As if the exchange had acknowledged these topics."""
        for text in topics:
            topic = parse_topic(text)
            self.board.add(self._batch, topic, _now_ms())
            self.flush()
            self.flush()
            self.board.acknowledged(self._batch, topic.arg, _now_ms(), 1)
        self.flush()

    def push(self, topic: str, *rows: Any, flush: bool = True, **envelope: Any) -> None:
        """As if the exchange had sent this push."""
        message = {"arg": parse_topic(topic).arg_object, **envelope, "data": list(rows)}
        frame = json.dumps(message, separators=(",", ":")).encode()
        push = decode(frame)
        assert isinstance(push, Push)
        self.board.push(self._batch, push, frame, _now_ms(), 1)
        if flush:
            self.flush()

    def broken(self, topic: str, reason: str = "link lost") -> None:
        """As if the link of a topic had been lost."""
        self.board.broken(self._batch, parse_topic(topic).arg, reason, _now_ms())
        self.flush()

    def hold(self, topic: str) -> None:
        """As if REST had been asked for what is missing of a log or of candles."""
        entry = self.board.get(topic)
        assert entry is not None
        assert entry.refillable is not None
        entry.refilling = True
        entry.refillable.hold()

    def fill(self, topic: str, *rows: Any) -> None:
        """As if REST had given these rows."""
        entry = self.board.get(topic)
        assert entry is not None
        assert entry.refillable is not None
        filled = entry.refillable.fill(self._batch, [json.dumps(row).encode() for row in rows])
        self.board.refilled(self._batch, entry, complete=filled.complete, first_ts=filled.first_ts)
        self.flush()

    def flush(self) -> None:
        """Send what was collected as one transaction."""
        commands, asked = self._batch.seal()
        if not commands:
            return
        connection = self.redis.connection_pool.get_connection()
        try:
            connection.send_packed_command([pack("MULTI"), *commands, pack("EXEC")])
            *_, replies = [connection.read_response() for _ in range(len(commands) + 2)]
        finally:
            self.redis.connection_pool.release(connection)
        for at, handler in asked.items():
            handler(replies[at])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.redis.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
