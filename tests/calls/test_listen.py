"""What a listener yields, of every kind of data, with either client."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from publisher import Publisher
from waiting import eventually

from okws_celery.errors import BadCommand, StoreError
from okws_celery.sync import Client

BTC = "BTC-USDT"


def trade(number: int, inst_id: str = BTC) -> dict[str, str]:
    """A trade; its time rises with its number."""
    return {
        "instId": inst_id,
        "tradeId": str(number),
        "px": "1",
        "sz": "2",
        "side": "buy",
        "ts": str(1_000_000 + number),
    }


def ticker(number: int, inst_id: str = BTC) -> dict[str, str]:
    """A ticker."""
    return {"instId": inst_id, "last": str(number), "ts": str(1_000_000 + number)}


def order(number: int, state: str = "live", filled: int = 0, at: int = 0) -> dict[str, str]:
    """An order."""
    time = str(1_000_000 + (at or number))
    return {
        "instType": "SPOT",
        "instId": BTC,
        "ordId": str(number),
        "state": state,
        "fillSz": str(filled),
        "uTime": time,
    }


def candle(number: int, confirm: str = "0", close: str = "1") -> list[str]:
    """A candle of one minute."""
    return [str(60_000 * number), "1", "1", "1", close, "5", "5", "5", confirm]


def book(action: str, seq: int, prev: int, price: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A push of a book: its row and its envelope."""
    row = {"asks": [["9", "1", "0", "1"]], "bids": [[price, "1", "0", "1"]], "ts": str(1_000_000 + seq)}
    return row | {"seqId": seq, "prevSeqId": prev, "checksum": 0}, {"action": action}


def take(listener: Any, count: int) -> list[dict[str, Any]]:
    """So many items."""
    return list(itertools.islice(listener, count))


