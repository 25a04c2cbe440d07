"""Sessions over wss."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from session.holding import Held
from waiting import eventually

from okws_celery.session.connector import open_websocket
from okws_celery.session.trust import trusting
from okws_celery.simulator import Simulator
from okws_celery.simulator.certificate import Certificate, make_certificate

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


def test_a_file_of_authorities_is_replaced(tmp_path: Path, secure: Simulator, certificate: Certificate) -> None:
    """The next connection trusts those that are in it now, and who is gone is trusted no longer."""
    file = tmp_path / "authorities.pem"
    stranger, ours = Path(make_certificate(tmp_path).cert).read_bytes(), Path(certificate.cert).read_bytes()
    for authorities, trusted in ((stranger, False), (ours, True), (stranger, False)):
        file.write_bytes(authorities)
        if trusted:
            open_websocket(f"{secure.ws_url}/public", ca_file=str(file)).close()
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                open_websocket(f"{secure.ws_url}/public", ca_file=str(file))


def test_authorities_are_kept_once(certificate: Certificate) -> None:
    """However many sessions a process holds: a list of authorities takes more memory than all else of a session."""
    assert trusting(certificate.cert, "rest") is trusting(certificate.cert, "rest")
    with pytest.raises(FileNotFoundError):
        trusting("/nowhere/ca.pem", "rest")
