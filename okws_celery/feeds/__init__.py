"""Feeds: what a push means for Redis, and how it is read back. One file for each kind of data."""

from __future__ import annotations

from collections.abc import Callable

from okws_celery.feeds.books import BookFeed
from okws_celery.feeds.candles import CandleFeed
from okws_celery.feeds.latest import LatestFeed
from okws_celery.feeds.logs import LogFeed
from okws_celery.feeds.route import BadPush, Feed, Limits, Read, Route, Translated
from okws_celery.feeds.state import StateFeed
from okws_celery.feeds.v3 import V3BookFeed, V3CandleFeed, V3LatestFeed, V3LogFeed
from okws_celery.feeds.v3_state import V3StateFeed
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.topics import Topic

from . import books, candles, latest, logs, state, v3, v3_state

__all__ = ["BadPush", "Feed", "Limits", "Read", "Route", "Translated", "feed_of", "read_of", "translated_of"]

_FEEDS: dict[Kind, Callable[[Route], Feed]] = {
    Kind.LATEST: LatestFeed,
    Kind.CANDLES: CandleFeed,
    Kind.LOG: LogFeed,
    Kind.BOOK: BookFeed,
    Kind.STATE: StateFeed,
}

_TRANSLATED: dict[Kind, Callable[[Route], Translated]] = {
    Kind.LATEST: V3LatestFeed,
    Kind.CANDLES: V3CandleFeed,
    Kind.LOG: V3LogFeed,
    Kind.BOOK: V3BookFeed,
    Kind.STATE: V3StateFeed,
}


def feed_of(route: Route) -> Feed:
    """A new feed for the rows of one topic."""
    kind = route.topic.channel.kind
    return _FEEDS[kind](route) if route.topic.v3 is None else _TRANSLATED[kind](route)


def translated_of(route: Route) -> Translated:
    """A new feed for the rows of a v3 topic."""
    return _TRANSLATED[route.topic.channel.kind](route)


def read_of(topic: Topic, key: str, n: int | None = None) -> Read:
    """How the data of a topic are read from their key (`Route.key`); None as `n` is all that is kept.

    `n` counts candles, log rows or levels a side of a book, newest or best; the other kinds have no use for it.
    """
    match topic.channel.kind:
        case Kind.LATEST:
            return latest.read(key)
        case Kind.CANDLES:
            return v3.read_candles(key, topic.v3, n) if topic.v3 else candles.read(key, n)
        case Kind.LOG:
            return logs.read(key, n)
        case Kind.BOOK:
            return books.read(key, n)
        case Kind.STATE:
            return v3_state.read(key, topic, n) if topic.v3 else state.read(key, topic)
