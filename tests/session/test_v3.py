"""Sessions with v3 names: one subscription for both spellings, each with its own keys, channels and states."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from examples import FUTURES, SPOT, TS, example
from session.holding import DEMO, Held
from session.listening import Listener
from session.troubled_rest import troubled
from waiting import eventually

from okws_celery.okx.catalogue import CATALOGUE
from okws_celery.okx.v3_rows import ms_of_iso
from okws_celery.query import Reader
from okws_celery.simulator import Simulator
from okws_celery.simulator.accounts import AccountSetup

Hold = Callable[..., Held]


def get(held: Held, path: str, params: dict[str, Any] | None = None) -> Any:
    """What a reader gets."""
    return Reader(held.registry.settings, held.redis).get("tests", path, params)


def asked(simulator: Simulator, op: str) -> list[dict[str, str]]:
    """Every arg that was asked for by this op, in order."""
    return [arg for request in simulator.requests if request.op == op for arg in request.args]


def say(simulator: Simulator, path: str, channel: str, arguments: dict[str, str], **row: str) -> None:
    """Have the exchange push the example of a channel."""
    assert simulator.fault("send", path=path, text=example(CATALOGUE[channel], arguments, **row).frame).hits


class TestOneSubscription:
    """What v5 and v3 names of one instrument cost the exchange."""

    @pytest.mark.parametrize("turned", [False, True], ids=["v5 first", "v3 first"])
    @pytest.mark.parametrize(
        ("v5", "v3"),
        [
            ("tickers:BTC-USDT", "spot/ticker:BTC-USDT"),
            ("books:BTC-USDT", "spot/depth:BTC-USDT"),
            ("books5:BTC-USDT", "spot/depth5:BTC-USDT"),
            ("candle1m:BTC-USDT", "spot/candle60s:BTC-USDT"),
            ("trades:BTC-USDT", "spot/trade:BTC-USDT"),
        ],
    )
    def test_both_names_are_served_by_one(
        self, hold: Hold, simulator: Simulator, v5: str, v3: str, turned: bool
    ) -> None:
        """Whichever comes first; the second disturbs nothing, is live at once, and finds what there is."""
        held = hold()
        first, second = (v3, v5) if turned else (v5, v3)
        assert held.subscribe(first)["errorCode"] == 80000
        eventually(lambda: get(held, first))
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            assert held.subscribe(second)["errorCode"] == 80000
            assert held.topic(second)["state"] == "live"
            assert eventually(lambda: get(held, second), what=f"{second} has data")
            assert listener.ops("STALE", "GAP") == []
        assert len(asked(simulator, "subscribe")) == 1
        assert asked(simulator, "unsubscribe") == []

    def test_one_is_left_and_the_other_goes_on(self, hold: Hold, simulator: Simulator) -> None:
        """The exchange is left with the last of them."""
        held = hold()
        held.subscribe("tickers:BTC-USDT", "spot/ticker:BTC-USDT")
        assert held.unsubscribe("tickers:BTC-USDT")["errorCode"] == 80000
        assert asked(simulator, "unsubscribe") == []
        held.redis.delete("okex/tests/spot/ticker:BTC-USDT")
        eventually(lambda: held.redis.hget("okex/tests/spot/ticker:BTC-USDT", "last"))
        assert held.unsubscribe("spot/ticker:BTC-USDT")["errorCode"] == 80000
        assert asked(simulator, "unsubscribe") == [{"channel": "tickers", "instId": "BTC-USDT"}]
        assert simulator.subscribed("tickers:BTC-USDT") == 0

    def test_left_and_wanted_again_under_the_other_name(self, hold: Hold, simulator: Simulator) -> None:
        """The subscription ends up there once."""
        held = hold()
        held.subscribe("books:BTC-USDT")
        assert held.unsubscribe("books:BTC-USDT")["errorCode"] == 80000
        assert held.subscribe("spot/depth:BTC-USDT")["errorCode"] == 80000
        assert eventually(lambda: get(held, "spot/depth:BTC-USDT"))["state"] == "live"
        assert simulator.subscribed("books:BTC-USDT") == 1

    def test_a_refusal_is_heard_by_both(self, hold: Hold) -> None:
        """With OKX's code; asking anew tries both."""
        held = hold()
        said = held.subscribe("tickers:NO-SUCH", "spot/ticker:NO-SUCH")
        assert {one["errorCode"] for one in said["topics"].values()} == {60018}
        assert [held.topic(topic)["state"] for topic in said["topics"]] == ["refused", "refused"]

    def test_the_data_are_the_same(self, hold: Hold) -> None:
        """In the exchange's own strings."""
        held = hold()
        held.subscribe("books:BTC-USDT", "spot/depth:BTC-USDT")

        def same() -> bool:
            v5, v3 = get(held, "books:BTC-USDT"), get(held, "spot/depth", {"instrument_id": "BTC-USDT"})
            return bool(v5["bids"]) and v3["bids"] == [[px, sz, orders] for px, sz, _, orders in v5["bids"]]

        assert eventually(same)


