"""A plain client for the simulator's own tests: websocket-client, nothing of this project."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import websocket


class Talk:
    """One connection. `ask` sends an op, `until` reads on to a message, `got` keeps all that was read."""

    def __init__(self, url: str, ca_file: str = "", timeout: float = 10.0) -> None:
        options = {"ca_certs": ca_file, "cert_reqs": ssl.CERT_REQUIRED} if ca_file else {}
        # websocket-client looks at UTF-8 byte by byte in Python, which would cost more than all the rest.
        self.ws = websocket.create_connection(url, timeout=timeout, sslopt=options, skip_utf8_validation=True)
        self.got: list[dict[str, Any]] = []

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ws.close(timeout=1)

    def send(self, text: str) -> None:
        """Send text as it is."""
        self.ws.send(text)

    def ask(self, op: str, *args: object, **more: object) -> None:
        """Send a request; an arg is OKX's object, or `channel:instId`."""
        self.send(json.dumps({**more, "op": op, "args": [_arg(one) for one in args]}))

    def read(self) -> str:
        """The next message as text."""
        text = self.ws.recv()
        assert isinstance(text, str)
        return text

    def next(self) -> dict[str, Any]:
        """The next message, decoded."""
        said: dict[str, Any] = json.loads(self.read())
        self.got.append(said)
        return said

    def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Read on until a message is as wanted; the socket's timeout is the limit of each read."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            said = self.next()
            if wanted(said):
                return said
        raise AssertionError(f"not said within 20 s; last: {self.got[-3:]}")

    def event(self, event: str) -> dict[str, Any]:
        """Read on until an event of this name."""
        return self.until(lambda said: said.get("event") == event)

    def push(self, channel: str, inst_id: str = "") -> dict[str, Any]:
        """Read on until a push of this channel."""
        return self.until(
            lambda said: (
                is_push(said, channel) and said["arg"].get("instId", "") in (inst_id or said["arg"].get("instId", ""))
            )
        )

    def subscribe(self, *args: object) -> None:
        """Subscribe and read on until all are acked."""
        self.ask("subscribe", *args)
        for _ in args:
            self.event("subscribe")

    def login(self, key: str = "demo", secret: str = "demo-secret", passphrase: str = "demo-pass") -> dict[str, Any]:
        """Log in; gives the answer."""
        self.ask("login", login_arg(key, secret, passphrase))
        return self.until(lambda said: said.get("event") in ("login", "error"))

    def close_code(self) -> int:
        """Read on until the server closes; gives the code of its close frame."""
        while True:
            opcode, data = self.ws.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")


def login_arg(key: str, secret: str, passphrase: str, at_s: float | None = None) -> dict[str, str]:
    """The arg of a login, signed here and not by the project."""
    timestamp = str(int(time.time() if at_s is None else at_s))
    digest = hmac.new(secret.encode(), f"{timestamp}GET/users/self/verify".encode(), hashlib.sha256).digest()
    return {"apiKey": key, "passphrase": passphrase, "timestamp": timestamp, "sign": base64.b64encode(digest).decode()}


def is_push(said: dict[str, Any], channel: str) -> bool:
    """A message is a push of this channel."""
    return "arg" in said and "data" in said and said["arg"]["channel"] == channel


def _arg(given: object) -> object:
    if not isinstance(given, str):
        return given
    channel, _, inst_id = given.partition(":")
    return {"channel": channel, "instId": inst_id} if inst_id else {"channel": channel}
