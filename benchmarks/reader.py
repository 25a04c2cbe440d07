"""A pub/sub reader that measures how long pushes are under way, from their `sent` mark to their arrival here.

`python -m benchmarks.reader REDIS_URL SECONDS CHANNEL...` prints one JSON object at its end; times are in us, and
channels may be patterns.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from urllib.parse import urlsplit

import hiredis

_MARK = b'"sent":"'
_DIGITS = 16


def read(redis_url: str, seconds: float, channels: list[str]) -> list[int]:
    """Times under way of everything published in so many seconds, us."""
    address = urlsplit(redis_url)
    replies = hiredis.Reader()
    late: list[int] = []
    with socket.create_connection((address.hostname or "", address.port or 6379)) as connection:
        how = "PSUBSCRIBE" if any("*" in channel for channel in channels) else "SUBSCRIBE"
        connection.sendall(hiredis.pack_command((how, *channels)))
        connection.settimeout(0.2)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                replies.feed(connection.recv(32 * 1024))
            except TimeoutError:
                continue
            now_us = time.time_ns() // 1000
            while (reply := replies.gets()) is not False:
                payload = reply[-1]
                if isinstance(payload, bytes) and (at := payload.rfind(_MARK)) >= 0:
                    start = at + len(_MARK)
                    late.append(now_us - int(payload[start : start + _DIGITS]))
    return sorted(late)


def main(arguments: list[str]) -> None:
    """Read, then say how it was."""
    late = read(arguments[0], float(arguments[1]), arguments[2:])
    said = {name: late[min(len(late) - 1, int(len(late) * share))] for name, share in _SHARES.items()} if late else {}
    print(json.dumps({"count": len(late), **said}))


_SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}

if __name__ == "__main__":
    main(sys.argv[1:])
