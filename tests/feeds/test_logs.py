"""Logs: each row in its stream once, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from okws_celery.feeds import logs

T0 = 1786538760000


def trade(number: object, ts: object = T0, **more: object) -> dict[str, object]:
    """A trade of BTC-USDT."""
    return {"instId": "BTC-USDT", "tradeId": str(number), "px": "64040.2", "sz": "0.1", "ts": str(ts), **more}


def as_sent(row: object) -> str:
    """A row as the bench sends it."""
    return json.dumps(row, separators=(",", ":"))


def ids(bench: Any) -> list[str]:
    """Entry ids of the stream."""
    return [entry_id for entry_id, _ in bench.stream()]


@pytest.fixture
def trades(bench: Any) -> Any:
    """A bench with a feed of trades."""
    bench.start("trades:BTC-USDT")
    return bench


def test_each_trade_is_an_entry_and_a_message(trades: Any) -> None:
    """Entry id of time and tradeId, the row as sent, nothing conflated."""
    rows = [trade(n, T0 + n // 3) for n in range(10, 20)]
    for row in rows[:5]:
        trades.push(row, flush=False)
    trades.push(*rows[5:])
    assert trades.stream() == [(f"{row['ts']}-{row['tradeId']}", as_sent(row)) for row in rows]
    assert trades.published() == [("okex/N/trades:BTC-USDT", as_sent(row)) for row in rows]
    assert trades.read(n=3) == rows[-3:]
    assert trades.read() == rows
    assert trades.feed.last_ts == T0 + 6


def test_a_repeat_is_neither_stored_nor_published(trades: Any) -> None:
    """In the same push, in a later one, and after a reconnect."""
    trades.push(trade(1), trade(2), trade(1))
    trades.feed.interrupted(trades.batch)
    trades.push(trade(1), trade(2), trade(3))
    assert [row["tradeId"] for row in trades.read()] == ["1", "2", "3"]
    assert len(trades.published()) == 3
    assert trades.feed.repeats == 3


def test_a_restart_does_not_write_again_what_is_there(trades: Any) -> None:
    """Rows that come before the tail of the stream is known wait for it."""
    trades.push(*(trade(n, T0 + n) for n in range(1, 6)))
    trades.published()
    trades.start("trades:BTC-USDT", prepare=False)
    trades.feed.prepare(trades.batch)
    trades.push(trade(4, T0 + 4), flush=False)
    trades.push(trade(6, T0 + 6), flush=False)
    trades.flush()
    assert trades.published() == [], "nothing is written before the tail is known"
    trades.flush()
    assert ids(trades) == [f"{T0 + n}-{n}" for n in range(1, 7)]
    assert [json.loads(row)["tradeId"] for _, row in trades.published()] == ["6"]


def test_held_rows_are_written_with_the_next_push_too(trades: Any) -> None:
    """In their order, before it."""
    trades.start("trades:BTC-USDT", prepare=False)
    trades.feed.prepare(trades.batch)
    trades.push(trade(1))
    trades.push(trade(2, T0 + 1))
    assert ids(trades) == [f"{T0}-1", f"{T0 + 1}-2"]


def test_rows_do_not_wait_for_ever(trades: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never comes is given up after so many rows, and ignored if it comes after all."""
    monkeypatch.setattr(logs, "_HELD", 3)
    trades.start("trades:BTC-USDT", prepare=False)
    trades.feed.prepare(trades.batch)
    for n in range(1, 4):
        trades.push(trade(n), flush=False)
    trades.flush()
    assert ids(trades) == [f"{T0}-{n}" for n in range(1, 4)]
    trades.push(trade(3))
    assert len(ids(trades)) == 3


def test_a_new_row_whose_id_does_not_rise_stands_behind_the_last(trades: Any) -> None:
    """And is counted: streams take no late inserts."""
    trades.push(trade(10), trade(9), trade(11), trade(1, T0 - 5))
    assert ids(trades) == [f"{T0}-10", f"{T0}-11", f"{T0}-12", f"{T0}-13"]
    assert [row["tradeId"] for row in trades.read()] == ["10", "9", "11", "1"]
    assert trades.feed.reordered == 3


@pytest.mark.parametrize("number", ["-5", "abc", "", "1.5", "99999999999999999999", "٣"], ids=ascii)
def test_a_trade_id_that_is_no_number_is_no_obstacle(trades: Any, number: str) -> None:
    """Liquidations have negative ones (PROTOCOL 5.3)."""
    trades.push(trade(7), trade(number, T0 + 1, px="1"), trade(number, T0 + 1, px="1"), trade(8, T0 + 1))
    assert ids(trades) == [f"{T0}-7", f"{T0 + 1}-0", f"{T0 + 1}-8"]
    assert trades.feed.reordered == 0


def test_ids_at_the_end_of_their_range(trades: Any) -> None:
    """The largest sequence is 64 bits; the next row goes to the next millisecond."""
    largest = (1 << 64) - 1
    trades.push(trade(largest), trade("x"))
    assert ids(trades) == [f"{T0}-{largest}", f"{T0 + 1}-0"]


