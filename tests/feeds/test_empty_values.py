"""OKX sends "" where it has no number, and adds fields almost monthly: of every channel, under v5 and v3 names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from examples import SPOT, SWAP, example
from session.test_round_trips import V5_EXAMPLES, v3_text

from okws_celery.feeds import BadPush, translated_of
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.messages import Push, decode
from okws_celery.okx.topics import Topic, parse_topic
from okws_celery.okx.v3 import V3

V5_NAMES = sorted(name for name in V5_EXAMPLES if "candle" not in name or name.endswith("candle1m"))
"""Candles of all lengths are alike."""
V3_TOPICS = [parse_topic(v3_text(name)) for name in V3 if "candle" not in name or name.endswith("candle60s")]
ODD = {"aNewField": "x", "aNewList": [{"a": [1, None]}], "aNewNumber": 1.5e300, "aNewNull": None}


def variants(row: Any) -> Iterator[tuple[str, Any]]:
    """(what is empty, the row with that one value empty), for every text in a row, however deep it stands."""

    def texts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in pairs:
            if isinstance(inner, str):
                yield (*path, key)
            yield from texts(inner, (*path, key))

    for path in texts(row, ()):
        for empty in ("", None):
            copy = json.loads(json.dumps(row))
            inner = copy
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = empty
            yield ".".join(map(str, path)) + f"={empty!r}", copy


def pushes(topic: Topic, **values: str) -> Iterator[tuple[str, bytes]]:
    """(what is odd, the frame) for each odd row of a topic's channel."""
    arguments = {key: value for key, value in topic.arg if key != "channel"}
    one = example(topic.channel, arguments, **values)
    message = json.loads(one.frame)
    (row,) = message["data"]
    odd = [(what, changed) for what, changed in variants(row)]
    if isinstance(row, dict):
        odd.append(("unknown fields", {**row, **ODD}))
    for what, changed in odd:
        yield what, json.dumps({**message, "data": [changed]}).encode()


def takes(topic: Topic, what: str, write: Callable[[], Any], problems: list[str]) -> None:
    """A feed takes a row, or says by BadPush that it is none where something is empty that names it or its level."""
    try:
        write()
    except BadPush as problem:
        name, _, empty = what.rpartition("=")
        name = name.rpartition(".")[2]
        of_level = topic.channel.kind is Kind.BOOK and name.isdecimal()
        if empty == "''" and not of_level and name not in ("0", *topic.channel.identity):
            problems.append(f"{topic.text} {what}: {problem}")


def parsed(frame: bytes) -> Push:
    push = decode(frame)
    assert isinstance(push, Push)
    return push


@pytest.mark.parametrize("name", V5_NAMES)
def test_rows_of_v5(bench: Any, name: str) -> None:
    """Every value but a name or a time may be empty; null never does harm."""
    topic = V5_EXAMPLES[name].topic
    bench.start(topic)
    problems: list[str] = []
    for what, frame in pushes(topic):
        if topic.channel.kind is Kind.BOOK and "null" in frame.decode():
            continue  # levels are no rows
        takes(topic, what, lambda frame=frame: bench.push_frame(frame), problems)
        bench.read()
    assert problems == []


@pytest.mark.parametrize("topic", V3_TOPICS, ids=lambda topic: str(topic.text))
def test_rows_of_v3(bench: Any, topic: Topic) -> None:
    """The same of what v3 names are made of, as the main row and as one that adds to it."""
    bench.start(topic)
    feed = bench.feed = translated_of(bench.route)
    product = topic.text.partition("/")[0]
    inst_id = {"spot": SPOT, "margin": SPOT, "swap": SWAP}.get(product)
    problems: list[str] = []
    for source in topic.sources:
        values = {"instId": inst_id} if inst_id and source.channel.kind is Kind.STATE else {}
        for what, frame in pushes(source, **values):
            if topic.channel.kind is Kind.BOOK and "null" in frame.decode():
                continue
            push = parsed(frame)

            def write(source: Topic = source, push: Push = push) -> None:
                if source.arg == topic.arg:
                    feed.write(bench.batch, push)
                    json.loads(feed.spoken(push) or b"null")
                else:
                    feed.aside(bench.batch, push, source.arg)

            takes(source, what, write, problems)
            bench.flush()
            bench.read()
    assert problems == []
