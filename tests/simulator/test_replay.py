"""Recorded sessions are replayed byte for byte, for what is subscribed, on whichever path."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from simulator.talking import Talk
from waiting import eventually

from okws_celery.errors import BadCommand
from okws_celery.simulator import Simulator

GENUINE = [
    "cryptofeed-okx-v5-2022-05-13",
    "cryptofeed-okex-v5-2021-07-22",
    "cryptofeed-okcoin-v5-2023-05-27",
]


def recorded(file: Path) -> list[tuple[dict[str, str], str, float]]:
    """Argument, text and time of every recorded frame of data, read independently of the project."""
    frames = []
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        if entry["dir"] == "in" and "event" not in (said := json.loads(entry["raw"])):
            frames.append((said["arg"], entry["raw"], entry["recv"]))
    return frames


def arguments(frames: list[tuple[dict[str, str], str, float]]) -> list[dict[str, str]]:
    return [dict(pairs) for pairs in dict.fromkeys(tuple(arg.items()) for arg, _, _ in frames)]


def read_data(talk: Talk, count: int) -> list[str]:
    texts: list[str] = []
    while len(texts) < count:
        text = talk.read()
        if '"event"' not in text[:40]:
            texts.append(text)
    return texts


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A recording of six frames of two topics, with an odd but legal spelling that must survive."""
    lines: list[dict[str, Any]] = [
        {"recv": 100.0, "dir": "open", "line": 1},
        {"recv": 100.1, "dir": "out", "line": 2, "raw": '{"op":"subscribe"}'},
        {
            "recv": 100.2,
            "dir": "in",
            "line": 3,
            "raw": '{"event":"subscribe","arg":{"channel":"tickers","instId":"A-B"}}',
        },
    ]
    for number in range(6):
        inst_id = "A-B" if number % 2 else "C-D"
        raw = f'{{ "data":[{{"n": "{number}.0", "é":"\\u00e9"}}], "arg":{{"instId":"{inst_id}","channel":"tickers"}} }}'
        lines.append({"recv": 100.3 + number / 10, "dir": "in", "line": 4 + number, "raw": raw})
    file = tmp_path / "replay.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("name", GENUINE)
@pytest.mark.parametrize(("path", "pace"), [("public", "max"), ("business", "max"), ("public", 30)])
def test_a_capture_comes_back_byte_for_byte(captures: Path, name: str, path: str, pace: str | float) -> None:
    """All frames of all topics, in one request: exactly what was recorded, in its order."""
    file = captures / name / "replay.jsonl"
    frames = recorded(file)
    with Simulator(replay=file, pace=pace) as sim, Talk(f"{sim.ws_url}/{path}") as talk:
        talk.ask("subscribe", *arguments(frames))
        assert read_data(talk, len(frames)) == [text for _, text, _ in frames]
        assert sim.pending() == 0


def test_each_request_gets_all_of_its_frames(captures: Path) -> None:
    """Topics subscribed one by one, over two connections on different paths, each get all of theirs in order."""
    file = captures / GENUINE[0] / "replay.jsonl"
    frames = recorded(file)
    with (
        Simulator(replay=file, pace="max") as sim,
        Talk(sim.ws_url + "/public") as one,
        Talk(sim.ws_url + "/business") as other,
    ):
        for number, talk in enumerate((one, other)):
            wanted = arguments(frames)[number::2]
            for arg in wanted:
                talk.ask("subscribe", arg)
            recorded_for = {str(arg): [text for said, text, _ in frames if said == arg] for arg in wanted}
            got = read_data(talk, sum(map(len, recorded_for.values())))
            for arg, texts in recorded_for.items():
                assert [text for text in got if str(json.loads(text)["arg"]) == arg] == texts


def test_only_what_is_subscribed_and_nothing_else(small: Path) -> None:
    """One topic of two: only its frames; the recorded acks are not sent again, ours are, with a connId."""
    with Simulator(replay=small, pace="max") as sim, Talk(sim.ws_url + "/private") as talk:
        talk.ask("subscribe", {"channel": "tickers", "instId": "A-B"}, {"channel": "tickers", "instId": "X-Y"}, id="1")
        assert set(talk.next()) == {"id", "event", "arg", "connId"}
        assert talk.next()["code"] == "60018"
        texts = read_data(talk, 3)
        assert [json.loads(text)["data"][0]["n"] for text in texts] == ["1.0", "3.0", "5.0"]
        assert texts[0] == '{ "data":[{"n": "1.0", "é":"\\u00e9"}], "arg":{"instId":"A-B","channel":"tickers"} }'
        talk.send("ping")
        assert talk.read() == "pong"


