"""What flows: the streams that somebody listens to, moved on together with the market's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from okws_celery.okx.topics import Arg
from okws_celery.simulator.channels import CHANNELS
from okws_celery.simulator.market import STEP_MS, Engine, Market
from okws_celery.simulator.pulse import Pulse
from okws_celery.simulator.stream import ORDER, InstrumentStream, Moving, Stream
from okws_celery.simulator.values import IndexEngine

__all__ = ["Clock", "Emit", "MarketSource"]

Emit = Callable[[Arg, str], None]
"""Takes one push for all who listen to an argument."""

_PROMPT = frozenset(
    "trades trades-all option-trades bbo-tbt books-l2-tbt books50-l2-tbt "
    "sprd-public-trades sprd-bbo-tbt sprd-books-l2-tbt".split()
)
"""Channels that push as things happen; without one of them the market looks up only every 100 ms."""
_SLOW_STEPS = 5
_MOST_STEPS = 500
_MOST_BEHIND_MS = 10_000
"""How far the market may stay behind its clock where that runs faster than the real one."""


class Clock:
    """The market's time in Unix ms: it begins with the real one and runs `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._begin_ms = time.time() * 1000
        self._began_s = time.monotonic()

    def go_on_from(self, ms: int) -> None:
        """Let it be this moment: what lives by the clock cannot keep up with it."""
        self._begin_ms, self._began_s = ms, time.monotonic()

    def now_ms(self) -> int:
        """The present moment."""
        return int(self._begin_ms + (time.monotonic() - self._began_s) * 1000 * self.speed)


class _Watcher(InstrumentStream):
    """One who wants an instrument to move, and says nothing."""

    engine: Engine

    def __init__(self, engine: Engine, after: Callable[[Engine], None]) -> None:
        super().__init__((("channel", ""),), engine)
        self._after = after

    def after(self, ts_ms: int) -> Iterator[str]:
        self._after(self.engine)
        return iter(())


