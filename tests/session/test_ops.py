"""Ops in flight: each command is answered once and sent at most once, whatever happens and in whatever order."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.errors import answer
from okws_celery.okx.messages import Event, Reply
from okws_celery.okx.ops import Op, parse_op
from okws_celery.session.ops import Ops, Verdict


def order(inst_id: str = "", **more: str) -> Op:
    """One order, by code or by instId."""
    arg = {"instId": inst_id} if inst_id else {"instIdCode": 7}
    return parse_op({"op": "order", "args": [{**arg, "sz": "1"}], **more})


def reply(wire_id: str, code: str = "0") -> Reply:
    """What OKX says to an op."""
    return Reply(wire_id, "order", {"id": wire_id, "op": "order", "code": code, "msg": "", "data": []})


def codes(*verdicts: Verdict | None) -> dict[str, int]:
    """Command -> errorCode."""
    return {one.command_id: one.said["errorCode"] for one in verdicts if one is not None}


def sent(ops: Ops, link: int = 1, now: int = 0) -> list[str]:
    """The wire ids that go out now."""
    return [json.loads(frame)["id"] for frame in ops.take("private", link, now)]


class TestCorrelation:
    """Which reply belongs to whom."""

    def test_two_callers_with_the_same_id(self) -> None:
        """On the wire their ids differ; each gets his own reply with his own id."""
        ops = Ops()
        for command in ("a", "b"):
            ops.add(command, 10, order(id="1512"), 0)
        first, second = sent(ops)
        assert first != second
        verdicts = [ops.replied(reply(second, "51000"), 1), ops.replied(reply(first), 1)]
        assert codes(*verdicts) == {"b": 51000, "a": 80000}
        assert [one.said["reply"]["id"] for one in verdicts if one] == ["1512", "1512"]

    def test_reply_on_another_link(self) -> None:
        """An id means something on the connection that it was sent on only."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        (wire_id,) = sent(ops)
        assert ops.replied(reply(wire_id), 2) is None
        assert codes(ops.replied(reply(wire_id), 1)) == {"a": 80000}
        assert ops.replied(reply(wire_id), 1) is None

    def test_error_with_its_id(self) -> None:
        """An error event in place of a reply; those of subscriptions are none of ours."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        (wire_id,) = sent(ops)
        assert not ops.is_ours(Event("error", 60018, "wrong", "s1"))
        said = Event("error", 60011, "Please log in", wire_id)
        assert ops.is_ours(said)
        assert codes(ops.failed(said, {"id": wire_id}, 1)) == {"a": 60011}
        assert ops.is_ours(said)  # also when nobody waits for it any more

    def test_error_that_echoes_the_request(self) -> None:
        """A request that OKX could not read is known by the id in its echo."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        ops.add("b", 10, order(), 0)
        _, wire_id = sent(ops)
        said = Event("error", 60012, f'Invalid request: {{"id": "{wire_id}", "op": "order"}}')
        assert ops.is_ours(said)
        assert codes(ops.failed(said, {}, 1)) == {"b": 60012}
        assert not ops.is_ours(said)
        assert not ops.is_ours(Event("error", 60012, "Invalid request: {}"))


class TestAtMostOnce:
    """What goes out, and what does not."""

    def test_command_that_comes_twice(self) -> None:
        """The second is not another one, even when the first is done."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        assert ops.add("a", 10, order(), 0) is None
        (wire_id,) = sent(ops)
        ops.replied(reply(wire_id), 1)
        assert ops.overdue(5) == []
        assert ops.add("a", 10, order(), 5) is None
        assert sent(ops) == []

    def test_deadline_is_the_end(self) -> None:
        """At its deadline an op that waits is not sent any more, and its caller is told so."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        assert ops.overdue(9) == []
        assert sent(ops, now=10) == []
        (verdict,) = ops.overdue(10)
        assert verdict.said["errorCode"] == 80012
        assert "not sent" in verdict.said["message"]
        assert "/private was not up" in verdict.said["message"]
        assert sent(ops, now=0) == []

    def test_too_late_when_it_comes(self) -> None:
        """A command may lie in Redis longer than its caller waits."""
        ops = Ops()
        assert codes(ops.add("a", 10, order(), 10)) == {"a": 80012}
        assert not ops

    def test_lost_reply(self) -> None:
        """Sent, and the link lost: unknown, and it does not go out on the next link."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        ops.add("b", 10, parse_op({"op": "sprd-order", "args": [{}]}), 0)
        sent(ops, link=1)
        (verdict,) = ops.link_down(1)
        assert verdict.said["errorCode"] == 80014
        assert "unknown outcome" in verdict.said["message"]
        assert sent(ops, link=2) == []
        assert ops.waiting("business")

    def test_late_reply(self) -> None:
        """No reply by the deadline: unknown; what comes later is nobody's."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        (wire_id,) = sent(ops)
        assert ops.overdue_on(1, 10)
        assert codes(*ops.overdue(10)) == {"a": 80014}
        assert ops.replied(reply(wire_id), 1) is None

    def test_end_of_the_session(self) -> None:
        """What was sent is unknown, what was not hears why."""
        ops = Ops()
        ops.add("a", 10, order(), 0)
        sent(ops)
        ops.add("b", 10, order(), 0)
        verdicts = ops.end(answer(80011, "session s was closed"))
        assert codes(*verdicts) == {"a": 80014, "b": 80011}
        assert "not sent, session s was closed" in verdicts[1].said["message"]
        assert not ops


