"""Candles and logs as tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal

import pandas
import pytest
import redis

from okws_celery import query
from okws_celery.errors import BadCommand, Stale
from okws_celery.okx.topics import parse_topic
from okws_celery.query import Reader
from okws_celery.settings import load
from okws_celery.tables import table

CANDLES = "candle1m:BTC-USDT"
TRADES = "trades:BTC-USDT"


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """What a session would have written: three candles and three trades."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for number in range(3):
            ts = 1_700_000_000_000 + 60_000 * number
            row = [str(ts), "1.10", "2", "0.5", f"{number}.25", "10", "", "12", "1" if number < 2 else "0"]
            client.zadd(f"okex/s1/{CANDLES}", {json.dumps(row): ts})
            trade = {"instId": "BTC-USDT", "tradeId": f"00{number}", "px": "64000.1", "sz": "0.30", "side": "buy"}
            trade |= {"ts": str(ts), "seqId": 7}
            client.xadd(f"okex/s1/{TRADES}", {"data": json.dumps(trade)}, id=f"{ts}-{number}")
        yield client


@pytest.fixture
def reader(redis_url: str, store: redis.Redis) -> Reader:
    """A reader of this Redis."""
    return Reader(load({"OKWS_REDIS_URL": redis_url}))


class TestCandles:
    def test_columns(self, reader: Reader) -> None:
        """Named as the exchange names them; numbers are float64, what is empty is NaN, confirm is a bool."""
        frame = reader.frame("s1", CANDLES)
        assert list(frame.columns) == ["o", "h", "l", "c", "vol", "volCcy", "volCcyQuote", "confirm"]
        assert {str(frame[name].dtype) for name in frame.columns if name != "confirm"} == {"float64"}
        assert list(frame["c"]) == [0.25, 1.25, 2.25]
        assert frame["volCcy"].isna().all()
        assert list(frame["confirm"]) == [True, True, False]
        assert frame["confirm"].dtype == bool

    def test_index(self, reader: Reader) -> None:
        """The start of each bar, UTC."""
        index = reader.frame("s1", CANDLES).index
        assert (index.name, str(index.tz)) == ("ts", "UTC")
        assert index[0] == pandas.Timestamp("2023-11-14T22:13:20Z")
        assert index.is_monotonic_increasing

    def test_newest(self, reader: Reader) -> None:
        """`n` as with `get`, also among the parameters."""
        assert list(reader.frame("s1", CANDLES, n=2)["c"]) == [1.25, 2.25]
        assert list(reader.frame("s1", "candle1m", {"instrument_id": "BTC-USDT", "n": 1})["c"]) == [2.25]

    def test_without_volume(self, store: redis.Redis, reader: Reader) -> None:
        """Candles of a price have no volume."""
        store.zadd("okex/s1/mark-price-candle1m:BTC-USDT", {json.dumps(["60000", "1", "2", "3", "4", "1"]): 60_000})
        frame = reader.frame("s1", "mark-price-candle1m:BTC-USDT")
        assert list(frame.columns) == ["o", "h", "l", "c", "confirm"]
        assert frame["confirm"].all()

    def test_empty(self, reader: Reader) -> None:
        """No candles are a table without rows, with its columns and its kind of index."""
        frame = reader.frame("s1", "candle1m:X-Y")
        assert len(frame) == 0
        assert "vol" in frame.columns
        assert str(frame.index.tz) == "UTC"


class TestOtherNumbers:
    def test_decimal(self, reader: Reader) -> None:
        """Exactly what the exchange said."""
        frame = reader.frame("s1", CANDLES, decimal=True)
        assert frame["o"].iloc[0] == Decimal("1.10")
        assert str(frame["o"].iloc[0]) == "1.10"
        assert frame["volCcy"].iloc[0] is None

    def test_strings(self, reader: Reader) -> None:
        """The exchange's own text."""
        frame = reader.frame("s1", TRADES, strings=True)
        assert list(frame["sz"]) == ["0.30"] * 3

    def test_both(self, reader: Reader) -> None:
        """One of them."""
        with pytest.raises(BadCommand, match="not both"):
            reader.frame("s1", CANDLES, decimal=True, strings=True)


class TestLogs:
    def test_trades(self, reader: Reader) -> None:
        """Prices are numbers, ids and words are not."""
        frame = reader.frame("s1", TRADES)
        assert list(frame["tradeId"]) == ["000", "001", "002"]
        assert list(frame["side"]) == ["buy"] * 3
        assert list(frame["px"]) == [64000.1] * 3
        assert list(frame["seqId"]) == [7] * 3
        assert frame.index[1] == pandas.Timestamp("2023-11-14T22:14:20Z")

    def test_liquidations(self, store: redis.Redis, reader: Reader) -> None:
        """What OKX nests is one row each."""
        row = {"instId": "BTC-USDT-SWAP", "details": [{"bkPx": "1.5", "ts": "60000"}, {"bkPx": "2.5", "ts": "120000"}]}
        store.xadd("okex/s1/liquidation-orders:SWAP", {"data": json.dumps(row)}, id="1-1")
        frame = reader.frame("s1", "liquidation-orders:SWAP")
        assert list(frame["bkPx"]) == [1.5, 2.5]
        assert set(frame["instId"]) == {"BTC-USDT-SWAP"}
        assert frame.index[1] == pandas.Timestamp(120_000, unit="ms", tz="UTC")

    def test_rows_of_v3(self) -> None:
        """Candles and trades in the shape of OKEx API v3, with ISO times."""
        times = ["2026-11-24T00:00:00.000Z", "2026-11-24T00:01:00.000Z"]
        rows = [{"timestamp": time, "open": "1", "close": "2.5", "volume": ""} for time in times]
        frame = table(parse_topic(CANDLES), rows)
        assert frame.index.name == "timestamp"
        assert frame.index[1] == pandas.Timestamp("2026-11-24T00:01:00Z")
        assert list(frame["close"]) == [2.5, 2.5]
        trades = [{"timestamp": times[0], "trade_id": "5", "price": "1.5", "side": "buy"}]
        frame = table(parse_topic(TRADES), trades)
        assert (frame["trade_id"].iloc[0], frame["price"].iloc[0]) == ("5", 1.5)


class TestRefused:
    @pytest.mark.parametrize("topic", ["tickers:BTC-USDT", "books:BTC-USDT", "orders", "account"])
    def test_not_in_time(self, reader: Reader, topic: str) -> None:
        """What is no row of rows in time is no table."""
        with pytest.raises(BadCommand, match="rows in time"):
            reader.frame("s1", topic)

    def test_stale(self, reader: Reader) -> None:
        """`max_age` as with `get`."""
        with pytest.raises(Stale):
            reader.frame("s1", CANDLES, max_age=5)

    def test_module(self, redis_url: str, store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        """The function reads where the environment says."""
        monkeypatch.setenv("OKWS_REDIS_URL", redis_url)
        assert len(query.frame("s1", CANDLES)) == 3

    def test_no_pandas(self) -> None:
        """Where pandas is not installed the extra is named, before Redis is asked; all else works without it."""
        program = """
            import sys
            sys.modules["pandas"] = None
            from okws_celery import query
            from okws_celery.errors import BadCommand
            try:
                query.frame("s1", "candle1m:BTC-USDT")
            except BadCommand as problem:
                print(problem)
        """
        lines = "\n".join(line[12:] for line in program.splitlines())
        done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=60, check=True)
        assert "pip install 'okws_celery[pandas]'" in done.stdout
