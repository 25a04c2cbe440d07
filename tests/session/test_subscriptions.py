"""Making the exchange agree with what is wanted: every answer, late, missing or refused, leads to the wanted state."""

from __future__ import annotations

import json
import random

import pytest

from okws_celery.okx.messages import Event
from okws_celery.okx.topics import Arg, parse_topic
from okws_celery.session.subscriptions import Change, State, Subscriptions

BTC = parse_topic("tickers:BTC-USDT").arg
ETH = parse_topic("tickers:ETH-USDT").arg
TRADES = parse_topic("trades:BTC-USDT").arg


def ack(kind: str, arg: Arg) -> Event:
    return Event(kind=kind, arg=dict(arg))


def error(code: int, text: str = "", request_id: str = "") -> Event:
    return Event(kind="error", code=code, text=text, id=request_id)


def sent(subscriptions: Subscriptions, now: float = 0.0) -> list[tuple[str, list[Arg]]]:
    """What would go out now: op and args of each request."""
    requests = [json.loads(text) for text in subscriptions.requests(now)]
    return [(r["op"], [tuple(sorted(arg.items())) for arg in r["args"]]) for r in requests]


def asked(*args: Arg) -> tuple[Subscriptions, str]:
    """Subscriptions that have just asked for args, and the id of the request."""
    subscriptions = Subscriptions()
    for arg in args:
        subscriptions.want(arg, 0.0)
    (request,) = subscriptions.requests(0.0)
    return subscriptions, json.loads(request)["id"]


class TestAnswers:
    """Whom an answer means."""

    def test_ack_makes_live(self) -> None:
        """Each arg is live with its own ack, whatever the order."""
        subscriptions, _ = asked(BTC, ETH)
        assert subscriptions.acknowledged(ack("subscribe", ETH), ETH) == [Change("live", ETH)]
        assert subscriptions.state(BTC) is State.ASKED
        assert subscriptions.acknowledged(ack("subscribe", BTC), BTC) == [Change("live", BTC)]

    def test_error_is_matched_by_its_text(self) -> None:
        """An error carries no arg; the channel and instId in its text say whom it means."""
        subscriptions, request_id = asked(BTC, ETH, TRADES)
        text = "Wrong URL or channel:tickers,instId:ETH-USDT doesn't exist."
        assert subscriptions.failed(error(60018, text, request_id), 0.0) == [Change("refused", ETH, 60018, text)]
        assert subscriptions.state(BTC) is State.ASKED
        assert subscriptions.state(TRADES) is State.ASKED

    def test_name_inside_another_name_is_not_meant(self) -> None:
        """BTC-USDT is not meant where BTC-USDT-SWAP stands."""
        swap = parse_topic("tickers:BTC-USDT-SWAP").arg
        subscriptions, request_id = asked(BTC, swap)
        changes = subscriptions.failed(
            error(60018, "channel:tickers,instId:BTC-USDT-SWAP doesn't exist", request_id), 0
        )
        assert [change.arg for change in changes] == [swap]

    def test_error_without_names_means_what_is_unanswered(self) -> None:
        """The one arg that the request still waits for is meant, also without id, as old servers sent it."""
        subscriptions, _ = asked(BTC, ETH)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        assert subscriptions.failed(error(64003, "tier too low"), 0.0) == [
            Change("refused", ETH, 64003, "tier too low")
        ]

    def test_request_refused_as_a_whole(self) -> None:
        """As many errors as args: every arg has one."""
        subscriptions, request_id = asked(BTC, ETH)
        assert subscriptions.failed(error(60014, "too frequent", request_id), 0.0) == []
        changes = subscriptions.failed(error(60014, "too frequent", request_id), 0.0)
        assert {change.arg for change in changes} == {BTC, ETH}
        assert {change.kind for change in changes} == {"retry"}

    def test_late_error_after_ack(self) -> None:
        """An ack is not success: an error that follows it ends the subscription (64004) or repeats it (60011)."""
        subscriptions, request_id = asked(BTC)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        assert [c.kind for c in subscriptions.failed(error(60011, "Please log in.", request_id), 0.0)] == ["retry"]
        assert subscriptions.state(BTC) is State.WAITING
        assert sent(subscriptions, 100.0) == [("subscribe", [BTC])]
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        text = "Subscribe to both tickers and x for BTC-USDT is not allowed"
        assert [c.kind for c in subscriptions.failed(error(64004, text), 100.0)] == ["refused"]

    def test_late_ack_of_what_nobody_wants(self) -> None:
        """An ack that comes after the answer was given up and the topic forgotten: it is left again."""
        subscriptions, _ = asked(BTC)
        subscriptions.overdue(11.0)
        assert subscriptions.unwant(BTC)
        assert subscriptions.acknowledged(ack("subscribe", BTC), BTC) == []
        assert sent(subscriptions) == [("unsubscribe", [BTC])]

    def test_request_that_could_not_be_parsed(self) -> None:
        """60012 fails a request whole and echoes all of it: each arg is then asked for alone."""
        subscriptions, request_id = asked(BTC, ETH, TRADES)
        echo = 'Invalid request: {"op":"subscribe","args":[{"channel":"tickers","instId":"BTC-USDT"}, ...]}'
        subscriptions.failed(error(60012, echo, request_id), 0.0)
        assert sorted(sent(subscriptions)) == sorted(("subscribe", [arg]) for arg in (BTC, ETH, TRADES))
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        assert [c.arg for c in subscriptions.failed(error(60012, 'Invalid: "tickers" "ETH-USDT"'), 0.0)] == [ETH]

    def test_most_particular_arg_is_meant(self) -> None:
        """A text that names orders of one instrument does not mean the orders of all."""
        every, one = parse_topic("orders:SPOT").arg, parse_topic("orders:instType=SPOT,instId=NO-PE").arg
        subscriptions, request_id = asked(every, one)
        changes = subscriptions.failed(error(60018, "channel:orders,instType:SPOT,instId:NO-PE", request_id), 0.0)
        assert [change.arg for change in changes] == [one]


