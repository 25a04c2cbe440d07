"""The table and the lines of `okws run`, from rows that are given."""

from __future__ import annotations

import pytest
from rich.console import Console

from okws_celery.demo_table import Row, table

NOW_MS = 1_700_000_001_500
TICKER = {"last": "64012.3", "open24h": "63000", "bidPx": "64012.2", "askPx": "64012.4", "ts": "1700000000000"}
CANDLE = ["1700000000000", "64000", "64020.5", "63990.1", "64012.3", "3.2"]


def shown(rows: list[Row], width: int) -> str:
    """The table as text on a terminal of this width."""
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table("demo", rows, NOW_MS, width))
    return capture.get()


def cells(text: str) -> list[str]:
    """What the only row of a table shows."""
    return next(line for line in text.splitlines() if "BTC-USDT" in line).split()


class TestTable:
    def test_wide(self) -> None:
        """With room enough the whole candle and the spread are shown."""
        row = Row("BTC-USDT-SWAP", last="64012.3", arrow="▲", moves=7, ticker=TICKER, candle=CANDLE, spread="0.2")
        assert cells(shown([row], 120)) == (
            "BTC-USDT-SWAP 64012.3 ▲ +1.61% 64012.2 64012.4 0.2 64000 64020.5 63990.1 64012.3 1.5 s 7".split()
        )

    @pytest.mark.parametrize("width", [80, 109])
    def test_narrow(self, width: int) -> None:
        """On a common terminal no price is cut."""
        row = Row("BTC-USDT-SWAP", last="64012.3", arrow="▼", moves=123, ticker=TICKER, candle=CANDLE, spread="0.2")
        text = shown([row], width)
        assert "…" not in text
        assert cells(text) == ("BTC-USDT-SWAP 64012.3 ▼ +1.61% 64012.2 64012.4 +12.3 1.5 s 123".split())

    def test_nothing_yet(self) -> None:
        """Before the first push a row is there and empty."""
        assert cells(shown([Row("BTC-USDT")], 80)) == ["BTC-USDT", "0"]

    def test_a_ticker_without_numbers(self) -> None:
        """Fields that OKX leaves empty are shown empty."""
        row = Row("BTC-USDT", last="", ticker={"last": "", "open24h": "", "ts": ""}, candle=["", "", "", "", ""])
        assert "BTC-USDT" in shown([row], 80)
