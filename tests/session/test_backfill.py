"""History and what was missed, from REST: what readers find after a subscription and after a cut."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from session.holding import DEMO, Held
from session.listening import Listener
from session.troubled_rest import Trouble, troubled
from waiting import eventually

from okws_celery import embedded
from okws_celery.query import Reader
from okws_celery.session import Ending
from okws_celery.simulator import Simulator

Hold = Callable[..., Held]
TOPIC = "candle1m:BTC-USDT"
MINUTE = 60_000


@pytest.fixture
def fast() -> Iterator[Simulator]:
    """An exchange whose minutes last half a second."""
    with Simulator(limits=False, speed=120) as running:
        yield running


@pytest.fixture
def trouble(simulator: Simulator) -> Iterator[Trouble]:
    """A REST that can be made to fail."""
    with troubled(simulator.rest_url) as running:
        yield running


def rows(held: Held, topic: str = TOPIC) -> list[list[str]]:
    """The candles of a topic, oldest first."""
    return [json.loads(member) for member in held.redis.zrange(held.data.of(topic), 0, -1)]


def starts(candles: list[Any]) -> list[int]:
    """When each began."""
    return [int(candle["ts"] if isinstance(candle, dict) else candle[0]) for candle in candles]


def gaps(held: Held, topic: str) -> list[dict[str, Any]]:
    """What was announced of a topic."""
    told = [json.loads(fields["data"]) for _, fields in held.redis.xrange(held.data.gaps)]
    return [gap for gap in told if gap["topic"] == topic]


def follow_one_another(stamps: list[int], step: int = MINUTE) -> bool:
    """Each once, in order, none missing."""
    return stamps == list(range(stamps[0], stamps[-1] + 1, step))


class TestHistory:
    """What is there right after subscribe has returned."""

    @pytest.mark.parametrize(
        "topic", [TOPIC, "candle1H:ETH-USDT", "mark-price-candle1m:BTC-USDT", "index-candle1m:BTC-USDT"]
    )
    def test_candles_are_there_when_subscribe_returns(self, hold: Hold, topic: str) -> None:
        """300 closed ones and the open one, none missing between them, none published."""
        held = hold()
        with Listener(held.registry.settings.redis_url, held.data.of(topic)) as listener:
            assert held.subscribe(topic)["errorCode"] == 80000
            found = rows(held, topic)
            assert len(found) >= 300
            assert sum(row[-1] == "1" for row in found) >= 300
            assert follow_one_another(starts(found), MINUTE if "1m" in topic else 60 * MINUTE)
            assert listener.messages() == []
        assert gaps(held, topic) == []

    def test_as_many_as_the_setting_says(self, hold: Hold) -> None:
        """OKWS_BACKFILL; 0 asks for none."""
        held = hold("few", backfill=20)
        held.subscribe(TOPIC)
        assert sum(row[-1] == "1" for row in rows(held)) == 20
        none = hold("none", backfill=0)
        none.subscribe(TOPIC)
        assert len(rows(none)) == 1
        many = hold("many", backfill=700)
        many.subscribe(TOPIC)
        assert sum(row[-1] == "1" for row in rows(many)) == 700

    def test_instruments_are_listed(self, hold: Hold) -> None:
        """The channel pushes no list (PROTOCOL 5.1)."""
        held = hold()
        assert held.subscribe("instruments:SPOT")["errorCode"] == 80000
        listed = held.redis.hgetall(held.data.of("instruments"))
        assert {"BTC-USDT", "ETH-USDT"} <= listed.keys()
        assert json.loads(listed["BTC-USDT"])["instType"] == "SPOT"

    def test_pairs_that_are_traded_on_margin_too(self, hold: Hold) -> None:
        """SPOT and MARGIN list the same pairs, each with rows of its own; readers of either get all of theirs."""
        held = hold()
        assert held.subscribe("instruments:SPOT", "instruments:MARGIN")["errorCode"] == 80000
        reader = Reader(held.registry.settings, held.redis)
        spot, margin = (reader.get(held.name, f"instruments:{kind}") for kind in ("SPOT", "MARGIN"))
        assert spot["BTC-USDT"]["instType"] == "SPOT"
        assert margin["MARGIN:BTC-USDT"]["instType"] == "MARGIN"
        assert {f"MARGIN:{inst_id}" for inst_id in spot} == margin.keys()

    def test_a_topic_refused_for_its_instrument_is_tried_when_that_is_listed(
        self, hold: Hold, simulator: Simulator
    ) -> None:
        """Not before, and not for ever."""
        simulator.fault("refuse", arg="tickers:ETH-USDT", code=60018, times=1)
        held = hold()
        assert held.subscribe("tickers:ETH-USDT")["errorCode"] == 60018
        assert held.topic("tickers:ETH-USDT")["state"] == "refused"
        held.subscribe("instruments:SPOT")
        eventually(lambda: held.topic("tickers:ETH-USDT")["state"] == "live")

    def test_a_topic_refused_for_its_instrument_is_tried_when_the_channel_tells_of_it(
        self, hold: Hold, simulator: Simulator
    ) -> None:
        """A new listing is pushed: not while it is suspended, but as soon as it is live."""
        held = hold()
        held.subscribe("instruments:SPOT")
        simulator.fault("refuse", arg="tickers:ETH-USDT", code=60018, times=1)
        assert held.subscribe("tickers:ETH-USDT", "tickers:BTC-USDT")["errorCode"] == 60018
        asked = len(simulator.requests)
        with Listener(held.registry.settings.redis_url, held.data.of("instruments")) as listener:
            for state in ("suspend", "live"):
                row = {"instType": "SPOT", "instId": "ETH-USDT", "state": state}
                push = {"arg": {"channel": "instruments", "instType": "SPOT"}, "data": [row]}
                assert held.topic("tickers:ETH-USDT")["state"] == "refused"
                assert len(simulator.requests) == asked
                simulator.fault("send", path="public", text=json.dumps(push))
                eventually(lambda row=row: row in [push["data"][0] for push in listener.messages()])
        eventually(lambda: held.topic("tickers:ETH-USDT")["state"] == "live")


class TestCandlesAcrossCuts:
    """Each closed candle is published once, in order, whatever happened to the connection."""

    def test_those_that_closed_meanwhile_are_published_first(self, hold: Hold, fast: Simulator) -> None:
        """Three cuts, some minutes long, and a REST that answers when the next minutes are over: none missing, none
        twice, none out of order; the GAPs are closed as filled."""
        with troubled(fast.rest_url) as slow:
            self._three_cuts(hold(ws_url=fast.ws_url, rest_url=slow.url), fast, slow)

    def _three_cuts(self, held: Held, fast: Simulator, slow: Trouble) -> None:
        with Listener(held.registry.settings.redis_url, held.data.of(TOPIC)) as listener:
            held.subscribe(TOPIC)
            slow.seconds = 1.2
            eventually(lambda: len(listener.messages()) >= 2, what="candles close")
            for pause_s in (0.0, 1.2, 2.5):
                before = len(listener.messages())
                fast.stop_listening()
                fast.drop("business")
                eventually(lambda: held.topic(TOPIC)["state"] == "stale")
                time.sleep(pause_s)  # so long the exchange is away
                fast.resume()
                eventually(
                    lambda before=before: len(listener.messages()) >= before + 4,
                    timeout=30,
                    what="candles close again",
                )
            published = listener.messages()
        assert follow_one_another(starts(published))
        assert {candle["confirm"] for candle in published} == {"1"}
        assert follow_one_another(starts(rows(held)))
        told = gaps(held, TOPIC)
        assert [gap["to"] is None for gap in told] == [True, False] * 3
        assert all(gap["filled"] and gap["from"] == gap["to"] for gap in told[1::2])

    def test_another_holder_goes_on_where_the_first_ended(self, hold: Hold, fast: Simulator) -> None:
        """Stopped with its worker: the next one publishes what closed in between, and closes the GAP that is open."""
        first = hold(ws_url=fast.ws_url, rest_url=fast.rest_url)
        with Listener(first.registry.settings.redis_url, first.data.of(TOPIC)) as listener:
            first.subscribe(TOPIC)
            eventually(lambda: len(listener.messages()) >= 2)
            first.redis.publish(first.keys.bus, "shutdown")
            assert first.join() is Ending.SHUTDOWN
            before = len(listener.messages())
            second = hold(ws_url=fast.ws_url, rest_url=fast.rest_url)
            eventually(lambda: len(listener.messages()) >= before + 4, timeout=30)
            assert follow_one_another(starts(listener.messages()))
        told = gaps(second, TOPIC)
        assert [gap["to"] is None for gap in told] == [True, False]
        assert told[0]["from"] == told[1]["from"]
        assert told[1]["filled"]

    def test_redis_was_emptied(self, hold: Hold, simulator: Simulator) -> None:
        """History is there again."""
        held = hold()
        held.subscribe(TOPIC)
        held.redis.flushall()
        eventually(lambda: len(rows(held)) >= 300, timeout=30, what="history is back")
        assert follow_one_another(starts(rows(held)))


class TestRestInTrouble:
    """What REST cannot give never fails a subscription."""

    def test_nobody_there(self, hold: Hold, simulator: Simulator) -> None:
        """Candles come live; after a cut the GAP tells what is missing."""
        held = hold(rest_url=f"http://127.0.0.1:{embedded.free_port()}")
        assert held.subscribe(TOPIC, "trades:BTC-USDT", "instruments:SPOT")["errorCode"] == 80000
        eventually(lambda: held.redis.xlen(held.data.of("trades:BTC-USDT")))
        simulator.drop()
        eventually(lambda: [gap for gap in gaps(held, "trades:BTC-USDT") if gap["to"]], what="the GAP is closed")
        (_, closed) = gaps(held, "trades:BTC-USDT")
        assert "filled" not in closed
        assert closed["from"] < closed["to"]
        eventually(lambda: held.topic(TOPIC)["state"] == "live")

    @pytest.mark.parametrize("topic", [TOPIC, "instruments:SPOT", "orders:ANY"])
    def test_what_a_topic_begins_with(self, hold: Hold, trouble: Trouble, topic: str) -> None:
        """The subscription succeeds, a GAP says that what was there before is missing, and when it is no more."""
        trouble.always = 503
        held = hold(rest_url=trouble.url, credentials=DEMO)
        assert held.subscribe(topic)["errorCode"] == 80000
        (told,) = gaps(held, topic)
        assert (told["from"], told["to"]) == (0, None)
        assert "no back-fill" in told["reason"]
        trouble.always = 0
        eventually(lambda: len(gaps(held, topic)) == 2, timeout=30)
        assert gaps(held, topic)[1]["filled"]

    def test_what_rest_does_not_give(self, hold: Hold, trouble: Trouble) -> None:
        """That there is no history is an answer; a list of orders that the key may not read is missing."""
        trouble.said["market/candles"] = b'{"code":"51000","msg":"Parameter bar error","data":[]}'
        trouble.said["trade/orders"] = b'{"code":"50120","msg":"No permission","data":[]}'
        held = hold(rest_url=trouble.url, credentials=DEMO)
        assert held.subscribe(TOPIC, "orders:ANY")["errorCode"] == 80000
        (told,) = gaps(held, "orders:ANY")
        assert (told["from"], told["to"]) == (0, None)
        assert "No permission" in told["reason"]
        assert gaps(held, TOPIC) == []

    def test_silent(self, hold: Hold, simulator: Simulator, trouble: Trouble) -> None:
        """An answer that does not come holds nothing up for long."""
        trouble.seconds = 60.0
        held = hold(rest_url=trouble.url)
        assert held.subscribe(TOPIC, "trades:BTC-USDT")["errorCode"] == 80000
        eventually(lambda: held.redis.xlen(held.data.of("trades:BTC-USDT")) > 3)
        simulator.drop()
        eventually(lambda: [gap for gap in gaps(held, "trades:BTC-USDT") if gap["to"]], timeout=20)
        before = held.redis.xlen(held.data.of("trades:BTC-USDT"))
        eventually(lambda: held.redis.xlen(held.data.of("trades:BTC-USDT")) > before)

    @pytest.mark.parametrize("status", [429, 503])
    def test_busy(self, hold: Hold, trouble: Trouble, status: int) -> None:
        """Asked again until it has time."""
        trouble.statuses = [status]
        held = hold(rest_url=trouble.url)
        assert held.subscribe(TOPIC)["errorCode"] == 80000
        eventually(lambda: len(rows(held)) >= 300)

    def test_busy_for_long(self, hold: Hold, trouble: Trouble) -> None:
        """The subscription does not wait for it; history comes later, and nothing newer is overwritten or published."""
        trouble.always = 503
        held = hold(rest_url=trouble.url)
        with Listener(held.registry.settings.redis_url, held.data.of(TOPIC)) as listener:
            assert held.subscribe(TOPIC, "instruments:SPOT")["errorCode"] == 80000
            eventually(lambda: rows(held))
            trouble.always = 0
            eventually(lambda: len(rows(held)) >= 300, timeout=30, what="history comes")
            assert follow_one_another(starts(rows(held)))
            eventually(lambda: held.redis.hexists(held.data.of("instruments"), "BTC-USDT"), timeout=30)
            assert len(listener.messages()) <= 1

    def test_nonsense(self, hold: Hold, trouble: Trouble) -> None:
        """An answer that is none does no harm."""
        trouble.always = 404
        held = hold(rest_url=trouble.url)
        assert held.subscribe(TOPIC)["errorCode"] == 80000
        eventually(lambda: len(rows(held)) == 1)
