"""One accepted WebSocket connection: it sends frames whole, byte by byte or not at all, and can be cut in many ways."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from okws_celery.okx.topics import Arg
from okws_celery.simulator.frames import PING, TEXT, Encode, Message, frame, text_frame
from okws_celery.simulator.protocol import Conversation, Offer, Step
from okws_celery.simulator.v3 import V3Conversation

__all__ = ["CLOSE_TEXTS", "Connection", "Subscription"]

CLOSE_TEXTS = {
    1009: "Max frame length of 65536 has been exceeded.",
    4001: "Login Failed",
    4002: "Invalid Request",
    4003: "APIKey subscription amount exceeds the limit 100",
    4004: "No data received in 30s",
    4005: "Buffer is full, cannot write data",
    4006: "Abnormal disconnection",
    4007: "API key has been updated or deleted. Please reconnect.",
    4008: "The number of subscribed channels exceeds the maximum limit.",
    4009: "The number of subscription channels for this connection exceeds the limit",
}
"""What OKX says with each close code (PROTOCOL 2.5)."""

_MOST_WAITING = 16 * 1024 * 1024
"""Bytes that may wait for a slow reader before the connection is closed with 4005."""
_STEADY = 256 * 1024
"""Bytes that may wait before a replay at full speed pauses."""
_GOODBYE_S = 3.0
_LOOK_S = 1.0
_TCP_ESTABLISHED = 1
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class Subscription:
    """One argument on one connection. Pushes go out while it is `flowing` and not `dead`."""

    offer: Offer
    connection: Connection
    flowing: bool = False
    dead: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Connection:
    """What is known of one client, and the way to it. It belongs to the event loop."""

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, conversation: Conversation | V3Conversation
    ) -> None:
        self.conversation = conversation
        self.path = conversation.path
        self.conn_id = conversation.conn_id
        self.opened_s = time.monotonic()
        self.subscriptions: dict[Arg, Subscription] = {}
        self.pending: dict[Arg, Step] = {}
        """Subscriptions whose ack has not gone out yet."""
        self.last_sent_s = time.monotonic()
        self.pings = 0
        """Text pings received."""
        self.pongs = 0
        """Right answers to protocol pings, in the order of the pings."""
        self.close_code: int | None = None
        """What ended it, as far as a close frame said so, the client's or ours."""
        self.closed_by_client = False
        self.closed = False
        self.encode: Encode = text_frame
        """How this client wants its messages."""
        self._pings: deque[bytes] = deque()
        self._ws = ws
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: bytearray | None = None
        """What waits for the end of a stall; None if there is none."""
        self._mute = False
        self._drops = bytearray()
        self._dripping: asyncio.Task[None] | None = None
        self._pause_s: float | None = None
        self._running = asyncio.Event()
        self._running.set()
        self._closing: asyncio.Task[object] | None = None

    # -- sending

    def send_text(self, text: str) -> None:
        """Send one message."""
        self.send(self.encode(text))

    def send_message(self, message: Message) -> None:
        """Send one message that others may be sent, too."""
        self.send(message.framed(self.encode))

    def send(self, framed: bytes) -> None:
        """Send what is framed already, in whatever way this connection sends at the moment."""
        if self.closed or self._mute or self._transport.is_closing():
            return
        self.last_sent_s = time.monotonic()
        if self._held is not None:
            self._held += framed
            if len(self._held) > _MOST_WAITING:
                self.close(4005)
        elif self._dripping is not None or self._pause_s is not None:
            self._drops += framed
            if self._dripping is None:
                self._dripping = self._loop.create_task(self._drip())
            if len(self._drops) > _MOST_WAITING:
                self.close(4005)
        else:
            self._transport.write(framed)
            if self._transport.get_write_buffer_size() > _MOST_WAITING:
                self.close(4005)

    def ping(self, count: int) -> None:
        """Send `count` protocol pings in one write; `pongs` counts the answers."""
        payloads = [f"{self.conn_id}-{number}".encode() for number in range(count)]
        self._pings.extend(payloads)
        self.send(b"".join(frame(PING, payload) for payload in payloads))

    def ponged(self, payload: bytes) -> None:
        """The client answered a protocol ping. It may answer only the latest of several (RFC 6455, 5.5.3)."""
        if payload in self._pings:
            while self._pings.popleft() != payload:
                pass
            self.pongs += 1

    async def steady(self) -> None:
        """Wait while much is on its way to the reader, so that no more is sent than it takes."""
        while not self.closed and self._waiting() > _STEADY:
            await asyncio.sleep(0.002)

    def _waiting(self) -> int:
        return self._transport.get_write_buffer_size() + len(self._drops) + len(self._held or b"")

    # -- misbehaving

    async def running(self) -> None:
        """Wait while the connection is stalled: what was received is not looked at."""
        await self._running.wait()

    def stall(self, seconds: float) -> None:
        """Read and send nothing for a while; then everything that waited."""
        if self._held is None and not self.closed and not self._transport.is_closing():
            self._held = bytearray()
            self._pause_reading()
            self._loop.call_later(seconds, self._go_on)

    def half_open(self) -> None:
        """Read and send nothing any more, as if the line were dead: no FIN, no answer, until its client goes."""
        if not self.closed and not self._mute and not self._transport.is_closing():
            self._mute = True
            self._pause_reading()
            self._look_for_client()

    def trickle(self, pause_s: float | None) -> None:
        """Send one byte at a time from now on; None ends it once what waits has gone out."""
        self._pause_s = pause_s

    @property
    def is_half_open(self) -> bool:
        """Nothing is read or sent any more."""
        return self._mute

    def truncate(self) -> None:
        """Promise a text of 1,000 bytes, send some of it, and end the stream."""
        self.send(frame(TEXT, b'{"arg":{"channel":"tickers"' + b" " * 973)[:40])
        self.drop("fin")

    def drop(self, how: str) -> None:
        """Cut the connection without a close frame: `fin` ends the stream in order, `rst` resets it."""
        if self.closed and how == "fin":
            return
        self.closed = True
        self._running.set()
        if how == "rst":
            raw = self._socket()
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()
        else:
            self._transport.close()

    def close(self, code: int, text: str = "") -> None:
        """Say goodbye with a close code, OKX's text if none is given, and end; who is half-open stays as it is."""
        if not self.closed and not self._mute:
            self.closed = True
            self.close_code = code
            self._running.set()
            self._closing = self._loop.create_task(self._say_goodbye(code, text or CLOSE_TEXTS.get(code, "")))

    async def _say_goodbye(self, code: int, text: str) -> None:
        if self._dripping is not None:
            self._dripping.cancel()
            self._transport.write(bytes(self._drops))  # a close frame cannot stand inside another
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._ws.close(code=code, message=text.encode())
        except TimeoutError:
            self._transport.abort()  # who does not read is not waited for
        else:
            self._transport.close()

    async def _drip(self) -> None:
        while self._drops and not self.closed:
            self._transport.write(bytes(self._drops[:1]))
            del self._drops[:1]
            await asyncio.sleep(self._pause_s or 0.0)
        self._dripping = None

    def _look_for_client(self) -> None:
        """Who is not read cannot be seen to go, but the kernel knows; where it does not tell, as on macOS, he stays."""
        if self.closed:
            return
        raw, gone = self._socket(), self._transport.is_closing()
        if raw is not None and hasattr(socket, "TCP_INFO"):
            gone = gone or raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _TCP_ESTABLISHED
        if gone:
            self.drop("rst")
        else:
            self._loop.call_later(_LOOK_S, self._look_for_client)

    def _socket(self) -> socket.socket | None:
        try:
            found: socket.socket | None = self._transport.get_extra_info("socket")
        except AttributeError:  # so says a TLS transport of Python 3.11 that is gone
            found = None
        return found

    def _pause_reading(self) -> None:
        self._running.clear()
        self._transport.pause_reading()

    def _go_on(self) -> None:
        held, self._held = bytes(self._held or b""), None
        if self.closed or self._mute:
            return
        self._running.set()
        if self._transport.is_closing():
            return  # the client has gone meanwhile
        self._transport.resume_reading()
        if held:
            self.send(held)
