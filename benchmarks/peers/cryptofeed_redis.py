"""`cryptofeed` with its own Redis streams backend: it stores a few fields of each row and publishes nothing."""

import sys
from collections import defaultdict
from urllib.parse import urlsplit

from cryptofeed import FeedHandler
from cryptofeed.backends.redis import BookStream, TickerStream, TradeStream
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import OKX
from cryptofeed.symbols import Symbols

ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3:]
address = urlsplit(redis_url)
where = {"host": address.hostname, "port": address.port}
names = sorted({topic.partition(":")[2] for topic in topics})
channels = {topic.partition(":")[0] for topic in topics}
# Its list of symbols comes from the exchange's REST, which has none of the load's instruments.
Symbols.set("OKX", {name: name for name in names}, defaultdict(dict, {"instrument_type": dict.fromkeys(names, "spot")}))
OKX.websocket_endpoints = [
    WebsocketEndpoint(ws_url + "/public", channel_filter=("books", "trades", "tickers"), options={"compression": None})
]
backends = {
    "tickers": (TICKER, TickerStream(**where)),
    "trades": (TRADES, TradeStream(**where)),
    "books": (L2_BOOK, BookStream(**where)),
}
chosen = dict(backends[channel] for channel in channels)
handler = FeedHandler({"log": {"disabled": True}})
handler.add_feed(OKX(symbols=names, channels=list(chosen), callbacks=chosen))
handler.run()