class TestFirst:
    """What comes first is made from the key."""

    def test_latest(self, client: Client, publisher: Publisher) -> None:
        """The last row, then each push as it was sent."""
        publisher.subscribe(f"tickers:{BTC}")
        publisher.push(f"tickers:{BTC}", ticker(1))
        with client.listen("s1", f"tickers:{BTC}") as listener:
            publisher.push(f"tickers:{BTC}", ticker(2), ticker(3))
            arg = {"channel": "tickers", "instId": BTC}
            assert take(listener, 2) == [
                {"arg": arg, "data": [ticker(1)], "snapshot": True},
                {"arg": arg, "data": [ticker(2), ticker(3)]},
            ]

    def test_nothing_there(self, client: Client, publisher: Publisher) -> None:
        """Where nothing has come yet the first item is the first push; of state, that there is none."""
        publisher.subscribe(f"tickers:{BTC}", "orders:SPOT")
        with client.listen("s1", [f"tickers:{BTC}", "orders:SPOT"]) as listener:
            publisher.push(f"tickers:{BTC}", ticker(2))
            first, second = take(listener, 2)
        assert first == {"arg": {"channel": "orders", "instType": "SPOT"}, "data": [], "snapshot": True}
        assert second["data"] == [ticker(2)]

    def test_log(self, client: Client, publisher: Publisher) -> None:
        """All that is kept, oldest first."""
        publisher.subscribe(f"trades:{BTC}")
        publisher.push(f"trades:{BTC}", *map(trade, range(5)))
        with client.listen("s1", f"trades:{BTC}") as listener:
            publisher.push(f"trades:{BTC}", trade(5))
            first, second = take(listener, 2)
        assert (first["snapshot"], first["data"]) == (True, [trade(number) for number in range(5)])
        assert second == {"arg": {"channel": "trades", "instId": BTC}, "data": [trade(5)]}

    def test_candles(self, client: Client, publisher: Publisher) -> None:
        """Rows as lists, as OKX sends them."""
        publisher.subscribe(f"candle1m:{BTC}")
        for row in (candle(1, "1"), candle(2)):
            publisher.push(f"candle1m:{BTC}", row)
        with client.listen("s1", f"candle1m:{BTC}") as listener:
            publisher.push(f"candle1m:{BTC}", candle(2, "1"))
            first, second = take(listener, 2)
        assert (first["snapshot"], first["data"]) == (True, [candle(1, "1"), candle(2)])
        assert second["data"] == [candle(2, "1")]

    def test_book(self, client: Client, publisher: Publisher) -> None:
        """A snapshot onto which the updates can be merged: its seqId is the number that they name."""
        publisher.subscribe(f"books:{BTC}")
        row, envelope = book("snapshot", 7, -1, "5")
        publisher.push(f"books:{BTC}", row, **envelope)
        with client.listen("s1", f"books:{BTC}") as listener:
            row, envelope = book("update", 9, 7, "6")
            publisher.push(f"books:{BTC}", row, **envelope)
            first, second = take(listener, 2)
        assert (first["snapshot"], first["action"], first["data"][0]["seqId"]) == (True, "snapshot", 7)
        assert first["data"][0]["bids"] == [["5", "1", "0", "1"]]
        assert (second["action"], second["data"]) == ("update", [row])

    def test_account(self, client: Client, publisher: Publisher) -> None:
        """Balances stand together again, as OKX sends them; of one currency, that one."""
        publisher.subscribe("account")
        row = {"uTime": "5", "totalEq": "9", "details": [{"ccy": "USDT", "eq": "5"}, {"ccy": "BTC", "eq": "1"}]}
        publisher.push("account", row, eventType="snapshot")
        with client.listen("s1", "account") as listener:
            assert take(listener, 1)[0]["data"] == [row]
        with client.listen("s1", "account:USDT") as listener:
            assert [one["ccy"] for one in take(listener, 1)[0]["data"][0]["details"]] == ["USDT"]

    def test_balance_and_position(self, client: Client, publisher: Publisher) -> None:
        """Balances and positions apart, as OKX sends them."""
        publisher.subscribe("balance_and_position")
        row = {"pTime": "5", "eventType": "snapshot", "balData": [{"ccy": "USDT", "cashBal": "5", "uTime": "4"}]}
        row["posData"] = [{"posId": "1", "pos": "2", "uTime": "4"}]
        publisher.push("balance_and_position", row)
        with client.listen("s1", "balance_and_position") as listener:
            (first,) = take(listener, 1)
        assert first["data"] == [{"balData": row["balData"], "posData": row["posData"]}]


