"""Whatever order things happen in: Redis shows what a plain model says, and readers hear of each thing once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MINUTE = 60_000
T0 = 1_786_538_760_000

examples: Callable[[Any], Any] = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# -- state


class Model:
    """Positions as a person would keep them on paper."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        self.times: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.pages: dict[str, dict[str, str]] | None = None

    def say(self, row: dict[str, str]) -> bool:
        """One position; whether it counts."""
        number, at = row["posId"], int(row["uTime"])
        over = row["pos"] == "0"
        if at < self.times.get(number, 0) or (not over and at <= self.ended.get(number, 0)):
            return False
        self.times[number] = at
        if over:
            self.rows.pop(number, None)
            self.ended[number] = at
        else:
            self.rows[number] = row
            self.ended.pop(number, None)
        return True

    def event(self, rows: list[dict[str, str]]) -> None:
        """What changed."""
        for row in rows:
            if self.say(row) and self.pages is not None:
                self.pages[row["posId"]] = row

    def page(self, rows: list[dict[str, str]], first: bool, last: bool) -> None:
        """A page of a snapshot."""
        if first:
            self.pages = {}
        if self.pages is None:
            self.event(rows)
            return
        self.pages |= {row["posId"]: row for row in rows}
        if last:
            whole, self.pages = self.pages, None
            for number in self.rows.keys() - whole.keys():
                del self.rows[number]
            self.event(list(whole.values()))

    def cut(self) -> None:
        """The link broke off."""
        self.pages = None

    def another_session(self) -> None:
        """One that knows only what stands in Redis."""
        self.pages = None
        self.times = {number: int(row["uTime"]) for number, row in self.rows.items()}
        self.ended = {}


positions = st.lists(
    st.fixed_dictionaries(
        {
            "posId": st.sampled_from("abcd"),
            "pos": st.sampled_from("0123"),
            "uTime": st.integers(1, 9).map(lambda n: str(1000 + n)),
            "instType": st.just("SWAP"),
            "instId": st.just("BTC-USDT-SWAP"),
        }
    ),
    max_size=3,
)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("event"), positions),
        st.tuples(st.just("page"), positions, st.booleans(), st.booleans()),
        st.just(("again",)),
        st.just(("cut",)),
        st.just(("restart",)),
        st.just(("redis refused",)),
    ),
    max_size=14,
)


@examples
@given(happenings)
def test_state_in_redis_is_that_of_a_plain_model(bench: Any, steps: list[tuple[Any, ...]]) -> None:
    """Pages of snapshots, events, repeats, cuts, sessions that take over, batches that Redis refused."""
    bench.ask("FLUSHALL")
    bench.start("positions:ANY")
    model = Model()
    said: list[tuple[Any, ...]] = []
    for step in steps:
        if step[0] == "again" and said:
            step = said[-1]
        match step:
            case ("event", rows):
                bench.push(*rows, eventType="event_update")
                model.event(rows)
                said.append(step)
            case ("page", rows, first, last):
                bench.push(*rows, eventType="snapshot", curPage=1 if first else 2, lastPage=last)
                model.page(rows, first, last)
                said.append(step)
            case ("cut",):
                bench.feed.interrupted(bench.batch)
                model.cut()
            case ("restart",):
                bench.start("positions:ANY")
                model.another_session()
            case ("redis refused",):
                bench.feed.rewrite(bench.batch)
                bench.batch.seal()
                bench.feed.rewrite(bench.batch)
                bench.flush()
        assert {field: json.loads(row) for field, row in bench.hash().items()} == model.rows


# -- orders


class Order:
    """What becomes of one order: it is placed, executed in parts, and filled or canceled."""

    def __init__(self, number: str, fills: int, canceled: bool) -> None:
        said = [("live", ""), *[("partially_filled", f"{number}{n}") for n in range(1, fills)]]
        said += [("canceled", "")] if canceled else [("filled", f"{number}{fills}")]
        self.events = [self._row(number, state, trade, n) for n, (state, trade) in enumerate(said)]
        self.told = 0

    def _row(self, number: str, state: str, trade: str, n: int) -> dict[str, str]:
        done = str(n - 1 if state == "canceled" else n)
        row = {"instType": "SPOT", "instId": "BTC-USDT", "ordId": number, "state": state, "tradeId": trade}
        return row | {"accFillSz": done, "uTime": str(T0 + 10 * n), "cTime": str(T0)}

    @property
    def now(self) -> dict[str, str]:
        """What its last event said; {} if it is not open."""
        row = self.events[self.told - 1] if self.told else {}
        return row if row.get("state") in ("live", "partially_filled") else {}


