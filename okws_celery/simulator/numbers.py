"""Exact decimals: prices and sizes are whole numbers of ticks and lots, and become text without ever being a float."""

from __future__ import annotations

__all__ = ["POWERS", "decimal_text"]

POWERS: tuple[int, ...] = tuple(10**n for n in range(40))


def decimal_text(units: int, decimals: int) -> str:
    """`units` times 10 to the -`decimals`, without trailing zeros, as OKX writes numbers: (637070, 1) is "63707"."""
    if decimals == 0:
        return str(units)
    if units < 0:
        return "-" + decimal_text(-units, decimals)
    whole, part = divmod(units, POWERS[decimals])
    return f"{whole}.{part:0{decimals}d}".rstrip("0") if part else str(whole)
