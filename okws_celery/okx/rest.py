"""OKX's REST as values: a request, how it is signed, what its answer means (PROTOCOL 3, 8). No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec

from okws_celery.errors import OkwsError
from okws_celery.okx.login import Credentials, sign

__all__ = ["TIMESTAMP_EXPIRED", "RestError", "RestRequest", "parse_answer", "time_request"]

TIMESTAMP_EXPIRED = frozenset({50102, 50112})
"""The time of a signed request is too far from the exchange's clock."""
_TRY_AGAIN = frozenset({50001, 50004, 50011, 50013, 50026})


class RestError(OkwsError):
    """REST gave no answer, or one that says no: `code` is OKX's (0: none came); `passing` if it may work later."""

    def __init__(self, text: str, code: int = 0, *, passing: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.passing = passing


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One GET. `a_second` is how often OKX takes this endpoint from one IP, a little below its own limit."""

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    a_second: float = 5.0
    signed: bool = False
    """It speaks of an account."""

    @property
    def target(self) -> str:
        """Path with query, as it is sent and signed."""
        return self.path + (f"?{urlencode(self.parameters)}" if self.parameters else "")

    def headers(self, who: Credentials | None, demo: bool, now_s: float) -> dict[str, str]:
        """The headers of this request at Unix time `now_s` by the exchange's clock; signed if there is somebody."""
        headers = {"x-simulated-trading": "1"} if demo else {}
        if who is None:
            return headers
        at = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return headers | {
            "OK-ACCESS-KEY": who.api_key,
            "OK-ACCESS-PASSPHRASE": who.passphrase,
            "OK-ACCESS-TIMESTAMP": at,
            "OK-ACCESS-SIGN": sign(who.secret, at, "GET", self.target),
        }


def time_request() -> RestRequest:
    """The exchange's clock: one row `{"ts": ms}`."""
    return RestRequest("/api/v5/public/time", a_second=4.0)


class _Envelope(msgspec.Struct):
    code: str | int
    data: list[msgspec.Raw] = []
    msg: str = ""


_envelope = msgspec.json.Decoder(_Envelope)


def parse_answer(status: int, body: bytes) -> list[bytes]:
    """The rows of an answer, each as raw JSON; RestError if it says no or cannot be read."""
    try:
        said = _envelope.decode(body)
        code = int(said.code)
    except ValueError:
        raise RestError(f"HTTP {status}, and no answer of OKX in it", passing=status == 429 or status >= 500) from None
    if code:
        passing = code in _TRY_AGAIN or status == 429 or status >= 500
        raise RestError(said.msg or f"HTTP {status}", code, passing=passing)
    return [bytes(row) for row in said.data]
