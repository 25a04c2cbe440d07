"""Trading ops: what may be sent, what is added, and what OKX's reply means."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from okws_celery.errors import BadCommand
from okws_celery.okx.ops import OPS, Op, answer_of, check_op, code_request, error_answer, parse_op

ORDER = {"instIdCode": 7, "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "1", "sz": "1"}


def op(name: str = "order", *args: dict[str, Any], **rest: Any) -> Op:
    """An op that is in order."""
    return parse_op({"op": name, "args": list(args) or [ORDER], **rest})


class TestWhatMayBeSent:
    """The caller's object, checked before anything else."""

    @pytest.mark.parametrize("name", sorted(OPS))
    def test_path_of_each(self, name: str) -> None:
        """Spread ops go to /business, all others to /private (PROTOCOL 7)."""
        assert op(name).kind.path == ("business" if name.startswith("sprd") else "private")

    def test_list_of_protocol_7(self) -> None:
        """Every op of the protocol is known, with what OKX does to it."""
        assert set(OPS) == {
            "order", "batch-orders", "cancel-order", "batch-cancel-orders", "amend-order", "batch-amend-orders",
            "mass-cancel", "sprd-order", "sprd-amend-order", "sprd-cancel-order", "sprd-mass-cancel",
        }  # fmt: skip
        assert {name for name, kind in OPS.items() if kind.expires} == {
            "order", "batch-orders", "amend-order", "batch-amend-orders",
        }  # fmt: skip

    @pytest.mark.parametrize(("name", "path"), [("close-positions", "private"), ("sprd-new", "business")])
    def test_op_that_nobody_knows_yet(self, name: str, path: str) -> None:
        """It passes as it is, so that what OKX adds works without a new version."""
        given = {"op": name, "args": [{"instId": "BTC-USDT", "instIdCode": "7"}], "extra": {"a": 1}}
        new = parse_op(given)
        assert (new.kind.path, new.inst_ids) == (path, set())
        assert json.loads(new.request("o1", {}, 5)) == {"id": "o1", **given}

    def test_op_without_args(self) -> None:
        """A new op may have none."""
        assert json.loads(parse_op({"op": "status-all"}).request("o1", {})) == {"id": "o1", "op": "status-all"}

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            (None, "is accepted, as OKX takes it"),
            ("order", "is accepted, as OKX takes it"),
            ([], "is accepted, as OKX takes it"),
            ({}, "'op' is missing"),
            ({"op": 5}, "'op' is missing"),
            ({"op": "", "args": [{}]}, "the name of an op"),
            ({"op": "Order me", "args": [{}]}, "the name of an op"),
            ({"op": "login", "args": [{"apiKey": "hidden"}]}, "logs in by itself"),
            ({"op": "ping"}, "keeps its links alive"),
            ({"op": "order"}, "'args' is missing"),
            ({"op": "order", "args": {}}, "list of objects"),
            ({"op": "order", "args": ["BTC-USDT"]}, "list of objects"),
            ({"op": "order", "args": [ORDER], "id": 5}, "1 to 32 letters and digits"),
            ({"op": "order", "args": [ORDER], "id": "a-b"}, "1 to 32 letters and digits"),
            ({"op": "order", "args": [ORDER], "id": "a" * 33}, "1 to 32 letters and digits"),
            ({"op": "order", "args": [{"instIdCode": "7"}]}, "whole number"),
            ({"op": "order", "args": [{"instIdCode": True}]}, "whole number"),
            ({"op": "order", "args": [{"instId": 7}]}, "text is accepted"),
            ({"op": "order", "args": [{"instId": "WHAT"}]}, "give instIdCode"),
            ({"op": "order", "args": [{"sz": float("nan")}]}, "not JSON"),
            ({"op": "order", "args": [{"sz": Decimal("NaN")}]}, "not JSON"),
            ({"op": "order", "args": [{"sz": object()}]}, "not JSON"),
            ({"op": "batch-orders", "args": [{"tag": "x" * 70_000}]}, "64 KB"),
            ({"op": "batch-orders", "args": [{"tag": "é" * 11_000}]}, "64 KB"),
        ],
    )
    def test_what_is_refused(self, given: Any, complaint: str) -> None:
        """One line says what is wrong and what is accepted, and repeats no login."""
        with pytest.raises(BadCommand) as said:
            check_op(given)
        assert complaint in str(said.value)
        assert "hidden" not in str(said.value)
        assert len(str(said.value)) < 400

    def test_numbers_become_what_okx_takes(self) -> None:
        """Decimals are text, without exponents."""
        assert check_op({"op": "order", "args": [{"sz": Decimal("1E-8")}]})["args"] == [{"sz": "0.00000001"}]

    @pytest.mark.parametrize("name", ["subscribe", "unsubscribe"])
    def test_topics_are_no_op(self, name: str) -> None:
        """They pass the check, text topics too, and are no op."""
        assert check_op({"op": name, "args": ["tickers:BTC-USDT"]})["op"] == name


