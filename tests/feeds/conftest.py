"""A bench on which a feed is given pushes and a real Redis is looked at."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import hiredis
import pytest

from okws_celery.feeds import BadPush, Feed, Limits, Read, Route, feed_of, read_of
from okws_celery.okx.messages import Push, decode
from okws_celery.okx.topics import Topic, parse_topic
from okws_celery.store.batch import Batch

BASE = "okex/N/"


class Bench:
    """One feed, one batch under way, and what readers of that Redis see."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._store = _Wire(where.hostname or "127.0.0.1", where.port or 6379)
        self._listener = _Wire(where.hostname or "127.0.0.1", where.port or 6379)
        self._listener.call("PSUBSCRIBE", "*")
        self.batch = Batch()
        self.topic: Topic
        self.route: Route
        self.feed: Any

    def start(self, topic: object, *, prepare: bool = True, publish_rows: bool = True, **limits: int) -> Feed:
        """A new feed for a topic, as after the start of a session."""
        self.topic = topic if isinstance(topic, Topic) else parse_topic(topic)
        self.route = Route(self.topic, BASE, publish_rows, Limits(**limits))
        self.feed = feed_of(self.route)
        if prepare:
            self.feed.prepare(self.batch)
            self.flush()
            self.flush()
        return self.feed

    def push(self, *rows: Any, flush: bool = True, **envelope: Any) -> str:
        """Give the feed a push with these rows; what `write` returned. The batch goes to Redis unless told not to."""
        message = {"arg": self.topic.arg_object, **envelope, "data": list(rows)}
        return self.push_frame(json.dumps(message, separators=(",", ":")).encode(), flush=flush)

    def push_frame(self, frame: bytes, *, flush: bool = True) -> str:
        """Give the feed a frame as the exchange sent it."""
        push = decode(frame)
        assert isinstance(push, Push)
        said = self.feed.write(self.batch, push)
        if flush:
            self.flush()
        return str(said)

    def refuses(self, *rows: Any, **envelope: Any) -> str:
        """The text of the BadPush that these rows raise; nothing of them must be in the batch."""
        before = len(self.batch.writes), len(self.batch.publishes)
        with pytest.raises(BadPush) as caught:
            self.push(*rows, flush=False, **envelope)
        assert (len(self.batch.writes), len(self.batch.publishes)) == before, "half of a refused push was written"
        return str(caught.value)

    def flush(self) -> list[Any]:
        """Send the batch as one transaction and hand its replies out; errors in it fail the test."""
        replies = self.flush_raw()
        assert not [reply for reply in replies if isinstance(reply, Exception)], replies
        return replies

    def flush_raw(self) -> list[Any]:
        """As `flush`, with errors among the replies."""
        commands, asked = self.batch.seal()
        if not commands:
            return []
        whole = self._store.send_packed(
            [hiredis.pack_command(("MULTI",)), *commands, hiredis.pack_command(("EXEC",))], len(commands) + 2
        )
        replies = whole[-1]
        assert isinstance(replies, list), whole
        for at, handler in asked.items():
            handler(replies[at])
        return replies

    def ask(self, *command: str | int | bytes) -> Any:
        """The reply to one command, decoded."""
        return _decoded(self._store.call(*command))

    def hash(self, key: str = "") -> dict[str, str]:
        """A hash, by default the feed's."""
        flat = self.ask("HGETALL", key or self.route.key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def stream(self, key: str = "") -> list[tuple[str, str]]:
        """(entry id, data) of a stream, by default the feed's."""
        return [(entry[0], entry[1][1]) for entry in self.ask("XRANGE", key or self.route.key, "-", "+")]

    def read(self, topic: object = None, n: int | None = None) -> Any:
        """What a reader of the topic gets."""
        wanted = self.topic if topic is None else parse_topic(topic)
        read: Read = read_of(wanted, Route(wanted, BASE).key, n)
        return read.shape([self._store.call(*command) for command in read.commands])

    def published(self) -> list[tuple[str, str]]:
        """(channel, payload) of everything published since the last call, in order."""
        # Publishes reach a subscriber in the order of its commands' replies, so behind the pong nothing is missing.
        messages = []
        while (reply := self._listener.read_after_ping()) is not None:
            messages.append((_decoded(reply[2]), _decoded(reply[3])))
        return messages

    def close(self) -> None:
        """Close both connections."""
        self._store.close()
        self._listener.close()


class _Wire:
    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=10)
        self._reader = hiredis.Reader()
        self._pinged = False

    def call(self, *command: str | int | bytes) -> Any:
        return self.send_packed([hiredis.pack_command(command)], 1)[0]

    def send_packed(self, commands: list[bytes], count: int) -> list[Any]:
        self._socket.sendall(b"".join(commands))
        return [self._read() for _ in range(count)]

    def read_after_ping(self) -> Any:
        """The next message, or None when the pong of the ping that was sent first is reached."""
        if not self._pinged:
            self._socket.sendall(hiredis.pack_command(("PING",)))
            self._pinged = True
        reply = self._read()
        if reply[0] == b"pong":
            self._pinged = False
            return None
        return reply

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> Any:
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(1 << 16)
            assert data, "Redis closed the connection"
            self._reader.feed(data)
        return reply


def _decoded(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_decoded(item) for item in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


@pytest.fixture
def bench(redis_url: str) -> Iterator[Bench]:
    """A bench on an empty Redis."""
    made = Bench(redis_url)
    yield made
    made.close()
