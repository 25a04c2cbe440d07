"""One push of each v5 channel, as PROTOCOL 5 and 6 describe it, with topics that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from okws_celery.okx.catalogue import CATALOGUE, Channel, Kind
from okws_celery.okx.topics import Topic, topic_of

__all__ = ["FUTURES", "INDEX", "OPTION", "SPOT", "SWAP", "TS", "Example", "example", "recording"]

TS = 1618678186174
"""2021-04-17T16:49:46.174Z."""
SPOT, SWAP, FUTURES, OPTION, INDEX = "BTC-USDT", "BTC-USD-SWAP", "BTC-USD-260925", "BTC-USD-260925-70000-P", "BTC-USD"
_SPREAD = "BTC-USDT_BTC-USDT-SWAP"

_VALUES = {
    "instId": SPOT,
    "sprdId": _SPREAD,
    "instType": "ANY",
    "instFamily": "BTC-USD",
    "algoId": "701",
    "ccy": "USDT",
}
_TICKER = {
    "instType": "SPOT",
    "instId": SPOT,
    "last": "63707.3",
    "lastSz": "0.0016",
    "askPx": "63707.4",
    "askSz": "0.15",
    "bidPx": "63707.2",
    "bidSz": "1.7",
    "open24h": "63958.9",
    "high24h": "64496.9",
    "low24h": "63309.4",
    "sodUtc0": "63484.7",
    "sodUtc8": "63445.9",
    "volCcy24h": "229576048.73",
    "vol24h": "3601.15",
    "ts": str(TS),
}
_TRADE = {"instId": SPOT, "tradeId": "130", "px": "59999.7", "sz": "0.5", "side": "sell", "ts": str(TS)}
_BOOK = {
    "asks": [["8476.98", "415", "0", "13"], ["8477", "7", "0", "2"]],
    "bids": [["8476.97", "256", "0", "12"], ["8475.55", "101", "0", "1"]],
    "ts": str(TS),
    "seqId": 123456,
}
_ORDER = {
    "instType": "SPOT",
    "instId": SPOT,
    "ordId": "312269865356374016",
    "clOrdId": "b1",
    "tag": "",
    "px": "999",
    "sz": "3",
    "ordType": "limit",
    "side": "buy",
    "posSide": "net",
    "tdMode": "cash",
    "tgtCcy": "",
    "fillSz": "1",
    "fillPx": "998.5",
    "tradeId": "77",
    "accFillSz": "1",
    "fillTime": str(TS),
    "state": "partially_filled",
    "avgPx": "998.5",
    "lever": "3",
    "feeCcy": "BTC",
    "fee": "-0.001",
    "rebateCcy": "USDT",
    "rebate": "0",
    "pnl": "0",
    "uTime": str(TS),
    "cTime": str(TS - 5),
    "reqId": "r1",
    "amendResult": "0",
    "reduceOnly": "false",
    "code": "0",
    "msg": "",
}
_ALGO = {
    "instType": "SPOT",
    "instId": SPOT,
    "algoId": "701",
    "ordId": "",
    "ordType": "conditional",
    "side": "buy",
    "posSide": "net",
    "tdMode": "cash",
    "sz": "2",
    "lever": "3",
    "state": "live",
    "slTriggerPx": "40000",
    "slOrdPx": "-1",
    "triggerPx": "",
    "ordPx": "",
    "failCode": "",
    "cTime": str(TS),
    "uTime": str(TS),
}
_POSITION = {
    "instType": "FUTURES",
    "mgnMode": "cross",
    "posId": "307173036051017730",
    "posSide": "long",
    "pos": "10",
    "availPos": "8",
    "avgPx": "3320",
    "upl": "-0.1",
    "uplRatio": "-0.02",
    "instId": FUTURES,
    "lever": "5",
    "liqPx": "2990",
    "imr": "0.6",
    "margin": "",
    "mgnRatio": "11.7",
    "mmr": "0.02",
    "ccy": "BTC",
    "last": "3321",
    "realizedPnl": "0.05",
    "settledPnl": "",
    "pnl": "0.04",
    "optVal": "",
    "nonSettleAvgPx": "3319",
    "cTime": str(TS - 9),
    "uTime": str(TS),
    "pTime": str(TS),
}
_DETAIL = {
    "ccy": "USDT",
    "eq": "1000.5",
    "cashBal": "999.5",
    "uTime": str(TS),
    "isoEq": "1",
    "availEq": "900",
    "availBal": "899",
    "frozenBal": "100.5",
    "ordFrozen": "50",
    "upl": "1",
    "liab": "3",
    "interest": "0.01",
    "imr": "20",
    "mmr": "4",
    "mgnRatio": "12",
    "totalPnl": "7",
}
_INSTRUMENT = {
    "instType": "FUTURES",
    "instId": FUTURES,
    "uly": "BTC-USD",
    "instFamily": "BTC-USD",
    "baseCcy": "",
    "quoteCcy": "",
    "settleCcy": "BTC",
    "ctVal": "100",
    "ctValCcy": "USD",
    "ctType": "inverse",
    "optType": "",
    "stk": "",
    "tickSz": "0.1",
    "lotSz": "1",
    "minSz": "1",
    "listTime": str(TS),
    "expTime": str(TS + 86_400_000),
    "alias": "",
    "state": "live",
}
_CANDLE = [str(TS // 60_000 * 60_000), "3721", "3743", "3677", "3708", "8422410", "22698348.04", "22698348.04", "1"]

_ROWS: dict[str, Any] = {
    "tickers": _TICKER,
    "trades": {**_TRADE, "count": "3", "source": "0", "seqId": 1234},
    "trades-all": {**_TRADE, "source": "0"},
    "option-trades": {**_TRADE, "instId": OPTION, "instFamily": "BTC-USD", "optType": "P", "fillVol": "0.5"},
    "open-interest": {"instType": "SWAP", "instId": SWAP, "oi": "5000", "oiCcy": "555.55", "ts": str(TS)},
    "funding-rate": {
        "instType": "SWAP",
        "instId": SWAP,
        "fundingRate": "0.0001875",
        "fundingTime": str(TS),
        "nextFundingRate": "",
        "nextFundingTime": str(TS + 28_800_000),
        "interestRate": "0.0001",
        "ts": str(TS),
    },
    "price-limit": {"instId": SPOT, "buyLmt": "200", "sellLmt": "100", "enabled": True, "ts": str(TS)},
    "mark-price": {"instType": "MARGIN", "instId": SPOT, "markPx": "42310.6", "ts": str(TS)},
    "index-tickers": {
        "instId": INDEX,
        "idxPx": "3895.82",
        "open24h": "3749.5",
        "high24h": "3900",
        "low24h": "3700",
        "sodUtc0": "3744",
        "sodUtc8": "3890",
        "ts": str(TS),
    },
    "opt-summary": {
        "instType": "OPTION",
        "instId": OPTION,
        "uly": "BTC-USD",
        "delta": "-0.5",
        "gamma": "1.4",
        "vega": "0.002",
        "theta": "-0.0007",
        "lever": "6.7",
        "markVol": "0.7637",
        "bidVol": "0.7507",
        "askVol": "0.7813",
        "realVol": "0",
        "ts": str(TS),
    },
    "estimated-price": {
        "instType": "FUTURES",
        "instId": FUTURES,
        "settlePx": "200",
        "settleType": "delivery",
        "ts": str(TS),
    },
    "liquidation-orders": {
        "instType": "SWAP",
        "instId": SWAP,
        "instFamily": "BTC-USD",
        "uly": "BTC-USD",
        "details": [{"side": "buy", "posSide": "short", "bkPx": "0.007", "sz": "130", "bkLoss": "0", "ts": str(TS)}],
    },
    "adl-warning": {
        "instType": "FUTURES",
        "instFamily": "BTC-USD",
        "state": "warning",
        "bal": "280784384.9",
        "ts": str(TS),
    },
    "instruments": _INSTRUMENT,
    "event-contract-markets": {"seriesId": "S", "eventId": "E", "instId": "S-1", "state": "live", "ts": str(TS)},
    "call-auction-details": {"instId": SPOT, "eqPx": "0.6", "matchedSz": "4", "state": "call_auction", "ts": str(TS)},
    "status": {"title": "Upgrade", "state": "scheduled", "begin": str(TS), "end": str(TS), "env": "1", "ts": str(TS)},
    "public-struc-block-trades": {"cTime": str(TS), "blockTdId": "180184", "groupId": "", "legs": []},
    "block-tickers": {"instType": "SPOT", "instId": SPOT, "vol24h": "5", "volCcy24h": "6", "ts": str(TS)},
    "sprd-tickers": {"sprdId": _SPREAD, "last": "4", "lastSz": "0.01", "askPx": "19.7", "bidPx": "5.9", "ts": str(TS)},
    "sprd-public-trades": {
        "sprdId": _SPREAD,
        "tradeId": "2499206329160695808",
        "px": "-10",
        "sz": "0.001",
        "side": "sell",
        "ts": str(TS),
    },
    "account": {"uTime": str(TS), "totalEq": "91884.8", "isoEq": "0", "details": [_DETAIL, {**_DETAIL, "ccy": "BTC"}]},
    "positions": _POSITION,
    "balance_and_position": {
        "pTime": str(TS),
        "eventType": "snapshot",
        "balData": [{"ccy": "BTC", "cashBal": "1", "uTime": str(TS)}],
        "posData": [_POSITION],
        "trades": [],
    },
    "orders": _ORDER,
    "fills": {
        "instId": SPOT,
        "fillSz": "100",
        "fillPx": "6",
        "side": "buy",
        "ts": str(TS),
        "ordId": "6",
        "clOrdId": "0",
        "tradeId": "125",
        "execType": "M",
        "count": "1",
    },
    "liquidation-warning": {**_POSITION, "markPx": "3000"},
    "account-greeks": {"ccy": "BTC", "deltaBS": "1.1", "gammaBS": "0", "thetaBS": "0", "vegaBS": "0", "ts": str(TS)},
    "orders-algo": _ALGO,
    "algo-advance": {
        **_ALGO,
        "algoId": "702",
        "ordType": "iceberg",
        "pxVar": "0.01",
        "szLimit": "1",
        "pxLimit": "50000",
    },
    "grid-positions": {**_POSITION, "algoId": "701"},
    "grid-sub-orders": {**_ORDER, "algoId": "701", "state": "live"},
    "sprd-orders": {**_ORDER, "sprdId": _SPREAD, "state": "live"},
    "sprd-trades": {
        "sprdId": _SPREAD,
        "tradeId": "9",
        "ordId": "8",
        "fillPx": "999",
        "fillSz": "3",
        "ts": str(TS),
        "legs": [],
    },
}


class Example(NamedTuple):
    """A push of a v5 topic."""

    topic: Topic
    rows: list[Any]
    envelope: dict[str, Any]

    @property
    def frame(self) -> str:
        """As the exchange sends it."""
        message = {"arg": self.topic.arg_object, **self.envelope, "data": self.rows}
        return json.dumps(message, separators=(",", ":"))


def example(channel: Channel, arguments: Mapping[str, str] | None = None, **values: str) -> Example:
    """A push of a channel, by default with the usual arguments; `values` are of the row where they differ."""
    if arguments is None:
        arguments = {key: _VALUES[key] for key in channel.required}
    topic = topic_of(channel, arguments)
    if channel.kind is Kind.BOOK:
        return _book(topic)
    return Example(topic, [_with(_row(channel, arguments), {**arguments, **values})], _envelope(channel))


def recording(examples: list[Example]) -> str:
    """A `replay.jsonl` that brings each example's frames when its arg is subscribed."""
    lines = [{"recv": 1.0 + at / 1000, "dir": "in", "line": at, "raw": one.frame} for at, one in enumerate(examples)]
    return "\n".join(json.dumps(line) for line in lines)


