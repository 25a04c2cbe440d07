"""Messages: what OKX sends becomes what it is, and rubbish becomes one error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.okx.messages import BadMessage, Event, Push, Reply, decode


def test_a_push_keeps_its_rows_raw() -> None:
    """As sent, spaces and all; `arg` as sent too."""
    push = decode(b'{"arg":{"channel":"tickers", "instId":"A"},"data":[{"last": 1.10},["x"]]}')
    assert isinstance(push, Push)
    assert bytes(push.arg) == b'{"channel":"tickers", "instId":"A"}'
    assert [bytes(row) for row in push.data] == [b'{"last": 1.10}', b'["x"]']
    assert (push.action, push.event_type, push.page, push.last_page) == ("", "", 0, True)


def test_marks_of_books_and_pages() -> None:
    """`action`, `eventType`, `curPage`, `lastPage` (PROTOCOL 4, 6)."""
    push = decode(b'{"arg":{},"action":"update","eventType":"snapshot","curPage":2,"lastPage":false,"data":[]}')
    assert isinstance(push, Push)
    assert (push.action, push.event_type, push.page, push.last_page, push.data) == ("update", "snapshot", 2, False, [])


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (
            '{"id":"1512","event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USDT"},"connId":"accb8e21"}',
            Event("subscribe", id="1512", arg={"channel": "tickers", "instId": "BTC-USDT"}),
        ),
        ('{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}', Event("login")),
        (
            '{"id":"1512","event":"error","code":"60012","msg":"Invalid request: {...}","connId":"a4d3ae55"}',
            Event("error", 60012, "Invalid request: {...}", "1512"),
        ),
        (
            '{"event":"notice","code":"64008","msg":"Please reconnect.","connId":"x"}',
            Event("notice", 64008, "Please reconnect."),
        ),
        (
            '{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}',
            Event("channel-conn-count", channel="orders"),
        ),
        (
            '{"event":"channel-conn-count-error","channel":"orders","connCount":"30","connId":"a4d3ae55"}',
            Event("channel-conn-count-error", channel="orders"),
        ),
        ('{"event":"error","code":60018,"msg":null,"id":null}', Event("error", 60018)),
        ('{"event":"error","code":"what"}', Event("error", 0)),
    ],
)
def test_events(frame: str, event: Event) -> None:
    """PROTOCOL 2.3 to 4; old servers leave out connId, and numbers may come as such."""
    assert decode(frame.encode()) == event


def test_replies_to_ops() -> None:
    """PROTOCOL 7: told apart by `op`, matched by `id`."""
    frame = b'{"id":"1512","op":"order","data":[{"ordId":"1","sCode":"0"}],"code":"0","msg":"","inTime":"1"}'
    assert decode(frame) == Reply("1512", "order", json.loads(frame))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"pong",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"arg":{"channel":"x"}}',
        b'{"data":[]}',
        b'{"arg":{},"data":{}}',
        b'{"arg":{},"data":[1.2.3]}',
        b'{"arg":{},"data":["\\ud800aaaaaaaaaa"]}',
        b'{"arg":{},"data":[],"action":1}',
        b'{"arg":{},"data":["\xff"]}',
        b'{"event":{}}',
        b'{"arg":{},"data":[' + b"[" * 100_000 + b"]}",
        b'{"arg":{},"data":[]} x',
    ],
    ids=lambda frame: frame[:30].decode("latin-1"),
)
def test_rubbish_is_one_error(frame: bytes) -> None:
    """Bad JSON, bad UTF-8, wrong types, things without meaning."""
    with pytest.raises(BadMessage):
        decode(frame)


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_nothing_else_is_ever_raised(frame: bytes) -> None:
    """Whatever the bytes."""
    try:
        decode(frame)
    except BadMessage:
        pass
