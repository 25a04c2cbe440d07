"""What the exchange can do to a session, and what readers see of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from session.holding import DEMO, Held
from session.listening import Listener
from waiting import eventually

from okws_celery.okx.login import Credentials
from okws_celery.session import Ending
from okws_celery.simulator import Simulator

Hold = Callable[..., Held]


def flowing(held: Held, topic: str = "tickers:BTC-USDT") -> bool:
    """Whether a new push of a topic reaches Redis."""
    held.redis.delete(held.data.of(topic))
    return bool(eventually(lambda: held.redis.hget(held.data.of(topic), "ts"), what=f"{topic} flows"))


class TestCuts:
    """Connections that end."""

    @pytest.mark.parametrize("how", ["fin", "rst"])
    def test_everything_is_subscribed_again(self, hold: Hold, simulator: Simulator, how: str) -> None:
        """After a cut: STALE and an open GAP, a new connection, every topic live again, LIVE and the GAP closed."""
        held = hold()
        topics = ["tickers:BTC-USDT", "trades:BTC-USDT", "books:BTC-USDT", "tickers:ETH-USDT"]
        held.subscribe(*topics)
        eventually(lambda: all(held.redis.exists(held.data.of(topic)) for topic in topics))
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            assert simulator.drop("public", how=how) == 1
            eventually(lambda: {m["topic"] for m in listener.ops("LIVE")} == set(topics), what="all live again")
            assert {m["topic"] for m in listener.ops("STALE")} == set(topics)
            gaps = eventually(lambda: [m for m in listener.ops("GAP") if m["to"]] and listener.ops("GAP"))
            assert {m["topic"] for m in gaps if m["to"] is None} == set(topics)
            assert all(m["from"] <= m["to"] for m in gaps if m["to"])
        assert flowing(held)
        assert [held.topic(topic)["state"] for topic in topics] == ["live"] * 4
        assert len(held.redis.xrange(held.data.gaps)) >= 4

    def test_close_frame_names_the_reason(
        self, hold: Hold, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A close by the exchange is one log line with its code and text."""
        held = hold()
        held.subscribe("tickers:BTC-USDT")
        simulator.fault("close", code=4006, text="Abnormal disconnection")
        eventually(lambda: simulator.connects == 2)
        assert flowing(held)
        assert "4006 Abnormal disconnection" in caplog.text

    def test_unsubscribed_during_a_cut(self, hold: Hold, simulator: Simulator) -> None:
        """What is left while the exchange is away is not subscribed again, and the caller is not kept waiting."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
        simulator.stop_listening()
        simulator.drop("public")
        eventually(lambda: held.redis.get(held.data.status) == "DISCONNECTED")
        assert held.unsubscribe("tickers:BTC-USDT", wait=3.0)["errorCode"] == 80000
        simulator.resume()
        simulator.wait_subscribed("tickers:ETH-USDT")
        assert simulator.subscribed("tickers:BTC-USDT") == 0

    def test_many_cuts_leave_nothing_behind(self, hold: Hold, simulator: Simulator) -> None:
        """Threads do not pile up with reconnects, and the last one delivers."""
        held = hold()
        held.subscribe("tickers:BTC-USDT")
        before = threading.active_count()
        for cut in range(2, 6):
            simulator.drop("public")
            eventually(lambda cut=cut: simulator.connects == cut, timeout=20)
            simulator.wait_subscribed("tickers:BTC-USDT")
        assert flowing(held)
        eventually(lambda: threading.active_count() <= before)


class TestNotices:
    """The exchange announces that it will close a connection (PROTOCOL 2.4)."""

    def test_replaced_without_a_gap(self, hold: Hold, simulator: Simulator) -> None:
        """A second link is up and subscribed before the first is left: nothing goes stale, nothing is missing."""
        held = hold(credentials=DEMO)
        held.opened()
        topics = ["tickers:BTC-USDT", "trades:BTC-USDT", "books:BTC-USDT", "bbo-tbt:ETH-USDT", "price-limit:BTC-USDT"]
        assert held.subscribe(*topics)["errorCode"] == 80000
        eventually(lambda: held.topic("books:BTC-USDT")["state"] == "live")
        with Listener(held.registry.settings.redis_url, held.data.event, held.data.of("trades")) as listener:
            for _ in range(3):
                before = {link.conn_id for link in simulator.connections("public")}
                simulator.fault("notice", path="public", close_after_s=30)
                eventually(
                    lambda before=before: (
                        len(simulator.connections("public")) == 1
                        and simulator.connections("public")[0].conn_id not in before
                    ),
                    timeout=20,
                    what="the old connection is left for the new one",
                )
                assert flowing(held)
            assert listener.ops("STALE", "GAP", "DISCONNECTED") == []
            pushed = [row["tradeId"] for push in listener.messages(held.data.of("trades")) for row in push["data"]]
        assert len(pushed) == len(set(pushed)) > 0
        stored = [
            json.loads(fields["data"])["tradeId"] for _, fields in held.redis.xrange(held.data.of("trades:BTC-USDT"))
        ]
        numbers = [int(number) for number in stored]
        assert numbers == sorted(set(numbers))
        assert set(pushed) <= set(stored)
        assert [held.topic(topic)["state"] for topic in topics] == ["live"] * len(topics)
        assert held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "live"

    def test_the_new_link_is_refused_for_a_moment(self, hold: Hold, simulator: Simulator) -> None:
        """The second link's subscriptions are too frequent at first: as long as the first link serves the topics,
        nothing is stale and nothing is missing."""
        held = hold()
        topics = ["tickers:BTC-USDT", "trades:BTC-USDT", "books:BTC-USDT"]
        assert held.subscribe(*topics)["errorCode"] == 80000
        eventually(lambda: held.topic("books:BTC-USDT")["state"] == "live")
        (before,) = simulator.connections("public")
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            refusal = simulator.fault("refuse", code=60014, text="Requests too frequent.", times=3)
            simulator.fault("notice", path="public", close_after_s=30)
            eventually(
                lambda: (
                    [link.conn_id for link in simulator.connections("public")] not in ([before.conn_id], [])
                    and before.conn_id not in [link.conn_id for link in simulator.connections("public")]
                ),
                timeout=20,
                what="the old connection is left for the new one",
            )
            assert refusal.hits == 3
            assert flowing(held)
            assert listener.ops("STALE", "GAP") == []
        assert [held.topic(topic)["state"] for topic in topics] == ["live"] * 3

    def test_the_new_link_is_refused_for_good(self, hold: Hold, simulator: Simulator) -> None:
        """A topic that the second link does not get is refused, whatever the first one still brings; others go on."""
        held = hold()
        assert held.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")["errorCode"] == 80000
        (before,) = simulator.connections("public")
        simulator.fault("refuse", arg="tickers:BTC-USDT", code=60018, text="channel:tickers,instId:BTC-USDT is gone")
        simulator.fault("notice", path="public", close_after_s=30)
        eventually(lambda: before.conn_id not in [link.conn_id for link in simulator.connections("public")], timeout=20)
        assert flowing(held, "tickers:ETH-USDT")
        assert held.topic("tickers:BTC-USDT")["state"] == "refused"
        simulator.clear_faults()
        assert held.subscribe("tickers:BTC-USDT")["errorCode"] == 80000
        assert flowing(held)

    def test_closed_before_it_could_be_replaced(self, hold: Hold, simulator: Simulator) -> None:
        """If the exchange cannot be reached meanwhile, the end of the old link is a cut like any other."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "books:BTC-USDT")
        simulator.stop_listening()
        simulator.fault("notice", path="public", close_after_s=1)
        eventually(lambda: held.topic("books:BTC-USDT")["state"] == "stale")
        eventually(lambda: held.redis.get(held.data.status) == "DISCONNECTED")
        simulator.resume()
        eventually(lambda: held.topic("books:BTC-USDT")["state"] == "live", timeout=20)
        assert flowing(held)


