"""Every channel there and back, generated from the catalogue: subscribed, pushed, stored, published, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from examples import FUTURES, INDEX, OPTION, SPOT, SWAP, Example, example, recording
from session.holding import DEMO, Held
from waiting import eventually

from okws_celery.feeds.candles import columns
from okws_celery.okx.catalogue import CATALOGUE, Kind
from okws_celery.okx.topics import Topic, parse_topic
from okws_celery.okx.v3 import V3
from okws_celery.query import Reader
from okws_celery.settings import Settings
from okws_celery.simulator import Simulator

_ALONE = {"books-l2-tbt": "ETH-USDT", "books50-l2-tbt": "ETH-BTC"}
"""Books that OKX does not serve beside another book of their instrument (PROTOCOL 6.5)."""
V5_EXAMPLES = {
    name: example(channel, {"instId": _ALONE[name]} if name in _ALONE else None) for name, channel in CATALOGUE.items()
}
"""One push of each v5 channel."""

_FILTERS = {"spot": SPOT, "futures": FUTURES, "swap": SWAP, "option": OPTION, "index": INDEX}


def v3_text(name: str) -> str:
    """A topic of a v3 channel."""
    match V3[name].filter:
        case "instrument_id":
            return f"{name}:{_FILTERS[name.partition('/')[0]]}"
        case "underlying":
            return f"{name}:BTC-USD"
        case "currency":
            return f"{name}:USDT"
    return name


def v3_examples(topic: Topic) -> list[Example]:
    """Pushes of the v5 channels that a v3 topic has its data from, first those that add to the others."""
    product = topic.text.partition("/")[0]
    row = {"instId": OPTION, "instType": "OPTION"} if product == "option" else {}
    args = [{key: value for key, value in source.arg if key != "channel"} for source in topic.sources]
    return [example(source.channel, arg, **row) for source, arg in zip(topic.sources, args, strict=True)][::-1]


class Trip:
    """A session that has everything subscribed, and all that was published."""

    def __init__(self, held: Held, redis_url: str, topics: list[str]) -> None:
        self.held = held
        self._reader = Reader(Settings(redis_url=redis_url))
        self._client = redis.Redis.from_url(redis_url, decode_responses=True)
        self._pubsub = self._client.pubsub()
        self._pubsub.psubscribe("okex/tests/*")
        self._pubsub.get_message(timeout=5)
        self.published: dict[str, list[str]] = {}
        self.answer = held.subscribe(*topics, wait=60)

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        return eventually(lambda: self._reader.get("tests", path, params), what=path)

    def heard(self, channel: str) -> list[Any]:
        """Everything published on a channel, once there is something."""

        def look() -> list[str]:
            self._look()
            return self.published.get(channel, [])

        said = eventually(look, what=f"something on {channel}; heard were {sorted(self.published)}")
        return [json.loads(text) for text in said]

    def hears_row(self, topic: Topic, row: Any) -> bool:
        """Whether a row is published on a channel of the topic's rows, whatever their id."""
        prefix = "okex/tests/" + topic.path.partition(":")[0] + ":"

        def look() -> bool:
            self._look()
            own = (texts for channel, texts in self.published.items() if channel.startswith(prefix))
            return any(json.loads(text) == row for texts in own for text in texts)

        return eventually(look, what=f"{row} on {prefix}*")

    def _look(self) -> None:
        while (message := self._pubsub.get_message(timeout=0.01)) is not None:
            if message["type"] == "pmessage":
                self.published.setdefault(message["channel"], []).append(message["data"])

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


