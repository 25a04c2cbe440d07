"""permessage-deflate: agreed to with who offers it, understood by clients that know it (RFC 7692)."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from simulator.merging import MergedBook

from okws_celery.simulator import Simulator


def converse(url: str, requests: list[dict[str, Any]], count: int) -> tuple[int, list[str]]:
    """With a client that offers compression: the window agreed on (0: none), and the next so many texts."""

    async def talk() -> tuple[int, list[str]]:
        async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=15) as live:
            for request in requests:
                await live.send_str(json.dumps(request))
            return int(live.compress), [await asyncio.wait_for(live.receive_str(), 20) for _ in range(count)]

    return asyncio.run(talk())


SUBSCRIBE = {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}], "id": "x" * 20}


def test_who_offers_it_has_it(sim: Simulator) -> None:
    """Compressed both ways: the request is understood, a whole book arrives and its numbers hold."""
    agreed, texts = converse(sim.ws_url + "/public", [SUBSCRIBE], 8)
    assert agreed == 15
    assert json.loads(texts[0])["id"] == SUBSCRIBE["id"]
    book = MergedBook()
    for text in texts[1:]:
        book.take(json.loads(text))


def test_it_can_be_switched_off() -> None:
    """Without it nothing is agreed on, and everything comes all the same."""
    with Simulator(limits=False, deflate=False) as sim:
        agreed, texts = converse(sim.ws_url + "/public", [SUBSCRIBE], 3)
    assert agreed == 0
    assert json.loads(texts[1])["action"] == "snapshot"


@pytest.mark.parametrize(("wish", "bits"), [("client_max_window_bits", 15), ("server_max_window_bits=9", 9)])
def test_it_saves_bytes(sim: Simulator, wish: str, bits: int) -> None:
    """An answer takes much less on the wire, and what repeats in it is referred to within the agreed window only."""
    half = secrets.token_hex(1000)  # comes twice, 2,000 bytes apart
    text = (half + half).encode()
    with socket.create_connection((sim.host, sim.port), timeout=10) as raw:
        raw.sendall(
            "GET /ws/v5/public HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Extensions: permessage-deflate; {wish}\r\n\r\n".encode()
        )
        stream = raw.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.readline()
        assert b"permessage-deflate" in head
        raw.sendall(bytes((0x81, 0xFE)) + len(text).to_bytes(2, "big") + bytes(4) + text)
        first, size = stream.read(2)
        assert first == 0xC1  # a whole text, compressed
        size = int.from_bytes(stream.read(2), "big") if size == 126 else size
        inflate, rest, whole = zlib.decompressobj(-bits), stream.read(size) + b"\0\0\xff\xff", b""
        while rest:
            whole += inflate.decompress(rest, 100)  # in small steps: of what is out, only the window is remembered
            rest = inflate.unconsumed_tail
        assert text in whole
        assert len(whole) > 1.5 * size


def test_a_replay_stays_what_it_was(captures: Path) -> None:
    """Compressed on the way, a recording comes back byte for byte."""
    file = captures / "cryptofeed-okcoin-v5-2023-05-27" / "replay.jsonl"
    raws = [entry["raw"] for entry in map(json.loads, file.read_text().splitlines()) if entry["dir"] == "in"]
    wanted = [raw for raw in raws if "event" not in json.loads(raw)]
    args = [dict(pairs) for pairs in dict.fromkeys(tuple(json.loads(raw)["arg"].items()) for raw in wanted)]
    with Simulator(replay=file, pace="max") as sim:
        agreed, texts = converse(sim.ws_url + "/public", [{"op": "subscribe", "args": args}], len(args) + len(wanted))
    assert agreed == 15
    assert texts[len(args) :] == wanted