class TestSharedTrouble:
    """What happens to one subscription happens to all its names."""

    def test_a_broken_book_is_renewed_once(self, hold: Hold, simulator: Simulator) -> None:
        """Both are stale, both are live again, by one unsubscribe and one subscribe."""
        held = hold()
        topics = ["books:BTC-USDT", "spot/depth:BTC-USDT"]
        held.subscribe(*topics)
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            simulator.fault("gap", arg="books:BTC-USDT")
            eventually(lambda: {m["topic"] for m in listener.ops("LIVE")} == set(topics), what="both live again")
            assert {m["topic"] for m in listener.ops("STALE")} == set(topics)
        assert asked(simulator, "unsubscribe") == [{"channel": "books", "instId": "BTC-USDT"}]
        assert len(asked(simulator, "subscribe")) == 2

    def test_a_cut_is_announced_for_both(self, hold: Hold, simulator: Simulator) -> None:
        """And mended for both."""
        held = hold()
        topics = {"tickers:BTC-USDT", "spot/ticker:BTC-USDT"}
        held.subscribe(*topics)
        eventually(lambda: all(get(held, topic) for topic in topics))
        with Listener(held.registry.settings.redis_url, held.data.event) as listener:
            simulator.drop("public")
            eventually(lambda: {m["topic"] for m in listener.ops("LIVE")} == topics)
            assert {m["topic"] for m in listener.ops("STALE")} == topics
            eventually(lambda: {m["topic"] for m in listener.ops("GAP") if m["to"]} == topics)


class TestOtherSubscriptions:
    """Topics whose data come from more than one channel."""

    def test_open_interest_stands_in_the_ticker(self, hold: Hold, simulator: Simulator) -> None:
        """As in v3."""
        held = hold()
        held.subscribe("swap/ticker:BTC-USDT-SWAP")
        assert {arg["channel"] for arg in asked(simulator, "subscribe")} == {"tickers", "open-interest"}
        eventually(lambda: get(held, "swap/ticker:BTC-USDT-SWAP").get("open_interest"))

    def test_one_that_is_refused_only_lacks(self, hold: Hold, simulator: Simulator) -> None:
        """The topic follows its first channel."""
        simulator.fault("refuse", channel="open-interest", code=60018)
        held = hold()
        assert held.subscribe("swap/ticker:BTC-USDT-SWAP")["errorCode"] == 80000
        found = eventually(lambda: get(held, "swap/ticker:BTC-USDT-SWAP"))
        assert found["open_interest"] == ""
        assert found["last"]
        assert held.topic("swap/ticker:BTC-USDT-SWAP")["state"] == "live"

    def test_they_are_left_with_the_topic(self, hold: Hold, simulator: Simulator) -> None:
        """But not where a topic of their own wants them."""
        held = hold()
        held.subscribe("swap/ticker:BTC-USDT-SWAP", "swap/ticker:ETH-USDT-SWAP", "open-interest:ETH-USDT-SWAP")
        held.unsubscribe("swap/ticker:BTC-USDT-SWAP", "swap/ticker:ETH-USDT-SWAP")
        eventually(lambda: not simulator.subscribed("open-interest:BTC-USDT-SWAP"))
        assert simulator.subscribed("open-interest:ETH-USDT-SWAP") == 1
        assert simulator.subscribed("tickers:ETH-USDT-SWAP") == 0

    def test_what_is_there_already_is_taken_over(self, hold: Hold, simulator: Simulator) -> None:
        """Open interest that another topic has heard, though it is not said again."""
        held = hold()
        held.subscribe("open-interest:BTC-USDT-SWAP")
        known = eventually(lambda: get(held, "open-interest:BTC-USDT-SWAP"))
        simulator.fault("topic_dead", channel="open-interest")
        held.subscribe("swap/ticker:BTC-USDT-SWAP")
        assert eventually(lambda: get(held, "swap/ticker:BTC-USDT-SWAP").get("open_interest")) == known["oi"]

    def test_what_one_cannot_read_the_other_has(self, hold: Hold, simulator: Simulator) -> None:
        """Open interest that is no number is of no use to the ticker."""
        held = hold()
        held.subscribe("swap/ticker:BTC-USDT-SWAP")
        held.subscribe("open-interest:BTC-USDT-SWAP")
        simulator.fault("topic_dead", channel="open-interest")
        arguments: dict[str, Any] = {"instId": "BTC-USDT-SWAP"}
        frame = example(CATALOGUE["open-interest"], arguments).frame.replace('"5000"', '["5000"]')
        simulator.fault("send", path="public", text=frame)
        eventually(lambda: get(held, "open-interest:BTC-USDT-SWAP").get("oi") == '["5000"]')
        assert held.topic("swap/ticker:BTC-USDT-SWAP")["state"] == "live"


