"""Candles: one row for each bar, and each closed bar announced once."""

from __future__ import annotations

import json
from typing import Any

import pytest

MINUTE = 60_000
T0 = 1786538760000
NAMES = ["ts", "o", "h", "l", "c", "vol", "volCcy", "volCcyQuote", "confirm"]


def bar(n: int, close: str, confirm: str = "0") -> list[str]:
    """The row of the n-th minute."""
    return [str(T0 + n * MINUTE), "1", "2", "0.5", close, "10", "20", "20", confirm]


def closed(bench: Any) -> list[dict[str, str]]:
    """The candles that were announced since the last call."""
    messages = bench.published()
    assert {channel for channel, _ in messages} <= {bench.route.own_row}
    return [json.loads(payload) for _, payload in messages]


def named(row: list[str]) -> dict[str, str]:
    """A row as it is announced."""
    return dict(zip(NAMES, row, strict=True))


@pytest.fixture
def candles(bench: Any) -> Any:
    """A bench with a feed of one-minute candles."""
    bench.start("candle1m:BTC-USDT")
    return bench


def test_the_row_of_a_bar_is_replaced_by_its_next_one(candles: Any) -> None:
    """One member a bar, scored by its start, as sent."""
    for close in "123":
        candles.push(bar(0, close))
    candles.push(bar(1, "4"))
    assert candles.ask("ZRANGE", candles.route.key, 0, -1, "WITHSCORES") == [
        *(json.dumps(bar(0, "3"), separators=(",", ":")), str(T0)),
        *(json.dumps(bar(1, "4"), separators=(",", ":")), str(T0 + MINUTE)),
    ]
    assert candles.read() == [bar(0, "3"), bar(1, "4")]
    assert candles.read(n=1) == [bar(1, "4")]


