"""A lean scan of what a WebSocket server sends. Bytes in, bytes out.

The scan takes out whole text frames, which is nearly all that OKX sends. Every other frame (ping, close, fragments,
binary, compressed, anything against the rules) is handed on complete and unread, for others to judge.
"""

from __future__ import annotations

__all__ = ["HEADERS", "ROOM", "FrameScanner", "RawFrame"]

MAX_FRAME = 16 * 1024 * 1024
"""Bytes. The longest frame of OKX in any capture is 40 KB; what is longer than this is no message of OKX."""

_TEXT = 0x81  # FIN, no reserved bit, opcode 1
# How nearly all frames of OKX begin: whole text frames with a length of 16 bits, which follows.
_TEXT_16 = bytes([_TEXT, 126])

ROOM = 8 * 1024
HEADERS = (*[bytes(130)] * 130, *[_TEXT_16 + (size - 4).to_bytes(2) for size in range(130, ROOM + 1)])
"""How that many bytes begin if they are one whole text frame, of 126 bytes or more; up to ROOM."""


class RawFrame(bytes):
    """A complete frame with its header, for another reader."""

    __slots__ = ()


class FrameScanner:
    """Cuts the bytes of one connection into frames.

    Costs are per byte received, never per byte that waits: while a frame is incomplete its pieces are only collected,
    and frames that came together are cut out of one buffer.
    """

    __slots__ = ("_max_frame", "_missing", "_pieces", "refused", "unusual")

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        # The beginning of a frame, and how many bytes it takes until more of it can be told.
        self._pieces: list[bytes] = []
        self._missing = 0
        self.refused = ""
        """Why nothing can be read any more; "" while all is well."""
        self.unusual = False
        """Whether there is a RawFrame among the frames that were taken last."""

    @property
    def waits(self) -> bool:
        """Whether a frame has begun that is not complete."""
        return bool(self._pieces)

    def take(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete, in order: of a whole text frame its payload, else a RawFrame."""
        frames: list[bytes] = []
        self.unusual = False
        if self._pieces or self.refused:
            if not self._awaited(data):
                return frames
            data = b"".join(self._pieces)
            self._pieces.clear()
        start, end = 0, len(data)
        while start < end:
            # What nearly all frames are comes first: text of 126 to 65,535 bytes.
            if data.startswith(_TEXT_16, start) and end > start + 3:
                body = start + 4
                stop = body + (data[start + 2] << 8 | data[start + 3])
                if stop <= end:
                    frames.append(data[body:stop])
                    start = stop
                    continue
            else:
                body, stop = _bounds(data, start)
            if stop > end:
                self._begin(data[start:], body - start, stop - start)
                break
            if data[start] == _TEXT and data[start + 1] < 128:
                frames.append(data[body:stop])
            else:
                self.unusual = True
                frames.append(RawFrame(data[start:stop]))
            start = stop
        return frames

    def _begin(self, data: bytes, body: int, stop: int) -> None:
        """A frame has begun whose payload ends at `stop`."""
        if stop - body > self._max_frame:
            self.refused = f"a frame of {stop - body} bytes; {self._max_frame} are accepted"
        else:
            self._pieces.append(data)
            self._missing = stop - len(data)

    def _awaited(self, data: bytes) -> bool:
        """Collect a piece of a frame; whether more can be told now."""
        if self.refused:
            return False
        self._pieces.append(data)
        self._missing -= len(data)
        return self._missing <= 0


def _bounds(data: bytes, start: int) -> tuple[int, int]:
    """Where a frame's payload begins and ends; while its header is incomplete, where that ends (RFC 6455, 5.2)."""
    if len(data) < start + 2:
        return start + 2, start + 2
    second = data[start + 1]
    length = second & 0x7F
    body = start + 2 + {126: 2, 127: 8}.get(length, 0)
    if len(data) < body:
        return body, body
    if length > 125:
        length = int.from_bytes(data[start + 2 : body])
    if second & 0x80:
        body += 4  # the mask, which no server may use; the reader of raw frames will say so
    return body, body + length
