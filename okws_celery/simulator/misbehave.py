"""Faults that are done at once, to one connection; the table of `faults` says what each is."""

from __future__ import annotations

import asyncio

from okws_celery.simulator.connection import Connection
from okws_celery.simulator.faults import Fault
from okws_celery.simulator.frames import BINARY, CONTINUATION, TEXT, frame, text_frame

__all__ = ["misbehave"]

_HUGE_BYTES = 10 * 1024 * 1024
_WRONG_TYPES = (
    '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":{"last":1}}',
    '{"arg":"tickers","data":[1,2,3]}',
    '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":{},"bids":7,"ts":[],"seqId":"x"}]}',
    '{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[[1,2,3],null,"x"]}',
    '{"event":7}',
    "[]",
    "null",
    '{"arg":{"channel":"no-such-channel","instId":"BTC-USDT"},"data":[{"new":true}]}',
)


def misbehave(connection: Connection, fault: Fault) -> None:
    """Do to a live connection what the fault says."""
    options = fault.options
    match fault.name:
        case "stall":
            connection.stall(options["seconds"])
        case "half_open":
            connection.half_open()
        case "trickle":
            connection.trickle(options["pause_s"])
        case "garbage":
            _send_garbage(connection, options["kind"])
        case "pings":
            connection.ping(int(options["count"]))
        case "together":
            connection.send(b"".join(text_frame(text) for text in options["texts"]))
        case "send":
            connection.send(text_frame(options["text"]))
        case "notice":
            connection.send_text(connection.conversation.notice())
            asyncio.get_running_loop().call_later(options["close_after_s"], connection.close, 4006)
        case "close":
            connection.close(int(options["code"]), options["text"])
        case "drop":
            connection.drop(options["how"])


def _send_garbage(connection: Connection, kind: str) -> None:
    match kind:
        case "bad_json":
            connection.send_text('{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{')
        case "bad_utf8":
            connection.send(frame(TEXT, b'{"arg":{"channel":"tickers","instId":"BTC-\xff\xfe"},"data":[]}'))
        case "huge":
            head = b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[],"filler":"'
            connection.send(frame(TEXT, head + b"x" * (_HUGE_BYTES - len(head) - 2) + b'"}'))
        case "fragmented":
            parts = (b'{"event":"notice","code":"0",', b'"msg":"in three ', b'pieces"}')
            connection.send(frame(TEXT, parts[0], final=False) + frame(CONTINUATION, parts[1], final=False))
            connection.send(frame(CONTINUATION, parts[2]))
        case "truncated":
            connection.truncate()
        case "wrong_types":
            for text in _WRONG_TYPES:
                connection.send_text(text)
        case "binary":
            connection.send(frame(BINARY, bytes(range(256))))
