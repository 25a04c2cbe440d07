"""The command `okws`: names its parts, imports only the one that is called, and turns errors into one line.

Exit status: 0 done, 1 it failed, 2 what was asked cannot be understood.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from okws_celery import __version__
from okws_celery.errors import BadCommand, OkwsError, Refused

__all__ = ["main"]

_PARTS = {
    "run": ("okws_celery.demo", "show live prices: Redis, exchange, worker and session in one command"),
    "simulator": ("okws_celery.simulator.command", "an OKX that runs on this machine"),
    "record": ("okws_celery.record_command", "write what OKX sends into a file that the simulator can play"),
    "redis": ("okws_celery.redis_command", "a Redis server of one's own, in the foreground"),
}
"""Command -> its module, which has `add_arguments(parser)` and `run(options) -> int`, and what it is for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(prog="okws", description="Live OKX data in Redis, from Celery tasks that hold the connections.")
    parser.add_argument("--version", action="version", version=f"okws_celery {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    called = arguments[0] if arguments else ""
    for name, (_, meaning) in _PARTS.items():
        commands.add_parser(name, help=meaning, description=f"{meaning[0].upper()}{meaning[1:]}.")
    try:
        if called not in _PARTS:
            parser.parse_args(arguments)
        part = importlib.import_module(_PARTS[called][0])
        part.add_arguments(commands.choices[called])
        status: int = part.run(parser.parse_args(arguments))
        return status
    except OkwsError as problem:
        hint = f" ({problem.hint})" if isinstance(problem, Refused) and problem.hint else ""
        return _failed(called, f"{problem}{hint}", 2 if isinstance(problem, BadCommand) else 1)
    except BrokenPipeError:
        # Whoever read our output has left, as in `okws run | head`; the interpreter still flushes when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as problem:
        return _failed(called, f"{problem.filename or problem.__class__.__name__}: {problem.strerror or problem}", 1)


class _Parser(argparse.ArgumentParser):
    """One line of error instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _failed(called: str, text: str, status: int) -> int:
    print(f"okws {called}: {text}", file=sys.stderr)
    return status
