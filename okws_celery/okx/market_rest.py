"""What REST is asked of the markets: candles, trades, instruments (PROTOCOL 8)."""

from __future__ import annotations

from okws_celery.okx.rest import RestRequest

__all__ = ["candles_request", "instruments_request", "older_trades_request", "trades_request"]

TRADES_A_PAGE = 500
_CANDLES_A_PAGE = 300
_TRADE_ID = "1"

_CANDLE_PATHS = (
    # channel without its bar, path, most rows of one answer, requests a second
    ("mark-price-candle", "/api/v5/market/mark-price-candles", 100, 9.0),
    ("index-candle", "/api/v5/market/index-candles", 100, 9.0),
    ("candle1s", "/api/v5/market/history-candles", _CANDLES_A_PAGE, 9.0),
    ("candle", "/api/v5/market/candles", _CANDLES_A_PAGE, 18.0),
)


def candles_request(
    channel: str, inst_id: str, older_than: int = 0, limit: int = _CANDLES_A_PAGE
) -> RestRequest | None:
    """Candles older than a time in ms (0: the newest), newest first; None if REST has none for this channel.

    An answer has `limit` rows at most, and no more than the endpoint gives. Spreads have none.
    """
    for prefix, path, most, a_second in _CANDLE_PATHS:
        if channel.startswith(prefix):
            bar = channel.removeprefix(prefix.removesuffix("1s"))
            parameters = {"instId": inst_id, "bar": bar, "limit": str(min(limit, most))}
            if older_than:
                parameters["after"] = str(older_than)  # OKX's `after` means: older than
            return RestRequest(path, parameters, a_second)
    return None


def trades_request(inst_id: str, limit: int = TRADES_A_PAGE) -> RestRequest:
    """The newest trades, newest first."""
    return RestRequest("/api/v5/market/trades", {"instId": inst_id, "limit": str(limit)}, 45.0)


def older_trades_request(inst_id: str, older_than: int) -> RestRequest:
    """A hundred trades before a tradeId, newest first."""
    parameters = {"instId": inst_id, "type": _TRADE_ID, "after": str(older_than), "limit": "100"}
    return RestRequest("/api/v5/market/history-trades", parameters, 9.0)


def instruments_request(inst_type: str, inst_family: str = "") -> RestRequest:
    """Every instrument of a type; options are listed by family."""
    parameters = {"instType": inst_type} | ({"instFamily": inst_family} if inst_family else {})
    return RestRequest("/api/v5/public/instruments", parameters, 9.0)