class TestOwnPushes:
    """The channel of pushes carries those of every instrument."""

    def test_other_instruments(self, client: Client, publisher: Publisher) -> None:
        """Only those of the topics that were asked for are given."""
        topics = [f"tickers:{one}-USDT" for one in ("BTC", "ETH", "SOL")]
        publisher.subscribe(*topics)
        with client.listen("s1", [topics[0], {"channel": "tickers", "instId": "SOL-USDT"}]) as listener:
            for topic in topics * 2:
                publisher.push(topic, ticker(1 if topic else 0, topic[8:]), ticker(2, topic[8:]))
            seen = [item["arg"]["instId"] for item in take(listener, 2)]
        assert seen == [BTC, "SOL-USDT"]

    def test_state_of_all_types(self, client: Client, publisher: Publisher) -> None:
        """Orders of a type are chosen from those of any; a channel without arguments is all of it."""
        publisher.subscribe("orders:ANY")
        swap = order(1) | {"instType": "SWAP"}
        with client.listen("s1", "orders:SPOT") as spot, client.listen("s1", "orders") as every:
            publisher.push("orders:ANY", swap, order(2))
            publisher.push("orders:ANY", order(3))
            assert [push["data"] for push in take(spot, 3)] == [[], [order(2)], [order(3)]]
            assert [push["data"] for push in take(every, 3)] == [[], [swap, order(2)], [order(3)]]

    def test_what_comes_twice(self, client: Client, publisher: Publisher) -> None:
        """A trade or an order that the exchange sends twice is given once."""
        publisher.subscribe(f"trades:{BTC}", "orders:SPOT")
        with client.listen("s1", [f"trades:{BTC}", "orders:SPOT"]) as listener:
            for _ in range(3):
                publisher.push(f"trades:{BTC}", trade(1))
                publisher.push("orders:SPOT", order(1))
            publisher.push(f"trades:{BTC}", trade(1), trade(2))
            items = take(listener, 4)
        assert [item["data"] for item in items] == [[], [trade(1)], [order(1)], [trade(2)]]

    def test_snapshot_that_comes_twice(self, client: Client, publisher: Publisher) -> None:
        """A push that tells all there is may tell it again: then nothing of it is left out."""
        publisher.subscribe("positions:ANY")
        rows = [{"posId": str(number), "pos": "1", "uTime": "5", "instType": "SWAP"} for number in range(2)]
        with client.listen("s1", "positions:ANY") as listener:
            for _ in range(2):
                publisher.push("positions:ANY", *rows, eventType="snapshot", curPage=1, lastPage=True)
            assert [item["data"] for item in take(listener, 3)] == [[], rows, rows]

    def test_rubbish(self, client: Client, publisher: Publisher) -> None:
        """What somebody else publishes there is passed over."""
        publisher.subscribe(f"tickers:{BTC}")
        with client.listen("s1", f"tickers:{BTC}") as listener:
            for rubbish in (b"", b"{", b"\xff", b"[]", b"5", b'{"arg": 5, "data": 7}', b'{"data": {}}'):
                publisher.redis.publish("okex/s1/tickers", rubbish)
                publisher.redis.publish("okex/s1/event", rubbish)
            publisher.push(f"tickers:{BTC}", ticker(1))
            assert take(listener, 1)[0]["data"] == [ticker(1)]


class TestEvents:
    def test_gaps(self, client: Client, publisher: Publisher) -> None:
        """Gaps of the topic are given where they belong, those of others are not, nor what else is announced."""
        publisher.subscribe(f"trades:{BTC}", "trades:ETH-USDT")
        publisher.push(f"trades:{BTC}", trade(1))
        publisher.push("trades:ETH-USDT", trade(1, "ETH-USDT"))
        with client.listen("s1", f"trades:{BTC}") as listener:
            for topic in ("trades:ETH-USDT", f"trades:{BTC}"):
                publisher.broken(topic)
                publisher.push(topic, trade(9, topic[7:]))
            items = take(listener, 4)
        gap = {"op": "GAP", "topic": f"trades:{BTC}", "from": 1_000_001, "to": None, "reason": "link lost"}
        assert items[1] == gap
        # Within a transaction pushes are published before events.
        assert [items[2]["data"], items[3]] == [[trade(9)], gap | {"to": 1_000_009}]

    def test_all_of_them(self, client: Client, publisher: Publisher) -> None:
        """With `events` the session's own and STALE and LIVE of the topic come as well."""
        publisher.subscribe(f"tickers:{BTC}", "tickers:ETH-USDT")
        publisher.push(f"tickers:{BTC}", ticker(1))
        with client.listen("s1", f"tickers:{BTC}", events=True) as listener:
            publisher.broken("tickers:ETH-USDT")
            publisher.broken(f"tickers:{BTC}")
            publisher.redis.publish("okex/s1/event", json.dumps({"op": "DISCONNECTED"}))
            assert [item.get("op") for item in take(listener, 4)] == [None, "GAP", "STALE", "DISCONNECTED"]


