"""Reads of what stands in Redis: shapes, spellings, freshness, one round trip each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from okws_celery import query
from okws_celery.errors import BadCommand, Stale, StoreError
from okws_celery.query import Reader
from okws_celery.settings import load


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """What a session would write with."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def reader(redis_url: str) -> Reader:
    """A reader of this Redis."""
    return Reader(load({"OKWS_REDIS_URL": redis_url}))


class TestShapes:
    def test_latest(self, store: redis.Redis, reader: Reader) -> None:
        """A hash is a dict of the exchange's strings."""
        store.hset("okex/s1/tickers:BTC-USDT", mapping={"last": "64012.30", "instId": "BTC-USDT"})
        assert reader.get("s1", "tickers:BTC-USDT") == {"last": "64012.30", "instId": "BTC-USDT"}

    def test_candles(self, store: redis.Redis, reader: Reader) -> None:
        """Rows in order of time; `n` takes the newest, oldest first."""
        for ts in (3000, 1000, 2000):
            store.zadd("okex/s1/candle1m:BTC-USDT", {json.dumps([str(ts), "1.0"]): ts})
        assert reader.get("s1", "candle1m:BTC-USDT") == [["1000", "1.0"], ["2000", "1.0"], ["3000", "1.0"]]
        assert reader.get("s1", "candle1m:BTC-USDT", n=2) == [["2000", "1.0"], ["3000", "1.0"]]
        assert reader.get("s1", "candle1m:BTC-USDT", {"n": 1}) == [["3000", "1.0"]]

    def test_logs(self, store: redis.Redis, reader: Reader) -> None:
        """Entries of a stream as the exchange's objects."""
        for number in range(1, 4):
            store.xadd(
                "okex/s1/trades:BTC-USDT", {"data": json.dumps({"tradeId": str(number)})}, id=f"{number}-{number}"
            )
        assert [row["tradeId"] for row in reader.get("s1", "trades:BTC-USDT")] == ["1", "2", "3"]
        assert reader.get("s1", "trades:BTC-USDT", n=1) == [{"tradeId": "3"}]

    def test_book(self, store: redis.Redis, reader: Reader) -> None:
        """Sides as lists of levels, the best first; `n` cuts both."""
        sides = {"bids": json.dumps([["2", "1"], ["1", "1"]]), "asks": json.dumps([["3", "1"], ["4", "1"]])}
        store.hset("okex/s1/books:BTC-USDT", mapping=sides | {"ts": "1", "seqId": "7", "state": "live"})
        book = reader.get("s1", "books:BTC-USDT", n=1)
        assert book == {"bids": [["2", "1"]], "asks": [["3", "1"]], "ts": "1", "seqId": "7", "state": "live"}

    @pytest.mark.parametrize(
        ("path", "empty"),
        [("tickers:X-Y", {}), ("books:X-Y", {}), ("trades:X-Y", []), ("candle1m:X-Y", []), ("account", {})],
    )
    def test_no_data(self, reader: Reader, path: str, empty: Any) -> None:
        """No data is an empty one of its kind."""
        assert reader.get("s1", path) == empty

    def test_system_status(self, store: redis.Redis, reader: Reader) -> None:
        """OKX's channel `status` does not meet the session's own status."""
        store.set("okex/s1/status", "CONNECTED")
        store.hset("okex/s1/system-status", mapping={"title": "upgrade"})
        assert reader.get("s1", "status") == {"title": "upgrade"}


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "params"),
        [
            ("tickers:BTC-USDT", None),
            ("tickers:BTC-USDT", {}),
            ("tickers", {"instId": "BTC-USDT"}),
            ("tickers", {"instrument_id": "BTC-USDT"}),
            ({"channel": "tickers", "instId": "BTC-USDT"}, None),
            ({"channel": "tickers"}, {"instId": "BTC-USDT"}),
        ],
    )
    def test_spellings(self, store: redis.Redis, reader: Reader, path: Any, params: Any) -> None:
        """A path and its parameters may be written in several ways."""
        store.hset("okex/s1/tickers:BTC-USDT", mapping={"last": "1"})
        assert reader.get("s1", path, params) == {"last": "1"}

    @pytest.mark.parametrize("params", [{"ccy": "USDT"}, {"currency": "USDT"}])
    def test_currency(self, store: redis.Redis, reader: Reader, params: dict[str, str]) -> None:
        """A currency by either of its names."""
        store.hset("okex/s1/account", mapping={"USDT": '{"ccy": "USDT", "eq": "5"}', "BTC": '{"ccy": "BTC"}'})
        assert reader.get("s1", "account", params)["eq"] == "5"

    @pytest.mark.parametrize(
        ("path", "params", "n"),
        [
            ("tickerz:BTC-USDT", None, None),
            ("tickerz", {"instId": "BTC-USDT"}, None),
            ("tickers", None, None),
            ("tickers", {"color": "red"}, None),
            ("tickers", {"instId": 5}, None),
            (None, None, None),
            (5, {"instId": "x"}, None),
            ("trades:BTC-USDT", None, 0),
            ("trades:BTC-USDT", None, "3"),
            ("trades:BTC-USDT", None, True),
            ("trades:BTC-USDT", {"n": -1}, None),
        ],
    )
    def test_wrong(self, reader: Reader, path: Any, params: Any, n: Any) -> None:
        """What is wrong is said before Redis is asked."""
        with pytest.raises(BadCommand):
            reader.get("s1", path, params, n)

    def test_wrong_name(self, reader: Reader) -> None:
        """A name is checked like everywhere."""
        with pytest.raises(BadCommand, match="session name"):
            reader.get("a b", "account")


