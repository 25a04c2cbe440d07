"""The server: HTTP and WebSocket on one port, in front of one simulated exchange."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from aiohttp import WSMsgType, web

from okws_celery.errors import BadCommand, OkwsError
from okws_celery.okx.endpoints import PATHS
from okws_celery.simulator import control, control_market, rest, rest_private
from okws_celery.simulator.exchange import Exchange, Options
from okws_celery.simulator.frames import PONG, frame, permessage_deflate
from okws_celery.simulator.rest_faults import rest_faults

__all__ = ["PortInUse", "Server"]

_MOST_BYTES = 64 * 1024
"""A larger frame ends the connection with 1009 (PROTOCOL 2)."""
_MOST_READ_BYTES = 16 * 1024 * 1024
"""What is read of one all the same: who is cut off while still sending sees a reset and not the code."""


class PortInUse(OkwsError):
    """The address cannot be listened on."""


class Server:
    """Serves `/ws/v5/{public,private,business}`, `/ws/v3`, REST and the control API. `start` before anything else."""

    def __init__(self, options: Options, host: str, port: int, tls: tuple[str, str] | None = None) -> None:
        self.host = host
        self.port = port
        self.tls = tls is not None
        self._options = options
        self._context = _context(tls) if tls else None
        self._listening: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    @property
    def ws_url(self) -> str:
        """Base of the WebSocket URLs."""
        return f"{'wss' if self.tls else 'ws'}://{self._authority}/ws/v5"

    @property
    def v3_url(self) -> str:
        """The one URL of the v3 API."""
        return f"{'wss' if self.tls else 'ws'}://{self._authority}/ws/v3"

    @property
    def rest_url(self) -> str:
        """Base of the REST URLs."""
        return f"{'https' if self.tls else 'http'}://{self._authority}"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. PortInUse if the address is taken or not one of this machine; BadCommand for a wrong recording."""
        bound = _bind(self.host, self.port)
        self.port = bound.getsockname()[1]
        try:
            self.exchange = Exchange(self._options)
        except BaseException:
            bound.close()
            raise
        self.exchange.trouble.set_listening = self._set_listening
        app = web.Application(middlewares=[rest_faults(self.exchange)])
        app.add_routes([web.get(path, self._websocket) for path in (*(f"/ws/v5/{one}" for one in PATHS), "/ws/v3")])
        app.add_routes(rest.routes(self.exchange))
        app.add_routes(rest_private.routes(self.exchange))
        app.add_routes(control.routes(self.exchange))
        app.add_routes(control_market.routes(self.exchange))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        self._listening = await self._listen(bound)

    async def stop(self) -> None:
        """Cut every connection and free the port."""
        if self._listening is not None:
            self._listening.close()
        if self._reserved is not None:
            self._reserved.close()
        await self.exchange.stop()
        await self._runner.cleanup()

    async def listen(self, listening: bool) -> None:
        """Stop taking new connections, or take them again on the same port; live ones are not touched."""
        if listening and self._listening is None:
            bound = self._reserved or _bind(self.host, self.port)
            self._reserved = None
            self._listening = await self._listen(bound)
        elif not listening and self._listening is not None:
            self._listening.close()
            self._listening = None
            self._reserved = _bind(self.host, self.port)  # keeps the port ours, and refuses who connects

    def _set_listening(self, listening: bool) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self.listen(listening))

    async def _listen(self, bound: socket.socket) -> asyncio.Server:
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._runner.server, sock=bound, ssl=self._context, backlog=512)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        exchange = self.exchange
        if not exchange.admits(request.remote or ""):
            return web.json_response({"code": "50011", "msg": "Requests too frequent", "data": []}, status=429)
        path = request.path.rpartition("/")[2]
        deflate = self._options.deflate and path != "v3"
        ws = web.WebSocketResponse(timeout=0.5, autoping=False, compress=deflate, max_msg_size=_MOST_READ_BYTES)
        transport: Any = request.transport
        # Known before the client can know it: who has connected is in every count at once.
        connection = exchange.opened(path, ws, transport, demo=request.query.get("brokerId") == "9999")
        try:
            await ws.prepare(request)
            if ws.compress:
                connection.encode = permessage_deflate(int(ws.compress))
            while not ws.closed:
                message = await ws.receive()
                await connection.running()
                if connection.closed:
                    break
                if message.type is WSMsgType.CLOSE:
                    exchange.closed_by_client(connection, message.data)
                elif message.type is WSMsgType.ERROR:
                    connection.close_code = getattr(message.data, "code", None)  # aiohttp closed it, as with 1007
                elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY) and _size(message.data) > _MOST_BYTES:
                    connection.close(1009)
                elif message.type is WSMsgType.TEXT:
                    exchange.received(connection, message.data)
                elif message.type is WSMsgType.BINARY:
                    exchange.received(connection, message.data.decode(errors="replace"))
                elif message.type is WSMsgType.PING:
                    connection.send(frame(PONG, message.data))
                elif message.type is WSMsgType.PONG:
                    connection.ponged(bytes(message.data))
        finally:
            exchange.ended(connection)
        return ws


def _size(data: str | bytes) -> int:
    """Bytes of a message; text is looked at closely only where it may be too large."""
    return len(data.encode()) if isinstance(data, str) and len(data) > _MOST_BYTES // 4 else len(data)


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as problem:
        raise PortInUse(f"{host}:{port} cannot be listened on: {problem}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as problem:
        bound.close()
        reason = getattr(problem, "strerror", None) or problem
        raise PortInUse(f"{host}:{port} cannot be listened on: {reason}") from None
    return bound


def _context(tls: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(*tls)
    except (OSError, ssl.SSLError) as problem:
        raise BadCommand(f"certificate {tls[0]!r} with key {tls[1]!r}: {problem}") from None
    return context