class TestFilled:
    """What REST brings for a gap is put into Redis and not published as pushes: listeners are given it all the same."""

    @pytest.mark.parametrize("publish", ["both", "pushes", "rows"])
    def test_trades(self, redis_url: str, client: Client, publish: str) -> None:
        """Each trade once, those from REST with the mark of a replay, though later ones came before them."""
        topic = f"trades:{BTC}"
        with Publisher(redis_url, publish=publish) as publisher:
            publisher.subscribe(topic)
            publisher.push(topic, trade(1))
            with client.listen("s1", topic) as listener:
                publisher.broken(topic)
                publisher.hold(topic)
                publisher.push(topic, trade(5))
                publisher.push(topic, trade(6))
                publisher.fill(topic, *map(trade, range(1, 5)))
                items = take(listener, 8)
                publisher.push(topic, trade(7))
                items += take(listener, 1)
        given = [int(row["tradeId"]) for item in items for row in item.get("data", ())]
        assert sorted(given) == [1, 2, 3, 4, 5, 6, 7]
        gaps = [item for item in items if "op" in item]
        assert [gap["to"] for gap in gaps] == [None, 1_000_001]
        assert gaps[1]["filled"]
        if publish != "rows":
            assert given == [1, 5, 6, 2, 3, 4, 7]
            assert [item.get("replay", False) for item in items if "data" in item] == [False] * 3 + [True] * 3 + [False]

    def test_candles(self, client: Client, publisher: Publisher) -> None:
        """Candles from the gap on as they stand now."""
        topic = f"candle1m:{BTC}"
        publisher.subscribe(topic)
        publisher.push(topic, candle(1, "1"))
        publisher.push(topic, candle(2))
        with client.listen("s1", topic) as listener:
            publisher.broken(topic)
            publisher.hold(topic)
            publisher.push(topic, candle(4))
            publisher.fill(topic, candle(1, "1"), candle(2, "1"), candle(3, "1"))
            items = take(listener, 5)
        assert items[-1]["snapshot"]
        assert [row[0] for row in items[-1]["data"]] == ["120000", "180000", "240000"]

    def test_orders(self, client: Client, publisher: Publisher) -> None:
        """What happened to an order while the link was down, then how things stand."""
        publisher.subscribe("orders:SPOT")
        for row in (order(1), order(2)):
            publisher.push("orders:SPOT", row)
        with client.listen("s1", "orders:SPOT") as listener:
            publisher.broken("orders:SPOT")
            take(listener, 2)
            ended = order(1, "filled", 2, at=5) | {"source": "rest"}
            publisher.redis.hdel("okex/s1/orders", "1")
            publisher.redis.xadd("okex/s1/orders/log", {"data": json.dumps(ended)})
            publisher.push("orders:SPOT", order(3))
            pushed, gap, replayed, stands = take(listener, 4)
        assert (pushed["data"], gap["to"]) == ([order(3)], 1_000_003)
        assert (replayed["data"], replayed["replay"]) == ([ended], True)
        assert (stands["data"], stands["snapshot"]) == ([order(2), order(3)], True)