class TestState:
    """All orders, all positions, all balances: one round trip, whatever topics brought them."""

    def rows(self, store: redis.Redis) -> None:
        """Two orders and two balances."""
        orders = {"1": {"instType": "SPOT", "instId": "BTC-USDT"}, "2": {"instType": "SWAP", "instId": "BTC-USDT-SWAP"}}
        store.hset("okex/s1/orders", mapping={field: json.dumps(row) for field, row in orders.items()})
        store.hset("okex/s1/account", mapping={"USDT": '{"ccy": "USDT"}', "account": '{"totalEq": "5"}'})

    @pytest.mark.parametrize(
        ("path", "params", "fields"),
        [
            ("orders", None, {"1", "2"}),
            ({"channel": "orders"}, None, {"1", "2"}),
            ("orders", {}, {"1", "2"}),
            ("orders:ANY", None, {"1", "2"}),
            ("orders:SPOT", None, {"1"}),
            ("orders", {"instType": "SWAP"}, {"2"}),
            ("orders", {"instId": "BTC-USDT"}, {"1"}),
            ("orders", {"instrument_id": "BTC-USDT-SWAP"}, {"2"}),
            ("orders:instId=BTC-USDT", None, {"1"}),
            ("positions", None, set()),
            ("account", None, {"USDT", "account"}),
        ],
    )
    def test_whole(self, store: redis.Redis, reader: Reader, path: Any, params: Any, fields: set[str]) -> None:
        """A read needs no argument that a subscription needs."""
        self.rows(store)
        assert set(reader.get("s1", path, params)) == fields

    def test_only_state(self, reader: Reader) -> None:
        """Of tickers and their like there is one key for each instrument: it must be named."""
        with pytest.raises(BadCommand, match="instId missing"):
            reader.get("s1", "tickers")

    def test_max_age(self, store: redis.Redis, reader: Reader) -> None:
        """Every topic that brings such rows must be live and heard of; another channel's state is of no concern."""
        self.rows(store)
        store.set("okex/s1/status", "CONNECTED")
        with pytest.raises(Stale, match="not subscribed"):
            reader.get("s1", "orders", max_age=5)
        now = int(time.time() * 1000)
        for topic, state in (("orders:SPOT", "live"), ("orders:SWAP", "live"), ("orders-algo:SPOT", "stale")):
            store.hset("okex/s1/topics", topic, json.dumps({"state": state, "since": 1}))
            store.hset("okex/s1/seen", topic, now)
        assert set(reader.get("s1", "orders", max_age=60)) == {"1", "2"}
        store.hset("okex/s1/seen", "orders:SWAP", now - 90_000)
        with pytest.raises(Stale, match="orders:SWAP: last heard of"):
            reader.get("s1", "orders", max_age=60)
        store.hset("okex/s1/topics", "orders:SPOT", json.dumps({"state": "stale", "since": 1, "reason": "link lost"}))
        with pytest.raises(Stale, match="orders:SPOT: stale, link lost"):
            reader.get("s1", "orders", max_age=60)


class TestFreshness:
    def live(self, store: redis.Redis, seen_s_ago: float = 0.0) -> None:
        """A live session with a live topic."""
        store.set("okex/s1/status", "CONNECTED")
        store.hset("okex/s1/topics", "tickers:BTC-USDT", json.dumps({"state": "live", "since": 1}))
        store.hset("okex/s1/seen", "tickers:BTC-USDT", int((time.time() - seen_s_ago) * 1000))
        store.hset("okex/s1/tickers:BTC-USDT", mapping={"last": "1"})

    def get(self, reader: Reader, max_age: float = 5) -> Any:
        """A read that wants fresh data."""
        return reader.get("s1", "tickers:BTC-USDT", max_age=max_age)

    def test_fresh(self, store: redis.Redis, reader: Reader) -> None:
        """Live and heard of: the data."""
        self.live(store)
        assert self.get(reader) == {"last": "1"}

    def test_old(self, store: redis.Redis, reader: Reader) -> None:
        """Heard of too long ago."""
        self.live(store, seen_s_ago=60)
        with pytest.raises(Stale, match="s ago"):
            self.get(reader)
        assert self.get(reader, max_age=100) == {"last": "1"}

    @pytest.mark.parametrize("status", [None, "EXIT", "REFUSED"])
    def test_session_gone(self, store: redis.Redis, reader: Reader, status: str | None) -> None:
        """A worker that died left the topic's state behind, but not the session's."""
        self.live(store)
        store.set("okex/s1/status", status) if status else store.delete("okex/s1/status")
        with pytest.raises(Stale, match=status or "not there"):
            self.get(reader)

    def test_topic_stale(self, store: redis.Redis, reader: Reader) -> None:
        """The reason is named."""
        self.live(store)
        store.hset("okex/s1/topics", "tickers:BTC-USDT", json.dumps({"state": "stale", "since": 1, "reason": "gone"}))
        with pytest.raises(Stale, match="stale, gone"):
            self.get(reader)

    def test_never_seen(self, store: redis.Redis, reader: Reader) -> None:
        """Subscribed, but nothing has come yet; and not subscribed at all."""
        self.live(store)
        store.delete("okex/s1/seen")
        with pytest.raises(Stale, match="never"):
            self.get(reader)
        store.delete("okex/s1/topics")
        with pytest.raises(Stale, match="not subscribed"):
            self.get(reader)

    @pytest.mark.parametrize("wrong", [float("nan"), True, "2"])
    def test_no_age(self, store: redis.Redis, reader: Reader, wrong: Any) -> None:
        """What no age can be compared with would pass everything."""
        self.live(store)
        with pytest.raises(BadCommand, match="max_age"):
            self.get(reader, max_age=wrong)

    def test_without_wish(self, store: redis.Redis, reader: Reader) -> None:
        """Who does not ask for an age gets what there is."""
        store.hset("okex/s1/tickers:BTC-USDT", mapping={"last": "1"})
        assert reader.get("s1", "tickers:BTC-USDT") == {"last": "1"}