class TestWhatIsAdded:
    """The frame against the caller's object."""

    def test_code_takes_the_place_of_the_id(self) -> None:
        """A sent instId is ignored by OKX; a code that the caller gave stays."""
        batch = op("batch-orders", {"instId": "BTC-USDT", "sz": "1"}, {"instIdCode": 9, "instId": "X", "sz": "2"})
        assert batch.inst_ids == {"BTC-USDT"}
        sent = json.loads(batch.request("o1", {"BTC-USDT": 7}))
        assert sent["args"] == [{"instIdCode": 7, "sz": "1"}, {"instIdCode": 9, "instId": "X", "sz": "2"}]

    def test_id_of_a_mass_cancel_stays(self) -> None:
        """Ops that do not name instruments by code are left alone."""
        assert op("sprd-order", {"instId": "A-B", "sprdId": "x"}).inst_ids == set()

    @pytest.mark.parametrize("name", sorted(OPS))
    def test_expiry(self, name: str) -> None:
        """Ops that OKX lets expire carry expTime, as text, at the top; none if the exchange's time is not known."""
        assert json.loads(op(name).request("o1", {}, 1700)).get("expTime") == ("1700" if OPS[name].expires else None)
        assert "expTime" not in json.loads(op(name).request("o1", {}, None))

    def test_expiry_of_the_caller_stays(self) -> None:
        """What the caller gave is not changed."""
        assert json.loads(op(expTime="5").request("o1", {}, 1700))["expTime"] == "5"

    def test_id_is_the_sessions(self) -> None:
        """On the wire stands an id of the session, whatever the caller gave."""
        assert json.loads(op(id="mine").request("o12", {}))["id"] == "o12"

    @pytest.mark.parametrize(
        ("inst_id", "query"),
        [
            ("BTC-USDT", "instType=SPOT"),
            ("BTC-USDT-SWAP", "instType=SWAP"),
            ("BTC-USD_UM-SWAP", "instType=SWAP"),
            ("BTC-USDT-250808", "instType=FUTURES"),
            ("BTC-USD-241013-70000-P", "instType=OPTION&instFamily=BTC-USD"),
        ],
    )
    def test_instrument_type_from_its_id(self, inst_id: str, query: str) -> None:
        """The ids of PROTOCOL 8.3 tell their type; options need their family as well."""
        assert code_request(inst_id).target == f"/api/v5/public/instruments?{query}&instId={inst_id}"


class TestWhatTheReplyMeans:
    """OKX's reply as an answer."""

    def test_accepted(self) -> None:
        """Code 0 is 80000, with the whole reply and the caller's own id in it."""
        reply = {"id": "o1", "op": "order", "code": "0", "msg": "", "data": [{"ordId": "5", "sCode": "0"}]}
        said = answer_of(op(id="mine"), reply)
        assert (said["event"], said["errorCode"]) == ("info", 80000)
        assert said["reply"] == reply | {"id": "mine"}

    @pytest.mark.parametrize("code", ["1", "2"])
    def test_items_that_failed(self, code: str) -> None:
        """The code and text of the first that failed, and all of them in the reply."""
        items = [
            {"sCode": "0", "sMsg": ""},
            {"sCode": "51008", "sMsg": "Insufficient balance"},
            {"sCode": "51001", "sMsg": "No such thing"},
        ]
        said = answer_of(op("batch-orders"), {"id": "o1", "op": "batch-orders", "code": code, "data": items})
        assert (said["event"], said["errorCode"], said["message"]) == ("error", 51008, "Insufficient balance")
        assert said["reply"]["data"] == items

    def test_whole_request_refused(self) -> None:
        """Without items the request's own code and text."""
        said = answer_of(op(), {"id": "o1", "op": "order", "code": "60013", "msg": "Invalid args", "data": []})
        assert (said["errorCode"], said["message"]) == (60013, "Invalid args")

    def test_mass_cancel(self) -> None:
        """Its items have no sCode."""
        reply = {"id": "o1", "op": "mass-cancel", "code": "0", "msg": "", "data": [{"result": True}]}
        assert answer_of(op("mass-cancel", {}), reply)["errorCode"] == 80000

    @pytest.mark.parametrize("code", ["", "x", None, "-1", "1e5", [], "9" * 30])
    def test_code_that_is_none(self, code: Any) -> None:
        """It cannot be told to be a success: the outcome is unknown, and OKX's reply is there to look at."""
        reply = {"id": "o1", "op": "order", "code": code, "data": [{"sCode": "0"}]}
        said = answer_of(op(), reply)
        assert (said["event"], said["errorCode"], said["reply"]) == ("error", 80014, reply)

    @pytest.mark.parametrize("data", [None, {}, "x", [None, "x", 5, {}]])
    def test_strange_items(self, data: Any) -> None:
        """What is no item does not hide the code."""
        assert (
            answer_of(op(), {"id": "o1", "op": "order", "code": "50011", "msg": "", "data": data})["errorCode"] == 50011
        )

    def test_error_event(self) -> None:
        """An error in place of a reply: its code and text."""
        event = {"id": "o1", "event": "error", "code": "60011", "msg": "Please log in"}
        said = error_answer(op(id="mine"), 60011, "Please log in", event)
        assert (said["errorCode"], said["message"], said["reply"]["id"]) == (60011, "Please log in", "mine")