class MarketSource:
    """Streams by argument over the engines of a market. An engine moves only while somebody listens to its streams."""

    def __init__(self, seed: int, clock: Clock, *, checksums: bool = False, demo: bool = False) -> None:
        self.clock = clock
        self.market = Market(seed, clock.now_ms(), demo=demo)
        self.checksums = checksums
        self.pulse = Pulse(self.market, clock.now_ms())
        self._moment_ms = 0
        """The moment at which the market is held; 0: it is not."""
        self._streams: dict[Arg, list[Stream]] = {}
        self._by_engine: dict[int, list[Stream]] = {}

    @property
    def wait_s(self) -> float | None:
        """How long until the next step is worth taking, in real seconds; None: nobody listens."""
        if not self._by_engine:
            return None
        prompt = any(stream.name in _PROMPT for streams in self._by_engine.values() for stream in streams)
        return max(0.002, STEP_MS * (1 if prompt else _SLOW_STEPS) / 1000 / self.clock.speed)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Hold the market for the length of a block: whatever is asked for in it is of the moment of its beginning."""
        before, self._moment_ms = self._moment_ms, self._now_ms()
        try:
            yield
        finally:
            self._moment_ms = before

    def engine(self, inst_id: str) -> Engine:
        """The engine of an instrument or a spread, at the present moment. KeyError if there is none."""
        engine = self.market.engine(inst_id, self._now_ms())
        self._wake(engine)
        return engine

    def index_engine(self, inst_id: str) -> IndexEngine:
        """The engine of an index, at the present moment. KeyError if there is none."""
        engine = self.market.index_engine(inst_id, self._now_ms())
        self._wake(engine)
        return engine

    def join(self, arg: Arg) -> str | None:
        """Somebody listens to an argument from now on; gives the push that begins it, if it has one."""
        if arg not in self._streams:
            self._streams[arg] = self._made(arg)
            for stream in self._streams[arg]:
                stream.checksums = self.checksums
                stream.begin()
                self._set_going(stream)
        return self.opening(arg)

    def opening(self, arg: Arg) -> str | None:
        """The push that would begin an argument for one more listener."""
        return next(filter(None, (stream.opening() for stream in self._streams.get(arg, ()))), None)

    def leave(self, arg: Arg) -> None:
        """Nobody listens to an argument any more."""
        for stream in self._streams.pop(arg, ()):
            stream.end()
            self._let_go(stream)

    def watch(self, inst_id: str, after: Callable[[Engine], None]) -> Stream:
        """Move an instrument on, and call `after` after each of its steps, until `unwatch` of what this gives."""
        watcher = _Watcher(self.engine(inst_id), after)
        self._set_going(watcher)
        return watcher

    def unwatch(self, watcher: Stream) -> None:
        """End what `watch` began."""
        self._let_go(watcher)

    def ask(self, channel: str) -> int:
        """Let a channel that speaks seldom speak, to all who listen to it; gives the number of its arguments."""
        asked = [stream for streams in self._streams.values() for stream in streams if stream.name == channel]
        for stream in asked:
            stream.asked = True
        return len(asked)

    def advance(self, emit: Emit) -> None:
        """Take the steps that are due and emit what they bring. A step is due when the time that it covers is over.

        A market that was to run faster than this machine can do runs as fast as it can: its clock waits for it.
        """
        now_ms = self.clock.now_ms()
        if self.clock.speed > 1:
            slowest_ms = min((one[0].engine.at_ms for one in self._by_engine.values()), default=now_ms)
            if now_ms - slowest_ms > _MOST_BEHIND_MS:
                now_ms = slowest_ms + _MOST_BEHIND_MS
                self.clock.go_on_from(now_ms)
        for _ in range(_MOST_STEPS):
            behind = [one for one in self._by_engine.values() if one[0].engine.at_ms + 2 * STEP_MS <= now_ms]
            if not behind:
                return
            for streams in behind:
                ts_ms = streams[0].engine.step()
                for stream in tuple(streams):
                    for text in stream.after(ts_ms):
                        emit(stream.arg, text)

    def _made(self, arg: Arg) -> list[Stream]:
        """The streams of an argument; none for a channel on which this market has nothing to say."""
        by_key = dict(arg)
        line = CHANNELS.get(by_key["channel"])
        return [line.make(arg, engine) for engine in self._engines(line.of, by_key)] if line else []

    def _engines(self, of: str, by_key: dict[str, str]) -> list[Moving]:
        inst_id = by_key.get("instId", "")
        match of:
            case "market":
                self._wake(self.pulse)
                return [self.pulse]
            case "index":
                return [self.index_engine(inst_id)]
            case "spread":
                return [self.engine(by_key["sprdId"])]
            case "options":
                family = by_key.get("instFamily")
                options = [one for one in self.market.instruments.values() if one.opt_type]
                return [self.engine(one.inst_id) for one in options if (inst_id or one.inst_id) == one.inst_id
                        and (inst_id or family == one.family)]  # fmt: skip
            case _:
                return [self.engine(inst_id)]

    def _set_going(self, stream: Stream) -> None:
        together = self._by_engine.setdefault(id(stream.engine), [])
        together.append(stream)
        together.sort(key=lambda one: ORDER.index(one.name) if one.name in ORDER else len(ORDER))

    def _let_go(self, stream: Stream) -> None:
        together = self._by_engine[id(stream.engine)]
        together.remove(stream)
        if not together:
            del self._by_engine[id(stream.engine)]

    def _wake(self, engine: Moving) -> None:
        if id(engine) not in self._by_engine:
            engine.catch_up(self._now_ms())

    def _now_ms(self) -> int:
        return self._moment_ms or self.clock.now_ms()

    def price_in_usd(self, ccy: str) -> Decimal:
        """What a currency is worth."""
        inst_id = f"{ccy}-USDT"
        if inst_id not in self.market.instruments:
            return Decimal(1)
        engine = self.engine(inst_id)
        return Decimal(engine.one.price_text(engine.last))
