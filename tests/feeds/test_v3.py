"""Feeds of v3 topics: fed with v5 rows, what they store, publish and give back is v3's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from examples import FUTURES, OPTION, SWAP, TS, example
from feeds.conftest import Bench

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.okx.messages import Push, decode

MINUTE = 60_000
BEGIN = 1_643_675_400_000
"""2022-02-01T00:30:00.000Z."""


def push_of(bench: Bench, *rows: Any, **envelope: Any) -> Push:
    message = decode(json.dumps({"arg": bench.topic.arg_object, **envelope, "data": rows}).encode())
    assert isinstance(message, Push)
    return message


def spoken(bench: Bench, *rows: Any, **envelope: Any) -> dict[str, Any]:
    """Give the feed a push; the v3 message that is made of it, {} for none."""
    message = push_of(bench, *rows, **envelope)
    bench.feed.write(bench.batch, message)
    said = bench.feed.spoken(message)
    bench.flush()
    return json.loads(said) if said else {}


def beside(bench: Bench, at: int, *rows: Any, **envelope: Any) -> None:
    """Give the feed a push of one of the channels that add to its data."""
    arg = bench.topic.others[at].arg
    message = decode(json.dumps({"arg": dict(arg), **envelope, "data": rows}).encode())
    assert isinstance(message, Push)
    bench.feed.aside(bench.batch, message, arg)
    bench.flush()


def candle(at: int, close: str = "2", confirm: str = "0") -> list[str]:
    return [str(BEGIN + at * MINUTE), "1", "3", "0.5", close, "10", "20", "30", confirm]


class TestCandles:
    """spot/candle60s and its like."""

    TOPIC = "swap/candle60s:BTC-USD-SWAP"

    def test_what_is_stored_published_and_read(self, bench: Bench) -> None:
        """Lists in Redis, dicts for readers, the closed candle on its channel."""
        bench.start(self.TOPIC)
        said = spoken(bench, candle(0, confirm="1"))
        assert said == {
            "table": "swap/candle60s",
            "data": [
                {
                    "candle": ["2022-02-01T00:30:00.000Z", "1", "3", "0.5", "2", "10", "20"],
                    "instrument_id": "BTC-USD-SWAP",
                }
            ],
        }
        row = {
            "timestamp": "2022-02-01T00:30:00.000Z",
            "open": "1",
            "high": "3",
            "low": "0.5",
            "close": "2",
            "volume": "10",
            "currency_volume": "20",
        }
        assert bench.read() == [row]
        assert bench.published() == [
            (
                "okex/N/swap/candle60s:BTC-USD-SWAP",
                json.dumps({"candle": row, "timestamp": row["timestamp"]}, separators=(",", ":")),
            )
        ]
        assert bench.ask("ZRANGE", "okex/N/swap/candle60s:BTC-USD-SWAP", 0, -1, "WITHSCORES") == [
            '["2022-02-01T00:30:00.000Z","1","3","0.5","2","10","20","1"]',
            str(BEGIN),
        ]

    def test_each_closed_candle_is_published_once_across_starts(self, bench: Bench) -> None:
        """What an earlier session left is understood."""
        for _ in range(2):
            bench.start(self.TOPIC)
            bench.push(candle(0, confirm="1"))
            bench.push(candle(1))
        bench.push(candle(1, close="2.5", confirm="1"))
        bench.start(self.TOPIC)
        bench.push(candle(1, confirm="1"))
        closed = [json.loads(payload)["timestamp"] for _, payload in bench.published()]
        assert closed == ["2022-02-01T00:30:00.000Z", "2022-02-01T00:31:00.000Z"]

    def test_the_newest(self, bench: Bench) -> None:
        """Oldest first."""
        bench.start(self.TOPIC)
        bench.push(*[candle(at) for at in range(5)])
        assert [row["timestamp"][14:16] for row in bench.read(n=2)] == ["33", "34"]

    def test_filled_from_rest(self, bench: Bench) -> None:
        """Rows of REST are v5 rows; they are kept and told as v3's."""
        bench.start(self.TOPIC)
        bench.push(candle(0, confirm="1"))
        bench.feed.hold()
        bench.push(candle(3))
        bench.feed.fill(bench.batch, [json.dumps(candle(at, confirm="1")).encode() for at in (2, 1, 0)])
        bench.flush()
        assert [row["timestamp"][14:16] for row in bench.read()] == ["30", "31", "32", "33"]
        closed = [json.loads(payload)["candle"]["timestamp"][14:16] for _, payload in bench.published()]
        assert closed == ["30", "31", "32"]

    def test_index_candles_have_no_volume(self, bench: Bench) -> None:
        """v3 said "0"."""
        bench.start("index/candle60s:BTC-USD")
        bench.push([str(BEGIN), "1", "3", "0.5", "2", "1"])
        assert bench.read()[0]["volume"] == "0"


