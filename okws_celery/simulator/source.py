"""What flows: the streams that somebody listens to, moved on together with the market's time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal

from okws_celery.okx.topics import Arg
from okws_celery.simulator.channels import CHANNELS
from okws_celery.simulator.market import STEP_MS, Engine, Market
from okws_celery.simulator.stream import ORDER, Moving, Stream
from okws_celery.simulator.values import IndexEngine

__all__ = ["Clock", "Emit", "MarketSource"]

Emit = Callable[[Arg, str], None]
"""Takes one push for all who listen to an argument."""

_PROMPT = frozenset({"trades", "trades-all", "bbo-tbt", "books-l2-tbt", "books50-l2-tbt"})
"""Channels that push as things happen; without one of them the market looks up only every 100 ms."""
_SLOW_STEPS = 5
_MOST_STEPS = 500


class Clock:
    """The market's time in Unix ms: it begins with the real one and runs `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._begin_ms = time.time() * 1000
        self._began_s = time.monotonic()

    def now_ms(self) -> int:
        """The present moment."""
        return int(self._begin_ms + (time.monotonic() - self._began_s) * 1000 * self.speed)


class MarketSource:
    """Streams by argument over the engines of a market. An engine moves only while somebody listens to its streams."""

    def __init__(self, seed: int, clock: Clock, *, checksums: bool = False) -> None:
        self.clock = clock
        self.market = Market(seed, clock.now_ms())
        self.checksums = checksums
        self._streams: dict[Arg, Stream] = {}
        self._by_engine: dict[int, list[Stream]] = {}

    @property
    def wait_s(self) -> float | None:
        """How long until the next step is worth taking, in real seconds; None: nobody listens."""
        if not self._by_engine:
            return None
        prompt = any(stream.name in _PROMPT for streams in self._by_engine.values() for stream in streams)
        return max(0.002, STEP_MS * (1 if prompt else _SLOW_STEPS) / 1000 / self.clock.speed)

    def engine(self, inst_id: str) -> Engine:
        """The engine of an instrument or a spread, at the present moment. KeyError if there is none."""
        engine = self.market.engine(inst_id, self.clock.now_ms())
        self._wake(engine)
        return engine

    def index_engine(self, inst_id: str) -> IndexEngine:
        """The engine of an index, at the present moment. KeyError if there is none."""
        engine = self.market.index_engine(inst_id, self.clock.now_ms())
        self._wake(engine)
        return engine

    def join(self, arg: Arg) -> str | None:
        """Somebody listens to an argument from now on; gives the push that begins it, if it has one."""
        stream = self._streams.get(arg)
        if stream is None:
            if dict(arg)["channel"] == "status":
                return _maintenance(self.clock.now_ms())
            stream = self._stream(arg)
            if stream is None:
                return None
            stream.checksums = self.checksums
            stream.begin()
            self._streams[arg] = stream
            together = self._by_engine.setdefault(id(stream.engine), [])
            together.append(stream)
            together.sort(key=lambda one: ORDER.index(one.name) if one.name in ORDER else len(ORDER))
        return stream.opening()

    def opening(self, arg: Arg) -> str | None:
        """The push that would begin an argument for one more listener."""
        stream = self._streams.get(arg)
        return stream.opening() if stream else None

    def leave(self, arg: Arg) -> None:
        """Nobody listens to an argument any more."""
        stream = self._streams.pop(arg, None)
        if stream is None:
            return
        together = self._by_engine[id(stream.engine)]
        together.remove(stream)
        stream.end()
        if not together:
            del self._by_engine[id(stream.engine)]

    def advance(self, emit: Emit) -> None:
        """Take all steps that are due and emit what they bring. A step is due when the time that it covers is over."""
        now_ms = self.clock.now_ms()
        for _ in range(_MOST_STEPS):
            behind = [one for one in self._by_engine.values() if one[0].engine.at_ms + 2 * STEP_MS <= now_ms]
            if not behind:
                return
            for streams in behind:
                ts_ms = streams[0].engine.step()
                for stream in streams:
                    for text in stream.after(ts_ms):
                        emit(stream.arg, text)

    def _stream(self, arg: Arg) -> Stream | None:
        by_key = dict(arg)
        line = CHANNELS.get(by_key["channel"])
        if line is None:
            return None
        try:
            match line.of:
                case "instrument":
                    return line.make(arg, self.engine(by_key["instId"]))
                case "index":
                    return line.make(arg, self.index_engine(by_key["instId"]))
                case _:
                    return line.make(arg, self.engine(by_key["sprdId"]))
        except KeyError:
            return None

    def _wake(self, engine: Moving) -> None:
        if id(engine) not in self._by_engine:
            engine.catch_up(self.clock.now_ms())

    def price_in_usd(self, ccy: str) -> Decimal:
        """What a currency is worth."""
        inst_id = f"{ccy}-USDT"
        if inst_id not in self.market.instruments:
            return Decimal(1)
        engine = self.engine(inst_id)
        return Decimal(engine.one.price_text(engine.last))


def _maintenance(now_ms: int) -> str:
    """The latest maintenance event: one that is over since a week."""
    end = now_ms - 7 * 86_400_000
    row = {
        "title": "Trading account WebSocket system upgrade",
        "state": "completed",
        "begin": str(end - 2_580_000),
        "end": str(end),
        "preOpenBegin": "",
        "href": "",
        "serviceType": "0",
        "system": "unified",
        "scheDesc": "",
        "maintType": "1",
        "env": "1",
        "ts": str(end),
    }
    return json.dumps({"arg": {"channel": "status"}, "data": [row]}, separators=(",", ":"))
