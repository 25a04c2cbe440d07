"""`okws simulator`: serve a simulated exchange until SIGINT or SIGTERM, and say where it listens.

With an action (`okws simulator fault ...`) it speaks to one that runs already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from typing import Any

from okws_celery.errors import BadCommand, OkwsError
from okws_celery.okx.login import Credentials
from okws_celery.simulator.accounts import DEFAULT_KEY, DEMO_KEY, AccountSetup, parse_accounts, parse_key
from okws_celery.simulator.control_command import add_actions, run_action
from okws_celery.simulator.load_plan import LoadPlan, parse_mix, parse_plan
from okws_celery.simulator.needs import needed
from okws_celery.simulator.replay import parse_pace

__all__ = ["add_arguments", "main", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (8080); 0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="seed of the market (1): the same seed, the same moves")
    parser.add_argument("--no-limits", action="store_true", help="do not limit requests and new connections")
    parser.add_argument("--replay", metavar="FILE", default="", help="play a recorded session (replay.jsonl)")
    parser.add_argument("--pace", default="recorded", help="of a replay: recorded, max or a factor (recorded)")
    parser.add_argument("--loop", action="store_true", help="play it again and again")
    parser.add_argument("--load", metavar="RATE", type=float, help="load mode: messages a second, 0 for bursts only")
    parser.add_argument("--mix", metavar="CHANNEL=SHARE,...", help="of the load (tickers=70,trades=30)")
    parser.add_argument("--levels", metavar="N", type=int, help="of a book of the load, on each side (400)")
    parser.add_argument("--instruments", metavar="N", type=int, help="of the load: L0001-USDT and on (100)")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster the market's time runs (1)")
    parser.add_argument("--cert", metavar="PEM", default="", help="serve over TLS with this certificate")
    parser.add_argument("--key", metavar="PEM", default="", help="private key of the certificate")
    parser.add_argument(
        "--api-key",
        metavar="KEY:SECRET:PASSPHRASE",
        action="append",
        help="an account; may be given again (demo:demo-secret:demo-pass)",
    )
    parser.add_argument(
        "--accounts", metavar="FILE", default="", help="accounts as a JSON list: keys, balances, vip, ..."
    )
    parser.add_argument("--demo", action="store_true", help="be the demo environment: other keys, other codes")
    parser.add_argument(
        "--demo-key",
        metavar="KEY:SECRET:PASSPHRASE",
        action="append",
        help="an account of the demo environment; may be given again (paper:paper-secret:paper-pass)",
    )
    parser.add_argument("--checksums", action="store_true", help="fill the checksums of books, which OKX leaves 0")
    parser.add_argument("--no-deflate", action="store_true", help="do not agree to permessage-deflate")
    parser.add_argument("--idle", metavar="S", type=float, default=30.0, help="seconds of silence before 4004 (30)")
    parser.add_argument("--login-closes", action="store_true", help="close with 4001 after a refused login")
    parser.add_argument("--most-on-one", metavar="N", type=int, default=0, help="subscriptions on a connection (4009)")
    parser.add_argument("--most-in-all", metavar="N", type=int, default=0, help="subscriptions in all (4008)")
    add_actions(parser)


def run(namespace: argparse.Namespace) -> int:
    """Serve, or do an action; gives the exit status, with one line on standard error if it is not 0.

    0: a signal ended it, or the action is done. 1: it cannot listen there, something is not installed, or no simulator
    answers. 2: what was asked for cannot be understood.
    """
    try:
        return run_action(namespace) if namespace.action else asyncio.run(_serve(namespace))
    except (OkwsError, ImportError) as problem:
        print(f"okws simulator: {problem}", file=sys.stderr)
        return 2 if isinstance(problem, BadCommand) else 1
    except KeyboardInterrupt:
        return 0


def main(argv: list[str] | None = None) -> int:
    """The command by itself."""
    parser = argparse.ArgumentParser(prog="okws simulator", description="An OKX that runs on this machine.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


async def _serve(given: argparse.Namespace) -> int:
    with needed():
        from okws_celery.simulator.exchange import Options
        from okws_celery.simulator.server import Server
    if bool(given.cert) != bool(given.key):
        raise BadCommand("--cert and --key belong together: give both or none")
    if not 0 < given.speed <= 1000:
        raise BadCommand(f"--speed {given.speed:g}: a factor above 0 and up to 1000 is accepted")
    if given.load is None and (given.mix or given.instruments or given.levels):
        raise BadCommand("--mix, --instruments and --levels belong to --load RATE")
    if given.idle <= 0 or given.most_on_one < 0 or given.most_in_all < 0:
        raise BadCommand("--idle takes seconds above 0; --most-on-one and --most-in-all a number from 0")
    options = Options(
        seed=given.seed,
        limits=not given.no_limits,
        replay=given.replay,
        pace=parse_pace(given.pace),
        loop=given.loop,
        load=_plan(given),
        speed=given.speed,
        api_keys=_accounts(given),
        demo_keys=tuple(parse_key(text) for text in given.demo_key) if given.demo_key else (DEMO_KEY,),
        demo=given.demo,
        checksums=given.checksums,
        deflate=not given.no_deflate,
        idle_s=given.idle,
        login_closes=given.login_closes,
        most_on_one=given.most_on_one,
        most_in_all=given.most_in_all,
    )
    server = Server(options, given.host, given.port, (given.cert, given.key) if given.cert else None)
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    await server.start()
    print(json.dumps({"ws": server.ws_url, "rest": server.rest_url}), flush=True)
    await end.wait()
    await server.stop()
    return 0


def _accounts(given: argparse.Namespace) -> tuple[Credentials | AccountSetup, ...]:
    """The accounts of a file and those of keys alone; the default one if there are none."""
    keys = [parse_key(text) for text in given.api_key or ()]
    setups = parse_accounts(given.accounts) if given.accounts else []
    return (*setups, *keys) or (DEFAULT_KEY,)


def _plan(given: argparse.Namespace) -> LoadPlan | None:
    if given.load is None:
        return None
    plan: dict[str, Any] = {"rate": given.load}
    if given.mix:
        plan["mix"] = parse_mix(given.mix)
    if given.instruments is not None:
        plan["instruments"] = given.instruments
    if given.levels is not None:
        plan["levels"] = given.levels
    return parse_plan(plan)


if __name__ == "__main__":
    sys.exit(main())