class TestTrades:
    """spot/trade and its like."""

    def trade(self, number: int, **more: str) -> dict[str, Any]:
        return {
            "instId": "BTC-USDT",
            "tradeId": str(number),
            "px": "1",
            "sz": "2",
            "side": "buy",
            "ts": str(TS),
            **more,
        }

    def test_what_is_stored_published_and_read(self, bench: Bench) -> None:
        """In a stream, entry by entry."""
        bench.start("spot/trade:BTC-USDT")
        said = spoken(bench, self.trade(130))
        row = {
            "instrument_id": "BTC-USDT",
            "trade_id": "130",
            "side": "buy",
            "price": "1",
            "timestamp": "2021-04-17T16:49:46.174Z",
            "size": "2",
        }
        assert said == {"table": "spot/trade", "data": [row]}
        assert bench.read() == [row]
        assert bench.stream() == [(f"{TS}-130", json.dumps(row, separators=(",", ":")))]
        assert [(channel, json.loads(text)) for channel, text in bench.published()] == [
            ("okex/N/spot/trade:BTC-USDT", row)
        ]

    def test_none_is_written_twice_across_starts(self, bench: Bench) -> None:
        """What an earlier session left is understood."""
        for _ in range(2):
            bench.start("spot/trade:BTC-USDT")
            bench.push(self.trade(130), self.trade(131))
        assert [row["trade_id"] for row in bench.read()] == ["130", "131"]
        assert bench.feed.repeats == 2

    def test_filled_from_rest(self, bench: Bench) -> None:
        """With the count of what was pushed, which v3 does not tell."""
        bench.start("spot/trade:BTC-USDT")
        bench.push(self.trade(10))
        bench.feed.hold()
        bench.push(self.trade(15, count="2"))
        missed = [json.dumps(self.trade(number)).encode() for number in range(9, 15)]
        assert bench.feed.fill(bench.batch, missed).complete
        bench.flush()
        assert [row["trade_id"] for row in bench.read()] == ["10", "11", "12", "13", "15"]


class TestBooks:
    """depth, depth5, depth_l2_tbt."""

    def test_merged(self, bench: Bench) -> None:
        """partial and update, levels of three columns, the checksum of the merged book."""
        bench.start("spot/depth:BTC-USDT")
        (row,) = example(CATALOGUE["books"]).rows
        said = spoken(bench, row, action="snapshot")
        assert (said["table"], said["action"]) == ("spot/depth", "partial")
        (data,) = said["data"]
        assert data["asks"] == [["8476.98", "415", "13"], ["8477", "7", "2"]]
        assert data["checksum"] != 0
        change = {
            "asks": [["8476.98", "0", "0", "0"]],
            "bids": [],
            "ts": str(TS + 1),
            "seqId": 123457,
            "prevSeqId": 123456,
        }
        said = spoken(bench, change, action="update")
        assert (said["action"], said["data"][0]["asks"]) == ("update", [["8476.98", "0", "0"]])
        assert said["data"][0]["checksum"] != data["checksum"]
        assert bench.read() == {
            "instrument_id": "BTC-USDT",
            "bids": [["8476.97", "256", "12"], ["8475.55", "101", "1"]],
            "asks": [["8477", "7", "2"]],
            "timestamp": "2021-04-17T16:49:46.175Z",
            "checksum": str(said["data"][0]["checksum"]),
            "state": "live",
        }

    @pytest.mark.parametrize(
        ("topic", "level"),
        [
            ("spot/depth5:BTC-USDT", ["8476.98", "415", "13"]),
            ("swap/depth5:BTC-USD-SWAP", ["8476.98", "415", "0", "13"]),
            ("spot/depth_l2_tbt:BTC-USDT", ["8476.98", "415", "0", "13"]),
            ("option/depth:" + OPTION, ["8476.98", "415", "0", "13"]),
        ],
    )
    def test_columns(self, bench: Bench, topic: str, level: list[str]) -> None:
        """As each channel had them."""
        bench.start(topic)
        (row,) = example(bench.topic.v5.channel, {"instId": bench.topic.filter_value}).rows
        said = spoken(bench, row, **({} if "depth5" in topic else {"action": "snapshot"}))
        assert said["data"][0]["asks"][0] == bench.read()["asks"][0] == level
        assert ("action" in said, "checksum" in said["data"][0]) == (("depth5" not in topic,) * 2)

    def test_a_gap_makes_it_stale(self, bench: Bench) -> None:
        """As in v5; what is published goes on as sent."""
        bench.start("spot/depth:BTC-USDT")
        (row,) = example(CATALOGUE["books"]).rows
        bench.push(row, action="snapshot")
        change = {"asks": [["9000", "1", "0", "1"]], "bids": [], "ts": str(TS + 1), "seqId": 9, "prevSeqId": 8}
        assert bench.push(change, action="update") == "sequence gap"
        assert bench.read()["state"] == "stale"
        assert spoken(bench, change, action="update")["data"][0]["checksum"] == 0