class TestSpelledAsV3:
    """Topics of v3: pushes in its shape, told apart by what their rows are about."""

    def test_ticker(self, client: Client, publisher: Publisher) -> None:
        """`{"table", "data"}`, of the one instrument, the first from the key."""
        publisher.subscribe("spot/ticker:BTC-USDT", "spot/ticker:ETH-USDT")
        publisher.push("spot/ticker:BTC-USDT", ticker(1))
        with client.listen("s1", "spot/ticker:BTC-USDT") as listener:
            publisher.push("spot/ticker:ETH-USDT", ticker(7, "ETH-USDT"))
            publisher.push("spot/ticker:BTC-USDT", ticker(2))
            items = take(listener, 2)
        assert [item["table"] for item in items] == ["spot/ticker"] * 2
        assert [item["data"][0]["last"] for item in items] == ["1", "2"]
        assert {item["data"][0]["instrument_id"] for item in items} == {BTC}
        assert [item.get("snapshot") for item in items] == [True, None]

    def test_trades(self, client: Client, publisher: Publisher) -> None:
        """Each once, also from a time on."""
        publisher.subscribe("spot/trade:BTC-USDT")
        publisher.push("spot/trade:BTC-USDT", trade(1), trade(2))
        for since in (None, 1_000_002):
            with client.listen("s1", "spot/trade:BTC-USDT", since=since, timeout=0.3) as listener:
                given = [row["trade_id"] for item in listener for row in item["data"]]
            assert given == (["2"] if since else ["1", "2"])

    def test_candles(self, client: Client, publisher: Publisher) -> None:
        """Candles as v3 pushed them, the first item too."""
        publisher.subscribe("spot/candle60s:BTC-USDT")
        publisher.push("spot/candle60s:BTC-USDT", candle(1, "1"))
        with client.listen("s1", "spot/candle60s:BTC-USDT") as listener:
            publisher.push("spot/candle60s:BTC-USDT", candle(2))
            first, second = (item["data"][0] for item in take(listener, 2))
        assert first["instrument_id"] == second["instrument_id"] == BTC
        assert len(first["candle"]) == len(second["candle"])
        assert (first["candle"][0], second["candle"][0]) == ("1970-01-01T00:01:00.000Z", "1970-01-01T00:02:00.000Z")

    def test_book(self, client: Client, publisher: Publisher) -> None:
        """The first item is a `partial`, as v3 called it."""
        publisher.subscribe("spot/depth:BTC-USDT")
        row, envelope = book("snapshot", 7, -1, "5")
        publisher.push("spot/depth:BTC-USDT", row, **envelope)
        with client.listen("s1", "spot/depth:BTC-USDT") as listener:
            row, envelope = book("update", 9, 7, "6")
            publisher.push("spot/depth:BTC-USDT", row, **envelope)
            assert [item["action"] for item in take(listener, 2)] == ["partial", "update"]

    def test_gaps(self, client: Client, publisher: Publisher) -> None:
        """Of this topic, and not of its counterpart of v5, which may be subscribed as well."""
        publisher.subscribe("spot/ticker:BTC-USDT", "spot/ticker:ETH-USDT")
        publisher.push("spot/ticker:BTC-USDT", ticker(1))
        publisher.push("spot/ticker:ETH-USDT", ticker(1, "ETH-USDT"))
        with client.listen("s1", "spot/ticker:BTC-USDT") as listener:
            publisher.broken("spot/ticker:ETH-USDT")
            publisher.broken("spot/ticker:BTC-USDT")
            assert take(listener, 2)[1]["topic"] == "spot/ticker:BTC-USDT"


class TestSince:
    """A reader that was away goes on where it stopped."""

    @pytest.mark.parametrize(("since", "first"), [(1_000_003, 3), ("1000003", 3), ("1000003-3", 4), (0, 1)])
    def test_log(self, client: Client, publisher: Publisher, since: Any, first: int) -> None:
        """From a time on, or after an entry, one push for each row; then live."""
        publisher.subscribe(f"trades:{BTC}")
        publisher.push(f"trades:{BTC}", *map(trade, range(1, 6)))
        with client.listen("s1", f"trades:{BTC}", since=since) as listener:
            publisher.push(f"trades:{BTC}", trade(6))
            items = take(listener, 7 - first)
        assert [item["data"] for item in items] == [[trade(number)] for number in range(first, 7)]
        assert [item.get("id") for item in items[:-1]] == [f"{1_000_000 + n}-{n}" for n in range(first, 6)]
        assert "replay" not in items[-1]

    def test_orders(self, client: Client, publisher: Publisher) -> None:
        """Of an account channel every row as it came, then how things stand."""
        publisher.subscribe("orders:SPOT")
        rows = [order(1, at=1), order(1, "partially_filled", 1, 2), order(1, "filled", 2, 3), order(2, at=4)]
        for row in rows:
            publisher.push("orders:SPOT", row)
        with client.listen("s1", "orders:SPOT", since=0) as listener:
            publisher.push("orders:SPOT", order(3))
            items = take(listener, 6)
        assert [item["data"] for item in items[:4]] == [[row] for row in rows]
        assert items[4]["snapshot"]
        assert items[4]["data"] == [order(2, at=4)]
        assert items[5]["data"] == [order(3)]

    def test_candles(self, client: Client, publisher: Publisher) -> None:
        """Those from a time on."""
        publisher.subscribe(f"candle1m:{BTC}")
        for number in range(1, 5):
            publisher.push(f"candle1m:{BTC}", candle(number, "1"))
        with client.listen("s1", f"candle1m:{BTC}", since=180_000) as listener:
            assert take(listener, 1)[0]["data"] == [candle(3, "1"), candle(4, "1")]

    def test_gaps(self, client: Client, publisher: Publisher) -> None:
        """Gaps that were announced meanwhile are told."""
        publisher.subscribe(f"trades:{BTC}")
        publisher.push(f"trades:{BTC}", trade(1))
        publisher.broken(f"trades:{BTC}")
        publisher.push(f"trades:{BTC}", trade(5))
        with client.listen("s1", f"trades:{BTC}", since=0) as listener:
            items = take(listener, 4)
        assert sorted(str(item.get("to")) for item in items if "op" in item) == ["1000005", "None"]
        assert [item["data"] for item in items if "op" not in item] == [[trade(1)], [trade(5)]]

    @pytest.mark.parametrize("since", ["", "x", -1, "5-", "5-x", True, 1.5, [], "-5"])
    def test_wrong(self, client: Client, since: Any) -> None:
        """What is no time and no entry is said to be none."""
        with pytest.raises(BadCommand, match="since"):
            client.listen("s1", f"trades:{BTC}", since=since)

    @pytest.mark.parametrize("topic", [f"tickers:{BTC}", f"books:{BTC}", "instruments:SPOT"])
    def test_no_history(self, client: Client, topic: str) -> None:
        """A topic that keeps nothing of the past says so."""
        with pytest.raises(BadCommand, match="history"):
            client.listen("s1", topic, since=5)


