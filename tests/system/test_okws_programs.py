"""Programs as users of okws wrote them, with another import line: standalone with a config file, embedded, client.

Each is run as it was written, and once more without its sleeps, which nobody needs.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from houses import House
from waiting import eventually

from okws_celery.errors import DONE
from okws_celery.sync import Client

EMBEDDED = """
import asyncio
from okws_celery import aio as okws

async def client():
    okex = await okws.client()

    # connect
    await okex.open_ws('tests', {'apiKey':'','secret':'','password':''})
    await asyncio.sleep(1)

    ret = await okex.subscribe('tests', "TOPIC")
    # time to subscribe and to get a ticker
    await asyncio.sleep(2)
    ticker = await okex.get('tests', "CHANNEL", {"KEY": "ETH-USDT"})
    print(ticker)

    # the server ends, then this client
    await okex.server_quit()
    await okex.close()
    await asyncio.sleep(1)

async def test_server():
    await asyncio.gather(
        okws.server.run(),
        client()
    )

if __name__ == '__main__':
    asyncio.run(test_server())
"""

CLIENT = """
import asyncio
import logging
from okws_celery import aio as okws

logging.basicConfig(format='%(message)s', level=logging.INFO)
logging.getLogger('okws_celery').setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

async def main():
    okex = await okws.client()
    ret = await okex.open_ws('tests',{'apiKey':'','secret':'','password':''})  # connects
    logger.info(ret)

    # until it is connected
    await asyncio.sleep(10)
    ret = await okex.subscribe('tests', "TOPIC")
    await asyncio.sleep(1)
    ret = await okex.get('tests', "CHANNEL", {"KEY": "ETH-USDT"})
    logger.info(ret)

asyncio.run(main())
"""

INI = """
[config]
redis=redis://here
maxrows=1000

[test]
apiKey=
secret=
password=
commands =
    {"op": "subscribe", "args": ["TOPIC"]}
    {"op": "subscribe", "args": ["CANDLES"]}

[ok2]
apiKey=
secret=8C52F
password=
"""

YAML = """
settings:
  REDIS_URL: "redis://here"
  MAX_ROW: 1000
  LISTEN_CHANNEL: 'trade-ws'
  REDIS_INFO_KEY: 'trade-ws/info'
  OKWS_INFO: 'okws/info'

servers:
  - name: test
    apiKey: ""
    secret: ""
    password: ""
  - name: ok2

subscribes:
  - server: test
    channels:
      - "TOPIC"
      - "CANDLES"
"""


@dataclass(frozen=True)
class Names:
    """How the topics are called, and what a ticker's and a candle's fields are."""

    topic: str
    candles: str
    key: str
    fields: frozenset[str]

    def into(self, text: str) -> str:
        """The text with these names."""
        channel = self.topic.partition(":")[0]
        for placeholder, name in {
            "TOPIC": self.topic,
            "CHANNEL": channel,
            "CANDLES": self.candles,
            "KEY": self.key,
        }.items():
            text = re.sub(rf"\b{placeholder}\b", name, text)
        return text


V5 = Names("tickers:ETH-USDT", "candle1m:ETH-USDT", "instId", frozenset({"instId", "last", "askPx", "bidPx", "ts"}))
V3 = Names(
    "spot/ticker:ETH-USDT",
    "spot/candle60s:ETH-USDT",
    "instrument_id",
    frozenset({"instrument_id", "last", "best_ask", "best_bid", "timestamp"}),
)
NAMES = [pytest.param(V5, id="v5"), pytest.param(V3, id="v3")]

with_names = pytest.mark.parametrize("names", NAMES)
with_sleeps = pytest.mark.parametrize("sleeps", [True, False], ids=["as it was", "no sleeps"])


def written(program: str, names: Names, sleeps: bool) -> str:
    """The program with these names, with or without its sleeps."""
    program = names.into(program)
    without = re.sub(r"^ *await asyncio\.sleep\(.*\)\n", "", program, flags=re.MULTILINE)
    assert without != program
    return program if sleeps else without


@with_names
@with_sleeps
def test_embedded(house: House, names: Names, sleeps: bool) -> None:
    """The server runs beside the client, the ticker is there, and `server_quit` ends the program."""
    ticker = ast.literal_eval(house.python(written(EMBEDDED, names, sleeps)))
    assert ticker[names.key] == "ETH-USDT"
    assert names.fields <= ticker.keys()
    assert float(ticker["last"]) > 0


@with_names
@with_sleeps
def test_client(house: House, names: Names, sleeps: bool) -> None:
    """Beside a server that runs by itself, a client opens, subscribes and reads."""
    with house.running("server", sys.executable, "-m", "okws_celery.server") as log, house.client() as other:
        eventually(lambda: "ready" in log.read_text(), timeout=60, what="the server is up")
        done = house.run(sys.executable, "-c", written(CLIENT, names, sleeps))
        assert done.status == 0, done.errors
        opened, ticker = map(ast.literal_eval, done.errors.strip().splitlines())
        assert opened["errorCode"] == DONE
        assert opened["event"] == "info"
        assert names.fields <= ticker.keys()
        assert other.servers()["message"] == ["tests"]
        other.server_quit()


@with_names
@pytest.mark.parametrize(("file", "text"), [("okws.ini", INI), ("okws.yaml", YAML)])
def test_standalone(house: House, client: Client, tmp_path: Path, names: Names, file: str, text: str) -> None:
    """The sessions of the file are open and subscribed, without a program that asks for it."""
    (tmp_path / file).write_text(names.into(text).replace("redis://here", house.redis_url))
    server = (sys.executable, "-m", "okws_celery.server", "-c", file)
    channel, candles = names.topic.partition(":")[0], names.candles.partition(":")[0]
    with house.running("server", *server, OKWS_REDIS_URL=""):
        eventually(lambda: client.servers()["message"] == ["ok2", "test"], timeout=60, what="both sessions are open")
        ticker = eventually(lambda: client.get("test", channel, {names.key: "ETH-USDT"}), timeout=30)
        assert names.fields <= ticker.keys()
        assert eventually(lambda: client.get("test", candles, {names.key: "ETH-USDT", "n": 100}), timeout=30)
        client.server_quit()