class TestRetries:
    """What passes is tried again, what does not is parked."""

    def test_pause_grows(self) -> None:
        """Each refusal of the passing kind makes the pause longer."""
        subscriptions, request_id = asked(BTC)
        subscriptions.failed(error(64007, "internal", request_id), 0.0)
        assert sent(subscriptions, 0.5) == []
        assert sent(subscriptions, 1.1) == [("subscribe", [BTC])]
        subscriptions.failed(error(64007, "internal"), 1.1)
        assert sent(subscriptions, 2.2) == []
        assert sent(subscriptions, 3.2) == [("subscribe", [BTC])]

    def test_long_pause_of_one_does_not_hold_up_another(self) -> None:
        """One arg is refused again and again and waits for a minute; another's first pause is a second all the same."""
        subscriptions, request_id = asked(BTC)
        now = 0.0
        for _ in range(6):
            subscriptions.failed(error(60014, "too frequent", request_id), now)
            while not subscriptions.due(now):
                now += 1.0
            (request,) = subscriptions.requests(now)
            request_id = json.loads(request)["id"]
        subscriptions.failed(error(60014, "too frequent", request_id), now)
        now += 1.0
        assert not subscriptions.due(now)
        subscriptions.want(ETH, now)
        assert sent(subscriptions, now) == [("subscribe", [ETH])]
        subscriptions.failed(error(60014, "too frequent: tickers ETH-USDT"), now)
        assert subscriptions.due(now + 1.5)

    def test_no_answer_is_asked_again(self) -> None:
        """An ack that does not come within 10 s is given up, and the question repeated."""
        subscriptions, _ = asked(BTC)
        assert subscriptions.overdue(9.0) == []
        assert [change.kind for change in subscriptions.overdue(10.5)] == ["retry"]
        assert sent(subscriptions, 20.0) == [("subscribe", [BTC])]

    def test_parked_until_asked_anew(self) -> None:
        """A topic refused for good costs no request, also after a reconnect, until a caller asks anew."""
        subscriptions, request_id = asked(BTC)
        subscriptions.failed(error(60018, "doesn't exist", request_id), 0.0)
        subscriptions.link_down()
        assert sent(subscriptions, 1000.0) == []
        assert not subscriptions.needed
        subscriptions.want(BTC, 1000.0)
        assert sent(subscriptions, 1000.0) == [("subscribe", [BTC])]

    def test_hourly_budget(self) -> None:
        """Never more than OKX's 480 requests an hour on one connection."""
        subscriptions = Subscriptions()
        count = 0
        for second in range(3600):
            subscriptions.want(BTC, float(second))
            for op, _ in sent(subscriptions, float(second)):
                count += 1
                subscriptions.acknowledged(ack(op, BTC), BTC)
            subscriptions.renew(BTC)
        assert 400 < count <= 480


