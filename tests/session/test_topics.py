"""Subscribe and unsubscribe, end to end: what the caller is told is what the exchange said."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from session.holding import DEMO, Held
from waiting import eventually

from okws_celery.simulator import Simulator

Hold = Callable[..., Held]


class TestSubscribe:
    """What a caller of subscribe hears and sees."""

    def test_ack_then_data(self, hold: Hold) -> None:
        """80000 after the exchange's ack; the data are there and the topic is live."""
        held = hold()
        said = held.subscribe("tickers:BTC-USDT", "candle1m:BTC-USDT", "trades:BTC-USDT", "books:BTC-USDT")
        assert said["errorCode"] == 80000
        assert [answer["errorCode"] for answer in said["topics"].values()] == [80000] * 4
        eventually(lambda: held.redis.hget(held.data.of("tickers:BTC-USDT"), "last"))
        eventually(lambda: held.redis.zcard(held.data.of("candle1m:BTC-USDT")))
        eventually(lambda: held.redis.xlen(held.data.of("trades:BTC-USDT")))
        eventually(lambda: held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "live")
        assert held.topic("books:BTC-USDT")["state"] == "live"
        eventually(lambda: held.redis.hget(held.data.seen, "tickers:BTC-USDT"))

    def test_the_account_is_there(self, hold: Hold, simulator: Simulator) -> None:
        """A channel that begins with a snapshot has it in Redis when subscribe returns, though it comes late."""
        simulator.place(sz="0.01")
        held = hold(credentials=DEMO)
        held.opened()
        topics = ["account", "spot/account:USDT", "balance_and_position"]
        for text in ("account", "account:USDT", "balance_and_position"):
            simulator.fault("withhold_snapshot", arg=text, seconds=0.5)
        assert held.subscribe(*topics)["errorCode"] == 80000
        assert [topic for topic in topics if not held.redis.exists(held.data.of(topic.partition(":")[0]))] == []

    def test_refusal_reaches_the_caller(self, hold: Hold) -> None:
        """The exchange's own code and text; the good topics of the same call work."""
        held = hold()
        said = held.subscribe("tickers:NO-SUCH", "tickers:ETH-USDT")
        assert said["errorCode"] == 60018
        assert "NO-SUCH" in said["message"]
        assert said["topics"]["tickers:ETH-USDT"]["errorCode"] == 80000
        assert held.topic("tickers:NO-SUCH")["state"] == "refused"
        assert "60018" in held.topic("tickers:NO-SUCH")["reason"]

    def test_refused_topic_costs_one_request(self, hold: Hold, simulator: Simulator) -> None:
        """A topic refused for good is asked once; asking anew asks once more."""
        held = hold()
        held.subscribe("tickers:NO-SUCH", "tickers:ETH-USDT")

        def asked() -> int:
            return sum("NO-SUCH" in json.dumps(request.args) for request in simulator.requests)

        assert asked() == 1
        assert held.subscribe("tickers:NO-SUCH")["errorCode"] == 60018
        assert asked() == 2

    def test_while_connecting(self, hold: Hold, simulator: Simulator) -> None:
        """A subscribe that comes while the exchange cannot be reached waits for its outcome."""
        simulator.stop_listening()
        held = hold()
        assert held.subscribe("tickers:BTC-USDT", wait=1.0) == {}
        assert held.topic("tickers:BTC-USDT")["state"] == "pending"
        eventually(lambda: held.redis.get(held.data.status) == "DISCONNECTED")
        simulator.resume()
        assert held.subscribe("tickers:BTC-USDT", wait=15.0)["errorCode"] == 80000
        eventually(lambda: held.redis.get(held.data.status) == "CONNECTED")

    def test_before_the_session_runs(self, hold: Hold) -> None:
        """Commands that wait in the registry when a session begins are answered."""
        first = hold("first")
        first.subscribe("tickers:BTC-USDT")
        assert first.subscribe("tickers:BTC-USDT")["errorCode"] == 80000  # already live: answered at once

    def test_two_commands_for_one_topic(self, hold: Hold, simulator: Simulator) -> None:
        """One subscription at the exchange, an answer for each caller."""
        simulator.fault("late_ack", arg="tickers:BTC-USDT", op="subscribe", seconds=0.5)
        held = hold()
        said: list[int] = []
        threads = [
            threading.Thread(target=lambda: said.append(held.subscribe("tickers:BTC-USDT")["errorCode"]))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == [80000] * 5
        assert len([r for r in simulator.requests if r.op == "subscribe"]) == 1

    def test_private_channel_without_credentials(self, hold: Hold) -> None:
        """A clear refusal of our own, and nothing is sent to the exchange."""
        held = hold()
        said = held.subscribe("account")
        assert said["errorCode"] == 80010
        assert "login" in said["message"]

    def test_unknown_channel_as_arg(self, hold: Hold, simulator: Simulator) -> None:
        """A channel that only the exchange knows goes through; here the exchange refuses it in its own words."""
        held = hold()
        assert held.subscribe("new-channel:instId=BTC-USDT")["errorCode"] == 60018


class TestUnsubscribe:
    """Leaving a topic."""

    def test_exchange_is_left(self, hold: Hold, simulator: Simulator) -> None:
        """80000 after the exchange's ack; nothing is subscribed there any more, and the topic is forgotten."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
        assert held.unsubscribe("tickers:BTC-USDT")["errorCode"] == 80000
        assert simulator.subscribed("tickers:BTC-USDT") == 0
        assert simulator.subscribed("tickers:ETH-USDT") == 1
        assert held.topic("tickers:BTC-USDT") == {}

    def test_what_was_not_subscribed(self, hold: Hold) -> None:
        """Leaving what is not there is done at once."""
        assert hold().unsubscribe("tickers:BTC-USDT")["errorCode"] == 80000

    def test_subscribe_again_before_the_ack(self, hold: Hold, simulator: Simulator) -> None:
        """The old unsubscribe's ack is not taken for the new subscription, which lives and flows."""
        held = hold()
        held.subscribe("tickers:BTC-USDT")
        simulator.fault("late_ack", arg="tickers:BTC-USDT", op="unsubscribe", seconds=0.7)
        left: list[int] = []
        leaving = threading.Thread(target=lambda: left.append(held.unsubscribe("tickers:BTC-USDT")["errorCode"]))
        leaving.start()
        eventually(lambda: simulator.requests[-1].op == "unsubscribe")
        assert held.subscribe("tickers:BTC-USDT")["errorCode"] == 80000
        leaving.join()
        assert left == [80000]
        assert simulator.subscribed("tickers:BTC-USDT") == 1
        held.redis.delete(held.data.of("tickers:BTC-USDT"))
        eventually(lambda: held.redis.hget(held.data.of("tickers:BTC-USDT"), "last"))


class TestOwners:
    """One strategy's unsubscribe does not blind another."""

    def test_last_owner_leaves_the_exchange(self, hold: Hold, simulator: Simulator) -> None:
        """The exchange is left when the last owner has left."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", owner="a")
        held.subscribe("tickers:BTC-USDT", owner="b")
        assert held.unsubscribe("tickers:BTC-USDT", owner="a")["errorCode"] == 80000
        assert simulator.subscribed("tickers:BTC-USDT") == 1
        assert held.unsubscribe("tickers:BTC-USDT", owner="b")["errorCode"] == 80000
        assert simulator.subscribed("tickers:BTC-USDT") == 0

    def test_crashed_owner_expires(self, hold: Hold, simulator: Simulator) -> None:
        """An owner that no longer renews its TTL is as one that has left."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", owner="a", ttl_s=1.0)
        assert simulator.subscribed("tickers:BTC-USDT") == 1
        eventually(lambda: simulator.subscribed("tickers:BTC-USDT") == 0)
        eventually(lambda: held.topic("tickers:BTC-USDT") == {})