class TestRoundTrips:
    @pytest.mark.parametrize("max_age", [None, 1e9])
    def test_one(self, store: redis.Redis, reader: Reader, max_age: float | None) -> None:
        """A read is one packet to Redis, freshness included."""
        TestFreshness().live(store)
        reader.get("s1", "tickers:BTC-USDT")  # connects
        sends = _Sends(reader)
        reader.get("s1", "tickers:BTC-USDT", max_age=max_age)
        assert sends.count == 1


class TestStatus:
    def test_status(self, store: redis.Redis, reader: Reader) -> None:
        """The word alone, while all is well."""
        assert reader.status("s1") == {"status": "", "code": 0, "msg": "", "hint": ""}
        store.set("okex/s1/status", "CONNECTED")
        store.hset("okws/{s1}/session", mapping={"state": "open", "code": "0", "msg": "", "hint": ""})
        assert reader.status("s1")["status"] == "CONNECTED"

    def test_refused(self, store: redis.Redis, reader: Reader) -> None:
        """OKX's code and text, and what can be done."""
        store.set("okex/s1/status", "REFUSED")
        told = {"state": "refused", "code": "60005", "msg": "Invalid apiKey", "hint": "look"}
        store.hset("okws/{s1}/session", mapping=told)
        assert reader.status("s1") == {"status": "REFUSED", "code": 60005, "msg": "Invalid apiKey", "hint": "look"}

    def test_topics(self, store: redis.Redis, reader: Reader) -> None:
        """State of each topic, with the time of its last arrival."""
        store.hset("okex/s1/topics", "account", json.dumps({"state": "pending", "since": 5}))
        assert reader.topics("s1") == {"account": {"state": "pending", "since": 5}}
        store.hset("okex/s1/seen", "account", 7)
        assert reader.topics("s1") == {"account": {"state": "pending", "since": 5, "seen": 7}}

    def test_servers(self, store: redis.Redis, reader: Reader) -> None:
        """Open and held."""
        store.hset("okws/sessions", mapping={"b": "id", "a": "id", "dead": "id"})
        for name in ("a", "b"):
            store.set(f"okws/{{{name}}}/lease", "w/token")
        assert reader.servers() == ["a", "b"]


class TestModule:
    def test_settings_of_the_process(self, store: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The functions read where the environment says, also when it changes."""
        monkeypatch.setenv("OKWS_REDIS_URL", redis_url)
        store.hset("okex/s1/tickers:BTC-USDT", mapping={"last": "1"})
        store.hset("mine/s1/tickers:BTC-USDT", mapping={"last": "2"})
        assert query.get("s1", "tickers:BTC-USDT") == {"last": "1"}
        monkeypatch.setenv("OKWS_PREFIX", "mine")
        assert query.get("s1", "tickers:BTC-USDT") == {"last": "2"}
        assert query.status("s1")["status"] == ""
        assert query.topics("s1") == {}
        assert query.servers() == []

    def test_no_redis(self, free_port: Any) -> None:
        """Where Redis is not, its address is named, its password is not."""
        reader = Reader(load({"OKWS_REDIS_URL": f"redis://:hidden@127.0.0.1:{free_port()}/0"}))
        with pytest.raises(StoreError, match=r"127\.0\.0\.1") as problem:
            reader.get("s1", "account")
        assert "hidden" not in str(problem.value)


class _Sends:
    """Counts what a reader's connection sends from now on."""

    def __init__(self, reader: Reader) -> None:
        self.count = 0
        (connection,) = reader.registry.redis.connection_pool._available_connections
        send = connection.send_packed_command

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return send(*args, **kwargs)

        connection.send_packed_command = counted
