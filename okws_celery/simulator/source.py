"""What flows: the streams that somebody listens to, moved on together with the market's time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

from okws_celery.okx.topics import Arg
from okws_celery.simulator.channels import stream_of
from okws_celery.simulator.instruments import INSTRUMENTS
from okws_celery.simulator.market import STEP_MS, Engine, Market
from okws_celery.simulator.numbers import decimal_text
from okws_celery.simulator.stream import ORDER, Stream

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


class _Watcher(Stream):
    """One who wants an instrument to move, and says nothing."""

    def __init__(self, engine: Engine, after: Callable[[Engine], None]) -> None:
        super().__init__((("channel", ""),), engine)
        self._after = after

    def after(self, ts_ms: int) -> Iterator[str]:
        self._after(self.engine)
        return iter(())


class MarketSource:
    """Streams by argument over the engines of a market. An engine moves only while somebody listens to its streams."""

    def __init__(self, seed: int, clock: Clock, *, checksums: bool = False) -> None:
        self.market = Market(seed)
        self.clock = clock
        self.checksums = checksums
        self._streams: dict[Arg, Stream] = {}
        self._by_instrument: dict[str, list[Stream]] = {}

    @property
    def wait_s(self) -> float | None:
        """How long until the next step is worth taking, in real seconds; None: nobody listens."""
        if not self._by_instrument:
            return None
        prompt = any(stream.name in _PROMPT for streams in self._by_instrument.values() for stream in streams)
        return max(0.002, STEP_MS * (1 if prompt else _SLOW_STEPS) / 1000 / self.clock.speed)

    def engine(self, inst_id: str) -> Engine:
        """The engine of an instrument, at the present moment. KeyError if there is none."""
        now_ms = self.clock.now_ms()
        engine = self.market.engine(inst_id, now_ms)
        if inst_id not in self._by_instrument:
            engine.catch_up(now_ms)
        return engine

    def join(self, arg: Arg) -> str | None:
        """Somebody listens to an argument from now on; gives the push that begins it, if it has one."""
        stream = self._streams.get(arg)
        if stream is None:
            by_key = dict(arg)
            if by_key["channel"] == "status":
                return _maintenance(self.clock.now_ms())
            inst_id = by_key.get("instId", "")
            if inst_id not in INSTRUMENTS:
                return None
            stream = stream_of(arg, self.engine(inst_id))
            if stream is None:
                return None
            stream.checksums = self.checksums
            stream.begin()
            self._streams[arg] = stream
            together = self._by_instrument.setdefault(inst_id, [])
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
        if stream is not None:
            self._gone(stream)

    def _gone(self, stream: Stream) -> None:
        inst_id = stream.one.inst_id
        together = self._by_instrument[inst_id]
        together.remove(stream)
        stream.end()
        if not together:
            del self._by_instrument[inst_id]

    def watch(self, inst_id: str, after: Callable[[Engine], None]) -> Stream:
        """Move an instrument on, and call `after` after each of its steps, until `unwatch` of what this gives."""
        watcher = _Watcher(self.engine(inst_id), after)
        self._by_instrument.setdefault(inst_id, []).append(watcher)
        return watcher

    def unwatch(self, watcher: Stream) -> None:
        """End what `watch` began."""
        self._gone(watcher)

    def advance(self, emit: Emit) -> None:
        """Take all steps that are due and emit what they bring. A step is due when the time that it covers is over."""
        now_ms = self.clock.now_ms()
        for _ in range(_MOST_STEPS):
            behind = [
                (self.market.engines[inst_id], streams)
                for inst_id, streams in self._by_instrument.items()
                if self.market.engines[inst_id].at_ms + 2 * STEP_MS <= now_ms
            ]
            if not behind:
                return
            for engine, streams in behind:
                ts_ms = engine.step()
                for stream in tuple(streams):
                    for text in stream.after(ts_ms):
                        emit(stream.arg, text)

    def price_in_usd(self, ccy: str) -> Decimal:
        """What a currency is worth."""
        inst_id = f"{ccy}-USDT"
        if inst_id not in INSTRUMENTS:
            return Decimal(1)
        engine = self.engine(inst_id)
        return Decimal(decimal_text(engine.last, engine.one.tick_decimals))


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
