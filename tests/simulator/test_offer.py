"""What is offered where: paths, keys and names of every channel, and the order in which channels push."""

from __future__ import annotations

from itertools import pairwise

import pytest
from simulator.listening import BEGIN_MS, Listener
from simulator.merging import MergedBook

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.okx.endpoints import PATHS
from okws_celery.simulator.channels import CHANNELS
from okws_celery.simulator.listing import Listing
from okws_celery.simulator.market import Market
from okws_celery.simulator.protocol import Offer, Refusal

MARKET = Market(1, BEGIN_MS)
LISTING = Listing(MARKET)
VALUES = {
    "instId": "BTC-USDT-SWAP",
    "instType": "OPTION",
    "instFamily": "BTC-USD",
    "sprdId": "BTC-USDT_BTC-USDT-SWAP",
    "algoId": "1",
}


def said(name: str) -> dict[str, str]:
    """A valid arg of a channel."""
    channel = CATALOGUE[name]
    values = {key: VALUES[key] for key in channel.required}
    line = CHANNELS.get(name)
    if name in ("option-trades", "estimated-price"):
        values["instFamily"] = VALUES["instFamily"]
    if line is not None and "instType" in values and "OPTION" not in line.inst_types:
        values["instType"] = min(line.inst_types)
    if line is not None and "instId" in values and "SWAP" not in line.inst_types:
        values["instId"] = "BTC-USD" if line.of == "index" else "BTC-USDT"
    return {"channel": name, **values}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_channel_is_at_home_on_one_path(name: str) -> None:
    """There it is to be had; elsewhere it is 60018, plain public channels on /business are 64002."""
    channel = CATALOGUE[name]
    for path in PATHS:
        found = LISTING.look_up(path, said(name))
        if path == channel.path:
            assert isinstance(found, Offer), found
            assert (found.channel, found.login) == (name, channel.login)
            assert dict(found.arg) == said(name)
        else:
            plain = (path, channel.path, channel.login) == ("business", "public", False)
            assert isinstance(found, Refusal)
            assert found.code == (64002 if plain else 60018)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_key_that_is_missing_or_wrong(name: str) -> None:
    """A missing key is 60027 with its name, a value that is no text 60033, an unknown one 60018, `uly` 64000."""
    channel = CATALOGUE[name]
    for key in channel.required:
        whole = said(name)
        without = LISTING.look_up(channel.path, {**whole, key: ""})
        assert isinstance(without, Refusal)
        assert without.code == 60027
        assert key in without.text
        number = LISTING.look_up(channel.path, {**whole, key: 7})
        assert isinstance(number, Refusal)
        assert number.code == 60033
        if key != "algoId":
            unknown = LISTING.look_up(channel.path, {**whole, key: "NO-SUCH"})
            assert isinstance(unknown, Refusal)
            assert unknown.code == 60018
        old = LISTING.look_up(channel.path, {**whole, "uly": "BTC-USD"})
        assert isinstance(old, Refusal)
        assert old.code == 64000


@pytest.mark.parametrize(
    ("arg", "code"),
    [
        ({"channel": "option-trades", "instType": "OPTION"}, 60027),
        ({"channel": "option-trades", "instType": "SWAP", "instFamily": "BTC-USD"}, 60018),
        ({"channel": "estimated-price", "instType": "FUTURES"}, 60027),
        ({"channel": "opt-summary", "instFamily": "DOGE-USD"}, 60018),
        ({"channel": "funding-rate", "instId": "BTC-USDT"}, 60018),
        ({"channel": "open-interest", "instId": "BTC-USDT"}, 60018),
        ({"channel": "index-tickers", "instId": "BTC-USDT-SWAP"}, 60018),
        ({"channel": "tickers", "instId": "BTC-USD"}, 60018),
        ({"channel": "event-contract-markets", "instType": "SPOT"}, 60018),
    ],
)
def test_what_is_not_to_be_had(arg: dict[str, str], code: int) -> None:
    """Names that exist, but not for this channel, and keys of which one or the other must be there."""
    found = LISTING.look_up("public", arg)
    assert isinstance(found, Refusal)
    assert found.code == code


@pytest.mark.parametrize("name", ["books-l2-tbt", "books50-l2-tbt", "economic-calendar"])
def test_gates(name: str) -> None:
    """Those for good customers take a login, and a rung on the fee ladder."""
    found = LISTING.look_up(CATALOGUE[name].path, said(name))
    assert isinstance(found, Offer)
    assert found.login
    assert found.vip == (1 if name == "economic-calendar" else 4)


@pytest.mark.parametrize(
    ("of", "channels"),
    [
        ("BTC-USDT", "bbo-tbt books-l2-tbt books50-l2-tbt books books-elp books-rpi books5"),
        ("BTC-USDT_BTC-USDT-SWAP", "sprd-bbo-tbt sprd-books-l2-tbt sprd-books5"),
    ],
)
def test_books_of_one_moment_come_in_a_fixed_order(of: str, channels: str) -> None:
    """Whatever was subscribed first: the order of PROTOCOL 6.5 and 5.2."""
    order = channels.split()
    market = Listener(*(f"{channel}:{of}" for channel in reversed(order)))
    opened = len(market.order)
    market.run(20)
    together: dict[str, list[int]] = {}
    for push in market.order[opened:]:
        together.setdefault(push["data"][0]["ts"], []).append(order.index(push["arg"]["channel"]))
    assert all(places == sorted(places) for places in together.values())
    assert sum(len(places) == len(order) for places in together.values()) > 5


@pytest.mark.parametrize("topic", ["books:BTC-USDT", "books-rpi:BTC-USDT", "sprd-books-l2-tbt:BTC-USDT_BTC-USDT-SWAP"])
def test_numbers_may_begin_anew(topic: str) -> None:
    """A reset is one update that leads to a lower number, also soon after another; the book goes on without a break."""
    market = Listener(topic)
    market.run(5)
    for seconds in (1, 5):
        market.source.engine(topic.partition(":")[2]).renumber()
        market.run(seconds)
    book = MergedBook()
    for push in market.of(topic):
        book.take(push)
    assert book.resets == 2
    assert book.updates > 20


def test_a_spreads_book_has_a_checksum_and_may_go_below_zero() -> None:
    """The checksum of spreads was not retired, and their prices are differences."""
    market = Listener("sprd-books-l2-tbt:BTC-USDT_BTC-USDT-SWAP")
    market.run(10)
    book = MergedBook()
    for push in market.of("sprd-books-l2-tbt:BTC-USDT_BTC-USDT-SWAP"):
        book.take(push)
        assert push["data"][0]["checksum"] == book.checksum() != 0
    assert any(price.startswith("-") for price in book.sides["bids"])


def test_an_option_that_trades_every_ten_minutes() -> None:
    """In half an hour it trades a few times; its book says at least once a minute that it is there."""
    option = [one for one in MARKET.instruments.values() if one.opt_type][-1].inst_id
    market = Listener(f"trades:{option}", f"books:{option}", f"mark-price:{option}", f"candle1m:{option}")
    market.run(1800)
    assert 1 <= len(market.rows(f"trades:{option}")) <= 12
    for topic, longest_ms in ((f"books:{option}", 60_100), (f"mark-price:{option}", 10_100)):
        stamps = [int(row["ts"]) for row in market.rows(topic)]
        assert max(later - earlier for earlier, later in pairwise(stamps)) <= longest_ms
    assert sum(row[8] == "1" for row in market.rows(f"candle1m:{option}")) == 30
