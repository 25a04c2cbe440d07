"""Names of v3: every topic of the protocol, typed out here a second time, and what is subscribed for it."""

from __future__ import annotations

import pytest

from okws_celery.errors import BadCommand
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.topics import parse_topic
from okws_celery.okx.v3 import V3

# PROTOCOL 9.4: topic -> v5 args, the one that its state follows first.
SPOT = {
    "spot/ticker:BTC-USDT": ["tickers instId=BTC-USDT"],
    "spot/trade:BTC-USDT": ["trades instId=BTC-USDT"],
    "spot/depth5:BTC-USDT": ["books5 instId=BTC-USDT"],
    "spot/depth:BTC-USDT": ["books instId=BTC-USDT"],
    "spot/depth_l2_tbt:BTC-USDT": ["books instId=BTC-USDT"],
    "spot/account:USDT": ["account ccy=USDT"],
    "spot/margin_account:BTC-USDT": ["account", "positions instId=BTC-USDT instType=MARGIN"],
    "spot/order:BTC-USDT": ["orders instId=BTC-USDT instType=SPOT"],
    "spot/order_algo:BTC-USDT": [
        "orders-algo instId=BTC-USDT instType=SPOT",
        "algo-advance instId=BTC-USDT instType=SPOT",
    ],
}
FUTURES = {
    "futures/ticker:BTC-USD-260925": ["tickers instId=BTC-USD-260925", "open-interest instId=BTC-USD-260925"],
    "futures/trade:BTC-USD-260925": ["trades instId=BTC-USD-260925"],
    "futures/depth5:BTC-USD-260925": ["books5 instId=BTC-USD-260925"],
    "futures/depth:BTC-USD-260925": ["books instId=BTC-USD-260925"],
    "futures/depth_l2_tbt:BTC-USD-260925": ["books instId=BTC-USD-260925"],
    "futures/mark_price:BTC-USD-260925": ["mark-price instId=BTC-USD-260925"],
    "futures/price_range:BTC-USD-260925": ["price-limit instId=BTC-USD-260925"],
    "futures/estimated_price:BTC-USD-260925": ["estimated-price instId=BTC-USD-260925 instType=FUTURES"],
    "futures/instruments": ["instruments instType=FUTURES"],
    "futures/account:BTC": ["account ccy=BTC"],
    "futures/account:BTC-USD": ["account ccy=BTC"],
    "futures/account:BTC-USDT": ["account ccy=USDT"],
    "futures/position:BTC-USD-260925": ["positions instId=BTC-USD-260925 instType=FUTURES"],
    "futures/order:BTC-USD-260925": ["orders instId=BTC-USD-260925 instType=FUTURES"],
    "futures/order_algo:BTC-USD-260925": [
        "orders-algo instId=BTC-USD-260925 instType=FUTURES",
        "algo-advance instId=BTC-USD-260925 instType=FUTURES",
    ],
}
SWAP = {
    "swap/ticker:BTC-USD-SWAP": ["tickers instId=BTC-USD-SWAP", "open-interest instId=BTC-USD-SWAP"],
    "swap/trade:BTC-USD-SWAP": ["trades instId=BTC-USD-SWAP"],
    "swap/depth5:BTC-USD-SWAP": ["books5 instId=BTC-USD-SWAP"],
    "swap/depth:BTC-USD-SWAP": ["books instId=BTC-USD-SWAP"],
    "swap/depth_l2_tbt:BTC-USD-SWAP": ["books instId=BTC-USD-SWAP"],
    "swap/mark_price:BTC-USD-SWAP": ["mark-price instId=BTC-USD-SWAP"],
    "swap/price_range:BTC-USD-SWAP": ["price-limit instId=BTC-USD-SWAP"],
    "swap/funding_rate:BTC-USD-SWAP": ["funding-rate instId=BTC-USD-SWAP"],
    "swap/account:BTC-USD-SWAP": ["account ccy=BTC"],
    "swap/account:BTC-USDT-SWAP": ["account ccy=USDT"],
    "swap/position:BTC-USD-SWAP": ["positions instId=BTC-USD-SWAP instType=SWAP"],
    "swap/order:BTC-USD-SWAP": ["orders instId=BTC-USD-SWAP instType=SWAP"],
    "swap/order_algo:BTC-USD-SWAP": [
        "orders-algo instId=BTC-USD-SWAP instType=SWAP",
        "algo-advance instId=BTC-USD-SWAP instType=SWAP",
    ],
}
OPTION = {
    "option/ticker:BTC-USD-260925-70000-P": [
        "tickers instId=BTC-USD-260925-70000-P",
        "open-interest instId=BTC-USD-260925-70000-P",
    ],
    "option/trade:BTC-USD-260925-70000-P": ["trades instId=BTC-USD-260925-70000-P"],
    "option/trades:BTC-USD": ["option-trades instFamily=BTC-USD instType=OPTION"],
    "option/depth5:BTC-USD-260925-70000-P": ["books5 instId=BTC-USD-260925-70000-P"],
    "option/depth:BTC-USD-260925-70000-P": ["books instId=BTC-USD-260925-70000-P"],
    "option/depth_l2_tbt:BTC-USD-260925-70000-P": ["books instId=BTC-USD-260925-70000-P"],
    "option/instruments:BTC-USD": ["instruments instType=OPTION"],
    "option/summary:BTC-USD": ["opt-summary instFamily=BTC-USD"],
    "option/account:BTC-USD": ["account ccy=BTC"],
    "option/position:BTC-USD": ["positions instFamily=BTC-USD instType=OPTION"],
    "option/order:BTC-USD": ["orders instFamily=BTC-USD instType=OPTION"],
}
INDEX = {"index/ticker:BTC-USD": ["index-tickers instId=BTC-USD"]}
BARS = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1H", 7200: "2H", 14400: "4H",
    21600: "6H", 43200: "12H", 86400: "1D", 604800: "1W",
}  # fmt: skip
CANDLES = {
    f"{product}/candle{seconds}s:{inst_id}": [f"{prefix}candle{bar} instId={inst_id}"]
    for product, prefix, inst_id in (
        ("spot", "", "BTC-USDT"),
        ("futures", "", "BTC-USD-260925"),
        ("swap", "", "BTC-USD-SWAP"),
        ("option", "", "BTC-USD-260925-70000-P"),
        ("index", "index-", "BTC-USD"),
    )
    for seconds, bar in BARS.items()
}
TOPICS = SPOT | FUTURES | SWAP | OPTION | INDEX | CANDLES