class TestTickByTick:
    """depth_l2_tbt, which asks for a login in v5."""

    TOPIC, TBT, BOOKS = "spot/depth_l2_tbt:BTC-USDT", "books-l2-tbt:BTC-USDT", "books:BTC-USDT"

    def live(self, held: Held) -> bool:
        return bool(eventually(lambda: get(held, self.TOPIC).get("state") == "live"))

    def test_without_a_login(self, hold: Hold, simulator: Simulator) -> None:
        """The usual book."""
        held = hold()
        held.subscribe(self.TOPIC)
        assert self.live(held)
        assert (simulator.subscribed(self.BOOKS), simulator.subscribed(self.TBT)) == (1, 0)

    def test_with_a_login(self, hold: Hold) -> None:
        """The better one, if the account may."""
        with Simulator(limits=False, api_keys=[AccountSetup(vip=4)]) as simulator:
            held = hold(credentials=DEMO, ws_url=simulator.ws_url)
            held.subscribe(self.TOPIC)
            assert self.live(held)
            assert (simulator.subscribed(self.BOOKS), simulator.subscribed(self.TBT)) == (0, 1)
            held.close()

    def test_of_an_account_that_may_not(self, hold: Hold, simulator: Simulator) -> None:
        """The usual one, without the caller hearing of a refusal."""
        held = hold(credentials=DEMO)
        assert held.subscribe(self.TOPIC)["errorCode"] == 80000
        assert self.live(held)
        assert (simulator.subscribed(self.BOOKS), simulator.subscribed(self.TBT)) == (1, 0)

    @pytest.mark.parametrize("other", ["books:BTC-USDT", "spot/depth:BTC-USDT"])
    @pytest.mark.parametrize("turned", [False, True], ids=["before", "after"])
    def test_beside_another_book(self, hold: Hold, other: str, turned: bool) -> None:
        """OKX ends the one for the other (PROTOCOL 6.5), so both have the usual one."""
        with Simulator(limits=False, api_keys=[AccountSetup(vip=4)]) as simulator:
            held = hold(credentials=DEMO, ws_url=simulator.ws_url)
            for topic in (other, self.TOPIC) if turned else (self.TOPIC, other):
                assert held.subscribe(topic)["errorCode"] == 80000
            assert self.live(held)
            assert eventually(lambda: get(held, other))["state"] == "live"
            eventually(lambda: (simulator.subscribed(self.BOOKS), simulator.subscribed(self.TBT)) == (1, 0))
            assert held.unsubscribe(other)["errorCode"] == 80000
            assert self.live(held)
            held.close()


