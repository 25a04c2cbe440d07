"""`okws server` and `python -m okws_celery.server`: a server in the foreground."""

from __future__ import annotations

import argparse

from okws_celery.children import StopRequest
from okws_celery.serving import Server

__all__ = ["add_arguments", "run"]

_LEVELS = ("debug", "info", "warning", "error", "critical")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `okws server`."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="INI, YAML or TOML; its sessions are opened (default: OKWS_CONFIG)"
    )
    parser.add_argument(
        "-l", "--loglevel", type=str.lower, choices=_LEVELS, default="info", help="of the worker (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until `server_quit`, SIGINT or SIGTERM; a second signal kills the worker. OkwsError says what failed."""
    with StopRequest() as stop:
        server = Server(options.config, loglevel=options.loglevel, relay=False)
        server.serve(stop.wait, hurry=lambda: stop.count > 1)
    return 0