def spelled(arg: dict[str, str]) -> str:
    """An arg as the table above writes it."""
    return " ".join([arg["channel"], *(f"{key}={value}" for key, value in sorted(arg.items()) if key != "channel")])


@pytest.mark.parametrize("text", TOPICS)
def test_every_topic_has_its_counterpart(text: str) -> None:
    """PROTOCOL 9.4; the topic keeps its v3 text and can be read back from it."""
    topic = parse_topic(text)
    assert [spelled(source.arg_object) for source in topic.sources] == TOPICS[text]
    assert (topic.text, topic.path) == (text, text)
    assert spelled(topic.arg_object) == TOPICS[text][0]
    assert parse_topic(text, stored=True) == topic
    assert parse_topic(topic.v5.text) == topic.v5
    assert len({topic, parse_topic(text), topic.v5}) == 2


def test_none_is_missing_and_none_too_many() -> None:
    """The table of the package and the one typed out here."""
    assert {text.partition(":")[0] for text in TOPICS} == set(V3)


def test_tick_by_tick_books_are_better_with_a_login() -> None:
    """PROTOCOL 9.4: `books-l2-tbt` (login) or `books`; of every other topic a login changes nothing."""
    for text in TOPICS:
        topic = parse_topic(text)
        better = topic.logged_in()
        if "depth_l2_tbt" in text:
            assert better.arg_object == {**topic.arg_object, "channel": "books-l2-tbt"}
            assert (better.text, better.channel) == (topic.text, topic.channel)
        else:
            assert better is topic


def test_what_is_kept_is_what_v5_keeps() -> None:
    """Path, login, kind and legal silence are those of the v5 channel; a single price is no state."""
    for text in TOPICS:
        topic = parse_topic(text)
        v5 = topic.v5.channel
        assert (topic.channel.path, topic.channel.login, topic.channel.silence_s) == (v5.path, v5.login, v5.silence_s)
        if v5.name == "estimated-price":
            assert topic.channel.kind is Kind.LATEST
        else:
            assert (topic.channel.kind, topic.channel.logged) == (v5.kind, v5.logged)


@pytest.mark.parametrize(
    ("text", "row", "its"),
    [
        ("spot/ticker:BTC-USDT", {"instrument_id": "BTC-USDT"}, True),
        ("spot/ticker:BTC-USDT", {"instrument_id": "ETH-USDT"}, False),
        ("spot/account:USDT", {"currency": "USDT"}, True),
        ("spot/account:USDT", {"currency": "BTC"}, False),
        ("futures/account:BTC", {"currency": "BTC"}, True),
        ("option/position:BTC-USD", {"instrument_id": "BTC-USD-260925-70000-P"}, True),
        ("option/position:BTC-USD", {"instrument_id": "BTC-USD_UM-260925-70000-P"}, False),
        ("option/summary:BTC-USD", {"instrument_id": "ETH-USD-260925-70000-P", "underlying": "ETH-USD"}, False),
        ("futures/instruments", {"instrument_id": "BTC-USD-260925"}, True),
        ("futures/account:BTC", {"BTC": {}}, True),
    ],
)
def test_whose_row_it_is(text: str, row: dict[str, object], its: bool) -> None:
    """Rows of all topics of a channel come on one pub/sub channel."""
    topic = parse_topic(text)
    assert topic.v3 is not None
    assert topic.v3.concerns(topic.filter_value, row) is its


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("spot/tickr:BTC-USDT", "did you mean spot/ticker"),
        ("spot/candle120s:BTC-USDT", "60, 180, 300"),
        ("index/trade:BTC-USD", "no counterpart in API v5"),
        ("margin/ticker:BTC-USDT", "no counterpart in API v5"),
        ("spot/all_ticker_3s", "v5 has no channel of all tickers"),
        ("system/status", "the v5 topic 'status'"),
        ("swap/liquidation:BTC-USD-SWAP", "liquidation-orders:SWAP"),
        ("spot/ticker", "instrument_id missing; 'spot/ticker:BTC-USDT' is accepted"),
        ("spot/account", "currency missing"),
        ("option/summary", "underlying missing"),
        ("spot/ticker:", "nothing stands after the colon"),
        ("spot/ticker:BTC USDT", "characters"),
        ("spot/ticker:BTC-USDT,ETH-USDT", "characters"),
        ("futures/instruments:BTC-USD", "takes no filter"),
        ("spot/trade:BTC-USD-SWAP", "is a swap"),
        ("swap/trade:BTC-USDT", "is no swap"),
        ("index/ticker:" + "A" * 100, "characters"),
    ],
)
def test_what_has_no_counterpart_says_so(given: str, says: str) -> None:
    """80010 before it reaches the exchange, with what was wrong and what is accepted."""
    with pytest.raises(BadCommand) as caught:
        parse_topic(given)
    assert says in str(caught.value)
    assert caught.value.code == 80010
