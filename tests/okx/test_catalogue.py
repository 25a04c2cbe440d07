"""Catalogue: every channel of the protocol, typed out here a second time."""

from __future__ import annotations

import pytest

from okws_celery.okx.catalogue import CATALOGUE, Channel, Kind, channel_of

BARS = """
    1m 3m 5m 15m 30m 1H 2H 4H 6H 12H 1D 2D 3D 5D 1W 1M 3M
    6Hutc 12Hutc 1Dutc 2Dutc 3Dutc 5Dutc 1Wutc 1Mutc 3Mutc
""".split()

# PROTOCOL 1.2, cell by cell.
PUBLIC = """
    instruments event-contract-markets tickers trades option-trades call-auction-details books books5 bbo-tbt books-rpi
    books-elp open-interest funding-rate price-limit opt-summary estimated-price mark-price index-tickers
    liquidation-orders adl-warning status
""".split()
PUBLIC_LOGIN = "books-l2-tbt books50-l2-tbt".split()
BUSINESS = (
    """
    trades-all sprd-bbo-tbt sprd-books5 sprd-books-l2-tbt sprd-public-trades sprd-tickers public-struc-block-trades
    public-block-trades block-tickers candle1s
""".split()
    + [f"{family}{bar}" for family in ("candle", "mark-price-candle", "index-candle", "sprd-candle") for bar in BARS]
)
BUSINESS_LOGIN = """
    orders-algo algo-advance grid-orders-spot grid-orders-contract grid-positions grid-sub-orders algo-recurring-buy
    copytrading-lead-notification deposit-info withdrawal-info rfqs quotes struc-block-trades sprd-orders sprd-trades
    economic-calendar
""".split()
PRIVATE_LOGIN = "account positions balance_and_position orders fills liquidation-warning account-greeks".split()


def names(path: str, *, login: bool) -> list[str]:
    """Channels of a path, sorted."""
    return sorted(name for name, channel in CATALOGUE.items() if (channel.path, channel.login) == (path, login))


@pytest.mark.parametrize(
    ("path", "login", "channels"),
    [
        ("public", False, PUBLIC),
        ("public", True, PUBLIC_LOGIN),
        ("business", False, BUSINESS),
        ("business", True, BUSINESS_LOGIN),
        ("private", False, []),
        ("private", True, PRIVATE_LOGIN),
    ],
    ids=str,
)
def test_every_channel_stands_on_its_path(path: str, login: bool, channels: list[str]) -> None:
    """None missing, none too many."""
    assert names(path, login=login) == sorted(channels)


@pytest.mark.parametrize(
    ("name", "required", "optional"),
    [
        ("tickers", "instId", ""),
        ("option-trades", "instType", "instId instFamily"),
        ("opt-summary", "instFamily", ""),
        ("estimated-price", "instType", "instFamily instId"),
        ("liquidation-orders", "instType", ""),
        ("adl-warning", "instType", "instFamily"),
        ("sprd-books5", "sprdId", ""),
        ("sprd-orders", "", "sprdId"),
        ("account", "", "ccy extraParams"),
        ("positions", "instType", "instFamily instId extraParams"),
        ("orders", "instType", "instFamily instId"),
        ("fills", "", "instId"),
        ("algo-advance", "instType", "instId algoId"),
        ("grid-positions", "algoId", ""),
        ("deposit-info", "", "ccy"),
        ("status", "", ""),
    ],
)
def test_arguments(name: str, required: str, optional: str) -> None:
    """PROTOCOL 5: what a subscription needs and what it may carry."""
    assert CATALOGUE[name].required == tuple(required.split())
    assert CATALOGUE[name].optional == tuple(optional.split())


