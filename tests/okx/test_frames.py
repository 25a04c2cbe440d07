"""Frames: whatever way the bytes were cut, the same frames come out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket._abnf import frame_buffer

from okws_celery.okx.frames import FrameScanner, RawFrame

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, reserved: int = 0, mask: bytes = b"") -> bytes:
    """A frame by RFC 6455, 5.2."""
    size = len(payload)
    marked = 0x80 if mask else 0
    if size < 126:
        length = bytes([marked | size])
    elif size < 1 << 16:
        length = bytes([marked | 126]) + size.to_bytes(2)
    else:
        length = bytes([marked | 127]) + size.to_bytes(8)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([fin << 7 | reserved << 4 | opcode]) + length + mask + masked


def scan(pieces: list[bytes]) -> list[bytes]:
    """What comes out, piece by piece."""
    scanner = FrameScanner()
    out: list[bytes] = []
    for piece in pieces:
        taken = scanner.take(piece)
        assert scanner.unusual == any(isinstance(one, RawFrame) for one in taken)
        out += taken
    return out


payloads = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]).map(lambda size: b"x" * size),
)
frames = st.builds(
    frame,
    payload=payloads,
    opcode=st.sampled_from([TEXT, TEXT, TEXT, TEXT, 0x0, BINARY, CLOSE, PING, 0xA, 0x3, 0xF]),
    fin=st.sampled_from([True, True, True, False]),
    reserved=st.sampled_from([0, 0, 0, 4, 1]),
    mask=st.sampled_from([b"", b"", b"", b"\1\2\3\4"]),
)


@given(sent=st.lists(frames, max_size=12), data=st.data())
def test_any_frames_cut_anywhere_come_out_the_same(sent: list[bytes], data: st.DataObject) -> None:
    """Whole unmasked text frames as their payload, all others complete with their header, in order."""
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    pieces = [stream[start:stop] for start, stop in pairwise([0, *cuts, len(stream)])]
    expected = []
    for one in sent:
        is_text = one[0] == 0x81 and one[1] < 0x80
        header = 2 + {126: 2, 127: 8}.get(one[1] & 0x7F, 0)
        expected.append((False, one[header:]) if is_text else (True, one))
    assert [(isinstance(one, RawFrame), bytes(one)) for one in scan(pieces)] == expected


def test_one_byte_at_a_time() -> None:
    """A length field, too, may arrive in pieces."""
    stream = frame(b"a" * 300) + frame(b"", PING) + frame(b"b" * 70_000) + frame(b"")
    assert scan([stream[at : at + 1] for at in range(len(stream))]) == [
        b"a" * 300,
        frame(b"", PING),
        b"b" * 70_000,
        b"",
    ]


def test_nothing_is_given_out_before_it_is_whole() -> None:
    """The other reader would wait on the socket for the rest."""
    whole = frame(b"payload", PING)
    scanner = FrameScanner()
    for at in range(len(whole) - 1):
        assert scanner.take(whole[at : at + 1]) == []
    assert scanner.take(whole[-1:]) == [whole]
    assert scanner.take(b"") == []


def test_a_raw_frame_is_what_websocket_client_reads() -> None:
    """Header and all: a ping comes out of its reader as it went in."""
    (raw,) = scan([frame(b"are you there", PING)])
    left = bytearray(raw)

    def recv(size: int) -> bytes:
        taken = bytes(left[:size])
        del left[:size]
        return taken

    read = frame_buffer(recv, skip_utf8_validation=True).recv_frame()
    assert (read.opcode, read.data, left) == (PING, b"are you there", b"")


@pytest.mark.timeout(60)
def test_a_long_frame_in_small_pieces_costs_as_much_as_it_is_long() -> None:
    """Joined anew for each piece this would copy 8 TB."""
    scanner = FrameScanner()
    piece = b"x" * 16
    out = scanner.take(frame(piece * 1_000_000)[:10])
    for _ in range(1_000_000):
        out += scanner.take(piece)
    assert [len(one) for one in out] == [16_000_000]


@pytest.mark.timeout(60)
def test_many_frames_in_one_piece_cost_as_much_as_they_are_long() -> None:
    """With the rest copied for each frame this would copy 1,000 GB."""
    assert len(FrameScanner().take(frame(b"x") * 700_000)) == 700_000


def test_a_frame_that_is_too_big_is_refused_when_its_header_is_seen() -> None:
    """What came before it is given out; what would come after cannot be found."""
    scanner = FrameScanner(max_frame=1_000)
    out = scanner.take(frame(b"x" * 1_000) + frame(b"y" * 1_001)[:4])
    assert [len(one) for one in out] == [1_000]
    assert scanner.refused == "a frame of 1001 bytes; 1000 are accepted"
    assert scanner.take(frame(b"z")) == []
    assert scanner.refused


def test_a_length_beyond_all_reason_is_refused() -> None:
    """64 bits, all set."""
    scanner = FrameScanner()
    assert scanner.take(b"\x81\x7f" + b"\xff" * 8) == []
    assert scanner.refused
