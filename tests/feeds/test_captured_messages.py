"""Every captured v5 message is decoded, and every one with data is stored by its feed; what is refused has a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from okws_celery.errors import BadCommand
from okws_celery.feeds import BadPush
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.messages import Event, Push, Reply, decode
from okws_celery.okx.topics import Topic, parse_topic

NO_TOPIC = {
    "go-okx/orders.json": "hand-made: the arg lacks instType, which the channel requires",
    "go-okx/positions.json": "hand-made: the arg lacks instType, which the channel requires",
    "gocryptotrader/block-tickers.json": "documentation example: the arg drops its instId (PROTOCOL 4)",
    "gocryptotrader/candle1D.2.json": "documentation example: an instType in the arg, which candles do not take",
    "okx-api-burakoner/event-contract-markets.json": "hand-made: the arg drops its instType (PROTOCOL 4)",
    "tardis-node/liquidations.json": "made by the recorder from polling, never sent: no such channel",
    "tardis-node/opt-summary.json": "captured in 2021: the arg names uly, which is refused with 64000 today",
}
NO_ROW = {
    "go-okx/balance_and_position.json": "hand-made: a position without posId",
    "okx-net/candle1D.json": "documentation example cut to its first value",
    "okx-net/candle1H.json": "documentation example cut to its first value",
}
STALE = {
    "crypto-msg-parser/books-l2-tbt-snapshot.json": "cut to a few levels: the checksum is of the whole book",
    "crypto-msg-parser/books-l2-tbt-snapshot.2.json": "cut to a few levels: the checksum is of the whole book",
    "tardis-node/books-l2-tbt-snapshot.json": "cut to a few levels: the checksum is of the whole book",
    "nautilus-trader/books-snapshot.json": "documentation example: its checksum is of no book shown",
    "go-okx/books5-snapshot.json": "documentation example: its checksum is of no book shown",
    "okx-api-burakoner/sprd-books-l2-tbt-snapshot.json": "hand-made: the checksum is 123456",
}
ENDED = {"filled", "canceled", "effective", "expired"}


def messages(captures: Path) -> Iterator[tuple[str, bytes]]:
    """(name, frame) of every single v5 message."""
    for file in sorted(captures.glob("*/*.json")):
        if not file.name.startswith("v3-"):
            yield (
                f"{file.parent.name}/{file.name}",
                json.dumps(json.loads(file.read_text()), separators=(",", ":")).encode(),
            )


def topic_of(push: Push) -> Topic:
    """The topic that the arg of a push names."""
    arg = json.loads(bytes(push.arg))
    arg.pop("uid", None)
    return parse_topic(arg)


def test_every_message_is_decoded(captures: Path) -> None:
    """Into what it is: data, an event, or a reply to an op."""
    kinds = {Push: 0, Event: 0, Reply: 0}
    for name, frame in messages(captures):
        message, body = decode(frame), json.loads(frame)
        expected = Event if "event" in body else Reply if "op" in body else Push
        assert isinstance(message, expected), name
        kinds[expected] += 1
    assert kinds == {Push: 177, Event: 39, Reply: 21}


def test_every_message_with_data_is_stored(captures: Path, bench: Any) -> None:
    """And read back as it was sent; each with an empty Redis."""
    stored = 0
    for name, frame in messages(captures):
        push = decode(frame)
        if not isinstance(push, Push):
            continue
        try:
            topic = topic_of(push)
        except BadCommand:
            assert name in NO_TOPIC
            continue
        assert name not in NO_TOPIC
        bench.ask("FLUSHALL")
        bench.published()
        bench.start(topic)
        if name in NO_ROW:
            with pytest.raises(BadPush):
                bench.push_frame(frame)
            continue
        bench.push_frame(frame)
        check_stored(bench, name, push)
        stored += 1
    assert stored == 177 - len(NO_TOPIC) - len(NO_ROW)


def check_stored(bench: Any, name: str, push: Push) -> None:
    """What the rows of one push left in an empty Redis."""
    rows = [json.loads(bytes(row)) for row in push.data]
    kind = bench.topic.channel.kind
    if kind is Kind.LATEST:
        as_text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in rows[-1].items()}
        assert bench.read() == as_text, name
    elif kind is Kind.CANDLES:
        assert bench.read() == list({row[0]: row for row in rows}.values()), name
    elif kind is Kind.LOG:
        assert bench.read() == rows, name
    elif kind is Kind.BOOK:
        if push.action == "update" or name in STALE:
            assert (bench.hash(), bench.read()) == ({"state": "stale"}, {}), name
        else:
            book = bench.read()
            assert (book["asks"], book["bids"], book["state"]) == (rows[0]["asks"], rows[0]["bids"], "live"), name
    elif bench.topic.channel.name == "account":
        assert {field for field in bench.hash() if field != "account"} == {row["ccy"] for row in rows[0]["details"]}
    elif bench.topic.channel.name == "balance_and_position":
        assert len(bench.hash()) == sum(len(row.get("balData", ())) + len(row.get("posData", ())) for row in rows)
    else:
        there = bench.hash()
        for row in rows:
            field = ":".join(row.get(key, "") for key in bench.topic.channel.identity)
            assert (field in there) != (row.get("state") in ENDED or row.get("pos") == "0"), name
    if kind not in (Kind.CANDLES, Kind.STATE):
        assert [json.loads(payload) for _, payload in bench.published()] == rows, name


def test_empty_and_unknown_values_stop_nobody(captures: Path, bench: Any) -> None:
    """ "" in each field in turn, "" in all of them, and a field that is not known: stored or refused whole."""
    for name, body in with_data(captures):
        bench.start(topic_of(decode(as_frame(body))))
        for row in changed(body["data"][0], ["", None]):
            try_row(bench, name, body, row)
        first = body["data"][0]
        if isinstance(first, dict):
            try_row(bench, name, body, dict.fromkeys(first, ""))
            try_row(bench, name, body, {**first, "brandNew": {"nested": [1.50, None]}})
        else:
            try_row(bench, name, body, [""] * len(first))
        bench.flush()


def test_wrong_types_are_refused_whole_or_pass(captures: Path, bench: Any) -> None:
    """Whatever stands in the place of a value: no other error is raised, and Redis refuses nothing that it is sent."""
    for name, body in with_data(captures):
        bench.start(topic_of(decode(as_frame(body))))
        for row in (
            *changed(body["data"][0], [{}, [], ["x"], 1.5, -1, True, "x" * 200, '\\"\x00é']),
            [],
            {},
            "",
            None,
            0,
        ):
            try_row(bench, name, body, row)
        bench.flush()


def with_data(captures: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Messages whose topic is understood."""
    for name, frame in messages(captures):
        body = json.loads(frame)
        if "event" not in body and "op" not in body and name not in NO_TOPIC:
            yield name, body


def changed(row: Any, values: list[Any]) -> Iterator[Any]:
    """The row with each of its values replaced in turn."""
    for key in list(row) if isinstance(row, dict) else range(len(row)):
        for value in values:
            copy = row.copy()
            copy[key] = value
            yield copy


def try_row(bench: Any, name: str, body: dict[str, Any], row: Any) -> None:
    """Give the feed one row beside good ones. Either all of the push is in the batch, or nothing."""
    before = len(bench.batch.writes), len(bench.batch.publishes)
    try:
        bench.push_frame(as_frame({**body, "data": [*body["data"], row]}), flush=False)
    except BadPush:
        assert (len(bench.batch.writes), len(bench.batch.publishes)) == before, f"{name}: half of {row} was written"


def as_frame(body: dict[str, Any]) -> bytes:
    """A message as the exchange would send it."""
    return json.dumps(body, separators=(",", ":")).encode()