def test_books_are_as_deep_as_the_protocol_says() -> None:
    """PROTOCOL 6.1."""
    depths = {name: channel.depth for name, channel in CATALOGUE.items() if channel.kind is Kind.BOOK}
    assert depths == {
        "bbo-tbt": 1,
        "books5": 5,
        "books": 400,
        "books50-l2-tbt": 50,
        "books-l2-tbt": 400,
        "books-rpi": 400,
        "books-elp": 400,
        "sprd-bbo-tbt": 1,
        "sprd-books5": 5,
        "sprd-books-l2-tbt": 400,
    }


def test_account_channels_keep_every_row() -> None:
    """DESIGN 5: those of which a hash shows only the last state."""
    logged = {name for name, channel in CATALOGUE.items() if channel.logged}
    assert logged == {"orders", "orders-algo", "positions", "account", "balance_and_position"}


def test_only_channels_with_a_legal_silence_can_go_silent() -> None:
    """Trades may be quiet for hours, a book at most a minute (its heartbeat)."""
    assert all(channel.silence_s == 0 for channel in CATALOGUE.values() if channel.kind in (Kind.LOG, Kind.STATE))
    assert all(CATALOGUE[name].silence_s > 60 for name in ("books", "books-l2-tbt", "index-tickers"))


def test_the_longest_silence_that_is_legal() -> None:
    """PROTOCOL 5.1, 5.2 and 6.3: where a cadence is promised, and some seconds more; a bar when it closes."""
    silent = {name: channel.silence_s for name, channel in CATALOGUE.items() if channel.silence_s}
    plain = {name: seconds for name, seconds in silent.items() if channel_of(name).kind is not Kind.CANDLES}
    assert plain == {
        **dict.fromkeys(("books", "books5", "bbo-tbt", "books-l2-tbt", "books50-l2-tbt", "books-rpi", "books-elp"), 65),
        "funding-rate": 95,
        "mark-price": 15,
        "index-tickers": 65,
        "sprd-tickers": 5,
        "block-tickers": 310,
    }
    assert {
        name: silent[name] for name in ("candle1s", "candle1m", "candle1Hutc", "index-candle1D") if name in silent
    } == {
        "candle1s": 66,
        "candle1m": 125,
        "index-candle1D": 86_465,
    }


def test_rows_of_one_hash_are_told_apart() -> None:
    """Topics of a channel share it, so that the identity must hold across them."""
    identities = {name: channel.identity for name, channel in CATALOGUE.items() if channel.kind is Kind.STATE}
    assert identities == {
        "opt-summary": ("instId",),
        "estimated-price": ("instId",),
        "adl-warning": ("instType", "instFamily"),
        "instruments": ("instId",),
        "event-contract-markets": ("instId",),
        "orders-algo": ("algoId",),
        "algo-advance": ("algoId",),
        "grid-orders-spot": ("algoId",),
        "grid-orders-contract": ("algoId",),
        "grid-positions": ("algoId", "instId", "posSide"),
        "grid-sub-orders": ("ordId",),
        "algo-recurring-buy": ("algoId",),
        "deposit-info": ("depId",),
        "withdrawal-info": ("wdId",),
        "rfqs": ("rfqId",),
        "quotes": ("quoteId",),
        "sprd-orders": ("ordId",),
        "economic-calendar": ("calendarId",),
        "account": ("ccy",),
        "positions": ("posId",),
        "balance_and_position": ("ccy", "posId"),
        "orders": ("ordId",),
        "account-greeks": ("ccy",),
    }


def test_bars_that_ended_are_not_known() -> None:
    """2022-12-28; and 1s exists for plain candles only."""
    for name in (
        "candle6M",
        "candle1Y",
        "candle1Yutc",
        "mark-price-candle1s",
        "index-candle1s",
        "sprd-candle1s",
        "candle1d",
    ):
        assert name not in CATALOGUE


def test_an_unknown_channel_is_public_and_latest() -> None:
    """A newer one works as an arg object."""
    assert channel_of("newer") == Channel("newer", "public", False, (), (), Kind.LATEST, (), known=False)
    assert channel_of("books") is CATALOGUE["books"]