def test_rows_without_an_id_are_known_by_their_bytes(bench: Any) -> None:
    """Liquidations: the time stands in the details."""
    bench.start("liquidation-orders:SWAP")
    rows = [{"instId": "A-SWAP", "details": [{"sz": str(n), "ts": str(T0 + n // 2)}]} for n in range(4)]
    bench.push(*rows)
    bench.push(*rows)
    assert ids(bench) == [f"{T0}-0", f"{T0}-1", f"{T0 + 1}-0", f"{T0 + 1}-1"]
    assert {channel for channel, _ in bench.published()} == {"okex/N/liquidation-orders:A-SWAP"}
    bench.start("liquidation-orders:SWAP")
    bench.push(*rows)
    assert len(ids(bench)) == 4


def test_rows_without_any_time_are_still_kept(bench: Any) -> None:
    """A copy-trading notice has none; it goes to the topic's own channel."""
    bench.start("copytrading-lead-notification:SWAP")
    bench.push({"infoType": "2", "instId": ""}, {"infoType": "3"})
    assert ids(bench) == ["0-1", "0-2"]
    assert {channel for channel, _ in bench.published()} == {"okex/N/copytrading-lead-notification:SWAP"}


def test_topics_over_many_instruments_tell_equal_trade_ids_apart(bench: Any) -> None:
    """tradeId is unique within an instrument; a trade with oneself has two orders."""
    bench.start("fills")
    row = {"instId": "A", "tradeId": "1", "ordId": "o1", "ts": str(T0)}
    bench.push(row, {**row, "instId": "B"}, {**row, "ordId": "o2"}, row)
    assert len(ids(bench)) == 3
    assert [channel for channel, _ in bench.published()] == ["okex/N/fills:A", "okex/N/fills:B", "okex/N/fills:A"]


def test_a_block_trade_is_published_under_its_own_id(bench: Any) -> None:
    """A topic without argument and rows without instrument have only that."""
    bench.start("public-struc-block-trades")
    bench.push({"blockTdId": "77", "cTime": str(T0), "legs": []})
    assert ids(bench) == [f"{T0}-77"]
    assert bench.published()[0][0] == "okex/N/public-struc-block-trades:77"


def test_about_so_many_entries_are_kept(bench: Any) -> None:
    """OKWS_MAX_LOG; Redis trims by whole nodes of a hundred or so."""
    bench.start("trades:BTC-USDT", max_log=100)
    for n in range(600):
        bench.push(trade(n + 1, T0 + n), flush=n % 100 == 99)
    assert 100 <= len(ids(bench)) < 300


def test_a_row_older_than_all_that_is_remembered_is_not_taken_for_new(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be told from a repeat. With nothing forgotten an old row is new, as after the first subscription."""
    monkeypatch.setattr(logs, "_REMEMBERED", 5)
    bench.start("trades:BTC-USDT")
    bench.push(trade(3, T0), trade(1, T0 - 90 * 60_000))
    assert len(ids(bench)) == 2
    bench.push(*(trade(n, T0 + n) for n in range(4, 12)))
    bench.push(trade(3, T0), trade(1, T0 - 90 * 60_000))
    assert len(ids(bench)) == 10
    assert bench.feed.late == 2


def test_a_row_with_a_time_far_ahead_does_not_shut_out_the_rest(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One wrong time of the exchange costs order, not rows."""
    monkeypatch.setattr(logs, "_REMEMBERED", 3)
    bench.start("trades:BTC-USDT")
    for n in range(1, 30):
        bench.push(trade(n, T0 * 2 if n == 10 else T0 + n))
    assert [row["tradeId"] for row in bench.read()] == [str(n) for n in range(1, 30)]


def test_a_lost_answer_is_asked_for_again(trades: Any) -> None:
    """The batch arrived, its replies did not."""
    trades.push(trade(1))
    trades.start("trades:BTC-USDT", prepare=False)
    trades.feed.prepare(trades.batch)
    trades.push(trade(1), trade(2), flush=False)
    (handler,) = trades.batch.seal()[1].values()
    handler(None)
    trades.flush()
    trades.flush()
    assert ids(trades) == [f"{T0}-1", f"{T0}-2"]


def test_the_first_row_of_a_push_that_is_news_is_told(trades: Any) -> None:
    """A GAP ends with it, not with a repeat of what was there before."""
    trades.push(trade(1))
    assert trades.feed.first_ts == T0
    trades.push(trade(1))
    assert trades.feed.first_ts == 0
    trades.push(trade(1), trade(2, T0 + 5), trade(3, T0 + 6))
    assert (trades.feed.first_ts, trades.feed.last_ts) == (T0 + 5, T0 + 6)


def test_rewrite_asks_again_for_what_was_never_answered(trades: Any) -> None:
    """Redis refused the batch that carried the question."""
    trades.push(trade(1))
    trades.start("trades:BTC-USDT", prepare=False)
    trades.feed.prepare(trades.batch)
    trades.batch.seal()  # lost
    trades.push(trade(1), trade(2))
    trades.feed.rewrite(trades.batch)
    trades.flush()
    trades.flush()
    assert ids(trades) == [f"{T0}-1", f"{T0}-2"]


def test_empty_values_everywhere_are_stored_as_they_are(trades: Any) -> None:
    """ "" in every field stops nobody, and comes once."""
    row = dict.fromkeys(trade(1), "")
    trades.push(row)
    trades.push(row)
    assert trades.read() == [row]


def test_a_bad_row_refuses_the_whole_push(trades: Any) -> None:
    """Nothing of the good rows beside it is stored, published or remembered."""
    for bad in ("x", 1, None, [], trade(2) | {"tradeId": {}}, trade(2) | {"ts": 1.5}, trade(2) | {"instId": True}):
        trades.refuses(trade(1), bad)
    trades.push(trade(1))
    assert ids(trades) == [f"{T0}-1"]
