"""What a stream is: all that the market says on one subscribed argument, however many connections listen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from okws_celery.okx.topics import Arg
from okws_celery.simulator.instrument import Instrument

__all__ = ["ORDER", "InstrumentStream", "Moving", "MovingInstrument", "Stream"]

_TENTH_MS = 100

ORDER = (
    "trades trades-all option-trades bbo-tbt books-l2-tbt books50-l2-tbt books books-elp books-rpi books5 "
    "sprd-public-trades sprd-bbo-tbt sprd-books-l2-tbt sprd-books5 "
    "tickers sprd-tickers mark-price index-tickers open-interest funding-rate price-limit"
).split()
"""Channels of one instrument push in this order (PROTOCOL 5.2 and 6.5 fix it for books); candles come last."""


class Moving(Protocol):
    """What a stream tells of: an engine of the market."""

    at_ms: int

    def step(self) -> int:
        """Move on; gives the moment at which the step began."""

    def catch_up(self, now_ms: int) -> None:
        """Be awake at `now_ms`, after a time in which nobody looked."""


class MovingInstrument(Moving, Protocol):
    """The engine of an instrument, an index or a spread."""

    one: Instrument


class Stream:
    """One subscribed argument. `opening` is the first push of a new listener, `after` what all get after a step."""

    every_ms = 0
    """Shortest time between two pushes; 0: after each step."""
    checksums = False
    """Whether a merged book gives its checksum, which OKX now leaves 0."""
    asked = False
    """Somebody wants to see what this channel says seldom, at the next occasion."""

    def __init__(self, arg: Arg, engine: Moving) -> None:
        self.arg = arg
        self.engine: Moving = engine
        self.name = dict(arg)["channel"]
        self._head = f'{{"arg":{_arg_text(arg)},"data":['
        self._pushed_ms = 0

    def begin(self) -> None:
        """Somebody listens from now on: what is already so is not news."""

    def end(self) -> None:
        """Nobody listens any more."""

    def opening(self) -> str | None:
        """The push that follows the ack, if the channel has one."""
        return None

    def after(self, ts_ms: int) -> Iterator[str]:
        """The pushes that are due at `ts_ms`, oldest first.

        All that does not push with each step pushes on the same tenths of a second: what the channels say of one moment
        agrees.
        """
        if not self.every_ms or (ts_ms % _TENTH_MS == 0 and ts_ms - self._pushed_ms >= self.every_ms):
            for text in self.news(ts_ms):
                self._pushed_ms = ts_ms
                yield text

    def news(self, ts_ms: int) -> Iterator[str]:
        """As `after`, but asked only when `every_ms` has passed."""
        raise NotImplementedError

    def _push(self, row: str) -> str:
        return f"{self._head}{row}]}}"


class InstrumentStream(Stream):
    """A stream that tells of one instrument, index or spread."""

    def __init__(self, arg: Arg, engine: MovingInstrument) -> None:
        super().__init__(arg, engine)
        self.one = engine.one


def _arg_text(arg: Arg) -> str:
    """The argument as OKX writes it in a push: the channel first."""
    by_key = dict(arg)
    return json.dumps({"channel": by_key.pop("channel"), **by_key}, separators=(",", ":"))
