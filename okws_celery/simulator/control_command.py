"""`okws simulator fault | faults | state | load | account`: what a simulator elsewhere should do, and how it is.

They speak to its control API (`control`) and need nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from okws_celery.errors import BadCommand, OkwsError
from okws_celery.simulator.faults import FAULTS, MEANINGS
from okws_celery.simulator.load_plan import parse_mix

__all__ = ["add_actions", "run_action"]

_TIMEOUT_S = 10.0
_EVERYWHERE = ("path", "conn", "arg", "channel", "chance", "seed", "times", "every_s")


def add_actions(parser: argparse.ArgumentParser) -> None:
    """The actions as commands of their own; without one the simulator itself is started."""
    actions = parser.add_subparsers(dest="action", metavar="action")
    fault = actions.add_parser("fault", help="let a running simulator misbehave: fault drop path=public how=rst")
    fault.add_argument("name", help="one that `okws simulator faults` lists")
    fault.add_argument("parameters", nargs="*", metavar="parameter=value")
    load = actions.add_parser("load", help="look at a simulator in load mode, or change it: load burst=1000000")
    load.add_argument("parameters", nargs="*", metavar="parameter=value", help="rate=, mix=channel=share,... or burst=")
    account = actions.add_parser("account", help="an account from the exchange's side: account place side=sell sz=0.1")
    account.add_argument("deed", choices=("show", "place", "fill", "cancel"))
    account.add_argument("parameters", nargs="*", metavar="parameter=value", help="of an order; or ordId=, sz=, px=")
    state = actions.add_parser("state", help="connections, subscriptions, logins and faults of a running simulator")
    for one in (fault, load, account, state):
        one.add_argument("--at", metavar="URL", default="http://127.0.0.1:8080", help="its REST URL (%(default)s)")
        one.add_argument("--ca-file", metavar="PEM", default="", help="trust this certificate, too")
    actions.add_parser("faults", help="list all faults with their parameters")


def run_action(given: argparse.Namespace) -> int:
    """Do what was asked for; gives the exit status. OkwsError says what is wrong."""
    if given.action == "faults":
        print(_table())
        return 0
    if given.action == "fault":
        if given.name not in FAULTS:
            raise BadCommand(f"fault {given.name!r}: {', '.join(FAULTS)} are accepted")
        body = {"fault": given.name, **_parameters(given.parameters, FAULTS[given.name])}
        said = _call(given, "/control/fault", body)
    elif given.action == "load":
        body = _parameters(given.parameters, {"rate": 0.0, "mix": "", "burst": 0})
        if "mix" in body:
            body["mix"] = parse_mix(body["mix"])
        said = _call(given, "/control/load", body or None)
    elif given.action == "account":
        said = _account(given)
    else:
        said = _call(given, "/control/state", None)
    print(json.dumps(said, indent=None if given.action == "fault" else 2))
    return 0


def _account(given: argparse.Namespace) -> Any:
    said = dict.fromkeys(("account", "times"), "") | _parameters(given.parameters, {})
    body: dict[str, Any] = {"account": said.pop("account")}
    times = said.pop("times")
    if given.deed == "show":
        return _call(given, "/control/account?" + urlencode(body), None)
    if given.deed == "place":
        body |= {"place": said, **({"times": int(times)} if times.isdecimal() else {"times": times} if times else {})}
    else:
        body |= {given.deed: said.pop("ordId", ""), **said}
    return _call(given, "/control/account", body)


def _parameters(pairs: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON where that is meant: what is text by default stays text, `conn=01234567` too."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadCommand(f"{pair!r}: parameter=value is accepted")
        if isinstance(defaults.get(key, ""), str):
            found[key] = value
            continue
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _call(given: argparse.Namespace, path: str, body: object) -> Any:
    url = given.at.rstrip("/") + path
    context = None
    if given.ca_file:
        try:
            context = ssl.create_default_context(cafile=given.ca_file)
        except OSError as problem:
            raise BadCommand(f"--ca-file {given.ca_file!r}: {problem.strerror}") from None
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=_TIMEOUT_S, context=context) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        try:
            text = json.load(refused)["error"]
        except (ValueError, KeyError, TypeError):
            text = f"status {refused.code}; is it a simulator?"
        raise BadCommand(text) from None
    except (OSError, ValueError) as problem:
        raise OkwsError(f"no simulator answers at {given.at}: {getattr(problem, 'reason', problem)}") from None


def _table() -> str:
    lines = []
    for name, parameters in FAULTS.items():
        own = [f"{key}={json.dumps(value)}" for key, value in parameters.items() if key not in _EVERYWHERE]
        lines += [f"{name}  {'  '.join(own)}".rstrip(), f"    {MEANINGS[name]}"]
    return "\n".join(lines)
