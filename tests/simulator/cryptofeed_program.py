"""A program as cryptofeed's users write it: tickers, trades and books of OKX, a JSON object a line, until SIGTERM.

The only argument is the address that stands in place of OKX's, such as 127.0.0.1:8080.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from cryptofeed import FeedHandler
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import OKX


def tell(**told: Any) -> None:
    """One line for who started this."""
    print(json.dumps(told, default=str), flush=True)


async def ticker(one: Any, receipt_s: float) -> None:
    """A ticker came."""
    tell(kind="ticker", symbol=one.symbol, bid=one.bid, ask=one.ask, raw=one.raw)


async def trade(one: Any, receipt_s: float) -> None:
    """A trade came."""
    tell(kind="trade", symbol=one.symbol, id=one.id, side=one.side, price=one.price, amount=one.amount, raw=one.raw)


async def book(one: Any, receipt_s: float) -> None:
    """The book has changed, and passed the checksum."""
    sides = one.book.to_dict()
    bids, asks = ([(str(px), str(sz)) for px, sz in sides[side].items()] for side in ("bid", "ask"))
    tell(kind="book", symbol=one.symbol, bids=bids, asks=asks, seq_id=one.raw["data"][0]["seqId"])


def main(address: str) -> None:
    """Run until SIGTERM."""
    for endpoint in OKX.websocket_endpoints:
        endpoint.address = endpoint.address.replace("ws.okx.com:8443", address)
    OKX.rest_endpoints[0].address = f"https://{address}"
    tell(kind="symbols", symbols=OKX.symbols())
    feed = OKX(
        symbols=["BTC-USDT", "BTC-USDT-PERP"],
        channels=[TICKER, TRADES, L2_BOOK],
        callbacks={TICKER: ticker, TRADES: trade, L2_BOOK: book},
        checksum_validation=True,
    )
    # Its uvloop asks for a loop that the newest uvloop does not make by itself.
    handler = FeedHandler({"uvloop": False, "log": {"filename": "feedhandler.log", "level": "WARNING"}})
    handler.add_feed(feed)
    handler.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
