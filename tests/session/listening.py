"""What was published on a session's channels, as a reader sees it."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

import redis


class Listener:
    """Collects messages of some channels from the moment it is made."""

    def __init__(self, url: str, *channels: str) -> None:
        self._client = redis.Redis.from_url(url, decode_responses=True)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=False)
        self._pubsub.subscribe(*channels)
        for _ in channels:
            self._pubsub.get_message(timeout=5)
        self._messages: list[dict[str, Any]] = []

    def messages(self, channel: str = "") -> list[dict[str, Any]]:
        """Everything so far, decoded, of one channel if one is given."""
        while (message := self._pubsub.get_message(timeout=0.01)) is not None:
            if message["type"] == "message":
                self._messages.append(message)
        return [json.loads(m["data"]) for m in self._messages if channel in ("", m["channel"])]

    def ops(self, *kinds: str) -> list[dict[str, Any]]:
        """Our own events of these kinds."""
        return [message for message in self.messages() if message.get("op") in kinds]

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pubsub.close()
        self._client.close()
