"""A lean scan of what a WebSocket server sends, and the raw deflate of the old v3 API. Bytes in, bytes out.

The scan takes out whole text frames, which is nearly all that OKX sends. Every other frame (ping, close, fragments,
binary, anything against the rules) is handed on complete and unread, for a full WebSocket implementation to judge.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["BadDeflate", "FrameScanner", "FrameTooBig", "RawFrame", "inflate_v3"]

MAX_FRAME = 16 * 1024 * 1024
"""Bytes. The longest frame of OKX in any capture is 40 KB; what is longer than this is no message of OKX."""

_TEXT = 0x81  # FIN, no reserved bit, opcode 1


class FrameTooBig(ValueError):
    """A frame, or what it inflates to, is larger than allowed. Nothing behind it can be read: drop the connection."""


class BadDeflate(ValueError):
    """Not one whole raw deflate stream."""


class RawFrame(bytes):
    """A complete frame with its header, for another reader."""

    __slots__ = ()


class FrameScanner:
    """Cuts the bytes of one connection into frames.

    `feed()` what was received, then iterate: plain `bytes` are the payload of a whole text frame, `RawFrame` is any
    other frame. Costs are per byte received, never per byte that waits: while a frame is incomplete its pieces are
    only collected, and frames that came together are cut out of one buffer.
    """

    __slots__ = ("_at", "_buffer", "_max_frame", "_needed", "_pieces", "_waiting")

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._buffer = b""
        # Where the next frame starts in the buffer.
        self._at = 0
        # What was received since the buffer was last joined, and how many bytes that is with the rest of the buffer.
        self._pieces: list[bytes] = []
        self._waiting = 0
        # With fewer bytes than this the next frame, or its header, is not complete.
        self._needed = 2

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._pieces.append(data)
        self._waiting += len(data)

    def __iter__(self) -> Iterator[bytes | RawFrame]:
        """The frames that are complete, each once, in order. Raises FrameTooBig, and from then on at every call."""
        if self._waiting < self._needed:
            return
        if self._pieces:
            self._buffer = b"".join((self._buffer[self._at :], *self._pieces))
            self._pieces.clear()
            self._at = 0
        while len(self._buffer) - self._at >= 2:
            # Read anew each time: between two steps of this loop more may have been fed and taken.
            buffer, start, end = self._buffer, self._at, len(self._buffer)
            second = buffer[start + 1]
            length = second & 0x7F
            body = start + 2
            if length == 126:
                body += 2
                length = int.from_bytes(buffer[start + 2 : body])
            elif length == 127:
                body += 8
                length = int.from_bytes(buffer[start + 2 : body])
            if end < body:
                self._needed = body - start
                return
            if second & 0x80:
                body += 4  # the mask, which no server may use; the reader of raw frames will say so
            if length > self._max_frame:
                self._needed = 2
                raise FrameTooBig(f"a frame of {length} bytes; {self._max_frame} are accepted")
            stop = body + length
            if end < stop:
                self._needed = stop - start
                return
            self._at = stop
            self._waiting -= stop - start
            self._needed = 2
            if buffer[start] == _TEXT and not second & 0x80:
                yield buffer[body:stop]
            else:
                yield RawFrame(buffer[start:stop])
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0


def inflate_v3(data: bytes, max_size: int = MAX_FRAME) -> bytes:
    """The text in a binary frame of the v3 API (PROTOCOL 9.1); BadDeflate or FrameTooBig if it is none."""
    inflater = zlib.decompressobj(wbits=-15)
    try:
        text = inflater.decompress(data, max_size + 1)
    except zlib.error as problem:
        raise BadDeflate(str(problem)) from None
    if len(text) > max_size:
        raise FrameTooBig(f"a frame inflates to more than {max_size} bytes")
    if not inflater.eof or inflater.unused_data:
        raise BadDeflate("incomplete, or followed by something else")
    return text
