"""The fastest asyncio client there is, tuned by hand: `picows` (Cython), `uvloop`, `msgspec`, packed by hiredis.

Everything that one read of the socket brings goes to Redis in one write, a book once for all its updates; replies are
read and thrown away.
"""

import asyncio
import sys
from urllib.parse import urlsplit

import hiredis
import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.peers.rows import Book, paths, requests

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
pack = hiredis.pack_command


class Message(msgspec.Struct):
    arg: dict[str, str]
    data: list[msgspec.Raw] = []
    action: str = ""


decode = msgspec.json.Decoder(Message).decode
texts_of = msgspec.json.Decoder(dict[str, str]).decode
fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Store(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        pass


class Listener(WSListener):
    def __init__(self, args: list[dict[str, str]], store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.args, self.store, self.loop = args, store, loop
        self.out: list[bytes] = []
        self.books: dict[str, Book] = {}
        self.merged: set[str] = set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        for request in requests(self.args):
            transport.send(WSMsgType.TEXT, request.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        text = frame.get_payload_as_bytes()
        message = decode(text)
        if not message.data:
            return
        channel, inst_id = message.arg["channel"], message.arg["instId"]
        key = f"okex/bench/{channel}:{inst_id}"
        if not self.out:
            self.loop.call_soon(self.flush)
        for row in message.data:
            if channel == "trades":
                self.out.append(pack(("XADD", key, "MAXLEN", "~", "10000", "*", "data", bytes(row))))
            elif channel == "books":
                self.books.setdefault(key, Book()).merge(message.action, msgspec.json.decode(row))
                self.merged.add(key)
            elif channel.startswith("candle"):
                ts = msgspec.json.decode(row)[0]
                self.out.append(pack(("ZREMRANGEBYSCORE", key, ts, ts)))
                self.out.append(pack(("ZADD", key, ts, bytes(row))))
            elif channel == "tickers":
                self.out.append(pack(("HSET", key, *(part for pair in texts_of(row).items() for part in pair))))
            else:
                fields = {name: bytes(value).strip(b'"') for name, value in fields_of(row).items()}
                self.out.append(pack(("HSET", key, *(part for pair in fields.items() for part in pair))))
        self.out.append(pack(("PUBLISH", f"okex/bench/{channel}", text)))

    def flush(self) -> None:
        books = [pack(self.books[key].command(key, msgspec.json.encode)) for key in self.merged]
        self.store.transport.write(b"".join(books + self.out))
        self.out.clear()
        self.merged.clear()


async def main() -> None:
    loop = asyncio.get_running_loop()
    address = urlsplit(redis_url)
    _, store = await loop.create_connection(Store, address.hostname, address.port)
    listeners = [
        await ws_connect(lambda args=args: Listener(args, store, loop), f"{ws_url}/{path}", max_frame_size=1 << 24)
        for path, args in paths(topics).items()
    ]
    await asyncio.gather(*(transport.wait_disconnected() for transport, _ in listeners))


uvloop.run(main())