class TestRubbish:
    """What no exchange should send."""

    @pytest.mark.parametrize("kind", ["bad_json", "bad_utf8", "huge", "fragmented", "wrong_types", "binary"])
    def test_session_lives_on(self, hold: Hold, simulator: Simulator, kind: str) -> None:
        """The connection is kept, the data flow on, nothing of the rubbish is in Redis."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "books:BTC-USDT")
        simulator.fault("garbage", kind=kind)
        assert flowing(held)
        eventually(lambda: held.topic("books:BTC-USDT").get("state") == "live")
        assert simulator.connects == 1
        assert held.redis.get(held.data.status) == "CONNECTED"

    def test_truncated_frame(self, hold: Hold, simulator: Simulator) -> None:
        """A frame cut in the middle: a new connection, and the data flow on."""
        held = hold()
        held.subscribe("tickers:BTC-USDT")
        simulator.fault("garbage", kind="truncated")
        eventually(lambda: simulator.connects == 2)
        assert flowing(held)

    def test_rubbish_is_counted(self, hold: Hold, simulator: Simulator) -> None:
        """`inspect sessions` shows what was not understood."""
        held = hold()
        held.subscribe("tickers:BTC-USDT")
        simulator.send_raw("{not json")
        eventually(lambda: "BadMessage" in str(held.redis.get(held.keys.counters)))


class TestPings:
    """WebSocket protocol pings."""

    def test_answered_in_bursts_and_under_load(self, hold: Hold, simulator: Simulator) -> None:
        """Every one of 2,000 pings between the pushes of many topics is answered right."""
        held = hold()
        held.subscribe(
            *[f"{c}:{i}" for i in ("BTC-USDT", "ETH-USDT") for c in ("tickers", "trades", "books", "bbo-tbt")]
        )
        simulator.fault("pings", count=2000)
        eventually(lambda: simulator.connections("public")[0].pongs == 2000)
        assert flowing(held)


class TestSlowLinks:
    """One link must not hold up another."""

    def test_trickle(self, hold: Hold, simulator: Simulator) -> None:
        """While /business comes one byte at a time, /public flows and commands are answered."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "candle1m:BTC-USDT")
        trickle = simulator.fault("trickle", path="business", pause_s=0.02)
        for _ in range(3):
            assert flowing(held)
        assert held.subscribe("tickers:ETH-USDT", wait=5.0)["errorCode"] == 80000
        simulator.end_fault(trickle)
        held.redis.delete(held.data.of("candle1m:BTC-USDT"))
        eventually(lambda: held.redis.zcard(held.data.of("candle1m:BTC-USDT")), what="candles flow again")


