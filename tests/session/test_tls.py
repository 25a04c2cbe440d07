"""Sessions over wss."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from session.holding import Held
from waiting import eventually

from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate

TOPIC = "candle1m:BTC-USDT"


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[Simulator]:
    """A simulator that speaks TLS."""
    with Simulator(limits=False, tls=(certificate.cert, certificate.key)) as running:
        yield running


def candle(ts: int) -> str:
    """A push of one candle, large enough that two fill more than one read of the socket."""
    row = [str(ts), "1", "1", "1", "1", "0", "0", "0" * 7000, "0"]
    return json.dumps({"arg": {"channel": "candle1m", "instId": "BTC-USDT"}, "data": [row]}, separators=(",", ":"))


def test_two_frames_in_one_record(redis_url: str, secure: Simulator, certificate: Certificate) -> None:
    """Two frames in one TLS record, then silence: the second is in Redis at once, though no selector sees its bytes."""
    held = Held(redis_url, secure.ws_url, ca_file=certificate.cert)
    assert held.subscribe(TOPIC)["errorCode"] == 80000
    eventually(lambda: held.redis.zcard(held.data.of(TOPIC)))
    secure.fault("topic_dead", arg=TOPIC)
    newest = int(held.redis.zrange(held.data.of(TOPIC), -1, -1, withscores=True)[0][1])
    later = [newest + 60_000 * n for n in range(1, 6)]
    secure.fault("together", path="business", texts=[candle(ts) for ts in later])
    eventually(lambda: held.redis.zcount(held.data.of(TOPIC), later[-1], later[-1]), what="the last of them is there")
    assert held.redis.zcount(held.data.of(TOPIC), later[0], later[-1]) == len(later)
    held.close()


def test_unknown_authority(redis_url: str, secure: Simulator) -> None:
    """A certificate that nobody vouches for: not connected, said so, and tried again; nothing is subscribed."""
    held = Held(redis_url, secure.ws_url)
    assert held.subscribe(TOPIC, wait=1.0) == {}
    eventually(lambda: held.redis.get(held.data.status) == "DISCONNECTED")
    assert secure.connects == 0
    held.close()