plans = st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=3)
orders_said = st.lists(
    st.one_of(
        st.tuples(st.just("goes on"), st.integers(0, 2)),
        st.tuples(st.just("goes on"), st.integers(0, 2)),
        st.tuples(st.just("again"), st.integers(0, 2), st.integers(0, 4), st.sampled_from([0, 1, 1000])),
        st.tuples(st.just("rest"), st.integers(0, 2), st.integers(0, 4)),
        st.just(("restart",)),
    ),
    max_size=16,
)


@examples
@given(plans, orders_said)
def test_orders_in_redis_are_those_that_are_open(
    bench: Any, made: list[tuple[int, bool]], steps: list[tuple[Any, ...]]
) -> None:
    """Events, those of executions and ends repeated with another time (PROTOCOL 5.3), sessions that take over, and a
    REST that says what was: nothing goes back, and nothing that is over opens again."""
    bench.ask("FLUSHALL")
    bench.start("orders:ANY")
    orders = [Order(str(number), *plan) for number, plan in enumerate(made, 1)]
    for step in steps:
        order = orders[step[1] % len(orders)] if len(step) > 1 else orders[0]
        match step:
            case ("goes on", _) if order.told < len(order.events):
                order.told += 1
                bench.push(order.events[order.told - 1])
            case ("again", _, n, later_ms) if n < order.told and (n or not later_ms):
                row = order.events[n]
                bench.push({**row, "uTime": str(int(row["uTime"]) + later_ms)})
            case ("rest", _, n) if n < order.told:
                bench.feed.take_rest(bench.batch, json.dumps(order.events[n]).encode())
                bench.flush()
            case ("restart",):
                bench.start("orders:ANY")
        found = {number: json.loads(row) for number, row in bench.hash().items()}
        told = {row["ordId"]: row for order in orders if (row := order.now)}
        assert {number: row["accFillSz"] for number, row in found.items()} == {
            number: row["accFillSz"] for number, row in told.items()
        }
    logged = [json.loads(row) for _, row in bench.stream("okex/N/orders/log")]
    assert sorted(row["tradeId"] or row["state"] + row["ordId"] for row in logged) == sorted(
        row["tradeId"] or row["state"] + row["ordId"] for order in orders for row in order.events[: order.told]
    )


# -- candles


def bar(n: int, confirm: str) -> list[str]:
    """The row of the n-th minute."""
    return [str(T0 + n * MINUTE), "1", "2", "0.5", "1", "10", "20", "20", confirm]


def rest_of(bars: int, missing: int = 0) -> list[bytes]:
    """What REST says when so many bars have closed: newest first, the open one too; less than all if it is behind."""
    rows = [bar(bars, "0"), *(bar(n, "1") for n in range(bars - 1, -1, -1))]
    return [json.dumps(row).encode() for row in rows[missing:]]


