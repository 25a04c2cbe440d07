"""Where algo orders wait: each step of the market is looked at, and what is set off goes to the trading floor."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from okws_celery.simulator.instrument import Instrument
from okws_celery.simulator.market import Engine
from okws_celery.simulator.source import MarketSource
from okws_celery.simulator.stream import Stream
from okws_celery.simulator.trading.algo_rows import algo_row
from okws_celery.simulator.trading.algos import Algo, Trigger, parse_algo, retarget
from okws_celery.simulator.trading.asked import text_of
from okws_celery.simulator.trading.floor import Floor
from okws_celery.simulator.trading.market_prices import MarketPrices
from okws_celery.simulator.trading.orders import Order
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.terms import plain
from okws_celery.simulator.trading.trader import Said, Trader

__all__ = ["AlgoFloor"]


class AlgoFloor:
    """Algo orders of all accounts."""

    def __init__(self, source: MarketSource, floor: Floor) -> None:
        self._source = source
        self._floor = floor
        self._market = MarketPrices(source)
        self._waiting: dict[int, dict[Algo, Trader]] = {}
        """By the code of the instrument, which outlives its name."""
        self._watchers: dict[int, Stream] = {}
        floor.filled = self._attach
        floor.delivered = self._deliver

    def place(self, trader: Trader, given: Mapping[str, Any]) -> Algo:
        """Take an algo order; Refused says why not."""
        one = self._floor.instrument(given, by_code=False)
        if not one.is_spot and trader.habits.level < 2:
            raise Refused(51010)
        now_ms = self._source.clock.now_ms()
        algo = parse_algo(given, one, trader.new_id(), trader.prices, now_ms, hedged=trader.habits.hedged)
        named = text_of(given, "algoClOrdId")
        if named and any(other.given.get("algoClOrdId") == named for other in trader.algos.values()):
            raise Refused(51065)
        trader.algos[algo.algo_id] = algo
        here = self._waiting.setdefault(one.code, {})
        here[algo] = trader
        if one.code not in self._watchers:
            self._watchers[one.code] = self._source.watch(self._market.engine(one).one.inst_id, self._stepped)
        self._tell(trader, algo)
        return algo

    def cancel(self, trader: Trader, given: Mapping[str, Any]) -> Algo:
        """Take one back, by `algoId` or `algoClOrdId`; Refused (51400) if it does not wait."""
        algo = self.find(trader, given)
        if algo is None or algo.state != "live":
            raise Refused(51400)
        self._end(trader, algo, "canceled")
        return algo

    def amend(self, trader: Trader, given: Mapping[str, Any]) -> Algo:
        """Change one; Refused (51503) if it does not wait."""
        algo = self.find(trader, given)
        if algo is None or algo.state != "live":
            raise Refused(51503)
        retarget(algo, given, trader.prices)
        algo.u_ms = self._source.clock.now_ms()
        algo.req_id, algo.amend_result = text_of(given, "reqId"), "0"
        self._tell(trader, algo)
        algo.req_id = algo.amend_result = ""
        return algo

    def find(self, trader: Trader, given: Mapping[str, Any]) -> Algo | None:
        """One that waits or is over, by `algoId` or `algoClOrdId`."""
        algo_id, named = text_of(given, "algoId"), text_of(given, "algoClOrdId")
        if not algo_id and not named:
            raise Refused(51000, name="algoId or algoClOrdId")
        if algo_id:
            return trader.algos.get(algo_id) or trader.algos_done.get(algo_id)
        every = [*trader.algos_done.values(), *trader.algos.values()]
        return next((one for one in reversed(every) if one.given.get("algoClOrdId") == named), None)

    # -- what sets them off

    def _stepped(self, engine: Engine) -> None:
        for algo, trader in list(self._waiting[engine.one.code].items()):
            trigger = algo.met(trader.prices) if algo.state == "live" else None
            if trigger is not None:
                self._set_off(trader, algo, trigger)

    def _set_off(self, trader: Trader, algo: Algo, trigger: Trigger) -> None:
        algo.trigger_ms = self._source.clock.now_ms()
        algo.actual_side = trigger.name
        try:
            size = algo.size if algo.size is not None else self._open_size(trader, algo)
            order = self._floor.place(trader, algo.order(trigger, size), algo.one, algo_id=algo.algo_id)
        except Refused as refused:
            algo.fail_code = str(refused.code)
            self._end(trader, algo, "order_failed")
            return
        algo.ord_id, algo.actual_sz = order.ord_id, plain(size)
        algo.actual_px = plain(trigger.ord_px if trigger.ord_px is not None else order.average or trigger.px)
        self._end(trader, algo, "effective")

    def _open_size(self, trader: Trader, algo: Algo) -> Decimal:
        key = (algo.one.inst_id, algo.given["tdMode"], algo.given.get("posSide") or "net")
        position = trader.positions.get(key)
        closable = position.closable(algo.given["side"] == "buy") if position else Decimal(0)
        if not closable:
            raise Refused(51169)
        return closable

    def _attach(self, trader: Trader, order: Order) -> None:
        """An order is filled to its end: what was attached to it begins to wait, on the other side."""
        for attached in order.asked.attached:
            both = attached.get("tpTriggerPx") and attached.get("slTriggerPx")
            given = {
                **attached,
                "instId": order.one.inst_id,
                "tdMode": order.asked.td_mode,
                "side": "sell" if order.asked.buys else "buy",
                "posSide": order.asked.pos_side,
                "ordType": "oco" if both else "conditional",
                "sz": plain(order.filled),
                "algoClOrdId": attached.get("attachAlgoClOrdId", ""),
                **({"tgtCcy": "base_ccy"} if order.one.is_spot else {}),
            }
            try:
                self.place(trader, given)
            except Refused:
                continue  # the order itself stands

    def _deliver(self, one: Instrument) -> None:
        for algo, trader in list(self._waiting.get(one.code, {}).items()):
            self._end(trader, algo, "canceled")

    # -- being told

    def _end(self, trader: Trader, algo: Algo, state: str) -> None:
        algo.state, algo.u_ms = state, self._source.clock.now_ms()
        trader.end_algo(algo)
        here = self._waiting[algo.one.code]
        del here[algo]
        if not here:
            self._source.unwatch(self._watchers.pop(algo.one.code))
        self._tell(trader, algo)

    def _tell(self, trader: Trader, algo: Algo) -> None:
        row = algo_row(algo, trader.prices, self._source.clock.now_ms())
        trader.told.rows.append(Said(algo.channel, row, algo.one.index))
        self._floor.woken(trader)
