"""Rows that are written at once: readers cannot tell them from those that were decoded first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from okws_celery.errors import OkwsError

examples: Callable[[Any], Any] = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

TICKER = '{"instId":"BTC-USDT","last":"%d","askPx":"","ts":"%d"}'
TRADE = '{"instId":"BTC-USDT","tradeId":"%d","px":"1","sz":"1","side":"buy","ts":"%d"}'
QUOTE = '{"asks":[["%d.2","1.5","0","3"]],"bids":[["1","0.01","0","2"]],"ts":"%d","seqId":7}'
CANDLE = '["60000","1","2","%d","1.5","%d","2","3","0"]'
USUAL = {"tickers": TICKER, "trades": TRADE, "bbo-tbt": QUOTE, "candle1m": CANDLE}
KEEP_THE_LATEST = sorted(USUAL.keys() - {"trades"})


def frame(channel: str, row: str) -> bytes:
    """A push of what stands between the brackets of its data."""
    return b'{"arg":{"channel":"%b","instId":"BTC-USDT"},"data":[%b]}' % (channel.encode(), row.encode())


def usual(channel: str, number: int) -> str:
    """A row as nearly all are, later than those with lower numbers."""
    return USUAL[channel] % (number, number)


@pytest.mark.parametrize("channel", USUAL)
def test_usual_rows_are_written_at_once(bench: Any, channel: str) -> None:
    """Each is in Redis as it is when it was decoded."""
    feed = bench.start(f"{channel}:BTC-USDT")
    for number in (1, 2, 3):
        bench.push_frame(frame(channel, usual(channel, number)))
    assert feed.direct
    assert feed.write_row(bench.batch, usual(channel, 4).encode())
    bench.flush()
    at_once = bench.read(), bench.published()[-1:], feed.last_ts, feed.first_ts
    bench.ask("FLUSHALL")
    feed = bench.start(f"{channel}:BTC-USDT")
    for number in (1, 2, 3, 4):
        bench.push_frame(frame(channel, usual(channel, number)))
    decoded = bench.read(), bench.published()[-1:], feed.last_ts, feed.first_ts
    assert at_once == decoded


@pytest.mark.parametrize("channel", KEEP_THE_LATEST)
def test_of_many_in_one_batch_the_last_is_written(bench: Any, channel: str) -> None:
    """Where only the latest is kept, a batch does so once at once, and once for all that came after."""
    feed = bench.start(f"{channel}:BTC-USDT")
    bench.push_frame(frame(channel, usual(channel, 1)))
    assert feed.write_row(bench.batch, usual(channel, 2).encode())
    before = len(bench.batch.writes)
    for number in range(3, 50):
        assert not feed.write_row(bench.batch, usual(channel, number).encode())
        bench.push_frame(frame(channel, usual(channel, number)), flush=False)
    assert len(bench.batch.writes) == before
    bench.flush()
    assert '"49' in json.dumps(bench.read())
    assert feed.write_row(bench.batch, usual(channel, 50).encode())


ODD: dict[str, list[str]] = {
    "tickers": [
        TICKER.replace('"last":"%d"', '"last":%d'),
        TICKER.replace('""', r'"\u0041\""'),
        TICKER.replace('""', "null"),
        TICKER.replace('""', '"二"'),
        TICKER.replace('"BTC-USDT"', '"ETH-USDT"'),
        TICKER.replace('"askPx":"",', ""),
        TICKER.replace("}", ',"last":"0"}'),
        '{"last":"%d"}',
    ],
    "trades": [
        TRADE.replace('"BTC-USDT"', '"ETH-USDT"'),
        TRADE.replace('"side"', '"ordId":"1","side"'),
        TRADE.replace('"tradeId":"%d"', '"tradeId":"x%d"'),
        TRADE.replace('"tradeId":"%d",', ""),
        TRADE.replace('"ts":"%d"', '"cTime":"%d"'),
        TRADE.replace('"ts":"%d"', '"ts":null'),
        TRADE.replace('"tradeId":"%d"', '"tradeId":"3"'),
        TRADE.replace('"ts":"%d"', '"ts":"2"'),
    ],
    "bbo-tbt": [
        QUOTE.replace('"seqId":7', '"seqId":-1'),
        QUOTE.replace(',"seqId":7', ""),
        QUOTE.replace('"seqId":7', '"prevSeqId":6,"seqId":8,"checksum":0'),
        QUOTE.replace('"seqId":7', '"seqId":8,"checksum":-1'),
        QUOTE.replace('"seqId":7', '"seqId":8,"seqId":9'),
        QUOTE.replace('"seqId":7', '"seqId":07'),
        QUOTE.replace('"bids":[["1"', '"bids":[["999.3"'),
        QUOTE.replace('"0.01"', '"0.00"'),
        QUOTE.replace('[["1","0.01","0","2"]]', "[]"),
        QUOTE.replace('"0","2"', '"2"'),
        QUOTE.replace('"1.5"', "1"),
        QUOTE.replace('"1.5"', '"x"'),
        '{"bids":[["1","1"]],"asks":[["%d","1"]],"ts":"%d","seqId":9,"new":"x"}',
    ],
    "candle1m": [
        CANDLE.replace('"0"]', '"1"]'),
        CANDLE.replace('"60000"', '"120000"'),
        CANDLE.replace('"60000"', '"0"'),
        CANDLE.replace('"1.5"', "1.5"),
        CANDLE.replace('"1.5"', '""'),
        CANDLE.replace(',"3","0"]', "]"),
        CANDLE.replace('"0"]', '"0","new"]'),
    ],
}

ANYHOW = ("", "{}", "[]", "null", "%s,%s", " %s ", "%s]", '%s],"more":[%s', '{"a":')


@st.composite
def stories(draw: Any) -> tuple[str, list[tuple[bytes, bool]]]:
    """A channel, its pushes, and whether a batch ends after each."""
    channel = draw(st.sampled_from(sorted(USUAL)))
    story = []
    for number in range(1, draw(st.integers(2, 12))):
        form = draw(st.sampled_from([USUAL[channel]] * 12 + ODD[channel] * 2 + ["anyhow"]))
        if form == "anyhow":
            row = draw(st.sampled_from(ANYHOW)).replace("%s", usual(channel, number))
        else:
            row = form % ((number, number)[: form.count("%d")])
        if draw(st.integers(0, 9)) == 0:
            row = row.replace(",", ", ").replace(":", ": ")
        story.append((frame(channel, row), draw(st.booleans())))
    return channel, story


@examples
@given(story=stories(), rows_published=st.booleans())
def test_it_makes_no_difference(bench: Any, story: tuple[str, list[tuple[bytes, bool]]], rows_published: bool) -> None:
    """Whatever comes, and however it falls into batches: written at once where that can be done, or all decoded, Redis
    and everything published is the same after each batch."""
    assert _told(bench, *story, rows_published, at_once=True) == _told(bench, *story, rows_published, at_once=False)


def _told(
    bench: Any, channel: str, story: list[tuple[bytes, bool]], rows_published: bool, *, at_once: bool
) -> list[Any]:
    bench.ask("FLUSHALL")
    feed = bench.start(f"{channel}:BTC-USDT", publish_rows=rows_published)
    bench.push_frame(frame(channel, usual(channel, 0 if channel != "bbo-tbt" else 1)))
    told: list[Any] = []
    for text, ends in story:
        _, _, rows = text.partition(b',"data":[')
        row = rows.removesuffix(b"]}")
        done = at_once and text.isascii() and feed.write_row(bench.batch, row)
        if not done:
            try:
                bench.push_frame(text, flush=False)
            except (OkwsError, ValueError, AssertionError):
                told.append("refused")
        if ends:
            bench.flush()
            told += [_everything(bench), feed.last_ts]
    bench.flush()
    return [*told, _everything(bench), _published(bench), feed.last_ts, feed.first_ts]


def _everything(bench: Any) -> dict[str, Any]:
    """What readers find, by key; rows without the blanks around them; of a stale book, that it is stale: its levels are
    the last that were written, which may be those of the batch in which it broke."""
    found: dict[str, Any] = {}
    for key in bench.ask("KEYS", "*"):
        kind = bench.ask("TYPE", key)
        if kind == "hash":
            fields = bench.hash(key)
            found[key] = {"state": "stale"} if fields.get("state") == "stale" else fields
        elif kind == "stream":
            found[key] = [(entry_id, data.strip()) for entry_id, data in bench.stream(key)]
        else:
            found[key] = bench.ask("ZRANGE", key, 0, -1, "WITHSCORES")
    return found


def _published(bench: Any) -> list[tuple[str, str]]:
    return [(channel, text.strip()) for channel, text in bench.published()]