def test_a_topic_subscribed_again_begins_anew(small: Path) -> None:
    """After an unsubscription the rest is not sent; the next subscription starts with the first frame."""
    arg = {"channel": "tickers", "instId": "C-D"}
    with Simulator(replay=small, pace="recorded") as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", arg)
        assert json.loads(read_data(talk, 1)[0])["data"][0]["n"] == "0.0"
        talk.ask("unsubscribe", arg)
        talk.event("unsubscribe")
        assert sim.pending() == 0
        talk.ask("subscribe", arg)
        assert [json.loads(text)["data"][0]["n"] for text in read_data(talk, 3)] == ["0.0", "2.0", "4.0"]


def test_the_recorded_pace_is_kept(small: Path) -> None:
    """At recorded pace the last frame does not come before its time."""
    with Simulator(replay=small) as sim, Talk(sim.ws_url + "/public") as talk:
        begun = time.monotonic()
        talk.ask("subscribe", {"channel": "tickers", "instId": "A-B"}, {"channel": "tickers", "instId": "C-D"})
        read_data(talk, 6)
        assert time.monotonic() - begun >= 0.49


def test_at_full_speed_it_waits_for_the_reader(tmp_path: Path) -> None:
    """A reader that does not read is not flooded: what was recorded waits, and nothing of it is lost."""
    file = tmp_path / "long.jsonl"
    raw = json.dumps({"arg": {"channel": "tickers", "instId": "A-B"}, "data": [{"filler": "x" * 20_000}]})
    file.write_text("".join(json.dumps({"recv": n, "dir": "in", "line": n, "raw": raw}) + "\n" for n in range(500)))
    with Simulator(replay=file, pace="max") as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", {"channel": "tickers", "instId": "A-B"})
        waiting = eventually(lambda: sim.subscribed("tickers:A-B") and sim.pending(), what="the replay has begun")
        assert waiting > 20
        assert len(read_data(talk, 500)) == 500


def recording(tmp_path: Path, *entries: tuple[float, object]) -> Path:
    """A file of messages that came in at these times."""
    file = tmp_path / "replay.jsonl"
    lines = [{"recv": at_s, "dir": "in", "raw": json.dumps(said)} for at_s, said in entries]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_what_was_silent_is_silent_again(tmp_path: Path) -> None:
    """A topic that was recorded and never spoke is acked, on v5 and v3; one that was refused is refused."""
    quiet = {"channel": "orders", "instType": "SPOT"}
    file = recording(
        tmp_path,
        (100.0, {"event": "subscribe", "arg": quiet}),
        (100.0, {"event": "subscribe", "channel": "spot/order:A-B"}),
        (100.0, {"event": "error", "code": "60018", "msg": "channel:orders,instType:SWAP doesn't exist"}),
        (100.1, {"arg": {"channel": "tickers", "instId": "A-B"}, "data": [{}]}),
    )
    with Simulator(replay=file, pace="max") as sim, Talk(sim.ws_url + "/private") as talk:
        talk.subscribe(quiet)
        talk.ask("subscribe", {**quiet, "instType": "SWAP"})
        assert talk.event("error")["code"] == "60018"
        talk.send("ping")
        assert talk.read() == "pong"
        assert sim.subscribed("orders:SPOT") == 1


def test_pushes_that_leave_keys_of_the_request_out(tmp_path: Path) -> None:
    """Recorded with extraParams, which the pushes do not repeat, a topic is played to who asks in the same way."""
    asked = {"channel": "account", "extraParams": '{"updateInterval":"0"}'}
    pushes = [{"arg": {"channel": "account", "uid": "1"}, "data": [{"n": n}]} for n in range(3)]
    file = recording(tmp_path, (100.0, {"event": "subscribe", "arg": asked}), *((100.1, push) for push in pushes))
    with Simulator(replay=file, pace="max") as sim:
        for arg in (asked, {"channel": "account"}):
            with Talk(sim.ws_url + "/private") as talk:
                talk.ask("subscribe", arg)
                assert [json.loads(text) for text in read_data(talk, 3)] == pushes
                talk.ask("unsubscribe", arg)
                assert talk.event("unsubscribe")["arg"] == arg


