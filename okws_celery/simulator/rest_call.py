"""What every REST call has in common: OKX's envelope, its refusals, its parameters and its limits of rate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

__all__ = ["FAR_MS", "UNKNOWN", "Call", "Limiter", "Problem", "answer", "needed", "number", "one_of", "public_routes"]

FAR_MS = 1 << 62
UNKNOWN = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
"""With code 51001."""
_WINDOW_S = 2.0
_MOST_WINDOWS = 10_000


class Problem(Exception):
    """A refusal with OKX's code and text; most come with HTTP 200."""

    def __init__(self, code: int, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One public call: `limit` requests in 2 s of one address (and of one value of `per`, a parameter); 0: no limit."""

    path: str
    limit: int
    per: str
    data: Callable[[Mapping[str, str]], Any]
    window_s: float = _WINDOW_S


class Limiter:
    """Counts requests by who made them, in sliding windows."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], deque[float]] = {}

    def admits(self, key: tuple[str, ...], most: int, window_s: float = _WINDOW_S) -> bool:
        """Whether one more request of a kind is within its limit; it counts if it is."""
        now_s = time.monotonic()
        if len(self._made) > _MOST_WINDOWS:
            self._made = {one: made for one, made in self._made.items() if made[-1] > now_s - window_s}
        made = self._made.setdefault(key, deque())
        while made and made[0] <= now_s - window_s:
            made.popleft()
        if len(made) >= most:
            return False
        made.append(now_s)
        return True


def public_routes(calls: list[Call], limiter: Limiter | None) -> list[web.RouteDef]:
    """The routes of public calls; without a limiter there are no limits."""
    return [web.get(call.path, _handler(call, limiter)) for call in calls]


def answer(data: Any) -> web.Response:
    """Data in the envelope."""
    return web.json_response({"code": "0", "msg": "", "data": data})


def needed(query: Mapping[str, str], name: str) -> str:
    """A parameter that must be there."""
    value = query.get(name, "")
    if not value:
        raise Problem(50014, f"Parameter {name} can not be empty.")
    return value


def number(query: Mapping[str, str], name: str, default: int, most: int = FAR_MS) -> int:
    """A parameter that is a number from 0; more than `most` counts as `most`."""
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise Problem(51000, f"Parameter {name} error")
    return min(int(text), most)


def one_of(query: Mapping[str, str], name: str, accepted: tuple[str, ...]) -> str:
    """A parameter that must be there, with one of these values."""
    value = needed(query, name)
    if value not in accepted:
        raise Problem(51000, f"Parameter {name} error")
    return value


def _handler(call: Call, limiter: Limiter | None) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        query = dict(request.query)
        who = (call.path, request.remote or "", query.get(call.per, "") if call.per else "")
        try:
            if call.limit and limiter is not None and not limiter.admits(who, call.limit, call.window_s):
                raise Problem(50011, "Too Many Requests", 429)
            return answer(call.data(query))
        except Problem as problem:
            return web.json_response(
                {"code": str(problem.code), "msg": str(problem), "data": []}, status=problem.status
            )

    return handle