class TestBooks:
    """Broken order books."""

    @pytest.mark.parametrize("fault", ["gap", "crossed", "checksum"])
    def test_stale_first_then_one_resubscription(self, hold: Hold, simulator: Simulator, fault: str) -> None:
        """A broken book: stale in Redis, one unsubscribe and one subscribe for it, then live again."""
        held = hold()
        held.subscribe("books:BTC-USDT")
        eventually(lambda: held.topic("books:BTC-USDT").get("state") == "live")
        before = len(simulator.requests)
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            simulator.fault(fault, arg="books:BTC-USDT")
            eventually(lambda: listener.ops("LIVE"), what="live again")
            assert [m["topic"] for m in listener.ops("STALE")] == ["books:BTC-USDT"]
            assert listener.ops("GAP")[0]["to"] is None
        assert [r.op for r in simulator.requests[before:]] == ["unsubscribe", "subscribe"]
        eventually(lambda: held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "live")
        assert simulator.connects == 1

    def test_stale_as_long_as_the_snapshot_is_missing(self, hold: Hold, simulator: Simulator) -> None:
        """While the new snapshot is held back the book stays stale, and no second resubscription goes out."""
        held = hold()
        held.subscribe("books:BTC-USDT")
        eventually(lambda: held.topic("books:BTC-USDT").get("state") == "live")
        before = len(simulator.requests)
        simulator.fault("withhold_snapshot", arg="books:BTC-USDT", seconds=2.0)
        simulator.fault("gap", arg="books:BTC-USDT")
        eventually(lambda: held.topic("books:BTC-USDT").get("state") == "stale")
        assert held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "stale"
        eventually(lambda: held.topic("books:BTC-USDT").get("state") == "live")
        assert [r.op for r in simulator.requests[before:]] == ["unsubscribe", "subscribe"]