cuts = st.lists(
    st.one_of(
        st.tuples(st.just("minutes"), st.integers(1, 3)),
        st.tuples(st.just("cut"), st.integers(0, 4), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("restart"), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("redis refused"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
    ),
    max_size=8,
)


@examples
@given(cuts)
def test_each_closed_candle_is_published_once(bench: Any, steps: list[tuple[Any, ...]]) -> None:
    """For any cut and resume: the rows before REST answers wait, and REST may be behind at first."""
    bench.ask("FLUSHALL")
    bench.published()
    bench.start("candle1m:BTC-USDT")
    now = 20  # so many bars have closed

    def live(minutes: int) -> None:
        nonlocal now
        for _ in range(minutes):
            bench.push(bar(now, "0"))
            bench.push(bar(now, "1"))
            now += 1
        bench.push(bar(now, "0"))

    def resume(before_answer: int, behind: int) -> None:
        live(before_answer)
        rows = rest_of(now, behind)
        if bench.feed.behind(rows):
            rows = rest_of(now)
        bench.feed.fill(bench.batch, rows)
        bench.flush()

    bench.feed.fill(bench.batch, rest_of(now))
    bench.push(bar(now, "0"))
    live(1)
    mark = bench.feed.position[1]
    for step in steps:
        match step:
            case ("minutes", minutes):
                live(minutes)
            case ("cut", unseen, before_answer, behind):
                bench.feed.interrupted(bench.batch)
                bench.feed.hold()
                now += unseen
                resume(before_answer, behind)
            case ("restart", unseen, before_answer, behind):
                now += unseen
                bench.start("candle1m:BTC-USDT")
                bench.feed.hold()
                resume(before_answer, behind)
            case ("redis refused", minutes, before_answer, behind):
                mark = bench.feed.position[1]
                for _ in range(minutes):
                    bench.push(bar(now, "1"), flush=False)
                    now += 1
                bench.batch.seal()
                bench.feed.undo(mark)
                bench.feed.hold()
                bench.feed.rewrite(bench.batch)
                resume(before_answer, behind)
    live(1)
    candles = [json.loads(payload) for _, payload in bench.published()]
    assert [int(candle["ts"]) for candle in candles] == [T0 + n * MINUTE for n in range(20, now)]
    assert {candle["confirm"] for candle in candles} == {"1"}
    assert bench.read() == [*(bar(n, "1") for n in range(now)), bar(now, "0")]


# -- trades


def match_of(number: int) -> dict[str, str]:
    """One match, as REST tells it."""
    return {"instId": "BTC-USDT", "tradeId": str(number), "px": "1", "sz": "1", "side": "buy", "ts": str(T0 + number)}


def pushed(newest: int, count: int) -> dict[str, str]:
    """A group of matches, as the channel pushes it (PROTOCOL 5.1)."""
    return {**match_of(newest), "count": str(count), "source": "0"}


def rest_trades(newest: int) -> list[bytes]:
    """What REST tells: every match, newest first."""
    return [json.dumps(match_of(n)).encode() for n in range(newest, 0, -1)]


groups = st.lists(st.integers(1, 4), max_size=4)
trading = st.lists(
    st.one_of(
        st.tuples(st.just("trades"), groups),
        st.tuples(st.just("again"), st.just([])),
        st.tuples(
            *(st.sampled_from(["cut", "restart", "redis refused"]), groups, groups),
            *(st.integers(0, 3), st.integers(0, 3)),
        ),
    ),
    max_size=8,
)


@examples
@given(trading)
def test_each_trade_is_there_once(bench: Any, steps: list[tuple[Any, ...]]) -> None:
    """Pushed in groups, told by REST one by one, missed and found again: each match once, in order."""
    bench.ask("FLUSHALL")
    bench.start("trades:BTC-USDT")
    now = 100
    last: list[dict[str, str]] = []

    def trade(sizes: list[int], flush: bool = True) -> None:
        nonlocal now, last
        for size in sizes:
            now += size
            last = [pushed(now, size)]
            bench.push(*last, flush=flush)

    trade([2])
    for step in steps:
        match step:
            case ("trades", sizes):
                trade(sizes)
            case ("again", _):
                bench.push(*last)
            case (what, unseen, before_answer, lacks, ahead):
                if what == "restart":
                    bench.start("trades:BTC-USDT")
                bench.feed.hold()
                if what == "redis refused":
                    bench.feed.release(bench.batch)
                    mark = bench.feed.position[1]
                    trade(unseen, flush=False)
                    bench.batch.seal()
                    bench.feed.undo(mark)
                    bench.feed.hold()
                else:
                    now += sum(unseen)
                trade(before_answer)
                if not before_answer or bench.feed.behind(rest_trades(now - lacks)):
                    lacks = 0
                # REST knows of a group before the push comes, or not of all that waits.
                assert bench.feed.fill(bench.batch, rest_trades(now + ahead if ahead else now - lacks)).complete
                bench.flush()
                if ahead:
                    trade([ahead])
    trade([1])
    rows = [json.loads(data) for _, data in bench.stream()]
    covered = [
        n for row in rows for n in range(int(row["tradeId"]) - int(row.get("count", "1")) + 1, int(row["tradeId"]) + 1)
    ]
    assert covered == list(range(101, now + 1))
