"""REST in OKX's envelope (PROTOCOL 8): time, instruments and candles."""

from __future__ import annotations

import json
import time
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from simulator.talking import Talk

from okws_celery.simulator import Simulator


def get(sim: Simulator, path: str) -> dict[str, Any]:
    """The answer to a request, which is always HTTP 200."""
    with urllib.request.urlopen(f"{sim.rest_url}/api/v5/{path}") as answer:
        said: dict[str, Any] = json.load(answer)
        return said


def test_time_is_in_milliseconds(sim: Simulator) -> None:
    """The time of the exchange is a string of Unix ms."""
    (row,) = get(sim, "public/time")["data"]
    assert abs(int(row["ts"]) - time.time() * 1000) < 60_000


def test_instruments_by_type_id_and_family(sim: Simulator) -> None:
    """All of a type, or those of one id or family; a swap has the value of its contract."""
    spot = {one["instId"]: one for one in get(sim, "public/instruments?instType=SPOT")["data"]}
    assert {"BTC-USDT", "ETH-USDT"} < set(spot)
    assert (spot["BTC-USDT"]["baseCcy"], spot["BTC-USDT"]["quoteCcy"]) == ("BTC", "USDT")
    (swap,) = get(sim, "public/instruments?instType=SWAP&instId=BTC-USDT-SWAP")["data"]
    assert (swap["ctVal"], swap["ctValCcy"], swap["settleCcy"], swap["state"]) == ("0.01", "BTC", "USDT", "live")
    assert [one["instId"] for one in get(sim, "public/instruments?instType=SWAP&instFamily=ETH-USDT")["data"]] == [
        "ETH-USDT-SWAP"
    ]
    assert get(sim, "public/instruments?instType=OPTION&instFamily=BTC-USD")["data"] == []


def test_candles_page_backwards(sim: Simulator) -> None:
    """`after` gives older rows than a time, `before` newer ones; a page follows on the one before it."""
    newest = get(sim, "market/candles?instId=BTC-USDT&bar=1m&limit=5")["data"]
    assert [row[8] for row in newest] == ["0", "1", "1", "1", "1"]
    older = get(sim, f"market/candles?instId=BTC-USDT&bar=1m&limit=5&after={newest[-1][0]}")["data"]
    stamps = [int(row[0]) for row in newest + older]
    assert {newer - earlier for newer, earlier in pairwise(stamps)} == {60_000}
    newer = get(sim, f"market/candles?instId=BTC-USDT&bar=1m&before={older[0][0]}")["data"]
    assert newer[-1][0] == newest[-1][0]
    assert len(get(sim, "market/candles?instId=BTC-USDT")["data"]) == 100
    assert len(get(sim, "market/candles?instId=BTC-USDT&bar=1H&limit=900")["data"]) == 300


def test_a_candle_of_the_socket_is_in_rest(sim: Simulator) -> None:
    """The open candle of the socket is the first row of REST."""
    with Talk(sim.ws_url + "/business") as talk:
        talk.ask("subscribe", "candle1D:ETH-USDT-SWAP")
        pushed = talk.push("candle1D")["data"][0]
        row = get(sim, "market/candles?instId=ETH-USDT-SWAP&bar=1D&limit=1")["data"][0]
        assert row[:2] == pushed[:2]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("public/instruments", "50014"),
        ("public/instruments?instType=SHARES", "51000"),
        ("public/instruments?instType=SPOT&instId=NO-SUCH", "51001"),
        ("market/candles", "50014"),
        ("market/candles?instId=NO-SUCH", "51001"),
        ("market/candles?instId=BTC-USDT&bar=7m", "51000"),
        ("market/candles?instId=BTC-USDT&limit=many", "51000"),
        ("market/candles?instId=BTC-USDT&after=-1", "51000"),
    ],
)
def test_wrong_parameters_get_their_code(sim: Simulator, path: str, code: str) -> None:
    """OKX's envelope with its code and no data."""
    said = get(sim, path)
    assert (said["code"], said["data"]) == (code, [])
    assert said["msg"]


def test_beside_a_recording_nothing_is_invented(tmp_path: Path) -> None:
    """A simulator that replays has no instruments and candles of its own, so that none get among the recorded ones."""
    raw = '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{}]}'
    file = tmp_path / "replay.jsonl"
    file.write_text(json.dumps({"recv": 1, "dir": "in", "line": 1, "raw": raw}) + "\n")
    with Simulator(replay=file) as sim:
        assert get(sim, "market/candles?instId=BTC-USDT")["code"] == "51001"
        assert get(sim, "public/instruments?instType=SPOT")["data"] == []