class TestLogin:
    """Keys that the exchange does not take."""

    @pytest.mark.parametrize(
        ("credentials", "code"),
        [
            (Credentials("demo", "demo-secret", "wrong"), 60024),
            (Credentials("demo", "wrong", "demo-pass"), 60007),
            (Credentials("unknown", "demo-secret", "demo-pass"), 60005),
        ],
    )
    def test_refused_for_good(self, hold: Hold, simulator: Simulator, credentials: Credentials, code: int) -> None:
        """OKX's code and text to the caller, status REFUSED with a hint, one login and no loop."""
        held = hold(credentials=credentials)
        said = held.opened()
        assert said is not None
        assert said["errorCode"] == code
        assert said["hint"]
        assert held.join() is Ending.REFUSED
        assert held.redis.get(held.data.status) == "REFUSED"
        record = held.registry.session("tests")
        assert record is not None
        assert (record.state, record.code) == ("refused", code)
        assert held.registry.holder("tests") == ""
        assert held.registry.sessions() == {}
        assert len(simulator.logins) == 1

    def test_wrong_region_has_a_hint(self, hold: Hold, simulator: Simulator) -> None:
        """60032 says what to look at."""
        simulator.fault("refuse_login", code=60032)
        said = hold(credentials=DEMO).opened()
        assert said is not None
        assert said["errorCode"] == 60032
        assert "region" in said["hint"]

    def test_echo_of_the_request_is_masked(
        self, hold: Hold, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        """OKX echoes a login that it does not understand: no part of the key reaches log, registry or events."""
        echo = '{"op":"login","args":[{"apiKey":"demo","passphrase":"demo-pass","sign":"c2lnbmVk"}]}'
        simulator.fault("refuse_login", code=60012, text=f"Invalid request: {echo}")
        caplog.set_level("DEBUG", logger="okws_celery")
        held = hold(credentials=DEMO)
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            said = held.opened()
            assert said is not None
            assert said["errorCode"] == 60012
            assert held.join() is Ending.REFUSED
            told = json.dumps([said, listener.messages(), str(held.registry.session("tests"))]) + caplog.text
        for secret in ("demo-pass", "demo-secret", "c2lnbmVk"):
            assert secret not in told

    def test_refused_for_now(self, hold: Hold, simulator: Simulator) -> None:
        """An internal error of the exchange is tried again."""
        simulator.fault("refuse_login", code=63999, times=1)
        said = hold(credentials=DEMO).opened()
        assert said is not None
        assert said["errorCode"] == 80000

    def test_private_topics_wait_for_the_login(self, hold: Hold, simulator: Simulator) -> None:
        """With a login ack that comes late after a cut, no private channel is asked for before it."""
        held = hold(credentials=DEMO)
        held.opened()
        held.subscribe("account", "orders:ANY")
        simulator.fault("late_ack", op="login", seconds=1.0)
        simulator.drop("private")
        eventually(lambda: simulator.subscribed("account") and simulator.subscribed("orders:ANY"))
        on_new = [r.op for r in simulator.requests if r.conn_id == simulator.connections("private")[0].conn_id]
        assert on_new[0] == "login"
        assert all("60011" not in json.dumps(held.topic(topic)) for topic in ("account", "orders:ANY"))


class TestPartialAnswers:
    """Some args are answered, some are not."""

    def test_too_frequent_for_some(self, hold: Hold, simulator: Simulator) -> None:
        """60014 for some of the args after a cut: at the end everything wanted is subscribed and flows."""
        held = hold()
        topics = [
            f"{channel}:{inst}" for inst in ("BTC-USDT", "ETH-USDT") for channel in ("tickers", "trades", "books")
        ]
        held.subscribe(*topics)
        simulator.fault("refuse", channel="trades", code=60014, times=2)
        simulator.drop("public")
        simulator.wait_subscribed(*topics, timeout=20)
        eventually(lambda: all(held.topic(topic)["state"] == "live" for topic in topics))

    def test_late_error(self, hold: Hold, simulator: Simulator) -> None:
        """An error that follows the ack marks the topic, though the caller had heard of the ack."""
        held = hold()
        simulator.fault("refuse", arg="tickers:BTC-USDT", code=64003, late_s=0.3, times=1)
        held.subscribe("tickers:BTC-USDT")
        eventually(lambda: held.topic("tickers:BTC-USDT").get("state") == "refused")
        assert "64003" in held.topic("tickers:BTC-USDT")["reason"]
