"""An order book merged as OKX's documentation says (PROTOCOL 6.2, 6.3), independent of the project."""

from __future__ import annotations

import zlib
from decimal import Decimal
from typing import Any


class MergedBook:
    """Both sides by price as text; `take` asserts that the numbers follow on each other."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, list[str]]] = {"bids": {}, "asks": {}}
        self.seq_id = -1
        self.ts = ""
        self.updates = self.heartbeats = self.resets = 0

    def take(self, push: dict[str, Any]) -> None:
        """One push of `books` or its like."""
        (row,) = push["data"]
        if push["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert row["prevSeqId"] == self.seq_id, "the numbers do not follow on each other"
            self.updates += 1
            if row["seqId"] == row["prevSeqId"]:
                assert (row["asks"], row["bids"]) == ([], [])
                self.heartbeats += 1
            elif row["seqId"] < row["prevSeqId"]:
                self.resets += 1
        self.seq_id, self.ts = row["seqId"], row["ts"]
        for name, side in self.sides.items():
            for level in row[name]:
                assert len(level) in (3, 4)
                if level[1] == "0":
                    assert level[0] in side, "a level is deleted that was never shown"
                    del side[level[0]]
                else:
                    side[level[0]] = level
        if self.sides["bids"] and self.sides["asks"]:
            assert Decimal(self.best("bids")[0]) < Decimal(self.best("asks")[0]), "crossed"

    def top(self, name: str, depth: int) -> list[list[str]]:
        """The best levels of a side, best first."""
        ranked = sorted(self.sides[name].values(), key=lambda level: Decimal(level[0]), reverse=name == "bids")
        return ranked[:depth]

    def best(self, name: str) -> list[str]:
        """The best level of a side."""
        return self.top(name, 1)[0]

    def checksum(self) -> int:
        """OKX's signed CRC-32 over 25 levels (PROTOCOL 6.4)."""
        bids, asks = self.top("bids", 25), self.top("asks", 25)
        parts = []
        for rank in range(25):
            for side in (bids, asks):
                if rank < len(side):
                    parts += side[rank][:2]
        crc = zlib.crc32(":".join(parts).encode())
        return crc if crc < 1 << 31 else crc - (1 << 32)
