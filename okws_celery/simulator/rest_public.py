"""Public REST about instruments and their terms: time, instruments, funding, limits and the like (PROTOCOL 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from okws_celery.simulator.bars import bar_bounds
from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.option_streams import option_trade, summary
from okws_celery.simulator.rest_call import FAR_MS, UNKNOWN, Call, Problem, needed, number, one_of
from okws_celery.simulator.seldom import Occasion
from okws_celery.simulator.seldom_rows import maintenance
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.value_streams import funding_rate, mark_price, open_interest, price_limit, settled_rate

__all__ = ["public_calls"]

_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")
_CONTRACTS = ("SWAP", "FUTURES", "OPTION", "EVENTS")
_HOURS_8 = 8 * 3_600_000
_SETTLING_MS = 3_600_000

Query = Mapping[str, str]


def public_calls(
    source: MarketSource,
    known: Mapping[str, Instrument],
    moving: Mapping[str, Instrument],
    wall_s: Callable[[], float],
) -> list[Call]:
    """The calls of `/api/v5/public` and `/api/v5/system`; `known` are the instruments that there are.

    Of those that are not `moving` the market says nothing. `wall_s` is the clock by which logins and signatures are
    judged, Unix s, which does not run faster with the market.
    """
    public = _Public(source, known, moving, wall_s)
    base = "/api/v5/public/"
    # fmt: off
    return [
        Call(base + "time",                 10, "",           public.time),
        Call(base + "instruments",          20, "instType",   public.instruments),
        Call(base + "underlying",           20, "",           public.underlying),
        Call(base + "funding-rate",         10, "instId",     public.funding_rate),
        Call(base + "funding-rate-history", 10, "instId",     public.funding_rate_history),
        Call(base + "mark-price",           10, "instId",     public.mark_price),
        Call(base + "open-interest",        20, "instType",   public.open_interest),
        Call(base + "price-limit",          20, "",           public.price_limit),
        Call(base + "opt-summary",          20, "instFamily", public.opt_summary),
        Call(base + "option-trades",        20, "instFamily", public.option_trades),
        Call(base + "estimated-price",      10, "instId",     public.estimated_price),
        Call("/api/v5/system/status",        1, "",           public.status, window_s=5.0),
    ]
    # fmt: on


class _Public:
    def __init__(
        self,
        source: MarketSource,
        known: Mapping[str, Instrument],
        moving: Mapping[str, Instrument],
        wall_s: Callable[[], float],
    ) -> None:
        self._source = source
        self._known = known
        self._moving = moving
        self._wall_s = wall_s

    def time(self, _: Query) -> list[Any]:
        return [{"ts": str(int(self._wall_s() * 1000))}]

    def instruments(self, query: Query) -> list[Any]:
        kind = one_of(query, "instType", _TYPES)
        if kind == "OPTION" and not _family(query) and not query.get("instId"):
            raise Problem(50014, "Parameter instFamily can not be empty.")
        if kind == "EVENTS" and query.get("seriesId", "") not in {"", *(one.series for one in self._known.values())}:
            return []
        found = self._chosen(query, "SPOT" if kind == "MARGIN" else kind)
        return [self._source.pulse.terms.object(one, kind) for one in found]

    def underlying(self, query: Query) -> list[Any]:
        kind = one_of(query, "instType", ("SWAP", "FUTURES", "OPTION"))
        return [sorted({one.family for one in self._known.values() if one.inst_type == kind})]

    def funding_rate(self, query: Query) -> list[Any]:
        swaps = [one for one in self._known.values() if one.inst_type == "SWAP"]
        if query.get("instId") != "ANY":
            swaps = [self._swap(query)]
        return self._values(swaps, funding_rate)

    def funding_rate_history(self, query: Query) -> list[Any]:
        one = self._swap(query)
        engine = self._source.engine(one.inst_id)
        after, before = number(query, "after", FAR_MS), number(query, "before", 0)
        limit = number(query, "limit", 400, 400)
        newest = min(bar_bounds("8H", engine.at_ms)[0], (after - 1) // _HOURS_8 * _HOURS_8)
        times = range(newest, max(before, one.listed_ms), -_HOURS_8)[:limit]
        rows = []
        for ts_ms in times:
            rate = settled_rate(engine, ts_ms)
            rows.append(
                {
                    "instType": "SWAP",
                    "instId": one.inst_id,
                    "fundingRate": rate,
                    "realizedRate": rate,
                    "fundingTime": str(ts_ms),
                    "method": "current_period",
                    "formulaType": "noRate",
                }
            )
        return rows

    def mark_price(self, query: Query) -> list[Any]:
        if query.get("instId") and not query.get("instType"):
            return self._values([self._one(query)], mark_price)  # ccxt asks like this
        kind = one_of(query, "instType", ("MARGIN", *_CONTRACTS))
        return self._values(self._chosen(query, "SPOT" if kind == "MARGIN" else kind), mark_price)

    def open_interest(self, query: Query) -> list[Any]:
        kind = one_of(query, "instType", _CONTRACTS)
        if kind == "OPTION" and not _family(query) and not query.get("instId"):
            raise Problem(50014, "Parameter instFamily can not be empty.")
        return self._values(self._chosen(query, kind), open_interest)

    def price_limit(self, query: Query) -> list[Any]:
        return self._values([self._one(query)], price_limit)

    def opt_summary(self, query: Query) -> list[Any]:
        family = _family(query)
        if not family:
            raise Problem(50014, "Parameter instFamily can not be empty.")
        date = query.get("expTime", "")
        rows = summary(self._source.market, family, self._source.clock.now_ms()) if self._known else []
        return [row for row in rows if date in ("", row["instId"].split("-")[2])]

    def option_trades(self, query: Query) -> list[Any]:
        if not _family(query) and not query.get("instId"):
            raise Problem(50014, "Either parameter instId or instFamily is required.")
        kind = query.get("optType", "")
        options = [one for one in self._chosen(query, "OPTION") if kind in ("", one.opt_type)]
        engines = [self._source.engine(one.inst_id) for one in options]
        newest = [option_trade(engine, next(engine.log.newest_first())) for engine in engines]
        return sorted(newest, key=lambda row: str(row["ts"]), reverse=True)[:100]

    def estimated_price(self, query: Query) -> list[Any]:
        one = self._one(query)
        now_ms = self._source.clock.now_ms()
        if not one.expires_ms or one.expires_ms - now_ms > _SETTLING_MS:
            return []
        price = f"{self._source.market.index(one.index, now_ms):.2f}"
        return [{"instType": one.inst_type, "instId": one.inst_id, "settlePx": price, "ts": str(now_ms)}]

    def status(self, query: Query) -> list[Any]:
        state = query.get("state", "")
        if not self._known:
            return []
        now_ms = self._source.clock.now_ms()
        rows = [*maintenance(Occasion({}, None, now_ms, 0, True, False))]
        return [
            {key: value for key, value in row.items() if key != "ts"} for row in rows if state in ("", row["state"])
        ]

    def _one(self, query: Query) -> Instrument:
        one = self._known.get(needed(query, "instId"))
        if one is None:
            raise Problem(51001, UNKNOWN)
        return one

    def _swap(self, query: Query) -> Instrument:
        one = self._one(query)
        if one.inst_type != "SWAP":
            raise Problem(51000, "Parameter instId error")
        return one

    def _chosen(self, query: Query, inst_type: str) -> list[Instrument]:
        """The instruments of a type, of a family or an id if one is given."""
        inst_id, family, series = query.get("instId", ""), _family(query), query.get("seriesId", "")
        found = [
            one
            for one in self._known.values()
            if one.inst_type == inst_type
            and inst_id in ("", one.inst_id)
            and family in ("", one.family)
            and series in ("", one.series)
        ]
        if inst_id and not found:
            raise Problem(51001, UNKNOWN)
        return found

    def _values(self, some: Iterable[Instrument], row: Callable[[Any], dict[str, object]]) -> list[Any]:
        engines = [self._source.engine(one.inst_id) for one in some if one.inst_id in self._moving]
        return [{**row(engine), "ts": str(engine.at_ms)} for engine in engines]


def _family(query: Query) -> str:
    return query.get("instFamily", "") or query.get("uly", "")
