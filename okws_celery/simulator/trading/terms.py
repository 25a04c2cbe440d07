"""What sizes and prices of an instrument mean in money: exact decimals out of ticks and lots."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from okws_celery.simulator.instruments import Instrument

__all__ = ["MONEY", "is_inverse", "lots_of", "notional", "plain", "price_of", "settle_ccy", "size_of", "ticks_of"]

MONEY = Decimal("1e-10")
"""To this much is rounded what has no end in decimals."""


def price_of(one: Instrument, ticks: int) -> Decimal:
    """A number of ticks as a price."""
    return Decimal(ticks).scaleb(-one.tick_decimals)


def size_of(one: Instrument, lots: int) -> Decimal:
    """A number of lots as a size: base coin for spot, contracts for derivatives."""
    return Decimal(lots).scaleb(-one.lot_decimals)


def ticks_of(one: Instrument, price: Decimal) -> int | None:
    """A price as ticks; None if it is not a whole number of them."""
    return _whole(price.scaleb(one.tick_decimals))


def lots_of(one: Instrument, size: Decimal) -> int | None:
    """A size as lots; None if it is not a whole number of them."""
    return _whole(size.scaleb(one.lot_decimals))


def is_inverse(one: Instrument) -> bool:
    """A derivative that is settled in its base coin."""
    return one.inverse


def settle_ccy(one: Instrument) -> str:
    """The currency in which gains, losses and margin of a derivative are counted."""
    return one.settle


def notional(one: Instrument, size: Decimal, price: Decimal) -> Decimal:
    """What a size is worth at a price: in the quote currency for spot, in the settlement currency for derivatives."""
    if one.is_spot:
        return size * price
    coins = size * Decimal(one.ct_units).scaleb(-one.ct_decimals)
    return (coins / price).quantize(MONEY, ROUND_DOWN) if is_inverse(one) else coins * price


def plain(number: Decimal) -> str:
    """A number as OKX writes it: no exponent, no trailing zeros, no minus before nothing."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _whole(number: Decimal) -> int | None:
    whole = int(number)
    return whole if whole == number else None
