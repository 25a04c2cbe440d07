"""What became of an account's orders while nobody listened: the open ones, those that ended, executions (PROTOCOL 5.3).

`orders` and `orders-algo` push no first state, so this is asked at the subscription as well as after each gap. What the
exchange pushes meanwhile is newer, and nothing that REST says goes back behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from okws_celery.feeds.state import StateFeed
from okws_celery.okx.account_rest import (
    A_PAGE,
    ALGO_TYPES,
    algo_request,
    fills_request,
    open_algos_request,
    open_orders_request,
    order_request,
    past_orders_request,
)
from okws_celery.okx.orders import (
    Row,
    execution,
    from_rest,
    ord_id_of,
    parsed,
    time_of,
    with_execution,
    without_execution,
)
from okws_celery.okx.rest import RestError, RestRequest
from okws_celery.session.entry import Entry
from okws_celery.session.lookback import Get, Look, Merge, Outcome, asked_topic
from okws_celery.store.batch import Batch

__all__ = ["Algos", "Orders"]

_PAGES = 50
"""OKX lets an account have 4,000 open orders."""
_ONE_BY_ONE = 40
"""So many orders are asked for by their ids; more of them are looked for in the history."""
_NO_SUCH_ORDER = frozenset({51000, 51001, 51603})
_SLACK_MS = 2_000
"""The exchange's caches and clocks differ by less."""
_FILLS_KEPT_MS = 3 * 86_400_000
"""So far back REST tells executions."""
_FILTERS = ("instType", "instFamily", "instId")
_EXECUTED = ("partially_filled", "filled")
_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")


@dataclass(slots=True)
class _Found:
    """What REST said; by ordId or algoId."""

    orders: dict[str, Row] = field(default_factory=dict)
    fills: list[Row] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """What REST knows nothing of."""
    reach_ms: int = 0
    """Since when executions are told, if that is not from the beginning of the gap on; else 0."""


class Orders:
    """The channel `orders`."""

    urgency, at_first, insists = 0, True, True

    def ask(self, entry: Entry, *, gap: bool, until: float) -> Look:
        """See Source."""
        feed = entry.feed
        assert isinstance(feed, StateFeed)
        arguments, known = _arguments(entry), dict(feed.rows)
        begun_ms = feed.ledger.inherited_ms or (entry.began if gap else 0)
        since_ms = entry.gap_from if entry.gap_from > 0 else begun_ms

        def look(get: Get) -> Merge:
            found = _orders(get, arguments, known, since_ms)

            def merge(batch: Batch, _: bool) -> Outcome:
                _merge(batch, feed, found)
                _forget(batch, feed, known, found.unknown)
                return Outcome(complete=not found.reach_ms, first_ts=found.reach_ms)

            return merge

        return look


class Algos:
    """The channel `orders-algo`."""

    urgency, at_first, insists = 0, True, True

    def ask(self, entry: Entry, *, gap: bool, until: float) -> Look:
        """See Source."""
        feed = entry.feed
        assert isinstance(feed, StateFeed)
        arguments, known = _arguments(entry), dict(feed.rows)

        def look(get: Get) -> Merge:
            found = _algos(get, arguments, known)

            def merge(batch: Batch, _: bool) -> Outcome:
                for row in sorted(found.orders.values(), key=lambda row: time_of({"uTime": row.get("uTime")})):
                    feed.take_rest(batch, from_rest(row))
                _forget(batch, feed, known, found.unknown)
                return Outcome(complete=True)

            return merge

        return look


# -- on a helper thread


def _orders(get: Get, arguments: Mapping[str, str], known: Mapping[str, bytes], since_ms: int) -> _Found:
    found = _Found()
    for row in _pages(get, "ordId", partial(open_orders_request, arguments)):
        found.orders[ord_id_of(row)] = row
    if since_ms:
        found.fills = _pages(get, "billId", partial(fills_request, arguments, since_ms - _SLACK_MS))
        kept_ms = int(time.time() * 1000) - _FILLS_KEPT_MS
        if len(found.fills) >= _PAGES * A_PAGE:
            found.reach_ms = time_of(found.fills[-1])
        elif since_ms < kept_ms:
            found.reach_ms = kept_ms
        for row in _placed_and_ended(get, arguments, since_ms - _SLACK_MS):
            found.orders.setdefault(ord_id_of(row), row)
    ended = {ord_id: parsed(row) for ord_id, row in known.items() if ord_id not in found.orders}
    for fill in found.fills:
        if ord_id_of(fill) not in found.orders:
            ended.setdefault(ord_id_of(fill), fill)
    if len(ended) > _ONE_BY_ONE:
        _look_into_history(get, ended, found)
    else:
        for ord_id, row in ended.items():
            _ask_for_one(get, ord_id, order_request(str(row.get("instId", "")), ord_id), found)
    return found