class TestInstruments:
    """Ops that wait for an instIdCode."""

    def test_waits_for_its_code(self) -> None:
        """It goes out when the code is known, others do not wait for it."""
        ops = Ops()
        ops.add("a", 10, order("BTC-USDT"), 0)
        ops.add("b", 10, order(), 0)
        assert ops.nameless() == {"BTC-USDT"}
        assert len(sent(ops)) == 1
        ops.codes["BTC-USDT"] = 7
        assert ops.nameless() == set()
        assert len(sent(ops)) == 1

    @pytest.mark.parametrize(("code", "error_code"), [(51001, 51001), (0, 80012)])
    def test_nobody_knows_it(self, code: int, error_code: int) -> None:
        """OKX's own code if it was OKX who said so; nothing was sent."""
        ops = Ops()
        ops.add("a", 10, order("NO-SUCH"), 0)
        ops.add("b", 10, order("BTC-USDT"), 0)
        (verdict,) = ops.unknown_instrument("NO-SUCH", code, "it does not exist")
        assert (verdict.command_id, verdict.said["errorCode"]) == ("a", error_code)
        assert "not sent" in verdict.said["message"]
        assert "NO-SUCH" in verdict.said["message"]
        assert ops.nameless() == {"BTC-USDT"}

    def test_deadline_while_asking(self) -> None:
        """The answer names what was missing."""
        ops = Ops()
        ops.add("a", 10, order("BTC-USDT"), 0)
        (verdict,) = ops.overdue(10)
        assert "instIdCode for BTC-USDT" in verdict.said["message"]


def test_expiry_by_the_exchanges_clock() -> None:
    """With a known offset OKX is told the deadline by its own clock."""
    ops = Ops()
    ops.add("a", 1000, order(), 0)
    (frame,) = ops.take("private", 1, 0, offset_ms=-30)
    assert json.loads(frame)["expTime"] == "970"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "add", "add", "again", "take", "take", "reply", "reply", "error", "cut", "pass", "known", "unknown"]
        ),
        st.integers(0, 9),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """For any order of commands, replies, cuts and deadlines: answered once, sent at most once and in time, and an
    answer that says 'not sent' is true."""
    ops = Ops()
    now, link, count = 0, 1, 0
    deadlines: dict[str, int] = {}
    answered: Counter[str] = Counter()
    frames: list[tuple[str, int]] = []  # wire id, link
    marks: Counter[str] = Counter()  # command -> how often it went out
    not_sent: set[str] = set()

    def tell(*verdicts: Verdict | None) -> None:
        for verdict in verdicts:
            if verdict is not None:
                answered[verdict.command_id] += 1
                if verdict.said["errorCode"] in (80012, 80011, 51001):
                    not_sent.add(verdict.command_id)

    def take() -> None:
        for frame in ops.take("private", link, now):
            body = json.loads(frame)
            frames.append((body["id"], link))
            command = body["args"][0]["clOrdId"]
            marks[command] += 1
            assert now < deadlines[command]

    for what, number in steps:
        match what:
            case "add":
                count += 1
                command = f"c{count}"
                deadlines[command] = now + number
                names = {"instId": f"X{number}-Y"} if number % 3 == 0 else {"instIdCode": number}
                op = parse_op({"op": "order", "args": [{**names, "clOrdId": command}], "id": "same"})
                tell(ops.add(command, deadlines[command], op, now))
            case "again" if deadlines:
                command = list(deadlines)[number % len(deadlines)]
                op = parse_op({"op": "order", "args": [{"instIdCode": 1, "clOrdId": command}]})
                if now < deadlines[command]:
                    tell(ops.add(command, deadlines[command], op, now))
            case "take":
                take()
            case "reply" if frames:
                wire_id, on = frames[number % len(frames)]
                tell(ops.replied(reply(wire_id, str(number % 2 * 51000)), on))
            case "error" if frames:
                wire_id, on = frames[number % len(frames)]
                tell(ops.failed(Event("error", 60011, "", wire_id), {}, on))
            case "cut":
                tell(*ops.link_down(link))
                link += 1
            case "pass":
                now += number
                tell(*ops.overdue(now))
            case "known":
                ops.codes[f"X{number}-Y"] = number
            case "unknown":
                tell(*ops.unknown_instrument(f"X{number}-Y", 51001, "gone"))
    tell(*(ops.overdue(now + 100) if count % 2 else ops.end(answer(80011, "closed"))))
    assert answered == Counter(deadlines.keys())
    assert all(times == 1 for times in marks.values())
    assert not not_sent & marks.keys()
    assert not ops