class TestForms:
    """Which messages there are is the session's choice."""

    def test_none(self, redis_url: str, client: Client) -> None:
        """Where nothing is published that is said at once, with the names of both settings."""
        with (
            Publisher(redis_url, publish="none"),
            pytest.raises(BadCommand, match=r"OKWS_PUBLISH.*open_ws\(publish=\)"),
        ):
            client.listen("s1", f"tickers:{BTC}")

    @pytest.mark.parametrize(
        ("topic", "rows"),
        [
            (f"tickers:{BTC}", [ticker(1), ticker(2)]),
            (f"trades:{BTC}", [trade(1), trade(2)]),
            ("orders:SPOT", [order(1), order(2)]),
            (f"candle1m:{BTC}", [candle(1, "1"), candle(2, "1")]),
        ],
    )
    def test_rows(self, redis_url: str, client: Client, topic: str, rows: list[Any]) -> None:
        """Where only rows are published, pushes are made from them."""
        with Publisher(redis_url, publish="rows") as publisher:
            publisher.subscribe(topic, "orders:SWAP", "trades:ETH-USDT")
            with client.listen("s1", topic) as listener:
                publisher.push("orders:SWAP", order(7) | {"instType": "SWAP"})
                publisher.push("trades:ETH-USDT", trade(7, "ETH-USDT"))
                for row in rows:
                    publisher.push(topic, row)
                items = [item for item in take(listener, 3 if topic[0] == "o" else 2) if "snapshot" not in item]
        assert [item["data"] for item in items] == [[row] for row in rows]
        assert items[0]["arg"]["channel"] == topic.partition(":")[0]

    def test_balances_as_rows(self, redis_url: str, client: Client) -> None:
        """A balance that was published by itself stands where OKX puts balances."""
        with Publisher(redis_url, publish="rows") as publisher:
            publisher.subscribe("account")
            with client.listen("s1", "account:USDT") as listener:
                details = [{"ccy": "BTC", "eq": "1"}, {"ccy": "USDT", "eq": "5"}]
                publisher.push("account", {"uTime": "5", "details": details})
                assert take(listener, 2)[1]["data"] == [{"details": [{"ccy": "USDT", "eq": "5"}]}]

    def test_opened_anew_in_another_form(self, redis_url: str, client: Client) -> None:
        """A listener goes on when its session was opened again to publish otherwise."""
        with Publisher(redis_url) as before:
            before.subscribe(f"tickers:{BTC}")
            with client.listen("s1", f"tickers:{BTC}") as listener:
                before.push(f"tickers:{BTC}", ticker(1))
                assert take(listener, 1)[0]["data"] == [ticker(1)]
                with Publisher(redis_url, publish="rows") as after:
                    after.redis.publish("okex/s1/event", json.dumps({"op": "CONNECTED"}))
                    assert [item.get("op", item.get("snapshot")) for item in take(listener, 2)] == ["GAP", True]
                    after.subscribe(f"tickers:{BTC}")
                    after.push(f"tickers:{BTC}", ticker(2))
                    assert take(listener, 1)[0]["data"] == [ticker(2)]

    def test_session_that_is_not_open(self, client: Client, redis_url: str) -> None:
        """A listener may come before its session."""
        with client.listen("s1", f"tickers:{BTC}") as listener, Publisher(redis_url) as publisher:
            publisher.subscribe(f"tickers:{BTC}")
            publisher.push(f"tickers:{BTC}", ticker(1))
            assert take(listener, 1)[0]["data"] == [ticker(1)]