class TestTickers:
    """Latest values."""

    def test_open_interest_is_merged(self, bench: Bench) -> None:
        """It shows at once, and in every push after it."""
        bench.start("swap/ticker:BTC-USD-SWAP")
        (row,) = example(CATALOGUE["tickers"], {"instId": SWAP}).rows
        assert spoken(bench, row)["data"][0]["open_interest"] == ""
        beside(bench, 0, *example(CATALOGUE["open-interest"]).rows)
        assert bench.read()["open_interest"] == "5000"
        assert spoken(bench, row)["data"][0]["open_interest"] == "5000"
        assert json.loads(bench.published()[-1][1])["open_interest"] == "5000"

    def test_what_is_no_row_writes_nothing(self, bench: Bench) -> None:
        """As in v5."""
        bench.start("spot/ticker:BTC-USDT")
        bench.refuses("x")


class TestState:
    """Orders, positions, balances."""

    FUTURE = "futures/position:" + FUTURES

    def position(self, **values: str) -> dict[str, Any]:
        return dict(example(CATALOGUE["positions"], {"instType": "FUTURES", "instId": FUTURES}, **values).rows[0])

    def order(self, **values: str) -> dict[str, Any]:
        return dict(example(CATALOGUE["orders"], {"instType": "SPOT", "instId": "BTC-USDT"}, **values).rows[0])

    def test_two_positions_are_one_row(self, bench: Bench) -> None:
        """Whichever side changes, both are told."""
        bench.start(self.FUTURE)
        bench.push(self.position(), eventType="snapshot")
        said = spoken(bench, self.position(posId="2", posSide="short", pos="4", availPos="4"), eventType="event_update")
        assert [(row["long_qty"], row["short_qty"]) for row in said["data"]] == [("10", "4")]
        assert (bench.read()["long_qty"], bench.read()["short_qty"]) == ("10", "4")
        assert list(bench.hash()) == [FUTURES]
        assert [json.loads(row)["short_qty"] for _, row in bench.stream("okex/N/futures/position/log")] == ["0", "4"]

    def test_a_side_that_is_closed(self, bench: Bench) -> None:
        """Its last word says so; when both are gone so is the row."""
        bench.start(self.FUTURE)
        bench.push(self.position(), self.position(posId="2", posSide="short", pos="4"), eventType="snapshot")
        closed = self.position(pos="0", uTime=str(TS + 1))
        assert spoken(bench, closed)["data"][0]["long_qty"] == "0"
        assert (bench.read()["long_qty"], bench.read()["short_qty"]) == ("0", "4")
        bench.push(self.position(posId="2", posSide="short", pos="0", uTime=str(TS + 1)))
        assert bench.read() == {}

    def test_a_change_that_waits_for_the_batch_is_seen_by_the_next(self, bench: Bench) -> None:
        """Two pushes of one batch."""
        bench.start(self.FUTURE)
        bench.push(self.position(), eventType="snapshot", flush=False)
        said = spoken(bench, self.position(posId="2", posSide="short", pos="4"))
        assert (said["data"][0]["long_qty"], said["data"][0]["short_qty"]) == ("10", "4")

    def test_what_an_earlier_session_left_goes_with_a_snapshot(self, bench: Bench) -> None:
        """And stays until there is one."""
        bench.start(self.FUTURE)
        bench.push(self.position(), eventType="snapshot")
        bench.start("futures/position:BTC-USD-270101")
        bench.push(self.position(posId="9", instId="BTC-USD-270101"), eventType="snapshot")
        bench.start(self.FUTURE)
        assert bench.read()["long_qty"] == "10"
        bench.push(eventType="snapshot")
        assert bench.read() == {}
        assert list(bench.hash()) == ["BTC-USD-270101"]

    def test_an_order_that_ended_while_the_session_was_away(self, bench: Bench) -> None:
        """Leaves, though the feed never saw it open."""
        bench.start("spot/order:BTC-USDT")
        bench.push(self.order())
        bench.start("spot/order:BTC-USDT")
        bench.push(self.order(state="canceled", uTime=str(TS + 1)))
        assert bench.read() == []

    def test_one_that_ends_before_it_is_known_what_was_left(self, bench: Bench) -> None:
        """Leaves all the same."""
        bench.start("spot/order:BTC-USDT")
        bench.push(self.order())
        bench.start("spot/order:BTC-USDT", prepare=False)
        bench.feed.prepare(bench.batch)
        bench.push(self.order(state="canceled", uTime=str(TS + 1)))
        assert bench.read() == []

    def test_an_execution_is_logged_once_across_starts(self, bench: Bench) -> None:
        """OKX may tell it twice; what an earlier session logged is understood."""
        for _ in range(2):
            bench.start("spot/order:BTC-USDT")
            bench.push(self.order())
        assert len(bench.stream("okex/N/spot/order/log")) == 1

    def test_orders_come_in_the_order_of_their_times(self, bench: Bench) -> None:
        """The newest `n`, oldest first."""
        bench.start("spot/order:BTC-USDT")
        for at in (3, 1, 2):
            bench.push(self.order(ordId=str(at), cTime=str(TS + at)))
        assert [row["order_id"] for row in bench.read()] == ["1", "2", "3"]
        assert [row["order_id"] for row in bench.read(n=2)] == ["2", "3"]

    def test_algo_orders_of_both_channels(self, bench: Bench) -> None:
        """One hash; each ends by itself."""
        bench.start("spot/order_algo:BTC-USDT")
        bench.push(*example(CATALOGUE["orders-algo"]).rows)
        (iceberg,) = example(CATALOGUE["algo-advance"]).rows
        beside(bench, 0, iceberg, eventType="snapshot")
        assert [(row["algo_id"], row["order_type"]) for row in bench.read()] == [("701", "1"), ("702", "3")]
        beside(bench, 0, {**iceberg, "state": "canceled", "uTime": str(TS + 1)})
        assert [row["algo_id"] for row in bench.read()] == ["701"]

    def test_margin_account(self, bench: Bench) -> None:
        """Balances and the pair's position, from two channels; a snapshot of one leaves the other alone."""
        bench.start("spot/margin_account:BTC-USDT")
        bench.push(*example(CATALOGUE["account"]).rows, eventType="snapshot")
        assert bench.read()["liquidation_price"] == ""
        beside(bench, 0, self.position(instId="BTC-USDT", instType="MARGIN"), eventType="snapshot")
        assert (bench.read()["liquidation_price"], bench.read()["currency:BTC"]["balance"]) == ("2990", "999.5")
        beside(bench, 0, eventType="snapshot")
        assert (bench.read()["liquidation_price"], bench.read()["currency:BTC"]["balance"]) == ("", "999.5")

    def test_an_account_is_told_by_name(self, bench: Bench) -> None:
        """As futures/account was; stored and published by itself."""
        bench.start("futures/account:BTC-USD")
        said = spoken(bench, *example(CATALOGUE["account"]).rows, eventType="snapshot")
        assert [list(row) for row in said["data"]] == [["BTC-USD"]]
        assert said["data"][0]["BTC-USD"] == bench.read()
        assert [channel for channel, _ in bench.published()] == ["okex/N/futures/account:BTC-USD"]

    def test_accounts_of_one_currency_are_not_mixed_up(self, bench: Bench) -> None:
        """What one topic finds gone is not what another has."""
        for topic in ("futures/account:BTC-USD", "futures/account:BTC", "futures/account:BTC"):
            bench.start(topic)
            bench.push(*example(CATALOGUE["account"]).rows, eventType="snapshot")
        assert sorted(bench.hash()) == ["BTC", "BTC-USD"]

    def test_instruments_are_told_whole(self, bench: Bench) -> None:
        """A list within the list, as v3 sent it."""
        bench.start("futures/instruments")
        row = example(CATALOGUE["instruments"]).rows[0]
        bench.push(row)
        said = spoken(bench, {**row, "instId": "ETH-USD-260925"})
        assert [[one["instrument_id"] for one in rows] for rows in said["data"]] == [[FUTURES, "ETH-USD-260925"]]
        assert [one["instrument_id"] for one in bench.read()] == [FUTURES, "ETH-USD-260925"]
        bench.push({**row, "state": "expired"})
        assert [one["instrument_id"] for one in bench.read()] == ["ETH-USD-260925"]

    def test_written_again(self, bench: Bench) -> None:
        """When Redis was emptied, all that stands."""
        bench.start(self.FUTURE)
        bench.push(self.position(), eventType="snapshot")
        before = bench.hash()
        bench.ask("FLUSHALL")
        bench.feed.rewrite(bench.batch)
        bench.flush()
        assert bench.hash() == before

    def test_options_of_one_underlying(self, bench: Bench) -> None:
        """The subscription brings all options."""
        bench.start("option/instruments:BTC-USD")
        row = example(CATALOGUE["instruments"]).rows[0]
        said = spoken(bench, {**row, "instId": OPTION}, {**row, "instId": "ETH-USD-260925-5000-C"})
        assert [one["instrument_id"] for one in said["data"]] == [OPTION]
        assert [one["instrument_id"] for one in bench.read()] == [OPTION]
        assert spoken(bench, {**row, "instId": "ETH-USD-260925-5000-C"}) == {}
