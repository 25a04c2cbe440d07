"""Compressed messages: those of v5 (RFC 7692) and those of v3."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.okx.deflate import BadDeflate, Inflater, TextTooBig, agreed, inflate_v3


class Deflater:
    """A server's side: it leaves out the end of each message, and may begin anew with each."""

    def __init__(self, bits: int = 15, *, anew: bool = False) -> None:
        self._bits, self._anew = bits, anew
        self._begin()

    def _begin(self) -> None:
        self._stream = zlib.compressobj(wbits=-self._bits)

    def payload(self, text: bytes) -> bytes:
        data = self._stream.compress(text) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        if self._anew:
            self._begin()
        return data.removesuffix(b"\0\0\xff\xff")


@given(
    texts=st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([b"", b"x" * 70_000])), max_size=8),
    bits=st.integers(9, 15),
    anew=st.booleans(),
)
def test_messages_come_out_as_they_went_in(texts: list[bytes], bits: int, anew: bool) -> None:
    """Whatever window the server has, and whether or not it begins anew with each message."""
    deflater, inflater = Deflater(bits, anew=anew), Inflater()
    assert [inflater.text(deflater.payload(text)) for text in texts] == texts


def test_a_server_may_end_its_stream_with_a_message() -> None:
    """The next one begins another (RFC 7692, 7.2.3.4)."""
    inflater = Inflater()
    for text in (b"first" * 50, b"second" * 50):
        stream = zlib.compressobj(wbits=-15)
        assert inflater.text(stream.compress(text) + stream.flush() + b"\0") == text


def test_a_message_is_bounded() -> None:
    """A few bytes may stand for a great many."""
    assert len(Inflater(max_text=1_000).text(Deflater().payload(b"x" * 1_000))) == 1_000
    with pytest.raises(TextTooBig):
        Inflater(max_text=1_000).text(Deflater().payload(b"x" * 1_001))
    with pytest.raises(TextTooBig):
        Inflater().text(Deflater().payload(bytes(32 * 1024 * 1024)))


def test_nonsense_is_refused() -> None:
    """Bytes that are no deflate stream."""
    with pytest.raises(BadDeflate):
        Inflater().text(b"\xff\xff\xff")


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", False),
        ("permessage-deflate", True),
        ("permessage-deflate; server_no_context_takeover", True),
        ("permessage-deflate;server_max_window_bits=12; client_no_context_takeover", True),
    ],
)
def test_what_a_server_may_answer_to_the_offer(header: str, taken: bool) -> None:
    """It may decline, or agree on its own terms for what it sends."""
    assert agreed(header) is taken


@pytest.mark.parametrize(
    "header", ["x-webkit-deflate-frame", "permessage-deflate; mystery", "permessage-deflate; client_max_window_bits=9"]
)
def test_what_was_not_offered_is_refused(header: str) -> None:
    """By name, since nothing that follows could be read for sure."""
    with pytest.raises(BadDeflate, match="permessage-deflate was offered"):
        agreed(header)


def deflated(text: bytes) -> bytes:
    """Text as OKEx v3 sent it."""
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(text) + deflater.flush()


@given(st.binary(max_size=500))
def test_raw_deflate_is_inflated(text: bytes) -> None:
    """PROTOCOL 9.1."""
    assert inflate_v3(deflated(text)) == text


def test_an_inflated_frame_is_bounded() -> None:
    """A few bytes may stand for a great many."""
    assert len(inflate_v3(deflated(b"x" * 1_000), max_size=1_000)) == 1_000
    with pytest.raises(TextTooBig):
        inflate_v3(deflated(b"x" * 1_001), max_size=1_000)
    with pytest.raises(TextTooBig):
        inflate_v3(deflated(bytes(32 * 1024 * 1024)))


@pytest.mark.parametrize("data", [b"", b"\xff\xff", deflated(b"text")[:-1], deflated(b"text") + b"x"])
def test_what_is_not_one_whole_stream_is_refused(data: bytes) -> None:
    """Cut off, followed by something, or no deflate at all."""
    with pytest.raises(BadDeflate):
        inflate_v3(data)