class TestLife:
    def test_timeout(self, client: Client, publisher: Publisher) -> None:
        """It ends when nothing has come for so long, and can be asked again."""
        publisher.subscribe(f"tickers:{BTC}")
        with client.listen("s1", f"tickers:{BTC}", timeout=0.2) as listener:
            assert list(listener) == []
            publisher.push(f"tickers:{BTC}", ticker(1))
            assert [item["data"] for item in listener] == [[ticker(1)]]

    def test_closed(self, client: Client, publisher: Publisher) -> None:
        """A closed listener has nothing more to give, and its connection is gone."""
        publisher.subscribe(f"tickers:{BTC}")
        listener = client.listen("s1", f"tickers:{BTC}")
        assert publisher.redis.pubsub_numsub("okex/s1/tickers") == [(b"okex/s1/tickers", 1)]
        listener.close()
        assert list(listener) == []
        listener.close()
        eventually(lambda: publisher.redis.pubsub_channels() == [])

    def test_client_closed(self, redis_url: str, client_of: Callable[[str], Client], publisher: Publisher) -> None:
        """A client takes its listeners with it."""
        client = client_of(redis_url)
        listener = client.listen("s1", f"tickers:{BTC}")
        assert publisher.redis.pubsub_channels()
        client.close()
        eventually(lambda: publisher.redis.pubsub_channels() == [])
        assert listener is not None

    @pytest.mark.parametrize("topic", [[], None, 5, "tickers", "tickerz:X", ["tickers:BTC-USDT", ""], "orders:COLOR"])
    def test_wrong_topic(self, client: Client, topic: Any) -> None:
        """What is no topic is said to be none."""
        with pytest.raises(BadCommand, match="topic"):
            client.listen("s1", topic)

    @pytest.mark.parametrize("timeout", [0, -1, "5", True])
    def test_wrong_timeout(self, client: Client, timeout: Any) -> None:
        """A timeout is a number of seconds."""
        with pytest.raises(BadCommand, match="seconds"):
            client.listen("s1", f"tickers:{BTC}", timeout=timeout)

    def test_no_redis(self, client_of: Callable[[str], Client], free_port: Callable[[], int]) -> None:
        """Where Redis is not it goes on trying; with a timeout it says where it looked, without the password."""
        port = free_port()
        client = client_of(f"redis://:hidden@127.0.0.1:{port}/0")
        with (
            client.listen("s1", f"tickers:{BTC}", timeout=0.5) as listener,
            pytest.raises(StoreError, match=str(port)) as problem,
        ):
            next(listener)
        assert "hidden" not in str(problem.value)

    def test_wrong_password(self, redis_url: str, client_of: Callable[[str], Client]) -> None:
        """A Redis that refuses to be read is not tried again."""
        client = client_of(redis_url.replace("redis://", "redis://nobody:hidden@"))
        with pytest.raises(StoreError, match="password") as problem:
            client.listen("s1", f"tickers:{BTC}")
        assert "hidden" not in str(problem.value)