class TestAccount:
    """What exists for a while."""

    def test_a_second_name_finds_what_the_first_was_told(self, hold: Hold, simulator: Simulator) -> None:
        """A snapshot comes once, at the subscription."""
        held = hold(credentials=DEMO)
        held.subscribe("positions:instType=FUTURES,instId=" + FUTURES)
        say(simulator, "private", "positions", {"instType": "FUTURES", "instId": FUTURES})
        eventually(lambda: get(held, "positions:instType=FUTURES,instId=" + FUTURES))
        held.subscribe("futures/position:" + FUTURES)
        found = eventually(lambda: get(held, "futures/position", {"instrument_id": FUTURES}))
        assert (found["long_qty"], found["short_qty"], found["margin_mode"]) == ("10", "0", "crossed")

    def test_several_names_of_one_currency(self, hold: Hold, simulator: Simulator) -> None:
        """The account of v5 is one; each of v3's shows its part, from one subscription."""
        held = hold(credentials=DEMO)
        held.subscribe("spot/account:BTC", "futures/account:BTC-USD", "swap/account:BTC-USD-SWAP", "account:BTC")
        assert asked(simulator, "subscribe") == [{"channel": "account", "ccy": "BTC"}]
        say(simulator, "private", "account", {"ccy": "BTC"}, uTime=str(10 * TS))
        v5 = eventually(lambda: get(held, "account:BTC"))
        assert eventually(lambda: get(held, "spot/account", {"currency": "BTC"}))["balance"] == v5["cashBal"]
        assert eventually(lambda: get(held, "futures/account", {"underlying": "BTC-USD"}))["equity"] == v5["eq"]
        assert eventually(lambda: get(held, "swap/account", {"instrument_id": "BTC-USD-SWAP"}))["margin"] == v5["imr"]
        assert held.redis.hkeys("okex/tests/spot/account") == ["BTC"]

    def test_needs_a_login(self, hold: Hold) -> None:
        """As its v5 counterpart does."""
        said = hold().subscribe("spot/order:BTC-USDT")
        assert said["errorCode"] == 80010
        assert "credentials" in said["message"]

    def test_orders_leave_when_they_end(self, hold: Hold, simulator: Simulator) -> None:
        """Their last word is published and logged."""
        held = hold(credentials=DEMO)
        held.subscribe("spot/order:BTC-USDT")
        arguments = {"instType": "SPOT", "instId": SPOT}
        say(simulator, "private", "orders", arguments)
        (order,) = eventually(lambda: get(held, "spot/order", {"instrument_id": SPOT}))
        assert (order["state"], order["filled_size"], order["last_fill_id"]) == ("1", "1", "77")
        with Listener(held.registry.settings.redis_url, "okex/tests/spot/order") as listener:
            say(simulator, "private", "orders", arguments, state="filled", tradeId="78", uTime=str(TS + 1))
            eventually(lambda: not get(held, "spot/order", {"instrument_id": SPOT}))
            (push,) = eventually(listener.messages)
        assert [(row["state"], row["last_fill_id"]) for row in push["data"]] == [("2", "78")]
        logged = [json.loads(fields["data"]) for _, fields in held.redis.xrange("okex/tests/spot/order/log")]
        assert [row["state"] for row in logged] == ["1", "2"]


class TestForms:
    """Which pub/sub forms are sent."""

    @pytest.mark.parametrize(
        ("publish", "pushes", "rows"), [("both", 1, 1), ("pushes", 1, 0), ("rows", 0, 1), ("none", 0, 0)]
    )
    def test_publish_is_honoured(self, hold: Hold, simulator: Simulator, publish: str, pushes: int, rows: int) -> None:
        """For v3 as for v5."""
        held = hold(publish=publish)
        held.subscribe("spot/ticker:BTC-USDT")
        simulator.fault("topic_dead", channel="tickers")
        channel = "okex/tests/spot/ticker"
        with Listener(held.registry.settings.redis_url, channel, channel + ":BTC-USDT") as listener:
            say(simulator, "public", "tickers", {"instId": SPOT}, last="1")
            eventually(lambda: get(held, "spot/ticker:BTC-USDT")["last"] == "1")
            eventually(lambda: len(listener.messages()) >= pushes + rows)
            told = [message for message in listener.messages(channel) if message["data"][0]["last"] == "1"]
            alone = [message for message in listener.messages(channel + ":BTC-USDT") if message["last"] == "1"]
        assert (len(told), len(alone)) == (pushes, rows)
        assert all(message["table"] == "spot/ticker" for message in told)


