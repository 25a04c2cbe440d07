"""Trading by WebSocket: one op with its args in, OKX's answer out (PROTOCOL 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from okws_celery.simulator.trading.asked import text_of
from okws_celery.simulator.trading.floor import Floor
from okws_celery.simulator.trading.limits import TradingLimits
from okws_celery.simulator.trading.orders import Order
from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.trader import Trader

__all__ = ["Desk", "batch_code", "check_exp_time"]

_TAKES_US = 1900
_MOST_ARGS = {"batch-orders": 20, "batch-cancel-orders": 20, "batch-amend-orders": 20}


class Desk:
    """Carries out requests of traders, by WebSocket op or REST call, and answers item by item."""

    def __init__(self, floor: Floor, limits: TradingLimits | None = None) -> None:
        self._floor = floor
        self._limits = limits

    def answer(self, op: str, trader: Trader, said: Mapping[str, Any], now_s: float) -> dict[str, Any]:
        """The answer to a WebSocket request, at Unix time `now_s`."""
        code, text, data = "0", "", []
        try:
            args = self._checked(op, said, now_s)
            if op == "mass-cancel":
                data = [{"result": True}]  # it is for market makers' option orders alone, of which there are none
            elif op.startswith("sprd-"):
                raise Refused(51001)
            else:
                code, data = self.carry_out(op, trader, args, int(now_s * 1000), by_code=True)
        except Refused as refused:
            code, text = str(refused.code), str(refused)
        at_us = int(now_s * 1_000_000)
        first = {"id": said["id"], "op": op, "data": data, "code": code, "msg": text}
        return {**first, "inTime": str(at_us), "outTime": str(at_us + _TAKES_US)}

    def _checked(self, op: str, said: Mapping[str, Any], now_s: float) -> list[dict[str, Any]]:
        args = said.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(one, dict) for one in args):
            raise Refused(60013)
        if len(args) > _MOST_ARGS.get(op, 1):
            raise Refused(60013)
        if "cancel" not in op:
            check_exp_time(said.get("expTime"), now_s)
        return args

    def carry_out(
        self, op: str, trader: Trader, args: list[dict[str, Any]], now_ms: int, *, by_code: bool
    ) -> tuple[str, list[dict[str, Any]]]:
        """Do the op; gives the code of the whole (0 all done, 1 none, 2 some) and an answer for each item.

        `by_code` says that instruments are named by `instIdCode`, as they are by WebSocket; else by `instId`.
        Refused (50011, 50061) for a request too many.
        """
        if self._limits is not None:
            self._limits.count(
                trader, op, [_echo(one, "instId") or str(one.get("instIdCode")) for one in args], now_ms / 1000
            )
        one_of = self._ONE[op.removeprefix("batch-").removesuffix("s")]
        data = [self._try(one_of, op, trader, given, now_ms, by_code) for given in args]
        return batch_code(data), data

    def _try(
        self,
        do: Callable[[Desk, Trader, Mapping[str, Any], bool], Order],
        op: str,
        trader: Trader,
        given: Mapping[str, Any],
        now_ms: int,
        by_code: bool,
    ) -> dict[str, Any]:
        said = {"clOrdId": _echo(given, "clOrdId"), "ordId": _echo(given, "ordId"), "ts": str(now_ms)}
        if op in ("order", "batch-orders"):
            said["tag"] = _echo(given, "tag")
        elif "amend" in op:
            said["reqId"] = _echo(given, "reqId")
        sub_code = ""
        try:
            order = do(self, trader, given, by_code)
            said |= {"ordId": order.ord_id, "clOrdId": order.asked.cl_ord_id, "sCode": "0", "sMsg": ""}
        except Refused as refused:
            said |= {"sCode": str(refused.code), "sMsg": str(refused)}
            sub_code = refused.sub_code
        if "cancel" not in op:
            said["subCode"] = sub_code
        return said

    def _place(self, trader: Trader, given: Mapping[str, Any], by_code: bool) -> Order:
        return self._floor.place(trader, given, self._floor.instrument(given, by_code=by_code))

    def _cancel(self, trader: Trader, given: Mapping[str, Any], by_code: bool) -> Order:
        return self._floor.cancel(trader, self._found(trader, given, by_code))

    def _amend(self, trader: Trader, given: Mapping[str, Any], by_code: bool) -> Order:
        return self._floor.amend(trader, self._found(trader, given, by_code), given)

    def _found(self, trader: Trader, given: Mapping[str, Any], by_code: bool) -> Order | None:
        one = self._floor.instrument(given, by_code=by_code)
        ord_id, cl_ord_id = text_of(given, "ordId"), text_of(given, "clOrdId")
        if not ord_id and not cl_ord_id:
            raise Refused(51000, name="ordId or clOrdId")
        order = trader.find(ord_id, cl_ord_id)
        return order if order is not None and order.one.code == one.code else None

    _ONE: ClassVar = {"order": _place, "cancel-order": _cancel, "amend-order": _amend}


def check_exp_time(given: object, now_s: float) -> None:
    """Refuse (51000, 50004) a request that was to be carried out before now: `expTime` is Unix ms (PROTOCOL 7)."""
    if given in (None, ""):
        return
    if not str(given).isdecimal():
        raise Refused(51000, name="expTime")
    if int(str(given)) < now_s * 1000:
        raise Refused(50004)


def batch_code(data: list[dict[str, Any]]) -> str:
    """OKX's code of a request out of those of its items: 0 all done, 1 none, 2 some."""
    refused = sum(one["sCode"] != "0" for one in data)
    return "0" if not refused else "1" if refused == len(data) else "2"


def _echo(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name, "")
    return value if isinstance(value, str) else ""
