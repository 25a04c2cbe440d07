"""Why a request of a trader is refused: OKX's codes (PROTOCOL 7) with their texts."""

from __future__ import annotations

__all__ = ["TEXTS", "Refused"]

TEXTS = {
    50000: "Body for POST request cannot be empty.",
    50002: "JSON syntax error",
    50004: "API endpoint request timeout.",
    50011: "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
    50014: "Parameter {name} cannot be empty.",
    50061: "Sub-account rate limit exceeded.",
    51000: "Parameter {name} error",
    51001: "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    51008: "Order failed. Insufficient {ccy} balance in account.",
    51010: "You can't complete this request under your current account mode.",
    51016: "Client order ID already exists.",
    51020: "Your order should meet or exceed the minimum order amount.",
    51065: "algoClOrdId already exists.",
    51121: "Order quantity must be a multiple of the lot size.",
    51137: "The highest price limit for buy orders is {price}.",
    51138: "The lowest price limit for sell orders is {price}.",
    51169: "Order failed because you don't have any positions in this direction to reduce or close.",
    51279: "TP trigger price and SL trigger price are both empty.",
    51400: "Cancellation failed as the order has been filled, canceled or does not exist.",
    51503: "Order modification failed as the order has been filled, canceled or does not exist.",
    51506: "Order modification unavailable for the order type.",
    51603: "Order does not exist.",
    60013: "Invalid args",
    59000: "Settings failed. Close any open positions or orders before modifying settings.",
}
"""What OKX says with each code; `str.format` fields are filled where it names what was wrong."""


class Refused(Exception):
    """A request is not carried out. `sub_code` is the finer reason that order placement gives with some codes."""

    def __init__(self, code: int, sub_code: str = "", **fields: object) -> None:
        super().__init__(TEXTS[code].format(**fields))
        self.code = code
        self.sub_code = sub_code
