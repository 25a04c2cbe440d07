"""What a capture must leave behind, worked out in the plainest way. Imports nothing of okws_celery, on purpose."""

from __future__ import annotations

import ast
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

V5_CAPTURES = ("cryptofeed-okcoin-v5-2023-05-27", "cryptofeed-okex-v5-2021-07-22", "cryptofeed-okx-v5-2022-05-13")
V3_CAPTURE = "cryptofeed-okcoin-v3-2021-07-22"

Row = list[Any]


@dataclass
class Recomputed:
    """The end state of one capture; keys are `channel:instId`."""

    books: dict[str, PlainBook] = field(default_factory=dict)
    latest: dict[str, dict[str, str]] = field(default_factory=dict)
    trades: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    candles: dict[str, dict[str, Row]] = field(default_factory=dict)
    pushes: dict[str, list[str]] = field(default_factory=dict)
    """Frames with data, as sent, by channel."""


@dataclass
class PlainBook:
    """A book as two dicts, sorted when asked for."""

    asks: dict[Decimal, Row] = field(default_factory=dict)
    bids: dict[Decimal, Row] = field(default_factory=dict)
    checked: int = 0
    """How many checksums were compared."""

    def apply(self, asks: list[Row], bids: list[Row], *, replace: bool) -> None:
        """Merge one message."""
        for side, rows in ((self.asks, asks), (self.bids, bids)):
            if replace:
                side.clear()
            for row in rows:
                if Decimal(str(row[1])) == 0:
                    side.pop(Decimal(str(row[0])), None)
                else:
                    side[Decimal(str(row[0]))] = row

    def best(self) -> tuple[list[Row], list[Row]]:
        """Asks and bids, best first."""
        return [row for _, row in sorted(self.asks.items())], [
            row for _, row in sorted(self.bids.items(), reverse=True)
        ]

    def check(self, checksum: int) -> None:
        """Compare with the exchange's CRC-32 of the best 25 levels."""
        asks, bids = self.best()
        parts = []
        for n in range(25):
            for side in (bids, asks):
                if n < len(side):
                    parts.append(f"{side[n][0]}:{side[n][1]}")
        crc = zlib.crc32(":".join(parts).encode())
        assert (crc ^ 0x80000000) - 0x80000000 == checksum
        self.checked += 1


def received(capture: Path) -> Iterator[str]:
    """The frames that were received, as text, in order."""
    with (capture / "replay.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            recorded = json.loads(line)
            if recorded["dir"] == "in":
                yield recorded["raw"]


def received_v3(capture: Path) -> Iterator[tuple[bytes, str]]:
    """Raw-deflate frames of the v3 capture, each with the text it holds."""
    texts = {}
    with (capture / "replay.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            recorded = json.loads(line)
            texts[recorded["line"]] = recorded.get("raw", "")
    with next(capture.glob("*.ws.1.0")).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if found := re.fullmatch(r"[\d.]+: (b(?:'.*'|\".*\"))\n?", line):
                yield ast.literal_eval(found[1]), texts[number]


def recompute(capture: Path) -> Recomputed:
    """The end state of a v5 capture."""
    end = Recomputed()
    for raw in received(capture):
        message = json.loads(raw)
        if "data" not in message:
            continue
        channel, inst_id = message["arg"]["channel"], message["arg"]["instId"]
        topic = f"{channel}:{inst_id}"
        end.pushes.setdefault(channel, []).append(raw)
        for row in message["data"]:
            if channel.startswith("books"):
                book = end.books.setdefault(topic, PlainBook())
                book.apply(row["asks"], row["bids"], replace=message["action"] == "snapshot")
                book.check(row["checksum"])
            elif channel == "tickers":
                end.latest[topic] = row
            elif channel == "trades":
                trades = end.trades.setdefault(topic, [])
                if row["tradeId"] not in {trade["tradeId"] for trade in trades}:
                    trades.append(row)
            elif channel.startswith("candle"):
                end.candles.setdefault(topic, {})[row[0]] = row
            else:
                raise AssertionError(f"no rule for {topic}")
    return end
