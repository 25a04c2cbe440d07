"""The open connection of a link: what comes from its socket, cut into messages, and what waits to be sent on it."""

from __future__ import annotations

import ssl
from typing import Any

from okws_celery.okx.frames import ROOM, FrameScanner, RawFrame
from okws_celery.okx.messages import PONG
from okws_celery.session.raw_frames import FrameSocket, LinkLost, RawReader

__all__ = ["LinkLost", "Stream"]

# Bytes to be read at once. A small room stays in the processor's cache; in a large one a burst takes fewer reads.
_LARGE_ROOM = 4 * ROOM
_RECORD = 16 * 1024  # bytes; the most that a read of a TLS connection brings (RFC 8446, 5.1)
_MAX_UNSENT = 1024 * 1024


class Stream:
    """Owned by the session's loop. From here on the socket does not block."""

    __slots__ = (
        "_encrypted",
        "_problem",
        "_raw",
        "_room",
        "_scanner",
        "_shim",
        "_sock",
        "_ws",
        "bytes",
        "frames",
        "heard_at",
        "plain",
        "recv",
        "serial",
        "unread",
    )

    def __init__(self, ws: Any, serial: int, now: float, *, compressed: bool) -> None:
        """`ws`: a connected websocket.WebSocket, whose types do not admit a stand-in for its socket."""
        self.serial = serial
        """Of its link."""
        self.heard_at = now
        """When something last came."""
        self.bytes = 0
        self.frames = 0
        self.unread = False
        """Whether there is more to read, which may wake nobody."""
        self._ws = ws
        self._sock = ws.sock
        self._sock.setblocking(False)
        self.recv = self._sock.recv
        """Of its socket; who reads so, as may be done while it is `plain`, says what came (`received`)."""
        self._encrypted = isinstance(self._sock, ssl.SSLSocket)
        self._room = _RECORD if self._encrypted else ROOM
        self._shim = ws.sock = FrameSocket()
        self._scanner = FrameScanner()
        self._raw = RawReader(ws, self._shim, compressed=compressed)
        # Why nothing can be read any more.
        self._problem = ""
        self.plain = not self._encrypted
        """Whether whatever comes next is the beginning of a frame, and ROOM bytes may be read at once."""

    def fileno(self) -> int:
        """For the poller."""
        return int(self._sock.fileno())

    def close(self) -> None:
        """Close the socket at once."""
        self._sock.close()

    # -- reading

    def read(self, now: float) -> list[bytes]:
        """The messages that one read of the socket completes; `unread` says whether to read once more.

        LinkLost when there will be no more, after what came before.
        """
        if self.unread:
            self.unread = False
            if self._problem:
                raise LinkLost(self._problem)
        try:
            data = self.recv(self._room)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return []
        except OSError as problem:
            raise LinkLost(str(problem)) from problem
        return self.received(data, now)

    def received(self, data: bytes, now: float) -> list[bytes]:
        """The same of what one read of the socket has brought."""
        if not data:
            raise LinkLost("the exchange closed the connection")
        self.heard_at = now
        size = len(data)
        self.bytes += size
        scanner = self._scanner
        frames = scanner.take(data)
        self.frames += len(frames)
        if scanner.unusual or PONG in frames:
            frames = self._told_apart(frames)
        if scanner.refused:
            self._problem = self._problem or scanner.refused
        if self._encrypted:
            # What waits inside the TLS object no poller sees; and behind a long record there is often another.
            more = size >= ROOM or self._sock.pending() > 0
        else:
            more = size >= self._room
            self._room = _LARGE_ROOM if more else ROOM
        if more or self._problem:
            self.unread = True
        self.plain = not (self.unread or self._encrypted or scanner.waits or scanner.refused)
        return frames

    def _told_apart(self, frames: list[bytes]) -> list[bytes]:
        """The messages among frames of which some are none, or not whole ones; what ends them is left for `read`."""
        messages = []
        try:
            for frame in frames:
                message = self._raw.message(frame) if isinstance(frame, RawFrame) else frame
                if message is not None and message != PONG:
                    messages.append(message)
            if self._shim.outbox:
                self.writable()
        except LinkLost as problem:
            self._problem = str(problem)
        return messages

    # -- sending

    def send(self, text: str) -> None:
        """Send one text frame; LinkLost if the exchange has stopped reading."""
        self._ws.send(text)
        self.writable()

    def send_close(self) -> None:
        """Send a close frame."""
        self._ws.send_close()
        self.writable()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait because the socket was full."""
        return bool(self._shim.outbox)

    def writable(self) -> None:
        """Send what waits, as far as the socket takes it."""
        outbox = self._shim.outbox
        try:
            while outbox:
                del outbox[: self._sock.send(outbox)]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if len(outbox) > _MAX_UNSENT:
                raise LinkLost("the exchange does not read what we send") from None
        except OSError as problem:
            raise LinkLost(str(problem)) from problem
