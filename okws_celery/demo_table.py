"""What `okws run` shows: a live table on a terminal, plain lines elsewhere. All it knows is the client's `get`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from okws_celery.sync import Client

__all__ = ["Row", "Screen", "screen_for", "table"]

_WIDE = 110
_UP, _DOWN, _SAME = "▲", "▼", " "
_STYLE = {_UP: "green", _DOWN: "red", _SAME: "default"}


@dataclass(slots=True)
class Row:
    """What is known of one instrument; prices are the exchange's own strings."""

    instrument: str
    last: str = ""
    arrow: str = _SAME
    """The direction of the latest move; it stays until the next."""
    moves: int = 0
    """How often the price was seen to differ from the look before."""
    ticker: dict[str, str] | None = None
    candle: Sequence[str] = ()
    """ts, open, high, low, close, volume ... of the minute that is running."""
    spread: str = ""

    def read(self, client: Client, session: str) -> None:
        """Bring the row up to date."""
        ticker = client.get(session, f"tickers:{self.instrument}")
        candles = client.get(session, f"candle1m:{self.instrument}", n=1)
        book = client.get(session, f"books5:{self.instrument}")
        if ticker:
            self.ticker = ticker
            self._moved_to(ticker.get("last", ""))
        if candles:
            self.candle = candles[-1]
        if book and book.get("bids") and book.get("asks"):
            self.spread = str(_number(book["asks"][0][0]) - _number(book["bids"][0][0]))

    def _moved_to(self, last: str) -> None:
        if last and self.last and last != self.last:
            self.arrow = _UP if _number(last) > _number(self.last) else _DOWN
            self.moves += 1
        self.last = last or self.last

    @property
    def change(self) -> str:
        """Against the price of 24 hours ago, in per cent."""
        before = _number((self.ticker or {}).get("open24h", ""))
        try:
            return f"{(_number(self.last) / before - 1) * 100:+.2f}%"
        except (DivisionByZero, InvalidOperation):
            return ""

    @property
    def change_of_minute(self) -> str:
        """From the running candle's open to its close."""
        return f"{_number(self.candle[4]) - _number(self.candle[1]):+f}" if self.candle else ""

    def of(self, field: str) -> str:
        """A field of the ticker, or nothing."""
        return (self.ticker or {}).get(field, "")

    def age(self, now_ms: int) -> str:
        """Since the exchange made the ticker, by this machine's clock."""
        made_ms = self.of("ts")
        return f"{max(0, now_ms - int(made_ms)) / 1000:.1f} s" if made_ms.isdecimal() else ""


class Screen:
    """The rows, and where they are shown. Plain lines if `live` is None."""

    def __init__(self, session: str, instruments: Sequence[str], console: Console, live: Live | None) -> None:
        self.session = session
        self.rows = [Row(instrument) for instrument in instruments]
        self._console = console
        self._live = live

    @property
    def plain(self) -> bool:
        """Whether lines are printed instead of a table."""
        return self._live is None

    def show(self, client: Client) -> None:
        """Read every row and show it."""
        for row in self.rows:
            row.read(client, self.session)
        now_ms = time.time_ns() // 1_000_000
        if self._live:
            self._live.update(table(self.session, self.rows, now_ms, self._console.width), refresh=True)
        else:
            for row in self.rows:
                print(_line(row, now_ms), flush=True)

    def without_price(self) -> list[str]:
        """Instruments of which no price was seen."""
        return [row.instrument for row in self.rows if not row.last]

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()


def screen_for(session: str, instruments: Sequence[str], *, plain: bool) -> Screen:
    """A table if standard output is a terminal that can redraw, else lines."""
    console = Console()
    redraws = console.is_terminal and not console.is_dumb_terminal and not plain
    return Screen(session, instruments, console, Live(console=console, auto_refresh=False) if redraws else None)


def table(session: str, rows: Sequence[Row], now_ms: int, width: int) -> Table:
    """All that is known, or on a terminal of less than 110 columns what is known of the price."""
    wide = width >= _WIDE
    shown = Table(title=f"session {session}", title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    shown.add_column("instrument", no_wrap=True)
    candle_columns = ("spread", "1m open", "high", "low", "close") if wide else ("in 1m",)
    for name in ("last", "24 h", "bid", "ask", *candle_columns, "age", "moves"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        candle = [*row.candle[1:5], "", "", "", ""][:4]
        cells = [row.change, row.of("bidPx"), row.of("askPx")]
        cells += [row.spread, *candle] if wide else [row.change_of_minute]
        last = Text(f"{row.last} {row.arrow}", style=_STYLE[row.arrow])
        shown.add_row(row.instrument, last, *cells, row.age(now_ms), str(row.moves))
    return shown


def _line(row: Row, now_ms: int) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(now_ms / 1000))
    if not row.last:
        return f"{clock}  {row.instrument:14} no price yet"
    quote = f"bid {row.of('bidPx')} ask {row.of('askPx')}"
    candle = f"1m {' '.join(row.candle[1:5])}"
    text = f"{clock}  {row.instrument:14} {row.last:>9} {row.arrow} {row.change:>7}  {quote}  {candle}"
    return _printable(f"{text}  age {row.age(now_ms)}  moves {row.moves}")


def _printable(text: str) -> str:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return text.replace(_UP, "+").replace(_DOWN, "-")
    return text


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(0)
