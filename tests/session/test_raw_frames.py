"""Frames that are no whole plain text: read as RFC 6455 and RFC 7692 say, whatever comes between."""

from __future__ import annotations

import zlib
from itertools import pairwise

import pytest
import websocket
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.okx.frames import RawFrame
from okws_celery.session.raw_frames import FrameSocket, LinkLost, RawReader
from okws_celery.simulator.frames import CLOSE, CONTINUATION, PING, TEXT, frame


class Wire:
    """A reader of a connection, and the frames of its server."""

    def __init__(self, *, compressed: bool = True) -> None:
        ws = websocket.WebSocket(skip_utf8_validation=True, enable_multithread=False)
        self.shim = ws.sock = FrameSocket()
        self.reader = RawReader(ws, self.shim, compressed=compressed)
        self._deflate = zlib.compressobj(wbits=-15)

    def compressed(self, text: bytes) -> bytes:
        """A message's payload; it may refer to all those before it."""
        return (self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")

    def read(self, *frames: bytes) -> list[bytes]:
        """The messages in them."""
        messages = (self.reader.message(RawFrame(one)) for one in frames)
        return [message for message in messages if message is not None]


def in_pieces(payload: bytes, cuts: list[int], *, compressed: bool) -> list[bytes]:
    """One message as fragments."""
    bounds = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    parts = [payload[start:stop] for start, stop in pairwise(bounds)]
    last = len(parts) - 1
    return [
        frame(CONTINUATION if at else TEXT, part, final=at == last, compressed=compressed and not at)
        for at, part in enumerate(parts)
    ]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=300), st.just("x" * 70_000)),
            st.booleans(),
            st.lists(st.integers(0, 70_000), max_size=3),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_messages_in_any_form(said: list[tuple[str, bool, list[int], bool]]) -> None:
    """Compressed or not, whole or in fragments, with pings between these: each comes out once, in order."""
    wire = Wire()
    frames = []
    for text, compressed, cuts, pinged in said:
        payload = wire.compressed(text.encode()) if compressed else text.encode()
        for piece in in_pieces(payload, cuts, compressed=compressed):
            frames += [frame(PING, b"there?"), piece] if pinged else [piece]
    assert wire.read(*frames) == [text.encode() for text, *_ in said]
    assert bool(wire.shim.outbox) == any(pinged for *_, pinged in said)


def test_nobody_compresses_unasked() -> None:
    """A frame that says it is compressed, where that was not agreed on, ends the connection."""
    with pytest.raises(LinkLost, match="rsv"):
        wire = Wire(compressed=False)
        wire.read(frame(TEXT, wire.compressed(b"text"), compressed=True))


def test_what_cannot_be_inflated() -> None:
    """Nothing after it could be, as messages refer to those before them."""
    with pytest.raises(LinkLost, match="compressed message cannot be read"):
        Wire().read(frame(TEXT, b"\xff\xff\xff", compressed=True))


def test_fragments_are_bounded() -> None:
    """A message that never ends is given up."""
    wire = Wire()
    wire.read(frame(TEXT, b"x" * 1024, final=False))
    part = frame(CONTINUATION, bytes(1024 * 1024), final=False)
    with pytest.raises(LinkLost, match="too large"):
        wire.read(*[part] * 20)


def test_the_exchange_says_why_it_closes() -> None:
    """Its code and text, as PROTOCOL 2.5 lists them."""
    with pytest.raises(LinkLost, match=r"closed by the exchange: 4004 No data received in 30s"):
        Wire().read(frame(CLOSE, (4004).to_bytes(2) + b"No data received in 30s"))
