"""The fastest asyncio client there is, tuned by hand: `picows` (Cython), `uvloop`, `msgspec`, packed by hiredis.

Everything that one read of the socket brings goes to Redis in one write; replies are read and thrown away.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

import hiredis
import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
pack = hiredis.pack_command


class Message(msgspec.Struct):
    arg: dict[str, str]
    data: list[msgspec.Raw] = []


decode = msgspec.json.Decoder(Message).decode
fields_of = msgspec.json.Decoder(dict[str, str | msgspec.Raw]).decode


class Store(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        pass


class Listener(WSListener):
    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.store, self.loop = store, loop
        self.out: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        args = [dict(zip(("channel", "instId"), topic.split(":"), strict=True)) for topic in topics]
        transport.send(WSMsgType.TEXT, json.dumps({"op": "subscribe", "args": args}).encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        text = frame.get_payload_as_bytes()
        message = decode(text)
        if not message.data:
            return
        channel, inst_id = message.arg["channel"], message.arg["instId"]
        if not self.out:
            self.loop.call_soon(self.flush)
        for row in message.data:
            if channel == "trades":
                command = ("XADD", f"okex/bench/trades:{inst_id}", "MAXLEN", "~", "10000", "*", "data", bytes(row))
            else:
                flat = [part for name, value in fields_of(row).items() for part in (name, value)]
                flat = [bytes(part) if isinstance(part, msgspec.Raw) else part for part in flat]
                command = ("HSET", f"okex/bench/{channel}:{inst_id}", *flat)
            self.out.append(pack(command))
        self.out.append(pack(("PUBLISH", f"okex/bench/{channel}", text)))

    def flush(self) -> None:
        self.store.transport.write(b"".join(self.out))
        self.out.clear()


async def main() -> None:
    loop = asyncio.get_running_loop()
    address = urlsplit(redis_url)
    _, store = await loop.create_connection(Store, address.hostname, address.port)
    transport, _ = await ws_connect(lambda: Listener(store, loop), ws_url + "/public", max_frame_size=1 << 24)
    await transport.wait_disconnected()


uvloop.run(main())
