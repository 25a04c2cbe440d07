"""`okws simulator`: serve a simulated exchange until SIGINT or SIGTERM, and say where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from okws_celery.errors import OkwsError
from okws_celery.simulator.accounts import DEFAULT_KEY, parse_key
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
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster the market's time runs (1)")
    parser.add_argument("--demo", action="store_true", help="be the demo environment: other instIdCodes")
    parser.add_argument("--cert", metavar="PEM", default="", help="serve over TLS with this certificate")
    parser.add_argument("--key", metavar="PEM", default="", help="private key of the certificate")
    parser.add_argument(
        "--api-key",
        metavar="KEY:SECRET:PASSPHRASE",
        action="append",
        help="an account; may be given again (demo:demo-secret:demo-pass)",
    )


def run(namespace: argparse.Namespace) -> int:
    """Serve; gives the exit status: 0 after a signal, 2 with one line on standard error if it cannot begin."""
    try:
        return asyncio.run(_serve(namespace))
    except (OkwsError, ImportError) as problem:
        print(f"okws simulator: {problem}", file=sys.stderr)
        return 2
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
        raise OkwsError("--cert and --key belong together: give both or none")
    if not 0 < given.speed <= 1000:
        raise OkwsError(f"--speed {given.speed:g}: a factor above 0 and up to 1000 is accepted")
    options = Options(
        seed=given.seed,
        limits=not given.no_limits,
        replay=given.replay,
        pace=parse_pace(given.pace),
        speed=given.speed,
        demo=given.demo,
        api_keys=tuple(parse_key(text) for text in given.api_key) if given.api_key else (DEFAULT_KEY,),
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


if __name__ == "__main__":
    sys.exit(main())
