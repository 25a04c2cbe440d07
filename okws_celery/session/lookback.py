"""How REST is asked for what a topic lacks, page by page, on a helper thread; what the rows mean is the feed's matter.

A `Source` is asked by the loop, and captures what is known there; the `Look` that it gives runs on a helper thread and
gives a `Merge`, which the loop runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from okws_celery.feeds.candles import CandleFeed
from okws_celery.feeds.logs import LogFeed
from okws_celery.feeds.state import StateFeed
from okws_celery.okx.market_rest import candles_request, instruments_request, older_trades_request, trades_request
from okws_celery.okx.rest import RestError, RestRequest
from okws_celery.okx.topics import Topic
from okws_celery.session.entry import Entry
from okws_celery.store.batch import Batch

__all__ = ["Candles", "Get", "Instruments", "Look", "Merge", "Outcome", "Source", "Trades"]

_TRADE_PAGES = 20
_SOME_FAMILIES = ("BTC-USD", "ETH-USD")
"""Options are listed by family; these are always asked for."""

Get = Callable[[RestRequest], list[bytes]]
"""Asks, blocking; RestError if there is no answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a merge came to."""

    complete: bool = False
    """Nothing is missing any more."""
    first_ts: int = 0
    """Exchange ms of the oldest row that was news; 0 if none was."""
    behind: bool = False
    """REST did not know of the newest yet, and nothing was merged."""
    listed: tuple[str, ...] = ()
    """Instruments that are new or have changed."""


Merge = Callable[[Batch, bool], Outcome]
"""In the loop. With True it is the last chance: to be merged even if it is behind."""
Look = Callable[[Get], Merge]
"""On a helper thread; RestError if REST cannot be asked."""


class Source(Protocol):
    """What REST has for the topics of a channel."""

    urgency: int
    """Lower is asked first."""
    at_first: bool
    """Asked with the first subscription too, not only after a gap."""
    insists: bool
    """Asked again until it answers; else the gap is left."""

    def ask(self, entry: Entry, *, gap: bool, until: float) -> Look:
        """What to ask now; `until` (monotonic, s) rows wait for it."""


class Candles:
    """Closed candles: as many as the setting says, or those that closed since the last that is known."""

    urgency, at_first, insists = 2, True, False

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted

    def ask(self, entry: Entry, *, gap: bool, until: float) -> Look:
        """See Source."""
        feed, topic, wanted = entry.feed, asked_topic(entry.topic), self._wanted
        assert isinstance(feed, CandleFeed)
        since = feed.reached if feed.deep else 0

        def look(get: Get) -> Merge:
            rows = _candles(get, topic, wanted, since)

            def merge(batch: Batch, last_chance: bool) -> Outcome:
                if not last_chance and feed.behind(rows):
                    return Outcome(behind=True)
                filled = feed.fill(batch, rows)
                return Outcome(filled.complete, filled.first_ts)

            return merge

        return look


def _candles(get: Get, topic: Topic, wanted: int, since: int) -> list[bytes]:
    """The newest rows, newest first, with as many closed candles as are wanted, or those since a time."""
    rows: list[bytes] = []
    closed, oldest = 0, 0
    while closed < wanted:
        request = candles_request(topic.channel.name, dict(topic.arg)["instId"], oldest, wanted - closed + 1)
        assert request is not None
        page = get(request)
        for row in page:
            if closed < wanted:
                rows.append(row)
                closed += not row.rstrip(b"] \n").endswith(b'"0"')  # the open one stands first
        older = min((ts for ts in map(_ts, page) if ts), default=0)
        if len(page) < int(request.parameters["limit"]) or not older or older <= since or 0 < oldest <= older:
            break
        oldest = older
    return rows


class Trades:
    """The trades since the last one seen, as far back as some pages reach."""

    urgency, at_first, insists = 1, False, False

    def ask(self, entry: Entry, *, gap: bool, until: float) -> Look:
        """See Source."""
        feed, inst_id = entry.feed, dict(asked_topic(entry.topic).arg)["instId"]
        assert isinstance(feed, LogFeed)
        since = feed.reached

        def look(get: Get) -> Merge:
            rows = _trades(get, inst_id, since, until) if since else []

            def merge(batch: Batch, last_chance: bool) -> Outcome:
                if not feed.holding:
                    return Outcome()  # too late: a stream takes no rows before those that it has
                if since and not last_chance and feed.behind(rows):
                    return Outcome(behind=True)
                filled = feed.fill(batch, rows)
                return Outcome(filled.complete, filled.first_ts)

            return merge

        return look


def _trades(get: Get, inst_id: str, since: int, until: float) -> list[bytes]:
    rows = get(trades_request(inst_id))
    oldest = _oldest_trade(rows)
    for _ in range(_TRADE_PAGES):
        if not oldest or oldest <= since + 1 or time.monotonic() > until - 0.5:
            break
        try:
            page = get(older_trades_request(inst_id, oldest))
        except RestError:
            break
        older = _oldest_trade(page)
        if not older or older >= oldest:
            break
        rows += page
        oldest = older
    return rows


class Instruments:
    """The whole list of a type, as the channel pushes only what changes (PROTOCOL 5.1)."""

    urgency, at_first, insists = 3, True, True

    def __init__(self, families: Callable[[], Iterable[str]]) -> None:
        """`families` tells which families of options the session knows of."""
        self._families = families

    def ask(self, entry: Entry, *, gap: bool, until: float) -> Look:
        """See Source."""
        feed = entry.feed
        assert isinstance(feed, StateFeed)
        inst_type = dict(asked_topic(entry.topic).arg)["instType"]
        families = sorted({*_SOME_FAMILIES, *self._families(), *_families_of(feed.rows)})
        feed.begin_list()

        def look(get: Get) -> Merge:
            rows, covers = _instruments(get, inst_type, families)

            def merge(batch: Batch, _: bool) -> Outcome:
                changed = feed.take_list(batch, rows, covers if rows else lambda inst_id: False, publish=gap)
                return Outcome(True, listed=tuple(field.rpartition(":")[2] for field in changed))

            return merge

        return look


def _instruments(get: Get, inst_type: str, families: list[str]) -> tuple[list[bytes], Callable[[str], bool]]:
    types = ("SPOT", "SWAP", "FUTURES") if inst_type == "ANY" else (inst_type,)
    if types != ("OPTION",):
        return [row for one in types for row in get(instruments_request(one))], lambda inst_id: True
    try:
        return get(instruments_request("OPTION")), lambda inst_id: True
    except RestError as problem:
        if not problem.code:
            raise
    rows: list[bytes] = []
    asked: list[str] = []
    for family in families:
        try:
            rows += get(instruments_request("OPTION", family))
            asked.append(family + "-")
        except RestError as problem:
            if not problem.code:
                raise
    return rows, lambda inst_id: inst_id.startswith(tuple(asked))


def asked_topic(topic: Topic) -> Topic:
    """The topic by which the exchange knows what a user's topic is about."""
    return topic.v5


def _families_of(inst_ids: Iterable[str]) -> set[str]:
    # Of an option: BTC-USD-241013-70000-P.
    return {inst_id.rsplit("-", 3)[0] for inst_id in inst_ids if inst_id.count("-") >= 4}


class _Trade(msgspec.Struct):
    tradeId: str = ""


_trade = msgspec.json.Decoder(_Trade)
_stamp = msgspec.json.Decoder(list[str])


def _oldest_trade(rows: list[bytes]) -> int:
    numbers = []
    for row in rows:
        try:
            number = _trade.decode(row).tradeId
        except ValueError:
            continue
        if number.isdecimal():
            numbers.append(int(number))
    return min(numbers, default=0)


def _ts(row: bytes) -> int:
    try:
        stamp = _stamp.decode(row)[0]
    except (ValueError, IndexError):
        return 0
    return int(stamp) if stamp.isdecimal() else 0
