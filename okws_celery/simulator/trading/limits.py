"""How much one trader may do in two seconds (PROTOCOL 7): by WebSocket and REST together."""

from __future__ import annotations

from collections import deque

from okws_celery.simulator.trading.refusals import Refused
from okws_celery.simulator.trading.trader import Trader

__all__ = ["TradingLimits"]

_WINDOW_S = 2.0
_SINGLE, _BATCH, _ALL_NEW = 60, 300, 1000


class TradingLimits:
    """Counts orders placed, amended and canceled, each apart, by trader and instrument."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], deque[float]] = {}

    def count(self, trader: Trader, op: str, names: list[str], now_s: float) -> None:
        """Count a request about so many orders; `names` are their instruments, as they were given.

        Refused (50011, 50061) if it is one too many: then nothing of it is counted.
        """
        batch = op.startswith("batch-") and len(names) > 1
        kind = op.removeprefix("batch-").removesuffix("s")
        wanted: dict[tuple[object, ...], int] = {(trader, kind, batch, name): names.count(name) for name in names}
        for key, number in wanted.items():
            self._check(key, number, _BATCH if batch else _SINGLE, 50011, now_s)
        if kind != "cancel-order":
            everything = (trader, "new")
            self._check(everything, len(names), _ALL_NEW, 50061, now_s)
            wanted[everything] = len(names)
        for key, number in wanted.items():
            self._made[key].extend([now_s] * number)

    def _check(self, key: tuple[object, ...], number: int, most: int, code: int, now_s: float) -> None:
        made = self._made.setdefault(key, deque())
        while made and made[0] <= now_s - _WINDOW_S:
            made.popleft()
        if len(made) + number > most:
            raise Refused(code)