def test_a_name_without_counterpart_reaches_nobody(hold: Hold, simulator: Simulator) -> None:
    """In the registry it would be refused by name; the exchange never hears of it."""
    held = hold()
    said = held.subscribe("spot/all_ticker_3s")
    assert said["errorCode"] == 80010
    assert "no counterpart" in said["message"]
    assert asked(simulator, "subscribe") == []


class TestHistory:
    """What REST has is there as well, in v3's spelling."""

    @pytest.mark.parametrize("beside", [(), ("candle1m:BTC-USDT",)], ids=["alone", "beside v5"])
    def test_candles(self, hold: Hold, beside: tuple[str, ...]) -> None:
        """`n=100` right after subscribe, none missing, none published as news."""
        held = hold()
        for topic in beside:
            held.subscribe(topic)
        with Listener(held.registry.settings.redis_url, "okex/tests/spot/candle60s:BTC-USDT") as listener:
            assert held.subscribe("spot/candle60s:BTC-USDT")["errorCode"] == 80000
            found = get(held, "spot/candle60s", {"instrument_id": "BTC-USDT", "n": 100})
            assert len(found) == 100
            assert list(found[0]) == ["timestamp", "open", "high", "low", "close", "volume"]
            minutes = [ms_of_iso(row["timestamp"]) // 60_000 for row in found]
            assert minutes == list(range(minutes[0], minutes[0] + 100))
            assert len(listener.messages()) <= 1  # a minute may end meanwhile

    def test_options_of_an_underlying(self, hold: Hold, simulator: Simulator) -> None:
        """REST lists options by family: that which the topic names is asked for, whatever it is."""
        option = {"instType": "OPTION", "instId": "SOL-USD-270101-100-C", "instFamily": "SOL-USD", "state": "live"}
        with troubled(simulator.rest_url) as rest:
            rest.said["instType=OPTION&instFamily=SOL-USD"] = json.dumps({"code": "0", "data": [option]}).encode()
            held = hold(rest_url=rest.url)
            assert held.subscribe("option/instruments:SOL-USD")["errorCode"] == 80000
            found = get(held, "option/instruments", {"underlying": "SOL-USD"})
            assert [row["instrument_id"] for row in found] == [option["instId"]]

    def test_open_orders(self, hold: Hold, simulator: Simulator) -> None:
        """Those that were placed before anybody listened."""
        (order,) = simulator.place(sz="0.01")
        held = hold(credentials=DEMO)
        held.subscribe("spot/order:BTC-USDT")
        (found,) = eventually(lambda: get(held, "spot/order", {"instrument_id": "BTC-USDT"}))
        assert (found["order_id"], found["state"], found["size"]) == (order, "0", "0.01")

    def test_orders_across_a_cut(self, hold: Hold, simulator: Simulator) -> None:
        """One ended while nobody listened: it is gone, and its end is logged."""
        held = hold(credentials=DEMO)
        held.subscribe("spot/order:BTC-USDT")
        gone, stays = simulator.place(times=2, sz="0.01")
        eventually(lambda: len(get(held, "spot/order:BTC-USDT")) == 2)
        simulator.stop_listening()
        simulator.drop("private")
        eventually(lambda: held.topic("spot/order:BTC-USDT")["state"] == "stale")
        simulator.cancel(gone)
        simulator.resume()
        eventually(lambda: [row["order_id"] for row in get(held, "spot/order:BTC-USDT")] == [stays])
        rows = [json.loads(fields["data"]) for _, fields in held.redis.xrange("okex/tests/spot/order/log")]
        assert [row["state"] for row in rows if row["order_id"] == gone] == ["0", "-1"]
