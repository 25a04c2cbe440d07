"""`okws redis`: a Redis server in the foreground, for a machine that has none. Its data outlive it."""

from __future__ import annotations

import argparse
from pathlib import Path

from okws_celery.children import StopRequest
from okws_celery.embedded import EmbeddedRedis
from okws_celery.errors import StoreError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `okws redis`."""
    parser.add_argument("--port", type=port, default=6379, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--directory", type=Path, default=Path(".okws/redis"), help="data and log are kept here (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; StoreError if the server cannot start or ends by itself."""
    with StopRequest() as stop, EmbeddedRedis(options.directory, options.port, persist=True) as server:
        print(f"{server.url}  ({server.executable}, data in {server.directory}, Ctrl-C stops it)", flush=True)
        while not stop.wait(0.5):
            if not server.child or not server.child.alive:
                raise StoreError(f"Redis server ended by itself; its log is {server.directory / 'redis.log'}")
    return 0


def port(text: str) -> int:
    """A TCP port from the command line."""
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: a port from 0 to 65535 is accepted")
