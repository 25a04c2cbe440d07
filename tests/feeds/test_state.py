"""State: a hash of what exists now."""

from __future__ import annotations

import json
from typing import Any

import pytest


def order(number: str, state: str = "live", **more: str) -> dict[str, str]:
    """An order of a swap."""
    return {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": number, "state": state, "uTime": "1000", **more}


def position(number: str, pos: str = "1", inst_type: str = "SWAP", **more: str) -> dict[str, str]:
    """A position."""
    return {
        "instType": inst_type,
        "instId": f"BTC-USDT-{inst_type}",
        "posId": number,
        "pos": pos,
        "uTime": "1000",
        **more,
    }


def as_sent(row: object) -> str:
    """A row as the bench sends it."""
    return json.dumps(row, separators=(",", ":"))


def fields(bench: Any) -> dict[str, Any]:
    """The hash with its rows decoded."""
    return {field: json.loads(row) for field, row in bench.hash().items()}


def test_rows_stand_under_their_identity_until_they_end(bench: Any) -> None:
    """One hash per channel; the row as sent; each row published under its identity, the last one too."""
    bench.start("orders:SWAP")
    bench.push(order("1"), order("2"))
    assert bench.hash("okex/N/orders") == {"1": as_sent(order("1")), "2": as_sent(order("2"))}
    bench.push(order("1", "partially_filled"), order("2", "filled"))
    assert fields(bench) == {"1": order("1", "partially_filled")}
    bench.push(order("1", "canceled"))
    assert bench.hash() == {}
    assert [channel for channel, _ in bench.published()] == [f"okex/N/orders:{n}" for n in (1, 2, 1, 2, 1)]


@pytest.mark.parametrize(
    ("topic", "row", "ended"),
    [
        ("orders:ANY", {"ordId": "1"}, {"state": "mmp_canceled"}),
        ("orders-algo:ANY", {"algoId": "1"}, {"state": "effective"}),
        ("orders-algo:ANY", {"algoId": "1"}, {"state": "order_failed"}),
        ("algo-advance:ANY", {"algoId": "1"}, {"state": "canceled"}),
        ("positions:ANY", {"posId": "1"}, {"pos": "0"}),
        ("positions:ANY", {"posId": "1"}, {"pos": "-0.00"}),
        ("instruments:SPOT", {"instId": "A"}, {"state": "expired"}),
        ("event-contract-markets:EVENTS", {"instId": "A"}, {"state": "expired"}),
        ("rfqs", {"rfqId": "1"}, {"state": "traded_away"}),
        ("quotes", {"quoteId": "1"}, {"state": "failed"}),
        ("sprd-orders", {"ordId": "1"}, {"state": "filled"}),
        ("grid-sub-orders:9", {"ordId": "1"}, {"state": "cancelled"}),
        ("grid-orders-spot:ANY", {"algoId": "1"}, {"state": "stopped"}),
        ("algo-recurring-buy:ANY", {"algoId": "1"}, {"state": "stopped"}),
        ("grid-positions:9", {"algoId": "9", "instId": "A", "posSide": "net"}, {"pos": "0"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_what_ends_a_row(bench: Any, topic: str, row: dict[str, str], ended: dict[str, str]) -> None:
    """PROTOCOL 5.1 to 5.4; a state that is not known, or an empty one, ends nothing."""
    bench.start(topic)
    for state in ("live", "", "something new"):
        bench.push({**row, "pos": "1", "state": state})
        assert len(bench.hash()) == 1
    bench.push({**row, **ended})
    assert bench.hash() == {}


def test_several_values_make_one_identity(bench: Any) -> None:
    """Joined by a colon."""
    bench.start("grid-positions:9")
    bench.push({"algoId": "9", "instId": "A", "posSide": "net", "pos": "1"})
    assert list(bench.hash()) == ["9:A:net"]


def test_a_batch_writes_each_field_once_and_publishes_every_row(bench: Any) -> None:
    """The last word counts, also when a row came and ended within one batch."""
    bench.start("opt-summary:BTC-USD")
    for n in range(30):
        bench.push({"instId": "A", "n": str(n)}, {"instId": "B", "n": str(n)}, flush=False)
    assert len(bench.flush()) == 1 + 60
    assert fields(bench) == {"A": {"instId": "A", "n": "29"}, "B": {"instId": "B", "n": "29"}}
    bench.start("orders:ANY")
    bench.push(order("1"), flush=False)
    bench.push(order("1", "filled"))
    assert bench.hash() == {}


def test_a_snapshot_replaces_the_rows_when_its_last_page_is_there(bench: Any) -> None:
    """A position that it does not have is gone; before the last page nothing is removed."""
    bench.start("positions:ANY")
    snapshot = {"eventType": "snapshot"}
    bench.push(position("1"), position("2"), curPage=1, lastPage=True, **snapshot)
    bench.push(position("2", "5"), curPage=1, lastPage=False, **snapshot)
    assert fields(bench) == {"1": position("1"), "2": position("2")}
    bench.push(position("3"), curPage=2, lastPage=True, **snapshot)
    assert fields(bench) == {"2": position("2", "5"), "3": position("3")}
    bench.push(eventType="snapshot", curPage=1, lastPage=True)
    assert bench.hash() == {}


def test_events_between_the_pages_of_a_snapshot_are_newer_than_it(bench: Any) -> None:
    """A position closed meanwhile stays closed."""
    bench.start("positions:ANY")
    bench.push(position("1"), position("2"), eventType="snapshot", curPage=1, lastPage=False)
    bench.push(position("1", "0"), position("2", "7"), eventType="event_update")
    bench.push(position("3"), eventType="snapshot", curPage=2, lastPage=True)
    assert fields(bench) == {"2": position("2", "7"), "3": position("3")}


def test_half_a_snapshot_removes_nothing(bench: Any) -> None:
    """The link broke off between its pages, and what comes next is a page without its first."""
    bench.start("positions:ANY")
    bench.push(position("1"), eventType="snapshot", curPage=1, lastPage=True)
    bench.push(position("2"), eventType="snapshot", curPage=1, lastPage=False)
    bench.feed.interrupted(bench.batch)
    bench.push(position("3"), eventType="snapshot", curPage=2, lastPage=True)
    assert sorted(fields(bench)) == ["1", "3"]


@pytest.mark.parametrize("answered", [True, False], ids=["answer first", "snapshot first"])
def test_a_snapshot_ends_what_an_earlier_session_left(bench: Any, answered: bool) -> None:
    """But only rows that this topic is about: other topics share the hash."""
    bench.start("positions:ANY")
    futures = position("9", inst_type="FUTURES")
    bench.push(position("1"), position("2"), position("4"), futures)
    bench.ask("HSET", "okex/N/positions", "x", "no JSON")
    bench.start("positions:SWAP", prepare=answered)
    if not answered:
        bench.feed.prepare(bench.batch)
    bench.push(position("4", "0"), eventType="event_update", flush=False)
    bench.push(position("1", "3"), eventType="snapshot", curPage=1, lastPage=True, flush=False)
    bench.flush()
    bench.flush()
    left = bench.hash()
    assert left.pop("x") == "no JSON"
    assert {field: json.loads(row) for field, row in left.items()} == {"1": position("1", "3"), "9": futures}


def test_a_snapshot_ends_what_was_left_though_the_answer_was_lost(bench: Any) -> None:
    """What an earlier session left is asked for once more; the snapshot that came meanwhile still ends it."""
    bench.start("positions:ANY")
    bench.push(position("1"), position("2"))
    bench.start("positions:ANY", prepare=False)
    bench.feed.prepare(bench.batch)
    bench.push(position("1"), eventType="snapshot", curPage=1, lastPage=True, flush=False)
    _, asked = bench.batch.seal()
    for handler in asked.values():
        handler(None)
    bench.feed.rewrite(bench.batch)
    bench.flush()
    bench.flush()
    assert sorted(fields(bench)) == ["1"]


def test_the_log_is_asked_for_again_when_the_question_did_not_reach_redis(bench: Any) -> None:
    """Nothing that is in the log is written again, and REST may be asked: the feed knows what there was."""
    bench.start("orders:ANY")
    bench.push(order("1"))
    bench.start("orders:ANY", prepare=False)
    bench.feed.prepare(bench.batch)
    bench.batch.clear()
    bench.feed.ledger.again(bench.batch)
    bench.feed.rewrite(bench.batch)
    bench.flush()
    assert bench.feed.prepared
    bench.push(order("1"))
    assert len(bench.stream("okex/N/orders/log")) == 1


def test_account_is_split_by_currency(bench: Any) -> None:
    """Field = ccy, and the account level under its own name, without the details."""
    row = {"uTime": "1000", "totalEq": "3", "details": [{"ccy": "USDT", "eq": "1"}, {"ccy": "BTC", "eq": "2"}]}
    bench.start("account")
    bench.push(row, eventType="snapshot", curPage=1, lastPage=True)
    level = {"uTime": "1000", "totalEq": "3"}
    assert fields(bench) == {"USDT": row["details"][0], "BTC": row["details"][1], "account": level}
    assert bench.read("account:BTC") == {"ccy": "BTC", "eq": "2"}
    assert bench.read("account:ETH") == {}
    assert bench.read() == fields(bench)
    assert [channel for channel, _ in bench.published()] == [f"okex/N/account:{n}" for n in ("USDT", "BTC", "account")]
    bench.push({"uTime": "2000", "totalEq": "2", "details": [{"ccy": "BTC", "eq": "0"}]}, eventType="event_update")
    assert fields(bench)["USDT"] == {"ccy": "USDT", "eq": "1"}
    bench.push(
        {"uTime": "3000", "details": [{"ccy": "BTC", "eq": "9"}]}, eventType="snapshot", curPage=1, lastPage=True
    )
    assert fields(bench) == {"BTC": {"ccy": "BTC", "eq": "9"}, "account": {"uTime": "3000"}}
    assert bench.feed.last_ts == 3000


def test_balance_and_position_is_split_into_both(bench: Any) -> None:
    """Only the changed part comes after the snapshot."""
    bench.start("balance_and_position")
    balance, pos = {"ccy": "USDT", "cashBal": "1"}, {"posId": "7", "pos": "1"}
    bench.push({"pTime": "5", "eventType": "snapshot", "balData": [balance], "posData": [pos], "trades": []})
    assert fields(bench) == {"USDT": balance, "7": pos}
    bench.push({"pTime": "6", "eventType": "filled", "posData": [{**pos, "pos": "0"}]})
    assert fields(bench) == {"USDT": balance}
    assert bench.feed.last_ts == 6


def test_account_channels_keep_every_row_in_a_stream(bench: Any) -> None:
    """As it came, each once; a repeat of the same push is no new event and opens no order again."""
    bench.start("orders:ANY")
    rows = [order("1"), order("1", "partially_filled"), order("1", "filled")]
    for row in rows:
        bench.push(row, flush=False)
    bench.push(rows[0])
    assert [row for _, row in bench.stream("okex/N/orders/log")] == [as_sent(row) for row in rows]
    assert bench.ask("KEYS", "*") == ["okex/N/orders/log"]
    bench.start("instruments:SPOT")
    bench.push({"instId": "A"})
    assert bench.ask("EXISTS", "okex/N/instruments/log") == 0


def test_two_topics_of_a_channel_share_its_stream(bench: Any) -> None:
    """Neither may be refused because of the other's entries."""
    bench.start("orders:SPOT")
    first = bench.feed
    bench.start("orders:SWAP")
    bench.push(order("2"))
    bench.feed = first
    bench.push(order("1"))
    assert len(bench.stream("okex/N/orders/log")) == 2


def test_a_reader_gets_the_rows_that_its_topic_is_about(bench: Any) -> None:
    """The hash has those of every topic of the channel."""
    bench.start("positions:ANY")
    swap, futures = position("1"), position("2", inst_type="FUTURES", extra="x")
    bench.push(swap, futures)
    assert bench.read() == {"1": swap, "2": futures}
    assert bench.read("positions:FUTURES") == {"2": futures}
    assert bench.read("positions:instType=SWAP,instId=BTC-USDT-SWAP") == {"1": swap}
    assert bench.read("positions:instType=SWAP,instFamily=BTC-USDT") == {"1": swap}
    assert bench.read("positions:instType=SWAP,instFamily=BTC-USD") == {}
    assert bench.read("orders:SPOT") == {}


def test_the_same_push_twice_leaves_redis_as_once(bench: Any) -> None:
    """Hash and stream."""
    bench.start("positions:ANY")
    for _ in range(2):
        bench.push(position("1"), position("2", "0"), eventType="snapshot", curPage=1, lastPage=True)
    assert fields(bench) == {"1": position("1")}
    assert len(bench.stream("okex/N/positions/log")) == 2


def test_rewrite_restores_the_rows(bench: Any) -> None:
    """Those of an earlier session too; what ended stays gone, though Redis refused the batch that removed it."""
    bench.start("orders:ANY")
    bench.push(order("1"), order("2"), order("3"))
    bench.start("orders:ANY", prepare=False)
    bench.feed.prepare(bench.batch)
    bench.push(order("2", "filled"))
    bench.push(order("3", "filled"), flush=False)
    bench.batch.seal()  # refused
    bench.feed.rewrite(bench.batch)
    bench.flush()
    assert list(fields(bench)) == ["1"]
    bench.ask("FLUSHALL")
    bench.feed.rewrite(bench.batch)
    bench.flush()
    assert fields(bench) == {"1": order("1")}


@pytest.mark.parametrize(
    ("topic", "good", "bad"),
    [
        (
            "orders:ANY",
            order("1"),
            [{}, order(""), order("2") | {"ordId": {}}, order("2") | {"state": 1.5}, [], "x", None],
        ),
        ("account", {"details": []}, [{"details": {}}, {"details": [{}]}, {"details": ["x"]}, [], {"uTime": []}]),
        ("balance_and_position", {"balData": []}, [{"balData": [{}]}, {"posData": [{"pos": "1"}]}, {"posData": 1}, []]),
    ],
    ids=["orders", "account", "balance_and_position"],
)
def test_a_bad_row_refuses_the_whole_push(bench: Any, topic: str, good: object, bad: list[object]) -> None:
    """Nothing of the good rows beside it is stored, published or logged."""
    bench.start(topic)
    for row in bad:
        bench.refuses(good, row)
    bench.flush()
    assert bench.ask("KEYS", "*") == []
    assert bench.published() == []


def logged(bench: Any, channel: str = "orders") -> list[dict[str, Any]]:
    """The rows of a log."""
    return [json.loads(row) for _, row in bench.stream(f"okex/N/{channel}/log")]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({"state": "partially_filled", "tradeId": "7"}, {"uTime": "2000"}),
        ({"state": "filled", "tradeId": ""}, {"uTime": "2000", "avgPx": "1"}),
        ({"state": "canceled"}, {"uTime": "2000", "cancelSource": "1"}),
        ({"state": "mmp_canceled"}, {"state": "canceled", "uTime": "2000"}),
        ({"state": "live", "reqId": "r1", "amendResult": "0"}, {"uTime": "2000", "px": "9"}),
    ],
    ids=["execution", "market close", "cancel", "other cancel", "amend"],
)
def test_repeated_events_of_an_order_count_once(bench: Any, first: dict[str, str], again: dict[str, str]) -> None:
    """PROTOCOL 5.3: the first push counts, though a later one says another time; in the log and as a published row."""
    bench.start("orders:ANY")
    row = order("1", **first)
    bench.push(row)
    bench.push({**row, **again})
    assert logged(bench) == [row]
    assert len(bench.published()) == 1


def test_a_repeated_execution_does_not_set_an_order_back(bench: Any) -> None:
    """Though it says a later time than what was executed since, and though the order is over."""
    bench.start("orders:ANY")
    first = order("1", "partially_filled", tradeId="7", accFillSz="1", uTime="1000")
    bench.push(first)
    bench.push(order("1", "partially_filled", tradeId="8", accFillSz="2", uTime="1001"))
    bench.push({**first, "uTime": "1002"})
    assert fields(bench)["1"]["accFillSz"] == "2"
    bench.push(order("1", "filled", tradeId="9", accFillSz="3", uTime="1003"))
    bench.push({**first, "uTime": "1004"})
    assert fields(bench) == {}


def test_what_ended_under_another_session_does_not_open_again(bench: Any) -> None:
    """REST may be behind what the log says."""
    bench.start("orders:ANY")
    bench.push(order("1", uTime="1000"))
    bench.push(order("1", "filled", tradeId="7", uTime="1001"))
    bench.start("orders:ANY")
    bench.feed.take_rest(bench.batch, as_sent(order("1", uTime="1000")).encode())
    bench.flush()
    assert fields(bench) == {}


def test_events_that_only_look_alike(bench: Any) -> None:
    """Executions of two orders with one tradeId, amends with two reqIds, a fill after an amend."""
    bench.start("orders:ANY")
    rows = [
        order("1", "partially_filled", tradeId="7"),
        order("2", "partially_filled", tradeId="7"),
        order("1", reqId="a", amendResult="0"),
        order("1", reqId="b", amendResult="0"),
        order("1", "partially_filled", tradeId="8", reqId="b", amendResult="0"),
    ]
    for row in rows:
        bench.push(row)
    assert logged(bench) == rows


def test_another_session_does_not_log_again(bench: Any) -> None:
    """What stands in the log is known to it."""
    bench.start("orders:ANY")
    row = order("1", "partially_filled", tradeId="7")
    bench.push(row)
    bench.start("orders:ANY")
    bench.push({**row, "uTime": "2000"})
    assert logged(bench) == [row]


def test_an_older_row_changes_nothing(bench: Any) -> None:
    """Nor one that closed already; the same time is as good."""
    bench.start("orders:ANY")
    bench.push(order("1", uTime="2000", px="2"))
    bench.push(order("1", uTime="1999", px="1"))
    assert fields(bench)["1"]["px"] == "2"
    bench.push(order("1", uTime="2000", px="3"))
    assert fields(bench)["1"]["px"] == "3"
    bench.push(order("1", "canceled", uTime="3000"))
    bench.push(order("1", uTime="2500"))
    bench.feed.take_rest(bench.batch, as_sent(order("1", uTime="4000")).encode())
    bench.flush()
    assert fields(bench) == {}


def test_a_log_row_of_a_refused_batch_is_written_again(bench: Any) -> None:
    """Each event stands in the log once, whatever Redis did."""
    bench.start("orders:ANY")
    bench.push(order("1"))
    bench.feed.ledger.confirm(bench.feed.ledger.mark)
    bench.push(order("2"), flush=False)
    bench.batch.seal()
    bench.feed.ledger.again(bench.batch)
    bench.flush()
    bench.feed.ledger.confirm(bench.feed.ledger.mark)
    bench.feed.ledger.again(bench.batch)
    bench.flush()
    assert [row["ordId"] for row in logged(bench)] == ["1", "2"]


def test_a_push_of_a_whole_family_replaces_it(bench: Any) -> None:
    """Options that expired vanish from opt-summary; those of other families stay."""
    bench.start("opt-summary:BTC-USD")
    bench.ask("HSET", "okex/N/opt-summary", "ETH-USD-1-C", json.dumps({"instId": "ETH-USD-1-C"}))
    bench.push({"instId": "BTC-USD-1-C", "ts": "1"}, {"instId": "BTC-USD-2-C", "ts": "1"})
    bench.push({"instId": "BTC-USD-2-C", "ts": "2"})
    assert bench.hash().keys() == {"BTC-USD-2-C", "ETH-USD-1-C"}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_channel_that_begins_with_all_its_rows(bench: Any, restarted: bool) -> None:
    """`algo-advance` does not say that its first push is a snapshot; what follows are events."""
    bench.start("algo-advance:ANY")
    bench.push({"algoId": "1", "state": "live"}, {"algoId": "2", "state": "live"})
    bench.push({"algoId": "3", "state": "live"})
    assert bench.hash().keys() == {"1", "2", "3"}
    if restarted:
        bench.start("algo-advance:ANY")
    else:
        bench.feed.interrupted(bench.batch)
    bench.push({"algoId": "2", "state": "pause"})
    bench.push({"algoId": "4", "state": "live"})
    assert bench.hash().keys() == {"2", "4"}


def test_rows_that_never_end_are_bounded(bench: Any) -> None:
    """The newest thousand deposits are kept."""
    bench.start("deposit-info")
    for n in range(0, 1100, 100):
        bench.push(*[{"depId": str(n + i), "ts": "1"} for i in range(100)])
    assert bench.hash().keys() == {str(n) for n in range(100, 1100)}


def test_a_list_from_rest_yields_to_what_was_pushed(bench: Any) -> None:
    """What was pushed while it was asked for stays; what it does not have is gone; only changes are told."""
    bench.start("instruments:SPOT")

    def spot(name: str, tick: str = "1") -> dict[str, str]:
        return {"instType": "SPOT", "instId": name, "state": "live", "tickSz": tick}

    bench.push(spot("A"), spot("B"), spot("C"))
    bench.published()
    bench.feed.begin_list()
    bench.push(spot("B", "5"), spot("E"))
    bench.published()
    listed = [json.dumps(row, separators=(",", ":")).encode() for row in (spot("A"), spot("B"), spot("D"))]
    assert bench.feed.take_list(bench.batch, listed, lambda field: True, publish=True) == ["D"]
    bench.flush()
    assert {field: row["tickSz"] for field, row in fields(bench).items()} == {"A": "1", "B": "5", "D": "1", "E": "1"}
    assert [channel for channel, _ in bench.published()] == ["okex/N/instruments:D"]