def _placed_and_ended(get: Get, arguments: Mapping[str, str], since_ms: int) -> Iterator[Row]:
    """Orders that were placed since a time and are over, oldest first: of those that nobody has seen, this tells."""
    types = (arguments["instType"],) if "instType" in arguments else _TYPES
    for inst_type in types:
        try:
            rows = _pages(get, "ordId", partial(past_orders_request, inst_type, since_ms))
        except RestError as problem:
            if problem.passing or not problem.code:
                raise
            continue  # this account has no such orders
        yield from (row for row in reversed(rows) if _is_chosen(row, arguments))


def _is_chosen(row: Row, arguments: Mapping[str, str]) -> bool:
    inst_id = str(row.get("instId"))
    if "instId" in arguments:
        return inst_id == arguments["instId"]
    return inst_id.startswith(arguments["instFamily"] + "-") if "instFamily" in arguments else True


def _algos(get: Get, arguments: Mapping[str, str], known: Mapping[str, bytes]) -> _Found:
    found = _Found()
    for types in ALGO_TYPES:
        rows = _pages(get, "algoId", partial(open_algos_request, types, arguments))
        found.orders |= {str(row.get("algoId")): row for row in rows}
    for algo_id in known:
        if algo_id not in found.orders:
            _ask_for_one(get, algo_id, algo_request(algo_id), found)
    return found


def _pages(get: Get, key: str, request: Callable[[str], RestRequest]) -> list[Row]:
    rows: list[Row] = []
    for _ in range(_PAGES):
        page = [parsed(raw) for raw in get(request(str(rows[-1].get(key)) if rows else ""))]
        rows += [row for row in page if row]
        if len(page) < A_PAGE:
            break
    return rows


def _ask_for_one(get: Get, id_: str, request: RestRequest, found: _Found) -> None:
    try:
        rows = [parsed(raw) for raw in get(request)]
    except RestError as problem:
        if problem.code not in _NO_SUCH_ORDER:
            raise
        rows = []
    if rows and rows[0]:
        found.orders[id_] = rows[0]
    else:
        found.unknown.append(id_)


def _look_into_history(get: Get, ended: Mapping[str, Row], found: _Found) -> None:
    for inst_type in sorted({str(row.get("instType", "")) for row in ended.values()}):
        placed = [int(row["cTime"]) for row in ended.values() if str(row.get("cTime", "")).isdecimal()]
        begin_ms = min(placed, default=int(time.time() * 1000)) - _SLACK_MS
        rows = _pages(get, "ordId", partial(past_orders_request, inst_type, begin_ms))
        found.orders |= {ord_id_of(row): row for row in rows if ord_id_of(row) in ended}
    found.unknown += [ord_id for ord_id in ended if ord_id not in found.orders]


# -- in the loop


def _merge(batch: Batch, feed: StateFeed, found: _Found) -> None:
    """Each execution that the log lacks, and each order that has changed, in the order of their times."""
    missed: dict[str, list[Row]] = {}
    oldest_first = found.fills[::-1]
    oldest_first.sort(key=time_of)  # those of one ms stay as they are
    for fill in oldest_first:
        ord_id = ord_id_of(fill)
        if not feed.ledger.has_trade(ord_id, str(fill.get("tradeId"))):
            missed.setdefault(ord_id, []).append(fill)
    steps: list[tuple[int, bytes, bool]] = []
    for ord_id, order in found.orders.items():
        fills = missed.get(ord_id, [])
        if not feed.says_more(from_rest(order)):
            continue
        if fills and fills[-1].get("tradeId") == order.get("tradeId") and order.get("state") in _EXECUTED:
            order = with_execution(order, fills.pop())
        elif found.fills or feed.ledger.has_trade(ord_id, str(order.get("tradeId"))):
            order = without_execution(order)
        steps.append((time_of({"uTime": order.get("uTime")}), from_rest(order), False))
    for ord_id, fills in missed.items():
        base = found.orders.get(ord_id) or parsed(feed.rows.get(ord_id, b""))
        steps += [(time_of(fill), from_rest(execution(fill, base)), True) for fill in fills]
    # Of one time, executions come before what they led to.
    for _, row, event_only in sorted(steps, key=lambda step: (step[0], not step[2])):
        feed.take_rest(batch, row, event_only=event_only)


def _forget(batch: Batch, feed: StateFeed, known: Mapping[str, bytes], unknown: Iterable[str]) -> None:
    just_now = time.time() * 1000 - 10_000
    for id_ in unknown:
        # A cache of REST may not know yet what the exchange has pushed a moment ago.
        if id_ in known and time_of({"uTime": parsed(known[id_]).get("uTime")}) < just_now:
            feed.forget(batch, id_, known[id_])


def _arguments(entry: Entry) -> dict[str, str]:
    return {key: value for key, value in asked_topic(entry.topic).arg if key in _FILTERS and value != "ANY"}