def _row(channel: Channel, arguments: Mapping[str, str]) -> Any:
    if channel.kind is Kind.CANDLES:
        if channel.name.startswith(("mark-price-candle", "index-candle")):
            return [*_CANDLE[:5], "1"]
        return [*_CANDLE[:6], "1"] if channel.name.startswith("sprd-") else _CANDLE
    if channel.name in _ROWS:
        said = {key: value for key, value in arguments.items() if value != "ANY" and channel.name != "account"}
        return {**_ROWS[channel.name], **said}
    # Channels of which nothing but identity and time matters here.
    identity = {key: f"{key}1" for key in channel.identity}
    return {"instId": SPOT, **identity, **arguments, "state": "live", "ts": str(TS), "uTime": str(TS)}


def _with(row: Any, values: Mapping[str, str]) -> Any:
    if not isinstance(row, dict):
        return row
    return {**row, **{key: value for key, value in values.items() if key in row and key != "ccy"}}


def _envelope(channel: Channel) -> dict[str, Any]:
    if channel.name in ("account", "positions", "account-greeks"):
        return {"eventType": "snapshot", "curPage": 1, "lastPage": True}
    return {}


def _book(topic: Topic) -> Example:
    book: dict[str, Any] = dict(_BOOK)
    if topic.channel.depth <= 5:
        book["asks"], book["bids"] = book["asks"][: topic.channel.depth], book["bids"][: topic.channel.depth]
        return Example(topic, [book], {})
    return Example(topic, [{**book, "prevSeqId": -1, "checksum": 0}], {"action": "snapshot"})


assert set(_ROWS) <= set(CATALOGUE), "an example of a channel that does not exist"
