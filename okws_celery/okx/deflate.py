"""Compressed text: permessage-deflate (RFC 7692), which v5 offers, and the raw deflate of v3. Bytes in, bytes out."""

from __future__ import annotations

import zlib

__all__ = ["MAX_TEXT", "OFFER", "BadDeflate", "Inflater", "TextTooBig", "agreed", "inflate_v3"]

MAX_TEXT = 16 * 1024 * 1024
"""Bytes. The longest message of OKX in any capture is 40 KB; what is longer than this is none of OKX's."""

OFFER = "permessage-deflate"
"""What a client that reads compressed messages, and sends none, says in Sec-WebSocket-Extensions."""

_RAW = -zlib.MAX_WBITS  # reads what was written with any smaller window, too
_TAIL = b"\x00\x00\xff\xff"  # left out at the end of each message (RFC 7692, 7.2.1)
_PARAMETERS = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"}


class TextTooBig(ValueError):
    """What a message inflates to is larger than allowed."""


class BadDeflate(ValueError):
    """Not a deflate stream, or one that ends too early or too late."""


def agreed(header: str) -> bool:
    """Whether a server's Sec-WebSocket-Extensions takes the offer; BadDeflate if it says anything that was not offered.

    No parameter asks anything of who only reads: one window of full size serves them all.
    """
    if not header.strip():
        return False
    name, *parameters = (part.strip() for part in header.split(";"))
    if name != OFFER or any(parameter.partition("=")[0].strip() not in _PARAMETERS for parameter in parameters):
        raise BadDeflate(f"Sec-WebSocket-Extensions {header!r}: {OFFER} was offered")
    return True


class Inflater:
    """The messages of one connection, each of which may refer to those before it."""

    __slots__ = ("_inflate", "_max_text", "_stream")

    def __init__(self, max_text: int = MAX_TEXT) -> None:
        self._max_text = max_text
        self._begin()

    def _begin(self) -> None:
        self._stream = zlib.decompressobj(_RAW)
        self._inflate = self._stream.decompress

    def text(self, payload: bytes) -> bytes:
        """The text of the next message; BadDeflate or TextTooBig, after which nothing more can be read."""
        try:
            text = self._inflate(payload + _TAIL, self._max_text + 1)
        except zlib.error as problem:
            raise BadDeflate(str(problem)) from None
        if len(text) > self._max_text:
            raise TextTooBig(f"a message inflates to more than {self._max_text} bytes")
        if self._stream.eof:
            self._begin()  # a server may end its stream with a message (RFC 7692, 7.2.3.4)
        return text


def inflate_v3(data: bytes, max_size: int = MAX_TEXT) -> bytes:
    """The text in a binary frame of the v3 API (PROTOCOL 9.1); BadDeflate or TextTooBig if it is none."""
    inflater = zlib.decompressobj(_RAW)
    try:
        text = inflater.decompress(data, max_size + 1)
    except zlib.error as problem:
        raise BadDeflate(str(problem)) from None
    if len(text) > max_size:
        raise TextTooBig(f"a frame inflates to more than {max_size} bytes")
    if not inflater.eof or inflater.unused_data:
        raise BadDeflate("incomplete, or followed by something else")
    return text