class TestChanges:
    """Wishes that change while answers are under way."""

    def test_subscribe_during_unsubscribe(self) -> None:
        """Wanted again before the unsubscribe's ack: subscribed anew after it, and the old ack is not the new one."""
        subscriptions, _ = asked(BTC)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        assert not subscriptions.unwant(BTC)
        assert sent(subscriptions) == [("unsubscribe", [BTC])]
        subscriptions.want(BTC, 0.0)
        assert sent(subscriptions) == []
        assert subscriptions.acknowledged(ack("unsubscribe", BTC), BTC) == []
        assert sent(subscriptions) == [("subscribe", [BTC])]

    def test_unwanted_while_asked(self) -> None:
        """Unwanted before the ack: left after it."""
        subscriptions, _ = asked(BTC)
        assert not subscriptions.unwant(BTC)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        assert sent(subscriptions) == [("unsubscribe", [BTC])]
        assert subscriptions.acknowledged(ack("unsubscribe", BTC), BTC) == [Change("gone", BTC)]
        assert subscriptions.state(BTC) is None

    def test_unwanted_while_asked_and_never_answered(self) -> None:
        """What nobody wants any more is not waited for twice: who unsubscribes hears that it is gone."""
        subscriptions, _ = asked(BTC)
        assert not subscriptions.unwant(BTC)
        assert subscriptions.overdue(11.0) == [Change("gone", BTC)]
        assert subscriptions.state(BTC) is None
        assert sent(subscriptions, 12.0) == []
        assert subscriptions.acknowledged(ack("subscribe", BTC), BTC) == []
        assert sent(subscriptions, 12.0) == [("unsubscribe", [BTC])]

    def test_unwanted_while_asked_in_a_request_that_could_not_be_parsed(self) -> None:
        """The others are asked for alone; what nobody wants any more is gone."""
        subscriptions, request_id = asked(BTC, ETH)
        subscriptions.unwant(BTC)
        changes = subscriptions.failed(error(60012, "Invalid request: {...}", request_id), 0.0)
        assert changes == [Change("gone", BTC), Change("retry", ETH, 60012, "Invalid request: {...}")]
        assert sent(subscriptions, 0.0) == [("subscribe", [ETH])]

    def test_renewal_is_one(self) -> None:
        """However often a broken book asks for it, one unsubscribe and one subscribe go out."""
        subscriptions, _ = asked(BTC)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        requests = []
        for _ in range(1000):
            subscriptions.renew(BTC)
            requests += sent(subscriptions)
        subscriptions.acknowledged(ack("unsubscribe", BTC), BTC)
        requests += sent(subscriptions)
        assert requests == [("unsubscribe", [BTC]), ("subscribe", [BTC])]

    def test_link_down_forgets_answers(self) -> None:
        """After a reconnect everything wanted is asked for, and nothing else."""
        subscriptions, _ = asked(BTC, ETH)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        subscriptions.unwant(ETH)
        assert set(subscriptions.link_down()) == {Change("broken", BTC), Change("gone", ETH)}
        assert sent(subscriptions) == [("subscribe", [BTC])]

    def test_exchange_ends_a_subscription(self) -> None:
        """An unsubscribe event that nobody asked for (PROTOCOL 6.5) is a refusal, not a loop."""
        subscriptions, _ = asked(BTC)
        subscriptions.acknowledged(ack("subscribe", BTC), BTC)
        assert [c.kind for c in subscriptions.acknowledged(ack("unsubscribe", BTC), BTC)] == ["refused"]
        assert sent(subscriptions, 100.0) == []

    def test_large_requests_are_split(self) -> None:
        """No request comes near the 64 KB at which OKX closes the connection."""
        subscriptions = Subscriptions()
        for number in range(2000):
            subscriptions.want(parse_topic(f"tickers:COIN{number}-USDT").arg, 0.0)
        requests = list(subscriptions.requests(0.0))
        assert max(len(request) for request in requests) < 60_000
        assert sum(len(json.loads(request)["args"]) for request in requests) == 2000


@pytest.mark.parametrize("seed", range(100))
def test_ends_where_it_was_wanted(seed: int) -> None:
    """For any order of wishes, late acks, errors, timeouts and cuts: once all is answered, subscribed equals wanted."""
    chance = random.Random(seed)
    subscriptions = Subscriptions()
    args = [parse_topic(f"tickers:C{n}-USDT").arg for n in range(4)]
    wanted: set[Arg] = set()
    exchange: set[Arg] = set()
    in_flight: list[tuple[str, Arg]] = []
    now = 0.0

    def pump() -> None:
        for op, sent_args in sent(subscriptions, now):
            in_flight.extend((op, arg) for arg in sent_args)

    def answer_one() -> None:
        op, arg = in_flight.pop(0)
        (exchange.add if op == "subscribe" else exchange.discard)(arg)
        subscriptions.acknowledged(ack(op, arg), arg)

    for _ in range(60):
        arg = chance.choice(args)
        match chance.randrange(6):
            case 0 | 1:
                wanted.add(arg)
                subscriptions.want(arg, now)
            case 2:
                wanted.discard(arg)
                subscriptions.unwant(arg)
            case 3 if in_flight:
                answer_one()
            case 4 if in_flight and in_flight[0][0] == "subscribe":
                subscriptions.failed(error(60014, f"too frequent: tickers {dict(in_flight.pop(0)[1])['instId']}"), now)
            case 5 if chance.random() < 0.2:
                subscriptions.link_down()
                in_flight.clear()
                exchange.clear()
        pump()
    for _ in range(20):
        now += 61.0 if not in_flight else 0.1
        while in_flight:
            answer_one()
        pump()
    assert exchange == wanted
    assert {arg for arg in args if subscriptions.state(arg) is State.LIVE} == wanted
