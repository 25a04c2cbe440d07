"""The v3 API: recordings of it come back byte for byte, in binary frames of raw deflate (PROTOCOL 9.1)."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import websocket
from simulator.talking import Talk, login_arg

from okws_celery.simulator import Simulator

CAPTURE = "cryptofeed-okcoin-v3-2021-07-22"


class OldTalk(Talk):
    """One connection that inflates what comes, as v3 clients did."""

    def read(self) -> str:
        opcode, data = self.ws.recv_data()
        assert opcode == websocket.ABNF.OPCODE_BINARY
        return zlib.decompress(data, -15).decode()

    def ask_v3(self, op: str, *topics: str) -> None:
        self.send(json.dumps({"op": op, "args": topics}))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A recording of a public, a private and an unfiltered topic."""
    raws = [
        '{"event":"subscribe","channel":"futures/account:BTC-USDT"}',
        '{"table":"spot/ticker","data":[{"instrument_id":"ETH-USDT","last":"1.10"}]}',
        '{"table":"futures/account","data":[{"currency":"USDT","underlying":"BTC-USDT","equity":"7"}]}',
        '{"table":"futures/instruments","data":[[{"instrument_id":"BTC-USD-210625"}]]}',
    ]
    file = tmp_path / "v3.jsonl"
    file.write_text("".join(json.dumps({"recv": 1.0, "dir": "in", "line": 1, "raw": raw}) + "\n" for raw in raws))
    return file


def test_a_v3_capture_comes_back_byte_for_byte(captures: Path) -> None:
    """All frames of all topics: inflated exactly what was recorded, in its order, after one ack each."""
    entries = [json.loads(line) for line in (captures / CAPTURE / "replay.jsonl").read_text().splitlines()]
    raws = [one["raw"] for one in entries if one["dir"] == "in"]
    acks = [raw for raw in raws if '"event"' in raw]
    data = [raw for raw in raws if '"event"' not in raw]
    asked = next(json.loads(one["raw"])["args"] for one in entries if one["dir"] == "out")
    with Simulator(replay=captures / CAPTURE / "replay.jsonl", pace="max") as sim, OldTalk(sim.v3_url) as talk:
        talk.ask_v3("subscribe", *asked)
        assert [talk.read() for _ in asked] == acks  # also of the topic that never spoke
        assert {topic_of(raw) for raw in data} < set(asked)
        assert [talk.read() for _ in data] == data


def topic_of(raw: str) -> str:
    said = json.loads(raw)
    return f"{said['table']}:{said['data'][0]['instrument_id']}"


def test_v3_answers(small: Path) -> None:
    """`ping`, acks, an unsubscription, an unknown topic and an unknown request, each in v3's words."""
    with Simulator(replay=small, pace="max") as sim, OldTalk(sim.v3_url) as talk:
        talk.send("ping")
        assert talk.read() == "pong"
        talk.ask_v3("subscribe", "spot/ticker:ETH-USDT", "spot/trade:X", "futures/instruments")
        assert talk.next() == {"event": "subscribe", "channel": "spot/ticker:ETH-USDT"}
        assert talk.next() == {"event": "error", "message": "Channel spot/trade:X doesn't exist", "errorCode": 30040}
        assert talk.next() == {"event": "subscribe", "channel": "futures/instruments"}
        assert talk.next()["data"][0]["last"] == "1.10"
        assert talk.next()["table"] == "futures/instruments"
        talk.ask_v3("unsubscribe", "spot/ticker:ETH-USDT")
        assert talk.next() == {"event": "unsubscribe", "channel": "spot/ticker:ETH-USDT"}
        for text in ("nonsense", '{"op":"order","args":["x"]}', '{"op":"subscribe"}'):
            talk.send(text)
            assert talk.next()["errorCode"] == 30039


def test_v3_login(small: Path) -> None:
    """Private topics are 30041 before a login; a wrong login closes the connection."""
    arg = login_arg("demo", "demo-secret", "demo-pass")
    right = [arg["apiKey"], arg["passphrase"], arg["timestamp"], arg["sign"]]
    with Simulator(replay=small, pace="max", limits=False) as sim:
        with OldTalk(sim.v3_url) as talk:
            talk.ask_v3("subscribe", "futures/account:BTC-USDT")
            assert talk.next()["errorCode"] == 30041
            talk.ask_v3("login", *right)
            assert talk.next() == {"event": "login", "success": True}
            talk.ask_v3("subscribe", "futures/account:BTC-USDT")
            assert talk.next()["event"] == "subscribe"
            assert talk.next()["data"][0]["equity"] == "7"
        for wrong, code in ((["nobody", *right[1:]], 30006), ([*right[:3], "bm8="], 30013), ([right[0]], 30004)):
            with OldTalk(sim.v3_url) as talk:
                talk.ask_v3("login", *wrong)
                assert talk.next()["errorCode"] == code
                assert talk.close_code() == 4001
    assert [one.code for one in sim.logins] == [0, 30006, 30013, 30004]
    assert all(one.path == "v3" for one in sim.logins)


def test_faults_reach_the_v3_face(small: Path) -> None:
    """A refusal and a drop aimed at the path v3."""
    with Simulator(replay=small, pace="max") as sim, OldTalk(sim.v3_url) as talk:
        topic = "spot/ticker:ETH-USDT"
        sim.fault("refuse", path="v3", arg=topic, code=30026, text="Requests too frequent", times=1)
        talk.ask_v3("subscribe", topic, "futures/instruments")
        assert talk.next() == {"event": "error", "message": "Requests too frequent", "errorCode": 30026}
        assert talk.next()["event"] == "subscribe"
        talk.ask_v3("subscribe", topic)
        talk.until(lambda said: said.get("channel") == topic)
        sim.drop("v3")
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            while True:
                talk.read()


def test_without_a_recording_no_v3_topic(sim: Simulator) -> None:
    """The market of today is not told in v3's words; and v3's topics are none of v5's channels."""
    with OldTalk(sim.v3_url) as talk:
        talk.ask_v3("subscribe", "spot/ticker:BTC-USDT")
        assert talk.next()["errorCode"] == 30040


def test_v3_topics_are_not_on_v5_paths(small: Path) -> None:
    """A v3 topic as a v5 channel is 60018."""
    said: dict[str, Any] = {"channel": "spot/ticker:ETH-USDT"}
    with Simulator(replay=small, pace="max") as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", said)
        assert talk.event("error")["code"] == "60018"
