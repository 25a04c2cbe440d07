"""Rows of v5 spelled as v3 spelled them, measured on messages that the v3 API really sent."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from examples import FUTURES, INDEX, OPTION, SPOT, SWAP, TS, example
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.okx.order_book import checksum_of
from okws_celery.okx.topics import parse_topic
from okws_celery.okx.v3 import V3
from okws_celery.okx.v3_rows import BookSpelling, CandleSpelling, RowSpelling, iso, ms_of_iso

_NO_V5 = {"futures/liquidation", "swap/liquidation"}
"""Made by a recorder from polling, never sent."""
_WITHOUT_CHECKSUM = ("v3-spot-depth-partial.json", "v3-futures-depth-partial.json")
"""Recorded before books had one."""
_INST_IDS = {"spot": SPOT, "futures": FUTURES, "swap": SWAP, "option": OPTION, "index": INDEX}


def spelling(name: str) -> RowSpelling:
    found = V3[name].spelling
    assert isinstance(found, RowSpelling)
    return found


def sent(captures: Path) -> list[tuple[str, dict[str, Any]]]:
    """(file, message) of every v3 push at hand."""
    single = [(file.name, json.loads(file.read_text())) for file in sorted(captures.glob("*/v3-*.json"))]
    lines = (captures / "cryptofeed-okcoin-v3-2021-07-22" / "replay.jsonl").read_text().splitlines()
    session = [json.loads(entry["raw"]) for entry in map(json.loads, lines) if entry["dir"] == "in"]
    return single + [("session", message) for message in session if "table" in message]


def translated(table: str) -> dict[str, Any]:
    """What this package makes of the example of the v5 channel behind a table."""
    channel, inst_id = V3[table], _INST_IDS[table.partition("/")[0]]
    value = inst_id if channel.filter == "instrument_id" else "BTC-USD"
    topic = parse_topic(f"{table}:{value}")
    arguments = {key: one for key, one in topic.v5.arg if key != "channel"}
    row = example(CATALOGUE[topic.v5.channel.name], arguments, instId=inst_id).rows[0]
    found = channel.spelling
    if isinstance(found, RowSpelling):
        return dict(json.loads(found(json.dumps(row).encode())))
    if isinstance(found, BookSpelling):
        return dict(json.loads(found.row(json.dumps(row).encode(), inst_id, 1)))
    if isinstance(found, CandleSpelling):
        cells = [json.loads(cell) for cell in found.cells([json.dumps(cell).encode() for cell in row])]
        return {"candle": cells, "instrument_id": inst_id}
    return found.spell(value, [row])


def test_fields_are_those_that_were_sent(captures: Path) -> None:
    """Every field of every captured message is there, and of the same type."""
    seen = set()
    for file, message in sent(captures):
        table = message["table"]
        if table in _NO_V5:
            continue
        ours = translated(table)
        for row in message["data"]:
            assert row.keys() <= ours.keys(), (file, row.keys() - ours.keys())
            for key, value in row.items():
                old_numbers = key in ("price", "qty") and isinstance(value, int | float)
                assert old_numbers or type(ours[key]) is type(value), (file, key)
        seen.add(table)
    assert len(seen) >= 20, sorted(seen)


def test_levels_have_as_many_columns_as_were_sent(captures: Path) -> None:
    """Three or four, as each channel had them."""
    looked = 0
    for file, message in sent(captures):
        if "depth" not in message["table"] or file in _WITHOUT_CHECKSUM:
            continue
        ours = translated(message["table"])
        for level in [*message["data"][0]["asks"], *message["data"][0]["bids"]]:
            assert len(ours["asks"][0]) == len(level), file
            looked += 1
    assert looked > 100


def test_the_checksum_is_the_one_of_v3(captures: Path) -> None:
    """Of the first partial of each book of a recorded session."""
    checked = 0
    for file, message in sent(captures):
        if file == "session" and message.get("action") == "partial":
            book = message["data"][0]
            assert checksum_of(book["asks"], book["bids"]) == book["checksum"]
            checked += 1
    assert checked == 10
    assert zlib.crc32(b"3366.1:7:3366.8:9:3366:6:3368:8") - (1 << 32) == -1881014294


def test_ticker() -> None:
    """PROTOCOL 9.5, value by value."""
    row = example(CATALOGUE["tickers"]).rows[0]
    assert json.loads(spelling("spot/ticker")(json.dumps(row).encode())) == {
        "instrument_id": "BTC-USDT",
        "last": "63707.3",
        "last_qty": "0.0016",
        "best_ask": "63707.4",
        "best_ask_size": "0.15",
        "best_bid": "63707.2",
        "best_bid_size": "1.7",
        "open_24h": "63958.9",
        "high_24h": "64496.9",
        "low_24h": "63309.4",
        "timestamp": "2021-04-17T16:49:46.174Z",
        "base_volume_24h": "3601.15",
        "quote_volume_24h": "229576048.73",
        "open_utc0": "63484.7",
        "open_utc8": "63445.9",
    }
    said = json.loads(spelling("swap/ticker")(json.dumps(row).encode(), {"open_interest": "7"}))
    assert (said["volume_24h"], said["volume_token_24h"], said["open_interest"]) == ("3601.15", "229576048.73", "7")


def test_funding_rate() -> None:
    """What v5 leaves empty stays empty."""
    row = example(CATALOGUE["funding-rate"], {"instId": SWAP}).rows[0]
    assert json.loads(spelling("swap/funding_rate")(json.dumps(row).encode())) == {
        "instrument_id": SWAP,
        "funding_rate": "0.0001875",
        "estimated_rate": "",
        "funding_time": "2021-04-17T16:49:46.174Z",
        "settlement_time": "2021-04-18T00:49:46.174Z",
        "interest_rate": "0.0001",
    }


@pytest.mark.parametrize(
    ("name", "row", "cells"),
    [
        ("spot/candle60s", ["0", "1", "2", "3", "4", "5", "6", "7", "1"], ["1", "2", "3", "4", "5"]),
        ("swap/candle60s", ["0", "1", "2", "3", "4", "5", "6", "7", "1"], ["1", "2", "3", "4", "5", "6"]),
        ("index/candle60s", ["0", "1", "2", "3", "4", "1"], ["1", "2", "3", "4", "0"]),
        ("swap/candle60s", ["0", "1", "2", "3", "4"], ["1", "2", "3", "4", "", ""]),
    ],
)
def test_candles(name: str, row: list[str], cells: list[str]) -> None:
    """`[time, open, high, low, close, volume]`, with the volume in coins where there are contracts."""
    found = V3[name].spelling
    assert isinstance(found, CandleSpelling)
    spelled = [json.loads(cell) for cell in found.cells([json.dumps(cell).encode() for cell in row])]
    assert spelled == ["1970-01-01T00:00:00.000Z", *cells]


@pytest.mark.parametrize(
    ("row", "last"),
    [
        ({"last": "1.10"}, "1.10"),
        ({"last": ""}, ""),
        ({"last": None}, ""),
        ({}, ""),
        ({"last": 7}, "7"),
        ({"last": 'a"\\b'}, 'a"\\b'),
        ({"last": "币"}, "币"),
    ],
)
def test_values_pass_as_they_are(row: dict[str, Any], last: str) -> None:
    """Strings are not touched; what is missing or null is ""; a number becomes its text."""
    assert json.loads(spelling("spot/ticker")(json.dumps(row).encode()))["last"] == last


@pytest.mark.parametrize("row", [b"", b"[]", b"7", b'{"last":', b'{"ts":"' + b"9" * 40])
def test_what_is_no_row_is_an_error(row: bytes) -> None:
    """A ValueError, as everywhere."""
    with pytest.raises(ValueError):
        spelling("spot/ticker")(row)


@given(st.integers(0, 99_999_999_999_999))
def test_times_lead_back(ms: int) -> None:
    """To the millisecond, as far as Unix ms of 14 digits reach."""
    assert ms_of_iso(iso(ms)) == ms


def test_a_time_is_written_as_v3_wrote_it() -> None:
    """And what is no time is ""."""
    assert iso(TS) == iso(str(TS)) == "2021-04-17T16:49:46.174Z"
    assert iso("1618678186000") == "2021-04-17T16:49:46.000Z"
    assert [iso(""), iso("x"), iso("-1"), iso("1" * 15), iso("١٢")] == [""] * 5
    assert [ms_of_iso(""), ms_of_iso("x")] == [0, 0]


_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(
    st.dictionaries(
        st.sampled_from(["instId", "last", "askPx", "ts", "new"]), st.one_of(_TEXT, st.none(), st.integers())
    )
)
def test_any_row_gives_all_fields_as_text(row: dict[str, Any]) -> None:
    """Whatever OKX adds, leaves out or empties."""
    said = json.loads(spelling("spot/ticker")(json.dumps(row).encode()))
    assert set(said) == set(spelling("spot/ticker").names)
    assert all(isinstance(value, str) for value in said.values())
    assert said["last"] == ("" if row.get("last") is None else str(row["last"]))
