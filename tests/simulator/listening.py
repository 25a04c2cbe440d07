"""The market without a server: pushes as a client would get them, at a time that a test turns by hand."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from okws_celery.okx.topics import Arg, parse_topic
from okws_celery.simulator.source import Clock, MarketSource

BEGIN_MS = 1_790_000_012_345


class HandClock(Clock):
    """A clock that a test turns by hand."""

    def __init__(self, begin_ms: int) -> None:
        super().__init__()
        self.ms = begin_ms

    def now_ms(self) -> int:
        return self.ms


class Listener:
    """A market without a server: everything that was pushed, by topic, as a client would have got it."""

    def __init__(self, *topics: str, seed: int = 1, checksums: bool = False, begin_ms: int = BEGIN_MS) -> None:
        self.clock = HandClock(begin_ms)
        self.source = MarketSource(seed, self.clock, checksums=checksums)
        self.got: dict[Arg, list[dict[str, Any]]] = defaultdict(list)
        self.order: list[dict[str, Any]] = []
        self.closed_ms: dict[str, int] = {}
        """When the latest candle of a topic was confirmed."""
        self._topics: dict[Arg, str] = {}
        for topic in topics:
            self.join(topic)

    def join(self, topic: str) -> None:
        arg = parse_topic(topic).arg
        self._topics[arg] = topic
        opening = self.source.join(arg)
        if opening is not None:
            self._take(arg, opening)

    def leave(self, topic: str) -> None:
        self.source.leave(parse_topic(topic).arg)

    def run(self, seconds: float) -> None:
        """Let the market's time pass, a tenth of a second at a time."""
        for _ in range(round(seconds * 10)):
            self.clock.ms += 100
            self.source.advance(self._take)

    def run_until_push(self, topic: str, seconds: float) -> dict[str, Any]:
        """Let time pass until something is pushed on a topic; gives the latest push of it."""
        for _ in range(round(seconds)):
            if self.of(topic):
                break
            self.run(1)
        return self.of(topic)[-1]

    def of(self, topic: str) -> list[dict[str, Any]]:
        return self.got[parse_topic(topic).arg]

    def rows(self, topic: str) -> list[Any]:
        return [row for push in self.of(topic) for row in push["data"]]

    def _take(self, arg: Arg, text: str) -> None:
        push = json.loads(text, parse_float=_no_float)
        assert tuple(sorted(push["arg"].items())) == arg
        self.got[arg].append(push)
        if push["arg"]["channel"].find("candle") >= 0 and push["data"][0][-1] == "1":
            self.closed_ms[self._topics[arg]] = self.clock.ms
        self.order.append(push)

    def rest(self, bar: str, inst_id: str, limit: int) -> list[list[str]]:
        """The newest candles as REST gives them, the open one first."""
        engine = self.source.engine(inst_id)
        found = engine.candles.rows(bar, before_ms=1 << 62, after_ms=0, limit=limit)
        return [one.row(engine.one, confirmed=not engine.candles.is_open(bar, one)) for one in found]


def _no_float(text: str) -> None:
    raise AssertionError(f"a price was printed as a number: {text}")
