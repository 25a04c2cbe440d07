"""cryptofeed, as a program of its own, gets from the simulator what REST says, unchanged but for its addresses."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

from simulator.agreement import Books, Tickers, assert_trades, history

from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate

PROGRAM = Path(__file__).with_name("cryptofeed_program.py")
IDS = {"BTC-USDT": "BTC-USDT", "BTC-USDT-PERP": "BTC-USDT-SWAP"}
PATIENCE_S = 60


def test_cryptofeed_gets_tickers_trades_and_books(certificate: Certificate, tmp_path: Path) -> None:
    """Symbols from REST; no trade missing; tickers and books, whose checksums it checks, as REST has them."""
    with Simulator(seed=7, limits=False, speed=3, checksums=True, tls=(certificate.cert, certificate.key)) as sim:
        trusting = ssl.create_default_context(cafile=certificate.cert)
        connection = http.client.HTTPSConnection(sim.host, sim.port, timeout=20, context=trusting)

        def rest(path: str, **query: str) -> list[Any]:
            connection.request("GET", f"/api/v5/{path}?{urllib.parse.urlencode(query)}")
            rows: list[Any] = json.loads(connection.getresponse().read())["data"]
            return rows

        # requests, which reads the symbols, has a variable of its own.
        trust = {"SSL_CERT_FILE": certificate.cert, "REQUESTS_CA_BUNDLE": certificate.cert}
        program = subprocess.Popen(
            [sys.executable, str(PROGRAM), f"{sim.host}:{sim.port}"],
            cwd=tmp_path,
            env={**os.environ, **trust},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for symbol, rows in _read(program, rest).items():
                inst_id = IDS[symbol]

                def page(after: str, inst_id: str = inst_id) -> list[Any]:
                    return rest("market/history-trades", instId=inst_id, after=after)

                assert {row["instId"] for row in rows} == {inst_id}
                assert_trades(rows, history(page, rows[0]))
        finally:
            connection.close()
            program.send_signal(signal.SIGTERM)
            try:
                _, complaints = program.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
        assert complaints == ""
        assert program.returncode == 0


def _read(program: subprocess.Popen[str], rest: Any) -> dict[str, list[Any]]:
    """Hold what the program prints against REST, until there is enough of everything; gives the trades by symbol."""
    trades: dict[str, list[Any]] = {symbol: [] for symbol in IDS}
    books, tickers = {symbol: Books() for symbol in IDS}, Tickers()
    deadline = time.monotonic() + PATIENCE_S
    assert program.stdout is not None
    for nth, line in enumerate(program.stdout):
        told = json.loads(line)
        symbol = told.get("symbol", "")
        match told["kind"]:
            case "symbols":
                spot = [one["instId"] for one in rest("public/instruments", instType="SPOT")]
                assert set(spot) | {"BTC-USDT-PERP"} <= set(told["symbols"])
            case "trade":
                row = told["raw"]
                assert (told["id"], told["side"]) == (row["tradeId"], row["side"])
                assert (told["price"], told["amount"]) == (row["px"], row["sz"])
                trades[symbol].append(row)
            case "ticker":
                row = told["raw"]
                assert (told["bid"], told["ask"]) == (row["bidPx"], row["askPx"])
                tickers.had(row)
            case "book":
                books[symbol].had(told["seq_id"], told["bids"], told["asks"])
        if nth % 5 == 0:
            for symbol, inst_id in IDS.items():
                tickers.told(*rest("market/ticker", instId=inst_id))
                books[symbol].told(*rest("market/books", instId=inst_id, sz="400"))
        if (
            min(len(rows) for rows in trades.values()) >= 20
            and min(len(one.seen) for one in books.values()) >= 50
            and min(one.confirmed for one in books.values()) >= 2
            and tickers.confirmed == set(IDS.values())
        ):
            return trades
        assert time.monotonic() < deadline, (nth, [one.confirmed for one in books.values()], tickers.confirmed)
    raise AssertionError(f"it ended: {program.communicate()[1]}")
