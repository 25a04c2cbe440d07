"""WebSocket frames as a server sends them, ready for the wire: a push is framed once, however many receive it."""

from __future__ import annotations

__all__ = ["BINARY", "CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "frame", "text_frame"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One unmasked frame (RFC 6455, 5.2)."""
    first = opcode | 0x80 if final else opcode
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def text_frame(text: str) -> bytes:
    """A whole text message."""
    return frame(TEXT, text.encode())
