"""What the board says of batches that are not in Redis: each gap begins where Redis still reaches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from okws_celery.feeds.route import Limits
from okws_celery.keys import DataKeys
from okws_celery.okx.messages import decode_push
from okws_celery.okx.topics import parse_topic
from okws_celery.session.board import Board
from okws_celery.store.batch import Batch

LINK = 1


class Bench:
    """A board with one topic, and the batch that it writes to."""

    def __init__(self, topic: str) -> None:
        self.batch = Batch()
        self.board = Board(DataKeys("okex", "bench"), "both", Limits())
        self.entry = self.board.add(self.batch, parse_topic(topic), 1)
        self.board.acknowledged(self.batch, self.entry.topic.arg, 1, LINK)
        self.arrives()

    def push(self, ts: int) -> None:
        """A row of that exchange ms."""
        channel, _, inst_id = self.entry.topic.text.partition(":")
        row = {"instId": inst_id, "tradeId": str(ts), "px": "1", "sz": "1", "side": "buy", "ts": str(ts)}
        text = json.dumps({"arg": {"channel": channel, "instId": inst_id}, "data": [row]}).encode()
        self.board.push(self.batch, decode_push(text), text, 1, LINK)

    def goes(self) -> list[bytes]:
        """The batch is sent."""
        self.board.flushing()
        commands, asked = self.batch.seal()
        for on_reply in asked.values():
            on_reply([])
        return commands

    def arrives(self) -> None:
        """The batch is sent, and is in Redis."""
        self.goes()
        self.board.flushed()

    def is_refused(self) -> list[dict[str, Any]]:
        """The batch is sent and Redis refuses it for good: the gaps that the next one tells of."""
        self.goes()
        self.board.dropped(self.batch, "refused")
        told = [command.split(b"\r\n")[-2] for command in self.batch.writes if b"\r\nXADD\r\n" in command]
        return [gap for gap in map(json.loads, told) if gap.get("op") == "GAP"]


@pytest.mark.parametrize("topic", ["trades:BTC-USDT", "tickers:BTC-USDT"])
def test_refused_twice(topic: str) -> None:
    """The row that closed the first gap was refused as well: the second begins where the first did."""
    bench = Bench(topic)
    bench.push(1_000)
    bench.arrives()
    bench.push(2_000)
    first = bench.is_refused()
    bench.push(3_000)
    second = bench.is_refused()
    assert first[0]["from"] == 1_000
    assert second[0]["from"] == 1_000


def test_only_what_was_refused() -> None:
    """Rows that came before are in Redis: the gap begins behind them, however many batches they were."""
    bench = Bench("trades:BTC-USDT")
    for ts in (1_000, 2_000, 3_000):
        bench.push(ts)
        bench.arrives()
    bench.push(4_000)
    bench.push(5_000)
    assert [gap["from"] for gap in bench.is_refused()] == [3_000]