def test_a_clock_that_was_set_back_while_it_recorded(tmp_path: Path) -> None:
    """The order is that of the file, whatever the times say."""
    arg = {"channel": "tickers", "instId": "A-B"}
    times = (100.0, 100.2, 100.1, 100.3, 42.0, 100.35)
    file = recording(tmp_path, *((at_s, {"arg": arg, "data": [{"n": n}]}) for n, at_s in enumerate(times)))
    with Simulator(replay=file) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", arg)
        assert [json.loads(text)["data"][0]["n"] for text in read_data(talk, 6)] == [0, 1, 2, 3, 4, 5]


def test_what_is_played_can_be_held_back(small: Path) -> None:
    """The fault holds the recorded snapshot back, and all after it; other topics go on."""
    with Simulator(replay=small, pace="max") as sim, Talk(sim.ws_url + "/public") as talk:
        fault = sim.fault("withhold_snapshot", arg={"channel": "tickers", "instId": "A-B"}, seconds=0.3)
        begun = time.monotonic()
        talk.ask("subscribe", {"channel": "tickers", "instId": "A-B"}, {"channel": "tickers", "instId": "C-D"})
        numbers = [json.loads(text)["data"][0]["n"] for text in read_data(talk, 6)]
        assert numbers == ["0.0", "2.0", "4.0", "1.0", "3.0", "5.0"]
        assert time.monotonic() - begun >= 0.3
        assert fault.hits == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no frame"),
        ("not json\n", "line 1"),
        ('{"dir":"in"}\n', "line 1"),
        ('{"recv":1,"dir":"open"}\n', "no frame"),
    ],
)
def test_a_file_that_is_no_recording(tmp_path: Path, content: str, said: str) -> None:
    """What is not a recording is refused with its name and what is wrong, before anything listens."""
    file = tmp_path / "broken.jsonl"
    file.write_text(content)
    with pytest.raises(BadCommand, match=said) as refused:
        Simulator(replay=file).start()
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(BadCommand, match="No such file"):
        Simulator(replay=tmp_path / "none.jsonl").start()


@pytest.mark.parametrize("pace", ["fast", "0", "-1", "nan", 0])
def test_a_pace_that_is_none(pace: str | float) -> None:
    """A pace is recorded, max or a factor above 0."""
    with pytest.raises(BadCommand, match="recorded, max or a factor"):
        Simulator(pace=pace)


@pytest.mark.parametrize("pace", ["max", 20])
def test_a_loop_brings_the_same_again(small: Path, pace: str | float) -> None:
    """Looped, the recording begins again when it is over: the same bytes, all topics in step."""
    args = [{"channel": "tickers", "instId": inst_id} for inst_id in ("A-B", "C-D")]
    with Simulator(replay=small, pace=pace, loop=True) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", *args)
        texts = read_data(talk, 24)
        assert texts == texts[:6] * 4
        assert [json.loads(text)["data"][0]["n"] for text in texts[:6]] == [f"{number}.0" for number in range(6)]
        talk.ask("unsubscribe", args[0])
        talk.event("unsubscribe")
        assert {json.loads(text)["arg"]["instId"] for text in read_data(talk, 6)} == {"C-D"}


def test_a_round_lasts_as_long_as_the_recording(small: Path) -> None:
    """At recorded pace the second round begins when the first is over, and not before a second has passed."""
    with Simulator(replay=small, loop=True) as sim, Talk(sim.ws_url + "/public") as talk:
        begun = time.monotonic()
        talk.ask("subscribe", {"channel": "tickers", "instId": "C-D"})
        texts = read_data(talk, 4)
        assert texts[3] == texts[0]
        assert time.monotonic() - begun >= 0.99


def test_who_joins_a_loop_late_is_served_with_the_others(small: Path) -> None:
    """At full speed, too, a topic that joins after many rounds does not hold up the one that plays."""
    with Simulator(replay=small, pace="max", loop=True) as sim, Talk(sim.ws_url + "/public") as talk:
        talk.ask("subscribe", {"channel": "tickers", "instId": "A-B"})
        read_data(talk, 3000)
        talk.ask("subscribe", {"channel": "tickers", "instId": "C-D"})
        while "C-D" not in (text := talk.read()) or '"event"' in text:
            pass
        assert [json.loads(text)["arg"]["instId"] for text in read_data(talk, 60)].count("A-B") >= 25