@pytest.fixture
def trip(
    redis_url: str, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[Callable[[list[Example], list[str]], Trip]]:
    """Starts an exchange that pushes the examples, and a session that is logged in and subscribes the topics."""
    ends: list[Callable[[], Any]] = []
    no_rest = f"http://127.0.0.1:{free_port()}"

    def start(examples: list[Example], topics: list[str]) -> Trip:
        file = tmp_path / "replay.jsonl"
        file.write_text(recording(examples))
        exchange = Simulator(limits=False, replay=file, pace="max").start()
        ends.append(exchange.stop)
        held = Held(redis_url=redis_url, ws_url=exchange.ws_url, rest_url=no_rest, credentials=DEMO)
        ends.append(held.close)
        made = Trip(held, redis_url, topics)
        ends.append(made.close)
        return made

    yield start
    for end in reversed(ends):
        end()


def test_every_channel_of_v5(trip: Callable[[list[Example], list[str]], Trip]) -> None:
    """The key holds the row as sent, the push is published as sent, and the row by itself."""
    made = trip(list(V5_EXAMPLES.values()), [one.topic.text for one in V5_EXAMPLES.values()])
    assert made.answer["errorCode"] == 80000, made.answer
    for one in V5_EXAMPLES.values():
        topic, (row,) = one.topic, one.rows
        found = made.get(topic.text)
        assert json.loads(one.frame) in made.heard("okex/tests/" + topic.path.partition(":")[0]), topic.text
        match topic.channel.kind:
            case Kind.LATEST:
                assert found == {key: value if isinstance(value, str) else "true" for key, value in row.items()}, topic
            case Kind.CANDLES | Kind.LOG:
                assert found == [row], topic
            case Kind.BOOK:
                assert (found["asks"], found["bids"], found["state"]) == (row["asks"], row["bids"], "live"), topic
            case Kind.STATE if topic.channel.name == "account":
                assert [found["USDT"], found["BTC"]] == row["details"]
            case Kind.STATE if topic.channel.name == "balance_and_position":
                assert found == {"BTC": row["balData"][0], row["posData"][0]["posId"]: row["posData"][0]}
            case Kind.STATE:
                assert row in (found, *found.values()), topic
        assert made.hears_row(topic, published_row(topic, row))


def published_row(topic: Topic, row: Any) -> Any:
    """What is published of a row, or of its first part."""
    match topic.channel.name:
        case "account":
            return row["details"][0]
        case "balance_and_position":
            return row["posData"][0]
    if topic.channel.kind is Kind.CANDLES:
        return dict(zip(columns(topic.channel.name), row, strict=True))
    return row


V3_FIELDS = {
    "spot/ticker": """
        instrument_id last last_qty best_ask best_ask_size best_bid best_bid_size open_24h high_24h low_24h
        base_volume_24h quote_volume_24h timestamp open_utc0 open_utc8
    """,
    "spot/trade": "instrument_id trade_id price size side timestamp",
    "spot/depth5": "asks bids instrument_id timestamp state",
    "spot/depth": "asks bids instrument_id timestamp checksum state",
    "spot/depth_l2_tbt": "asks bids instrument_id timestamp checksum state",
    "spot/account": "currency balance available hold id timestamp",
    "spot/margin_account": "instrument_id liquidation_price tiers maint_margin_ratio currency:BTC currency:USDT",
    "spot/order": """
        order_id client_oid instrument_id side type price size notional filled_size filled_notional
        margin_trading order_type last_fill_px last_fill_id last_fill_qty last_fill_time state status
        created_at timestamp fee fee_currency rebate rebate_currency event_code event_message
        last_request_id last_amend_result
    """,
    "spot/order_algo": """
        algo_id order_type mode instrument_id side size status trigger_price algo_price stop_type order_id
        cancel_code created_at timestamp
    """,
    "futures/ticker": """
        instrument_id last last_qty best_ask best_ask_size best_bid best_bid_size open_24h high_24h low_24h
        volume_24h volume_token_24h open_interest timestamp
    """,
    "futures/trade": "instrument_id trade_id price qty side timestamp",
    "swap/trade": "instrument_id trade_id price size side timestamp",
    "option/trade": "instrument_id trade_id price qty side timestamp",
    "option/trades": "instrument_id trade_id price qty trade_side timestamp",
    "futures/mark_price": "instrument_id mark_price timestamp",
    "futures/price_range": "instrument_id highest lowest timestamp",
    "futures/estimated_price": "instrument_id settlement_price timestamp",
    "futures/instruments": """
        instrument_id underlying base_currency quote_currency settlement_currency contract_val
        contract_val_currency listing delivery tick_size trade_increment alias is_inverse underlying_index
    """,
    "swap/funding_rate": "instrument_id funding_rate estimated_rate funding_time settlement_time interest_rate",
    "option/instruments": """
        instrument_id underlying settlement_currency contract_val option_type strike tick_size lot_size
        listing delivery state trading_start_time timestamp
    """,
    "option/summary": """
        instrument_id underlying best_bid best_bid_size best_ask best_ask_size last high_24h low_24h
        volume_24h change_rate open_interest mark_price highest_buy lowest_sell delta gamma vega theta
        leverage mark_vol bid_vol ask_vol realized_vol estimated_price timestamp
    """,
    "futures/account": """
        currency margin_mode equity total_avail_balance margin margin_ratio margin_frozen
        margin_for_unfilled maint_margin_ratio realized_pnl unrealized_pnl liqui_mode available open_max
        can_withdraw underlying timestamp
    """,
    "futures/position": """
        long_qty long_avail_qty long_avg_cost long_settlement_price long_margin long_pnl long_pnl_ratio
        long_unrealised_pnl short_qty short_avail_qty short_avg_cost short_settlement_price short_margin
        short_pnl short_pnl_ratio short_unrealised_pnl liquidation_price leverage realised_pnl margin_mode
        instrument_id last created_at updated_at timestamp
    """,
    "futures/order": """
        instrument_id order_id client_oid type size price filled_qty price_avg fee contract_val leverage
        order_type last_fill_px last_fill_id last_fill_qty last_fill_time state status error_code pnl
        timestamp created_at
    """,
    "swap/account": """
        instrument_id equity margin margin_frozen margin_ratio maint_margin_ratio realized_pnl
        unrealized_pnl total_avail_balance fixed_balance margin_mode available_qty long_open_max
        short_open_max timestamp currency
    """,
    "swap/position": "instrument_id margin_mode timestamp holding",
    "option/position": """
        instrument_id position avail_position avg_cost settlement_price total_pnl pnl_ratio realized_pnl
        unrealized_pnl pos_margin option_value created_at updated_at timestamp
    """,
    "index/ticker": "instrument_id last open_24h high_24h low_24h timestamp",
}
"""The fields of v3, as PROTOCOL 9.3 has them, and `state`, which says whether a book can be trusted."""
_LIKE = {"swap/ticker": "futures/ticker", "option/ticker": "futures/ticker", "swap/mark_price": "futures/mark_price",
         "swap/price_range": "futures/price_range", "swap/order": "futures/order"}  # fmt: skip


def fields(name: str) -> set[str] | None:
    """The fields of a v3 channel's row, None if they are not written down."""
    product, _, kind = name.partition("/")
    if kind.startswith("candle"):
        more = ["currency_volume"] if product in ("futures", "swap", "option") else []
        return {"timestamp", "open", "high", "low", "close", "volume", *more}
    if kind.startswith("depth"):
        name = f"spot/{kind}"
    text = V3_FIELDS.get(_LIKE.get(name, name))
    return set(text.split()) if text else None


def test_every_channel_of_v3(trip: Callable[[list[Example], list[str]], Trip]) -> None:
    """`get` and pub/sub speak v3: its fields, its times, its tables."""
    topics = {name: parse_topic(v3_text(name)) for name in V3}
    examples = {one.topic.text: one for topic in topics.values() for one in v3_examples(topic)}
    made = trip(list(examples.values()), [topic.text for topic in topics.values()])
    assert made.answer["errorCode"] == 80000, made.answer
    for name, topic in topics.items():
        found = made.get(topic.text)
        row = found[0] if isinstance(found, list) else found
        expected = fields(name)
        assert expected is None or row.keys() == expected, name
        assert row.get("timestamp", "").endswith("Z") or name in (
            "swap/funding_rate",
            "spot/margin_account",
            "futures/instruments",
            "option/instruments",
        ), name
        push = made.heard("okex/tests/" + name)[-1]
        assert push["table"] == name
        assert isinstance(push["data"], list)
        assert push.get("action") == ("partial" if "depth" in name and "depth5" not in name else None), name
        (told,) = {channel for channel in made.published if channel.startswith(f"okex/tests/{name}:")} or {""}
        said = made.heard(told)[-1]
        if topic.channel.kind is Kind.CANDLES:
            assert said == {"candle": row, "timestamp": row["timestamp"]}
            assert [*row.values()] == push["data"][-1]["candle"]
        elif topic.channel.kind is not Kind.BOOK:
            assert said == row, name
