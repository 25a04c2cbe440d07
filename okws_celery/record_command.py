"""`okws record`: write what OKX sends into a file that the simulator can play, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import ssl
import sys
from typing import Any

from okws_celery import settings as settings_of
from okws_celery.children import StopRequest
from okws_celery.errors import BadCommand
from okws_celery.okx.endpoints import REGIONS, check_proxy
from okws_celery.okx.login import credentials
from okws_celery.okx.topics import Topic, parse_topic
from okws_celery.recorder import Recorder

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `okws record`."""
    parser.add_argument("topics", nargs="+", metavar="topic", help="tickers:BTC-USDT, or OKX's arg object as JSON")
    parser.add_argument("-o", "--output", metavar="FILE", default="replay.jsonl", help="the recording (%(default)s)")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long; without it Ctrl-C ends it")
    parser.add_argument("--profile", help="log in with these credentials (OKWS_PROFILE_<NAME>, or of the config file)")
    parser.add_argument("--region", choices=REGIONS, help="where the account is (OKWS_REGION)")
    parser.add_argument("--demo", action="store_true", default=None, help="demo trading (OKWS_DEMO)")
    parser.add_argument("--ws-url", metavar="URL", help="another exchange, as ws://127.0.0.1:8080/ws/v5 (OKWS_WS_URL)")
    parser.add_argument("--proxy", metavar="URL", help="http:// or socks5:// proxy (OKWS_PROXY)")
    parser.add_argument("--ca-file", metavar="PEM", help="trust this certificate, too (OKWS_CA_FILE)")


def run(options: argparse.Namespace) -> int:
    """Record; gives the exit status. BadCommand for what cannot be understood, Refused for a refused login."""
    logging.basicConfig(format="okws record: %(message)s", level=logging.WARNING, stream=sys.stderr)
    if options.seconds is not None and not options.seconds > 0:
        raise BadCommand(f"--seconds {options.seconds:g}: a number above 0 is accepted")
    settings = settings_of.load()
    profile = _profile(settings, options.profile)
    chosen = {name: value for name in ("region", "demo", "ws_url") if (value := getattr(options, name)) is not None}
    proxy = options.proxy if options.proxy is not None else profile.get("proxy") or settings.proxy
    topics = [_topic(text) for text in options.topics]
    with (
        StopRequest() as stop,
        Recorder(
            topics,
            options.output,
            settings.endpoints({**profile, **chosen}),
            credentials(profile),
            proxy=check_proxy(str(proxy)),
            ca_file=_ca_file(options.ca_file or settings.ca_file),
            overwrite=options.force,
            on_end=lambda: os.kill(os.getpid(), signal.SIGTERM),
        ) as recorder,
    ):
        stop.wait(options.seconds)
    if recorder.failure is not None:
        raise recorder.failure
    counts = ", ".join(f"{count:,} {name}" for name, count in recorder.received.items() if name[0] != ":")
    print(f"{options.output}: {counts or 'nothing was received'}")
    return 0


def _profile(settings: settings_of.Settings, name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    found = settings.profiles.get(name.lower())
    if found is None:
        known = ", ".join(sorted(settings.profiles)) or "none"
        raise BadCommand(f"profile {name!r}: there is none of this name; there are: {known}")
    return dict(found)


def _ca_file(path: str) -> str:
    """The path, if what it names can be trusted: no connection would come about, however often it is tried."""
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as problem:
            raise BadCommand(f"CA file {path!r}: {problem.strerror}") from None
    return path


def _topic(text: str) -> Topic:
    if not text.lstrip().startswith("{"):
        return parse_topic(text)
    try:
        return parse_topic(json.loads(text))
    except ValueError:
        raise BadCommand(f"topic {text!r}: not JSON") from None
