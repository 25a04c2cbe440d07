"""Latest: the hash shows the last row, no more and no less."""

from __future__ import annotations

import json
from typing import Any

TICKER = {
    "instType": "SPOT",
    "instId": "BTC-USDT",
    "last": "63707.3",
    "askPx": "63707.3",
    "bidPx": "",
    "ts": "1786613174873",
}


def test_hash_is_the_last_row_field_by_field(bench: Any) -> None:
    """Every field as the exchange spelled it, under the topic's key."""
    bench.start("tickers:BTC-USDT")
    bench.push({**TICKER, "last": "1"})
    bench.push(TICKER)
    assert bench.ask("KEYS", "*") == ["okex/N/tickers:BTC-USDT"]
    assert bench.hash() == TICKER
    assert bench.read() == TICKER
    assert bench.feed.last_ts == bench.feed.first_ts == 1786613174873


def test_values_that_are_not_strings_are_json_text(bench: Any) -> None:
    """Numbers keep their digits, escapes in strings are resolved, the rest stands as it was sent."""
    bench.start("price-limit:BTC-USDT")
    bench.push_frame(
        b'{"arg":{"channel":"price-limit","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","enabled":true,"n":1.10,'
        b'"none":null,"list":[1, "2"],"text":"a\\"b\\u00e9","ts":"1"}]}'
    )
    assert bench.hash() == {
        "instId": "BTC-USDT",
        "enabled": "true",
        "n": "1.10",
        "none": "null",
        "list": '[1, "2"]',
        "text": 'a"bé',
        "ts": "1",
    }


def test_a_field_that_vanished_is_removed(bench: Any) -> None:
    """Also one that an earlier session left behind."""
    bench.ask("HSET", "okex/N/tickers:BTC-USDT", "old", "1")
    bench.start("tickers:BTC-USDT")
    bench.push({**TICKER, "extra": "1"})
    assert bench.hash() == {**TICKER, "extra": "1"}
    bench.push(TICKER)
    assert bench.hash() == TICKER


def test_a_batch_writes_the_hash_once_and_publishes_every_row(bench: Any) -> None:
    """Under load the key is written once, pub/sub misses nothing, and publishes come after the write."""
    bench.start("tickers:BTC-USDT")
    rows = [{**TICKER, "last": str(n), "ts": str(n + 1)} for n in range(20)]
    for row in rows:
        bench.push(row, flush=False)
    commands, _ = bench.batch.seal()
    assert [command.count(b"HSET") for command in commands].count(1) == 1
    assert all(b"PUBLISH" in command for command in commands[-20:])
    for row in rows:
        bench.push(row, flush=False)
    bench.flush()
    assert bench.published() == [("okex/N/tickers:BTC-USDT", json.dumps(row, separators=(",", ":"))) for row in rows]


def test_rows_go_to_the_channel_of_their_identity(bench: Any) -> None:
    """The instId of the row; without one, the topic's own argument."""
    bench.start("mark-price:BTC-USDT")
    bench.push({"instId": "ETH-USDT", "ts": "1"}, {"markPx": "2", "instId": None}, {"markPx": "3"})
    assert [channel for channel, _ in bench.published()] == [
        "okex/N/mark-price:ETH-USDT",
        "okex/N/mark-price:BTC-USDT",
        "okex/N/mark-price:BTC-USDT",
    ]
    assert bench.hash() == {"markPx": "3"}


def test_exchange_status_does_not_touch_the_status_of_the_session(bench: Any) -> None:
    """OKX's channel `status` is stored and published as system-status."""
    bench.start("status")
    bench.push({"title": "upgrade", "state": "scheduled", "ts": "1"})
    assert bench.ask("KEYS", "*") == ["okex/N/system-status"]
    assert bench.route.pushes == "okex/N/system-status"
    assert [channel for channel, _ in bench.published()] == ["okex/N/system-status:"]


def test_an_unknown_channel_is_kept_as_its_last_row(bench: Any) -> None:
    """A channel newer than this version works as an arg object."""
    bench.start({"channel": "brand-new", "instId": "BTC-USDT"})
    bench.push({"whatever": ["x"]})
    assert bench.hash("okex/N/brand-new:instId=BTC-USDT") == {"whatever": '["x"]'}
    assert [channel for channel, _ in bench.published()] == ["okex/N/brand-new:instId=BTC-USDT"]


def test_nothing_is_published_when_rows_are_not_wanted(bench: Any) -> None:
    """OKWS_PUBLISH=pushes or none."""
    bench.start("tickers:BTC-USDT", publish_rows=False)
    bench.push(TICKER)
    assert bench.published() == []
    assert bench.hash() == TICKER


def test_the_same_push_twice_leaves_redis_as_once(bench: Any) -> None:
    """Applying is idempotent."""
    bench.start("tickers:BTC-USDT")
    bench.push(TICKER)
    bench.push(TICKER)
    assert bench.hash() == TICKER


def test_rewrite_restores_what_an_emptied_redis_lost(bench: Any) -> None:
    """Also when the key holds something else by then."""
    bench.start("tickers:BTC-USDT")
    bench.push(TICKER)
    bench.ask("FLUSHALL")
    bench.ask("SET", "okex/N/tickers:BTC-USDT", "rubbish")
    bench.feed.rewrite(bench.batch)
    bench.flush()
    assert bench.hash() == TICKER


def test_rewrite_before_the_first_row_writes_nothing(bench: Any) -> None:
    """There is nothing to restore."""
    bench.start("tickers:BTC-USDT")
    bench.feed.rewrite(bench.batch)
    bench.flush()
    assert bench.ask("KEYS", "*") == []


def test_an_empty_push_is_no_news(bench: Any) -> None:
    """`data: []` changes nothing."""
    bench.start("tickers:BTC-USDT")
    bench.push()
    assert not bench.batch


def test_empty_values_everywhere_are_stored_as_they_are(bench: Any) -> None:
    """ "" in every field stops nobody."""
    bench.start("tickers:BTC-USDT")
    row = dict.fromkeys(TICKER, "")
    bench.push(row)
    assert bench.hash() == row
    assert bench.feed.last_ts == 0


def test_a_bad_row_refuses_the_whole_push(bench: Any) -> None:
    """Nothing of the good rows beside it is stored or published."""
    bench.start("tickers:BTC-USDT")
    for bad in (
        "text",
        1,
        None,
        [],
        ["1"],
        {},
        {"instId": {}},
        {"instId": 1.5},
        {"instId": True, "ts": "1"},
        {"ts": []},
    ):
        bench.refuses(TICKER, bad)
    bench.flush()
    assert bench.ask("KEYS", "*") == []
    assert bench.published() == []
