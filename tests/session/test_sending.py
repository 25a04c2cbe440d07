"""Ops through a session, against an exchange that keeps accounts: what is answered, and what has arrived there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from session.holding import DEMO, Held
from waiting import eventually

import okws_celery
from okws_celery.calls.sending import carry_out
from okws_celery.errors import Answer, OkwsError
from okws_celery.session import Ending
from okws_celery.simulator import Simulator
from okws_celery.store.registry import Command, now_ms

Hold = Callable[..., Held]
CODE = 10001
"""instIdCode of BTC-USDT."""


@pytest.fixture
def held(hold: Hold, simulator: Simulator) -> Held:
    """A session that is logged in."""
    session = hold(credentials=DEMO, profile="demo", rest_url=simulator.rest_url)
    assert (session.opened() or {})["errorCode"] == 80000
    return session


def send(held: Held, op: dict[str, Any], wait: float = 15.0) -> Answer:
    """As a client does it."""
    try:
        return carry_out(held.registry, held.name, op, now_ms() + int(wait * 1000))
    except OkwsError as problem:
        return problem.answer()


def order(cl_ord_id: str = "", **more: Any) -> dict[str, Any]:
    """The arguments of an order that nobody fills."""
    asked = {"instIdCode": CODE, "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1000", "sz": "0.001"}
    return {**asked, **({"clOrdId": cl_ord_id} if cl_ord_id else {}), **more}


def placing(*args: Any, **more: Any) -> dict[str, Any]:
    """The op that places one."""
    return {"op": "order", "args": list(args), **more}


def open_orders(simulator: Simulator) -> list[str]:
    """The clOrdIds of the open orders at the exchange."""
    return [one["clOrdId"] for one in simulator.account()["orders"]]


def asked(simulator: Simulator, op: str = "order") -> list[Any]:
    """The args of each request of this kind that arrived at the exchange."""
    return [request.args for request in simulator.requests if request.op == op]


class TestWhatOkxSays:
    """OKX's reply comes back."""

    def test_life_of_an_order(self, held: Held, simulator: Simulator) -> None:
        """Placed, amended, canceled; each reply is the caller's, with his own id."""
        placed = send(held, placing(order("a"), id="1512"))
        assert (placed["event"], placed["errorCode"]) == ("info", 80000)
        assert (placed["reply"]["id"], placed["reply"]["op"], placed["reply"]["code"]) == ("1512", "order", "0")
        ord_id = placed["reply"]["data"][0]["ordId"]
        assert simulator.account()["orders"][0]["ordId"] == ord_id
        change = {"instIdCode": CODE, "ordId": ord_id, "newPx": "1100"}
        assert send(held, {"op": "amend-order", "args": [change]})["errorCode"] == 80000
        assert float(simulator.account()["orders"][0]["px"]) == 1100
        gone = send(held, {"op": "cancel-order", "args": [{"instIdCode": CODE, "ordId": ord_id}]})
        assert gone["errorCode"] == 80000
        assert simulator.account()["orders"] == []

    def test_partly_failed(self, held: Held, simulator: Simulator) -> None:
        """The code of the first item that failed; the whole reply says which was done."""
        batch = [order("a"), order("b", sz="1000000"), order("c", instIdCode=1)]
        said = send(held, {"op": "batch-orders", "args": batch})
        items = said["reply"]["data"]
        assert said["reply"]["code"] == "2"
        assert [item["sCode"] for item in items] == ["0", "51008", "51001"]
        assert (said["event"], said["errorCode"], said["message"]) == ("error", 51008, items[1]["sMsg"])
        assert open_orders(simulator) == ["a"]

    def test_refused(self, held: Held) -> None:
        """All failed, and the request itself wrong."""
        assert send(held, placing(order(px="x")))["errorCode"] == 51000
        assert send(held, placing(order("a"), order("b")))["errorCode"] == 60013

    def test_op_that_okx_does_not_know(self, held: Held) -> None:
        """It goes there as it is, and OKX's error event is the answer; the session is none the worse."""
        said = send(held, {"op": "no-such-op", "args": [{}], "id": "7"})
        assert (said["errorCode"], said["reply"]["event"], said["reply"]["id"]) == (60019, "error", "7")
        assert send(held, placing(order()))["errorCode"] == 80000

    def test_spreads_have_a_link_of_their_own(self, held: Held, simulator: Simulator) -> None:
        """/business is connected and logged in for it, though nothing is subscribed there."""
        said = send(held, {"op": "sprd-order", "args": [{"sprdId": "BTC-USDT_BTC-USDT-SWAP", "sz": "1"}]})
        assert (said["errorCode"], said["reply"]["op"]) == (51001, "sprd-order")
        assert [link.logged_in for link in simulator.connections("business")] == [True]

    def test_two_callers_with_the_same_id(self, held: Held, simulator: Simulator) -> None:
        """Fifty at once, all with one id: each gets the reply to his own order."""
        said: dict[str, Answer] = {}

        def place(cl_ord_id: str) -> None:
            said[cl_ord_id] = send(held, placing(order(cl_ord_id), id="same"))

        names = [f"n{number}" for number in range(50)]
        threads = [threading.Thread(target=place, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            assert said[name]["errorCode"] == 80000, said[name]
            assert said[name]["reply"]["id"] == "same"
            assert said[name]["reply"]["data"][0]["clOrdId"] == name
        assert sorted(open_orders(simulator)) == sorted(names)
        ids = [request.id for request in simulator.requests if request.op == "order"]
        assert len(set(ids)) == 50


class TestAtMostOnce:
    """What goes wrong on the way."""

    def test_reply_that_comes_late(self, held: Held, simulator: Simulator) -> None:
        """Unknown at the deadline; what OKX says afterwards is nobody's, and the next caller is not given it."""
        simulator.fault("late_ack", op="order", seconds=1.5, times=1)
        said = send(held, placing(order("a"), id="x"), wait=0.7)
        assert said["errorCode"] == 80014
        assert "unknown outcome" in said["message"]
        assert open_orders(simulator) == ["a"]
        assert send(held, placing(order("b"), id="x"))["reply"]["data"][0]["clOrdId"] == "b"
        eventually(lambda: held.redis.get(held.keys.counters) and "nobody waits" in held.redis.get(held.keys.counters))
        assert len(asked(simulator)) == 2

    @pytest.mark.parametrize("how", ["fin", "rst"])
    def test_link_lost_before_the_reply(self, held: Held, simulator: Simulator, how: str) -> None:
        """Unknown at once, and not sent again on the next connection."""
        simulator.fault("late_ack", op="order", times=1)
        said: list[Answer] = []
        caller = threading.Thread(target=lambda: said.append(send(held, placing(order("a")))))
        caller.start()
        eventually(lambda: asked(simulator))
        simulator.drop("private", how=how)
        caller.join(10)
        assert [one["errorCode"] for one in said] == [80014]
        assert "unknown outcome" in said[0]["message"]
        assert send(held, placing(order("b")))["errorCode"] == 80000  # on the next connection
        assert open_orders(simulator) == ["a", "b"]
        assert len(asked(simulator)) == 2

    def test_no_link(self, held: Held, simulator: Simulator) -> None:
        """Not sent by its deadline, it never is, also when the exchange is there again."""
        simulator.stop_listening()
        simulator.drop()
        said = send(held, placing(order("a")), wait=1.0)
        assert said["errorCode"] == 80012
        assert "not sent" in said["message"]
        simulator.resume()
        assert send(held, placing(order("b")), wait=30)["errorCode"] == 80000
        assert open_orders(simulator) == ["b"]
        assert len(asked(simulator)) == 1

    def test_login_that_is_refused_for_now(self, held: Held, simulator: Simulator) -> None:
        """A link that is up and not logged in takes no op; when it is, the op goes out if there is time."""
        simulator.fault("refuse_login", code=63999, times=1)
        simulator.drop("private")
        assert send(held, placing(order("a")), wait=30)["errorCode"] == 80000
        assert [login.code for login in simulator.logins][-2:] == [63999, 0]

    def test_exchange_that_reads_nothing(self, held: Held, simulator: Simulator) -> None:
        """Sent into a connection that has died without a word: unknown."""
        simulator.fault("half_open", path="private")
        assert send(held, placing(order("a")), wait=1.0)["errorCode"] == 80014

    def test_read_too_late_by_the_exchange(self, held: Held, simulator: Simulator) -> None:
        """An order that OKX reads after its deadline is not placed either: it carries the deadline, by OKX's clock."""
        assert send(held, placing(order("a")))["errorCode"] == 80000  # has the clock measured, for those that follow
        eventually(lambda: not any(thread.name.startswith("okws-clock") for thread in threading.enumerate()))
        assert held.redis.keys("okws/requests/*/public/time")
        simulator.fault("stall", path="private", seconds=1.5)
        assert send(held, placing(order("b")), wait=0.5)["errorCode"] == 80014
        eventually(lambda: len(asked(simulator)) == 2)
        assert send(held, placing(order("c")))["errorCode"] == 80000
        assert open_orders(simulator) == ["a", "c"]

    @pytest.mark.parametrize("ahead_s", [-90.0, 90.0])
    def test_clock_that_is_wrong(self, hold: Hold, ahead_s: float) -> None:
        """The deadline is told by OKX's clock: with ours a minute off, orders are neither refused nor placed late."""
        with Simulator(limits=False, ahead_s=ahead_s) as elsewhere:
            held = hold(
                credentials=DEMO, profile="demo", ws_url=elsewhere.ws_url, rest_url=elsewhere.rest_url, name="off"
            )
            assert (held.opened(30) or {})["errorCode"] == 80000
            assert send(held, placing(order("a")))["errorCode"] == 80000
            eventually(lambda: not any(thread.name.startswith("okws-clock") for thread in threading.enumerate()))
            assert send(held, placing(order("b")))["errorCode"] == 80000
            elsewhere.fault("stall", path="private", seconds=1.5)
            assert send(held, placing(order("c")), wait=0.5)["errorCode"] == 80014
            assert send(held, placing(order("d")))["errorCode"] == 80000
            assert open_orders(elsewhere) == ["a", "b", "d"]

    def test_late_in_redis(self, held: Held, simulator: Simulator) -> None:
        """A command that lay in Redis until its time was up is not sent."""
        command = Command("send", now_ms() - 1, request=placing(order("a")))
        assert held.registry.send_once(held.name, command)
        said = held.registry.wait_reply(held.name, command.id, 10)
        assert said is not None
        assert said["errorCode"] == 80012
        assert send(held, placing(order("b")))["errorCode"] == 80000
        assert open_orders(simulator) == ["b"]

    def test_given_twice(self, held: Held, simulator: Simulator) -> None:
        """A command that was delivered twice is one command, and both who wait may have the answer of the first."""
        deadline = now_ms() + 10_000
        said = carry_out(held.registry, held.name, placing(order("a")), deadline, "the-same")
        assert said["errorCode"] == 80000
        with pytest.raises(OkwsError) as problem:
            carry_out(held.registry, held.name, placing(order("a")), now_ms() + 300, "the-same")
        assert problem.value.code == 80014
        assert len(asked(simulator)) == 1

    def test_pushed_twice(self, held: Held, simulator: Simulator) -> None:
        """Also if somebody puts it into the session's list himself."""
        command = Command("send", now_ms() + 10_000, request=placing(order("a")))
        for _ in range(2):
            held.registry.send(held.name, command)
        assert (held.registry.wait_reply(held.name, command.id, 10) or {})["errorCode"] == 80000
        assert send(held, placing(order("b")))["errorCode"] == 80000
        assert open_orders(simulator) == ["a", "b"]

    def test_redis_full(self, held: Held) -> None:
        """Redis says no to the command: nobody is told that the order was not placed."""
        held.redis.config_set("maxmemory", 1)
        try:
            said = send(held, placing(order("a")), wait=1.0)
        finally:
            held.redis.config_set("maxmemory", 0)
        assert said["errorCode"] == 80014
        assert "unknown outcome" in said["message"]
        assert send(held, placing(order("b")))["errorCode"] == 80000

    def test_no_redis(self, free_port: Callable[[], int]) -> None:
        """Without Redis it is certain that nothing was sent, and the answer shows no password."""
        with okws_celery.client(f"redis://:hidden@127.0.0.1:{free_port()}/0", timeout=0.5) as client:
            said = client.send("tests", placing(order("a")))
        assert said["errorCode"] == 80012
        assert "not sent" in said["message"]
        assert "hidden" not in said["message"]

    def test_nobody_holds_the_session(self, held: Held, simulator: Simulator) -> None:
        """Open, and its worker gone: nobody took the command, so it is certain that nothing was sent."""
        held.registry.poke(held.name, "shutdown")
        assert held.join() is Ending.SHUTDOWN
        said = send(held, placing(order("a")), wait=0.3)
        assert said["errorCode"] == 80012
        assert "not sent" in said["message"]
        assert held.redis.llen(held.keys.commands) == 0

    def test_closed_meanwhile(self, held: Held, simulator: Simulator) -> None:
        """What waits when the session ends hears so; what was sent and not answered is unknown."""
        simulator.fault("late_ack", op="order")
        simulator.fault("late_ack", op="login", path="business")
        said: dict[str, Answer] = {}

        def call(name: str, op: dict[str, Any]) -> None:
            said[name] = send(held, op)

        calls = {"sent": placing(order("a")), "waits": {"op": "sprd-order", "args": [{"sprdId": "x"}]}}
        threads = [threading.Thread(target=call, args=item) for item in calls.items()]
        for thread in threads:
            thread.start()
        eventually(lambda: asked(simulator) and simulator.connections("business"))
        held.close()
        for thread in threads:
            thread.join(10)
        assert said["sent"]["errorCode"] == 80014
        assert said["waits"]["errorCode"] == 80011
        assert "not sent" in said["waits"]["message"]

    def test_notice(self, held: Held, simulator: Simulator) -> None:
        """While a link is being replaced ops go on, and no reply is lost with the old one."""
        held.subscribe("orders:ANY")
        simulator.fault("late_ack", op="order", seconds=0.5)
        said: list[Answer] = []

        def place(number: int) -> None:
            said.append(send(held, placing(order(f"n{number}"))))

        threads = [threading.Thread(target=place, args=(number,)) for number in range(20)]
        for number, thread in enumerate(threads):
            thread.start()
            if number == 5:
                simulator.fault("notice", path="private", close_after_s=20)
        for thread in threads:
            thread.join(20)
        assert [one["errorCode"] for one in said] == [80000] * 20
        eventually(lambda: len(simulator.connections("private")) == 1)
        assert len(asked(simulator)) == 20


class TestInstruments:
    """instId in place of instIdCode."""

    @pytest.mark.parametrize(("inst_id", "code"), [("BTC-USDT", 10001), ("ETH-USDT", 10002), ("BTC-USDT-SWAP", 20001)])
    def test_code_is_filled_in(self, held: Held, simulator: Simulator, inst_id: str, code: int) -> None:
        """The number goes to OKX, and the name does not."""
        asked_for = {key: value for key, value in order("a").items() if key != "instIdCode"}
        if inst_id.endswith("SWAP"):
            asked_for |= {"tdMode": "cross", "sz": "1"}
        said = send(held, placing({"instId": inst_id, **asked_for}))
        assert said["errorCode"] in (80000, 51138), said  # nobody sells ETH at that price
        (args,) = asked(simulator)
        assert args[0]["instIdCode"] == code
        assert "instId" not in args[0]

    def test_asked_once(self, held: Held, simulator: Simulator) -> None:
        """Later orders need no REST, of which every call leaves a trace in the pacing."""
        bare = {key: value for key, value in order().items() if key != "instIdCode"}
        assert send(held, placing({"instId": "BTC-USDT", **bare}))["errorCode"] == 80000
        traces = held.redis.keys("okws/requests/*/instruments")
        assert len(traces) == 1
        held.redis.delete(*traces)
        assert send(held, placing({"instId": "BTC-USDT", **bare}))["errorCode"] == 80000
        assert held.redis.keys("okws/requests/*/instruments") == []

    def test_from_the_sessions_own_instruments(self, held: Held, simulator: Simulator) -> None:
        """A session that has the instruments subscribed asks nobody; for one that is not among them it asks REST."""
        assert held.subscribe("instruments:SPOT")["errorCode"] == 80000
        eventually(lambda: held.redis.hget(held.data.of("instruments"), "BTC-USDT"))
        for trace in held.redis.keys("okws/requests/*/instruments"):
            held.redis.delete(trace)
        bare = {key: value for key, value in order("a").items() if key != "instIdCode"}
        assert send(held, placing({"instId": "BTC-USDT", **bare}))["errorCode"] == 80000
        assert held.redis.keys("okws/requests/*/instruments") == []
        swap = bare | {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "sz": "1", "clOrdId": "b"}
        assert send(held, placing(swap))["reply"]["data"]
        assert held.redis.keys("okws/requests/*/instruments")
        assert [args[0]["instIdCode"] for args in asked(simulator)] == [10001, 20001]

    def test_strange_row(self, held: Held, simulator: Simulator) -> None:
        """What somebody else has put under that key is not believed."""
        assert held.subscribe("instruments:SPOT")["errorCode"] == 80000
        eventually(lambda: held.redis.hget(held.data.of("instruments"), "BTC-USDT"))
        for number, row in enumerate(("rubbish", "[]", '{"instId": "BTC-USDT", "instIdCode": "x"}')):
            held.redis.hset(held.data.of("instruments"), f"X{number}-USDT", row)
            said = send(held, placing({"instId": f"X{number}-USDT", "sz": "1"}))
            assert said["errorCode"] == 51001

    def test_unknown_instrument(self, held: Held, simulator: Simulator) -> None:
        """OKX's own code, and nothing was sent."""
        said = send(held, placing({"instId": "NO-SUCH", "sz": "1"}))
        assert said["errorCode"] == 51001
        assert "not sent" in said["message"]
        assert "NO-SUCH" in said["message"]
        assert asked(simulator) == []

    def test_rest_that_cannot_begin(self, hold: Hold, simulator: Simulator) -> None:
        """Whatever is wrong with REST is an answer, and the next order asks again."""
        held = hold(credentials=DEMO, profile="demo", rest_url=simulator.rest_url, ca_file="/nowhere/ca.pem")
        for _ in range(2):
            said = send(held, placing({"instId": "BTC-USDT", "sz": "1"}))
            assert said["errorCode"] == 80012
            assert "not sent, no instIdCode for BTC-USDT" in said["message"]

    def test_no_rest(self, hold: Hold, simulator: Simulator, free_port: Callable[[], int]) -> None:
        """Without REST it cannot be known; a caller who gives the code needs none."""
        held = hold(credentials=DEMO, profile="demo", rest_url=f"http://127.0.0.1:{free_port()}")
        said = send(held, placing({"instId": "BTC-USDT", "sz": "1"}))
        assert said["errorCode"] == 80012
        assert "not sent" in said["message"]
        assert asked(simulator) == []
        assert send(held, placing(order()))["errorCode"] == 80000


class TestWhoMaySend:
    """What is refused before anything is sent."""

    def test_public_session(self, hold: Hold, simulator: Simulator) -> None:
        """It has nobody to log in as."""
        for options in ({}, {"profile": "seems-to-have-one"}):
            held = hold(f"s{len(options)}", **options)
            said = send(held, placing(order()))
            assert said["errorCode"] == 80010
            assert "login" in said["message"]
        assert simulator.connections("private") == []

    def test_rubbish_in_the_list(self, held: Held) -> None:
        """What another program puts there is answered, and harms nothing."""
        for request in ({}, {"op": "login", "args": [{}]}, {"op": "order", "args": "x"}):
            command = Command("send", now_ms() + 10_000, request=request)
            held.registry.send(held.name, command)
            assert (held.registry.wait_reply(held.name, command.id, 10) or {})["errorCode"] == 80010
        assert send(held, placing(order()))["errorCode"] == 80000

    def test_orders_are_not_logged(self, held: Held, caplog: pytest.LogCaptureFixture) -> None:
        """What somebody trades is in no log above debug."""
        with caplog.at_level("INFO"):
            send(held, placing(order("hush")))
            send(held, {"op": "no-such-op", "args": [{"clOrdId": "hush"}]})
        assert "hush" not in caplog.text