class TestEnd:
    """Closing in good order."""

    def test_close_is_no_loss(self, hold: Hold) -> None:
        """What we leave ourselves has not broken off: no GAP, no STALE is recorded."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "books:BTC-USDT")
        held.close()
        assert held.redis.xlen(held.data.gaps) == 0
        assert held.redis.get(held.data.status) == "EXIT"
        assert held.redis.hget(held.data.of("books:BTC-USDT"), "state") == "stale"


class TestLinks:
    """Up to three connections, opened when a subscription needs them."""

    def test_opened_when_needed(self, hold: Hold, simulator: Simulator) -> None:
        """No connection before the first subscription, then one for each path."""
        held = hold(credentials=None)
        assert held.opened()["errorCode"] == 80000
        eventually(lambda: held.redis.get(held.data.status) == "READY")
        assert simulator.connections() == []
        held.subscribe("tickers:BTC-USDT", "candle1m:BTC-USDT")
        assert sorted(link.path for link in simulator.connections()) == ["business", "public"]
        assert held.redis.get(held.data.status) == "CONNECTED"

    def test_private_topics(self, hold: Hold, simulator: Simulator) -> None:
        """With credentials: logged in before open_ws is answered, once on each link that needs it."""
        held = hold(credentials=DEMO)
        assert held.opened()["errorCode"] == 80000
        assert [login.code for login in simulator.logins] == [0]
        said = held.subscribe("account", "positions:ANY", "orders:ANY", "tickers:BTC-USDT")
        assert said["errorCode"] == 80000, said
        assert [link.logged_in for link in simulator.connections("public")] == [False]
        eventually(lambda: held.redis.hkeys(held.data.of("account")))
