"""Messages of the load mode: whole frames from templates in which only numbers of a fixed width are filled in.

They have OKX's shapes (PROTOCOL 5.1 and 6), and two marks for who measures: `ts` is the time of sending in ms (of a
candle the begin of the bar), and the extra field `sent` of each object the same in us. Numbers count up by one from
message to message of a subscription (`tradeId`; `seqId`, with `prevSeqId` the one before): a lost message shows.
"""

from __future__ import annotations

from collections.abc import Callable

from okws_celery.simulator.frames import TEXT, Encode, frame, payload_of

__all__ = ["CHANNELS", "MOST_LEVELS", "Make", "Maker", "encoded", "maker"]

Make = Callable[[int, int], bytes]
"""The next frame, at a Unix time given in ms and in us."""

_FIRST = 1_000_000_000
_MINUTE_MS = 60_000
_TOUCHED = 3
MOST_LEVELS = 400
"""Of a book, as of OKX's deepest."""


class Maker:
    """All messages of one subscription. `opening` is sent before any other; it may be empty."""

    opening = ""

    def __init__(self, channel: str, inst_id: str, levels: int = MOST_LEVELS) -> None:
        """`levels` is the depth of a book, on each side."""
        self.count = _FIRST
        self._arg = f'{{"channel":"{channel}","instId":"{inst_id}"}}'
        self._inst_id = inst_id

    def make(self, ms: int, us: int) -> bytes:
        """The next message."""
        raise NotImplementedError


class _Ticker(Maker):
    def __init__(self, channel: str, inst_id: str, levels: int = MOST_LEVELS) -> None:
        super().__init__(channel, inst_id)
        row = (
            f'{{"instType":"SPOT","instId":"{inst_id}","last":"%d.1","lastSz":"0.0125","askPx":"%d.2","askSz":"1.25"'
            ',"bidPx":"%d.1","bidSz":"0.75","open24h":"49500.3","high24h":"51999.9","low24h":"48123.4"'
            ',"sodUtc0":"49800.1","sodUtc8":"50010.7","volCcy24h":"412345678.12","vol24h":"8123.4567"'
            ',"ts":"%d","sent":"%d"}'
        )
        self._frame = _template(f'{{"arg":{self._arg},"data":[{row}]}}', (50000, 50000, 50000, 10**12, 10**15))

    def make(self, ms: int, us: int) -> bytes:
        self.count = count = self.count + 1
        price = 50_000 + count % 1000
        return self._frame % (price, price, price, ms, us)


class _Trade(Maker):
    def __init__(self, channel: str, inst_id: str, levels: int = MOST_LEVELS) -> None:
        super().__init__(channel, inst_id)
        row = (
            f'{{"instId":"{inst_id}","tradeId":"%d","px":"%d.1","sz":"0.0125","side":"buy","ts":"%d","count":"1"'
            ',"source":"0","seqId":%d,"sent":"%d"}'
        )
        self._frame = _template(f'{{"arg":{self._arg},"data":[{row}]}}', (_FIRST, 50000, 10**12, _FIRST, 10**15))

    def make(self, ms: int, us: int) -> bytes:
        self.count = count = self.count + 1
        return self._frame % (count, 50_000 + count % 1000, ms, count, us)


class _BestQuote(Maker):
    def __init__(self, channel: str, inst_id: str, levels: int = MOST_LEVELS) -> None:
        super().__init__(channel, inst_id)
        row = '{"asks":[["%d.2","1.25","0","3"]],"bids":[["%d.1","0.75","0","2"]],"ts":"%d","seqId":%d,"sent":"%d"}'
        self._frame = _template(f'{{"arg":{self._arg},"data":[{row}]}}', (50000, 50000, 10**12, _FIRST, 10**15))

    def make(self, ms: int, us: int) -> bytes:
        self.count = count = self.count + 1
        price = 50_000 + count % 1000
        return self._frame % (price, price, ms, count, us)


class _Book(Maker):
    """All levels in the snapshot; each update changes the sizes of the best three on each side."""

    def __init__(self, channel: str, inst_id: str, levels: int = MOST_LEVELS) -> None:
        super().__init__(channel, inst_id)
        asks = ",".join(f'["{50_001 + level}.0","1000","0","3"]' for level in range(levels))
        bids = ",".join(f'["{50_000 - level}.0","1000","0","3"]' for level in range(levels))
        self.opening = (
            f'{{"arg":{self._arg},"action":"snapshot","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"1700000000000"'
            f',"checksum":0,"prevSeqId":-1,"seqId":{_FIRST}}}]}}'
        )
        touched = min(levels, _TOUCHED)
        asks = ",".join(f'["{50_001 + level}.0","%d","0","3"]' for level in range(touched))
        bids = ",".join(f'["{50_000 - level}.0","%d","0","3"]' for level in range(touched))
        row = f'{{"asks":[{asks}],"bids":[{bids}],"ts":"%d","checksum":0,"prevSeqId":%d,"seqId":%d,"sent":"%d"}}'
        self._sizes = 2 * touched
        sample = (*[1000] * self._sizes, 10**12, _FIRST, _FIRST, 10**15)
        self._frame = _template(f'{{"arg":{self._arg},"action":"update","data":[{row}]}}', sample)

    def make(self, ms: int, us: int) -> bytes:
        before = self.count
        self.count = count = before + 1
        sizes = [1000 + count % 1000] * self._sizes
        return self._frame % (*sizes, ms, before, count, us)


class _Candle(Maker):
    """The open bar again and again, and once with `confirm` 1 when its minute is over."""

    def __init__(self, channel: str, inst_id: str, levels: int = MOST_LEVELS) -> None:
        super().__init__(channel, inst_id)
        row = '["%d","50000.1","51000.1","49000.1","%d.1","8123.4567","412345678.12","412345678.12","%d"]'
        self._frame = _template(f'{{"arg":{self._arg},"data":[{row}]}}', (10**12, 50000, 0))
        self._bar_ms = 0

    def make(self, ms: int, us: int) -> bytes:
        self.count = count = self.count + 1
        bar_ms = ms - ms % _MINUTE_MS
        over, self._bar_ms = self._bar_ms, bar_ms
        if 0 < over < bar_ms:
            return self._frame % (over, 50_000 + count % 1000, 1)
        return self._frame % (bar_ms, 50_000 + count % 1000, 0)


CHANNELS: dict[str, Callable[[str, str, int], Maker]] = {
    "tickers": _Ticker,
    "trades": _Trade,
    "bbo-tbt": _BestQuote,
    "books": _Book,
    "candle1m": _Candle,
}
"""What can be sent in load mode."""


def maker(channel: str, inst_id: str, levels: int = MOST_LEVELS) -> Maker:
    """The maker of one subscription; KeyError for a channel that is not one of CHANNELS."""
    return CHANNELS[channel](channel, inst_id, levels)


def encoded(make: Make, encode: Encode) -> Make:
    """The same messages for a connection that wants its frames otherwise, as one that compresses does."""

    def make_encoded(ms: int, us: int) -> bytes:
        return encode(payload_of(make(ms, us)).decode())

    return make_encoded


def _template(text: str, sample: tuple[int, ...]) -> bytes:
    """The text as a frame that has its header already, since all that is filled in is as wide as the sample."""
    body = text.encode()
    whole = body % sample
    return frame(TEXT, whole)[: -len(whole)].replace(b"%", b"%%") + body
