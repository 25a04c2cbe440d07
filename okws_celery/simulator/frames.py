"""WebSocket frames as a server sends them, ready for the wire: a push is framed once, however many receive it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Encode",
    "Message",
    "frame",
    "payload_of",
    "permessage_deflate",
    "raw_deflate_frame",
    "text_frame",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

Encode = Callable[[str], bytes]
"""How a connection wants its messages: text in, whole frames out."""

_COMPRESSED = 0x40
_LEVEL = 1
_V3_BITS = -15


class Message:
    """One text for many readers, framed once in each way that one of them wants."""

    __slots__ = ("_framed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._framed: dict[Encode, bytes] = {}

    def framed(self, encode: Encode) -> bytes:
        """The frame that `encode` makes of it."""
        framed = self._framed.get(encode)
        if framed is None:
            framed = self._framed[encode] = encode(self.text)
        return framed


def frame(opcode: int, payload: bytes, *, final: bool = True, compressed: bool = False) -> bytes:
    """One unmasked frame (RFC 6455, 5.2); `compressed` says that the payload is (RFC 7692, 6)."""
    first = (opcode | 0x80 if final else opcode) | (_COMPRESSED if compressed else 0)
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def payload_of(framed: bytes) -> bytes:
    """What is in a frame that `frame` made."""
    return framed[{126: 4, 127: 10}.get(framed[1], 2) :]


def text_frame(text: str) -> bytes:
    """A whole text message."""
    return frame(TEXT, text.encode())


@cache
def permessage_deflate(window_bits: int) -> Encode:
    """The way of a connection that negotiated permessage-deflate with this window.

    No message refers to an earlier one, which every client understands, so that one frame does for all of them.
    """

    def compressed_text_frame(text: str) -> bytes:
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits)
        packed = deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return frame(TEXT, packed[:-4] or b"\0", compressed=True)  # the last four bytes are left out (RFC 7692, 7.2.1)

    return compressed_text_frame


def raw_deflate_frame(text: str) -> bytes:
    """A message of the v3 API: a binary frame of raw deflate (PROTOCOL 9.1)."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _V3_BITS)
    return frame(BINARY, deflate.compress(text.encode()) + deflate.flush())
