"""What is no whole plain text frame: control frames, fragments, compressed messages, nonsense.

websocket-client judges and joins them; it stands here without its socket, and inflating is ours, as it has none.
"""

from __future__ import annotations

from typing import Any

import websocket

from okws_celery.okx.deflate import MAX_TEXT, BadDeflate, Inflater, TextTooBig
from okws_celery.okx.frames import RawFrame

__all__ = ["FrameSocket", "LinkLost", "RawReader"]

_COMPRESSED = 0x40  # the bit RSV1 of a frame's first byte (RFC 7692, 6)
_WHOLE_TEXT = 0xC1  # that bit, FIN, and opcode 1


class LinkLost(Exception):
    """The connection is of no more use; the text says why."""


class FrameSocket:
    """Stands where websocket-client has its socket: it reads the frames that it is handed, and what it sends is kept.

    So its reader never waits on the network, and its masking, pongs and closing frames are used as they are.
    """

    def __init__(self) -> None:
        self.inbox = memoryview(b"")
        self.outbox = bytearray()

    def recv(self, size: int) -> bytes:
        if not self.inbox:
            raise BlockingIOError
        data, self.inbox = bytes(self.inbox[:size]), self.inbox[size:]
        return data

    def send(self, data: bytes) -> int:
        self.outbox += data
        return len(data)

    def gettimeout(self) -> float:
        return 0.0

    def settimeout(self, timeout: float | None) -> None:
        pass

    def close(self) -> None:
        pass


class RawReader:
    """Reads one connection's raw frames, in their order."""

    def __init__(self, ws: Any, shim: FrameSocket, *, compressed: bool) -> None:
        """`ws`: a websocket.WebSocket, whose types do not admit a stand-in for its socket. `compressed`: the server
        has agreed to compress."""
        self._ws = ws
        self._shim = shim
        self._inflater = Inflater() if compressed else None
        # Bytes of the fragments that wait, and whether they are of a compressed message.
        self._waiting = 0
        self._inflates = False

    def message(self, frame: RawFrame) -> bytes | None:
        """The message that this frame completes, if it does; LinkLost if nothing can be read after it."""
        first, size = frame[0], frame[1]
        if self._inflater is None or not first & _COMPRESSED:
            return self._read(frame)
        if first == _WHOLE_TEXT and size < 127:
            return self._inflated(self._inflater, frame[2 if size < 126 else 4 :])
        self._inflates = True
        return self._read(bytes((first ^ _COMPRESSED,)) + frame[1:])

    def _read(self, frame: bytes) -> bytes | None:
        self._waiting += len(frame)
        if self._waiting > MAX_TEXT:
            raise LinkLost("a message in fragments is too large")
        self._shim.inbox = memoryview(frame)
        try:
            opcode, whole = self._ws.recv_data_frame(control_frame=True)
        except BlockingIOError:
            return None  # more fragments are to come
        except (websocket.WebSocketException, OSError, ValueError) as problem:
            raise LinkLost(f"{type(problem).__name__}: {problem}") from problem
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise LinkLost(_close_reason(bytes(whole.data)))
        if opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
            self._waiting -= len(frame)
            return None
        self._waiting = 0
        data = whole.data.encode() if isinstance(whole.data, str) else bytes(whole.data)
        if not self._inflates or self._inflater is None:
            return data
        self._inflates = False
        return self._inflated(self._inflater, data)

    def _inflated(self, inflater: Inflater, payload: bytes) -> bytes:
        try:
            return inflater.text(payload)
        except (BadDeflate, TextTooBig) as problem:
            raise LinkLost(f"a compressed message cannot be read: {problem}") from problem


def _close_reason(payload: bytes) -> str:
    if len(payload) < 2:
        return "closed by the exchange"
    return (
        f"closed by the exchange: {int.from_bytes(payload[:2], 'big')} {payload[2:].decode(errors='replace')}".rstrip()
    )