def test_a_batch_writes_each_bar_once(candles: Any) -> None:
    """Under load the same bar is not written again and again."""
    for close in range(50):
        candles.push(bar(close // 25, str(close)), flush=False)
    commands, _ = candles.batch.seal()
    (added,) = [command for command in commands if b"ZADD" in command]
    assert added.count(b"[") == 2


def test_a_closed_candle_is_announced_once_with_names(candles: Any) -> None:
    """confirm "1" closes; the same push again does not."""
    candles.push(bar(0, "1"))
    assert closed(candles) == []
    candles.push(bar(0, "2", "1"))
    candles.push(bar(0, "2", "1"))
    candles.push(bar(1, "3"))
    assert closed(candles) == [named(bar(0, "2", "1"))]
    assert candles.read() == [bar(0, "2", "1"), bar(1, "3")]


def test_a_later_candle_closes_one_whose_confirmation_never_came(candles: Any) -> None:
    """It is announced as it was last known; its late confirmation is stored and not announced again."""
    candles.push(bar(0, "1"))
    candles.push(bar(1, "2"))
    assert closed(candles) == [named(bar(0, "1"))]
    candles.push(bar(0, "1.5", "1"))
    candles.push(bar(1, "3", "1"))
    assert closed(candles) == [named(bar(1, "3", "1"))]
    assert candles.read() == [bar(0, "1.5", "1"), bar(1, "3", "1")]


def test_an_open_row_never_overwrites_what_is_newer(candles: Any) -> None:
    """Neither a confirmed row of its bar, nor the row of a bar that is over."""
    candles.push(bar(0, "1", "1"))
    candles.push(bar(0, "0.9"))
    candles.push(bar(1, "2"))
    candles.push(bar(0, "0.8"))
    assert candles.read() == [bar(0, "1", "1"), bar(1, "2")]
    assert closed(candles) == [named(bar(0, "1", "1"))]


def test_rows_of_one_push_are_taken_in_the_order_of_their_time(candles: Any) -> None:
    """Whatever order they came in."""
    candles.push(bar(2, "3"), bar(0, "1", "1"), bar(1, "2", "1"))
    assert closed(candles) == [named(bar(0, "1", "1")), named(bar(1, "2", "1"))]
    assert candles.feed.first_ts == T0
    assert candles.feed.last_ts == T0 + 2 * MINUTE


def test_the_newest_rows_are_kept(bench: Any) -> None:
    """As many as OKWS_MAX_ROWS says."""
    bench.start("candle1m:BTC-USDT", max_rows=3)
    for n in range(6):
        bench.push(bar(n, "1", "1"))
        bench.push(bar(n, "1", "1"))
    assert bench.read() == [bar(n, "1", "1") for n in (3, 4, 5)]


def test_a_restart_does_not_announce_a_candle_again(candles: Any) -> None:
    """What the newest stored row says is not repeated, also while the answer is still under way."""
    candles.push(bar(0, "1", "1"))
    closed(candles)
    candles.start("candle1m:BTC-USDT", prepare=False)
    candles.feed.prepare(candles.batch)
    candles.push(bar(0, "1", "1"), flush=False)
    candles.push(bar(1, "2"), flush=False)
    candles.push(bar(1, "3", "1"), flush=False)
    candles.flush()
    candles.flush()
    assert closed(candles) == [named(bar(1, "3", "1"))]
    assert candles.read() == [bar(0, "1", "1"), bar(1, "3", "1")]


def test_a_restart_does_not_overwrite_a_confirmed_candle(candles: Any) -> None:
    """The first push after it may be older than what is stored."""
    candles.push(bar(0, "1", "1"))
    candles.start("candle1m:BTC-USDT")
    candles.push(bar(0, "0.5"))
    assert candles.read() == [bar(0, "1", "1")]


@pytest.mark.parametrize("restarted", [False, True], ids=["reconnect", "restart"])
def test_a_candle_that_went_on_unseen_is_not_announced_as_closed(candles: Any, restarted: bool) -> None:
    """Its last known row may be far from its last; its confirmed row, if it comes in time, is announced in order."""
    candles.push(bar(0, "1", "1"))
    candles.push(bar(1, "2"))
    if restarted:
        candles.start("candle1m:BTC-USDT")
    else:
        candles.feed.interrupted(candles.batch)
    candles.push(bar(3, "4"))
    candles.push(bar(1, "2.5", "1"))
    candles.push(bar(2, "3", "1"))
    candles.push(bar(4, "5"))
    assert closed(candles) == [
        named(row) for row in (bar(0, "1", "1"), bar(1, "2.5", "1"), bar(2, "3", "1"), bar(3, "4"))
    ]
    assert [row[4] for row in candles.read()] == ["1", "2.5", "3", "4", "5"]


def test_a_candle_seen_again_after_an_interruption_is_closed_as_usual(candles: Any) -> None:
    """A row of the same bar after it is its last known row again."""
    candles.push(bar(1, "2"))
    candles.feed.interrupted(candles.batch)
    candles.push(bar(1, "3"))
    candles.push(bar(2, "4"))
    assert closed(candles) == [named(bar(1, "3"))]


def test_a_refused_answer_about_the_newest_row_does_not_block(candles: Any) -> None:
    """Redis may answer with an error; the feed goes on without knowing."""
    candles.start("candle1m:BTC-USDT", prepare=False)
    candles.ask("SET", "okex/N/candle1m:BTC-USDT", "not a sorted set")
    candles.feed.prepare(candles.batch)
    candles.flush_raw()
    candles.ask("DEL", "okex/N/candle1m:BTC-USDT")
    candles.push(bar(0, "1"))
    assert candles.read() == [bar(0, "1")]


@pytest.mark.parametrize(
    ("topic", "row", "names"),
    [
        ("mark-price-candle1m:BTC-USDT", ["1", "2", "0.5", "1.5", "1"], ["o", "h", "l", "c", "confirm"]),
        ("index-candle1m:BTC-USD", ["1", "2", "0.5", "1.5", "1"], ["o", "h", "l", "c", "confirm"]),
        ("sprd-candle1m:A_B", ["1", "2", "0.5", "-1.5", "9", "1"], ["o", "h", "l", "c", "vol", "confirm"]),
    ],
    ids=["mark", "index", "spread"],
)
def test_rows_of_other_candles_have_names_of_their_own(
    bench: Any, topic: str, row: list[str], names: list[str]
) -> None:
    """Six values for mark and index prices, seven for spreads (PROTOCOL 5.1, 5.2)."""
    bench.start(topic)
    bench.push([str(T0), *row])
    assert closed(bench) == [dict(zip(["ts", *names], [str(T0), *row], strict=True))]


def test_rows_of_old_servers_have_no_confirm(candles: Any) -> None:
    """Seven values; the next bar closes the one before."""
    candles.push(bar(0, "1")[:7])
    candles.push(bar(1, "2")[:7])
    assert closed(candles) == [dict(zip(NAMES, bar(0, "1")[:7], strict=False))]


def test_new_values_of_a_row_pass(candles: Any) -> None:
    """They are stored; they have no name to be announced under."""
    candles.push([*bar(0, "1", "1"), "new"])
    assert candles.read() == [[*bar(0, "1", "1"), "new"]]
    assert closed(candles) == [named(bar(0, "1", "1"))]


def test_rewrite_restores_the_newest_candles(candles: Any) -> None:
    """As far as they are remembered, which is an hour of minutes."""
    rows = [bar(n, str(n), "1") for n in range(70)]
    for row in rows:
        candles.push(row)
    candles.published()
    candles.ask("FLUSHALL")
    candles.feed.rewrite(candles.batch)
    candles.flush()
    assert candles.read() == rows[-60:]
    assert candles.published() == []


def test_a_bad_row_refuses_the_whole_push(candles: Any) -> None:
    """Empty prices are no reason; a row without its time, or with something that is no value, is."""
    candles.push([str(T0), "", "", "", "", "", "", "", "0"])
    for bad in ({}, "x", None, 1, [], [str(T0)], ["", "1", "2", "3", "4"], ["x", "1", "2", "3", "4"], ["-1", *"1234"]):
        candles.refuses(bar(1, "1", "1"), bad)
    candles.refuses(bar(1, "1", "1"), [str(T0), "1", {}, "1", "1"])
    candles.flush()
    assert candles.ask("ZCARD", candles.route.key) == 1
    assert candles.published() == []
