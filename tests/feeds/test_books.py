"""Books: right, or marked stale."""

from __future__ import annotations

import json
from typing import Any

import pytest

from okws_celery.okx.order_book import checksum_of


def level(price: object, size: object = "1") -> list[str]:
    """A row of a v5 book."""
    return [str(price), str(size), "0", "1"]


def message(
    asks: list[list[str]], bids: list[list[str]], prev: object = None, seq: object = None, **more: object
) -> dict[str, Any]:
    """A data object of a book channel."""
    row: dict[str, Any] = {"asks": asks, "bids": bids, "ts": "1000", **more}
    if prev is not None:
        row["prevSeqId"] = prev
    if seq is not None:
        row["seqId"] = seq
    return row


SNAPSHOT = message([level("101"), level("102")], [level("100"), level("99")], -1, 10)


@pytest.fixture
def books(bench: Any) -> Any:
    """A bench with a live book."""
    bench.start("books:BTC-USDT")
    assert bench.push(SNAPSHOT, action="snapshot") == ""
    return bench


def state(bench: Any) -> str:
    """What a reader is told of the book."""
    return str(bench.hash().get("state"))


def prices(bench: Any) -> tuple[list[str], list[str]]:
    """Asks and bids as read, best first."""
    book = bench.read()
    return [row[0] for row in book["asks"]], [row[0] for row in book["bids"]]


def test_hash_is_the_merged_book(books: Any) -> None:
    """The exchange's own levels, best first, with the numbers that belong to them."""
    books.push(
        message([level("101", "0"), level("101.5", "7")], [level("100.0", "3")], 10, 12, ts="1100"), action="update"
    )
    assert books.hash() == {
        "asks": '[["101.5","7","0","1"],["102","1","0","1"]]',
        "bids": '[["100.0","3","0","1"],["99","1","0","1"]]',
        "ts": "1100",
        "seqId": "12",
        "state": "live",
    }
    assert books.read(n=1)["bids"] == [["100.0", "3", "0", "1"]]
    assert books.feed.last_ts == 1100


def test_a_batch_writes_the_book_once_and_publishes_every_message(books: Any) -> None:
    """As sent, on the topic's own channel."""
    books.published()
    sent = [message([], [level("99.5", n)], 10 + n, 11 + n) for n in range(30)]
    for row in sent:
        books.push(row, action="update", flush=False)
    assert len(books.flush()) == len(sent) + 1
    assert [json.loads(payload) for _, payload in books.published()] == sent
    assert books.hash()["seqId"] == "40"


def test_a_gap_makes_it_stale_and_asks_once(books: Any) -> None:
    """Levels stay, 1,000 queued updates change nothing and ask for nothing, the next snapshot heals."""
    before = prices(books)
    assert books.push(message([], [level("99.9")], 12, 13), action="update") == "sequence gap"
    assert state(books) == "stale"
    for n in range(1_000):
        assert books.push(message([], [level("99.8", n + 1)], 13 + n, 14 + n), action="update", flush=False) == ""
    books.flush()
    assert (state(books), prices(books)) == ("stale", before)
    assert books.hash()["seqId"] == "10"
    assert books.push(SNAPSHOT, action="snapshot") == ""
    assert state(books) == "live"
    assert books.push(message([], [], 99, 100), action="update") == "sequence gap", "a new breakage asks anew"


def test_a_gap_between_good_updates_of_one_batch_shows_stale(books: Any) -> None:
    """Whatever was good before it in the batch."""
    books.push(message([], [level("99.9")], 10, 11), action="update", flush=False)
    books.push(message([], [level("99.8")], 12, 13), action="update", flush=False)
    books.flush()
    assert state(books) == "stale"


def test_a_wrong_checksum_makes_it_stale(books: Any) -> None:
    """0 and absent mean that none is given (PROTOCOL 6.4)."""
    good = checksum_of([level("101"), level("102")], [level("100", "2"), level("99")])
    assert books.push(message([], [level("100", "2")], 10, 11, checksum=good), action="update") == ""
    assert books.push(message([], [level("100", "3")], 11, 12, checksum=0), action="update") == ""
    assert state(books) == "live"
    assert books.push(message([], [level("100", "4")], 12, 13, checksum=5), action="update") == "bad checksum"
    assert state(books) == "stale"


def test_a_book_crossed_by_an_update_is_broken(books: Any) -> None:
    """Best bid at or above best ask: something is missing."""
    assert books.push(message([], [level("101")], 10, 11), action="update") == "crossed"
    assert state(books) == "stale"
    assert books.push(message([], [level("101", "0")], 11, 12), action="update") == ""
    assert state(books) == "stale"


def test_a_crossed_snapshot_asks_for_nothing_and_heals_by_updates(books: Any) -> None:
    """In a call auction a new subscription would bring the same book again."""
    assert books.push(message([], [level("105")], 10, 11), action="update") == "crossed"
    crossed = message([level("101")], [level("105"), level("100")], -1, 20)
    assert books.push(crossed, action="snapshot") == ""
    assert state(books) == "stale"
    assert books.push(message([], [level("100.5")], 20, 21), action="update") == ""
    assert state(books) == "stale"
    assert books.push(message([], [level("105", "0")], 21, 22), action="update") == ""
    assert (state(books), prices(books)) == ("live", (["101"], ["100.5", "100"]))


def test_a_bad_snapshot_asks_once_and_not_again(bench: Any) -> None:
    """No storm of subscriptions when the exchange's checksums are wrong; a good snapshot heals."""
    bench.start("books:BTC-USDT")
    assert bench.push({**SNAPSHOT, "checksum": 1}, action="snapshot") == "bad checksum"
    assert bench.push({**SNAPSHOT, "checksum": 1}, action="snapshot") == ""
    assert state(bench) == "stale"
    assert bench.push(SNAPSHOT, action="snapshot") == ""
    assert state(bench) == "live"


def test_an_interruption_makes_it_stale_until_a_snapshot(books: Any) -> None:
    """Also when updates come first that would fit."""
    books.feed.interrupted(books.batch)
    books.flush()
    assert (state(books), books.feed.live) == ("stale", False)
    assert books.push(message([], [level("99.9")], 10, 11), action="update") == ""
    assert (state(books), books.feed.first_ts) == ("stale", 0)
    books.push(SNAPSHOT, action="snapshot")
    assert (state(books), books.feed.live, books.feed.first_ts) == ("live", True, 1000)


def test_what_an_earlier_session_left_is_stale(books: Any) -> None:
    """Levels from before a restart are not served as live."""
    books.start("books:BTC-USDT")
    assert state(books) == "stale"
    assert prices(books) == (["101", "102"], ["100", "99"])


def test_no_book_yet_reads_as_no_data(bench: Any) -> None:
    """`{}`, also after the session has begun to wait for it."""
    bench.start("books:BTC-USDT", prepare=False)
    assert bench.read() == {}
    bench.start("books:BTC-USDT")
    assert bench.read() == {}


def test_a_heartbeat_and_a_reset_are_legal(books: Any) -> None:
    """The example of PROTOCOL 6.3: (10,15) (15,15) (15,3) (3,5)."""
    for prev, seq, bids in ((10, 15, [level("99.1")]), (15, 15, []), (15, 3, [level("99.2")]), (3, 5, [level("99.3")])):
        assert books.push(message([], bids, prev, seq), action="update") == ""
    assert (state(books), books.hash()["seqId"]) == ("live", "5")


def test_the_same_message_twice_leaves_redis_as_once(books: Any) -> None:
    """A repeat of the last message is no gap; so it is without numbers, and with snapshots."""
    update = message([], [level("99.9")], 10, 11)
    books.push(update, action="update")
    once = books.hash()
    assert books.push(update, action="update") == ""
    assert books.hash() == once
    books.push(SNAPSHOT, action="snapshot")
    books.push(SNAPSHOT, action="snapshot")
    assert books.hash()["state"] == "live"


@pytest.mark.parametrize("topic", ["books5:BTC-USDT", "bbo-tbt:BTC-USDT", "sprd-bbo-tbt:A_B", "sprd-books5:A_B"])
def test_full_books_replace_one_another(bench: Any, topic: str) -> None:
    """No action, no sequence to follow, and never a reason to subscribe again."""
    bench.start(topic)
    assert bench.push(message([level("2")], [level("1")])) == ""
    assert bench.push(message([level("4")], [level("3")], None, 7)) == ""
    assert (state(bench), prices(bench), bench.hash()["seqId"]) == ("live", (["4"], ["3"]), "7")
    assert bench.push(message([level("4")], [level("5")])) == ""
    assert state(bench) == "stale"
    bench.refuses("rubbish")
    assert bench.push(message([level("4")], [level("3")], checksum=1)) == ""
    assert state(bench) == "stale"
    assert bench.push(message([level("4")], [level("3")])) == ""
    assert (state(bench), bench.hash()["seqId"]) == ("live", "")
    bench.feed.interrupted(bench.batch)
    bench.push(message([level("6")], []))
    assert (state(bench), prices(bench)) == ("live", (["6"], []))


def test_the_book_is_cut_to_the_depth_that_is_set(bench: Any) -> None:
    """OKWS_BOOK_DEPTH cuts what is stored, not what is merged."""
    bench.start("books:BTC-USDT", book_depth=2)
    bench.push(message([level(n) for n in range(10, 15)], [level(n) for n in range(5)], -1, 1), action="snapshot")
    assert prices(bench) == (["10", "11"], ["4", "3"])
    bench.push(message([level("10", "0")], [level("4", "0")], 1, 2), action="update")
    assert prices(bench) == (["11", "12"], ["3", "2"])


def test_prices_of_spreads_may_be_negative(bench: Any) -> None:
    """Their rows have three columns (PROTOCOL 5.2)."""
    bench.start("sprd-books-l2-tbt:A_B")
    bench.push(message([["-8.8", "1.8", "1"]], [["-78.9", "0.4", "1"]], "-1", "10"), action="snapshot")
    bench.push(message([["-9", "1", "1"]], [["-10", "1", "1"]], "10", "11"), action="update")
    assert (state(bench), prices(bench)) == ("live", (["-9", "-8.8"], ["-10", "-78.9"]))


def test_rewrite_restores_the_book(books: Any) -> None:
    """As it stands, or that it is stale."""
    whole = books.hash()
    books.ask("FLUSHALL")
    books.feed.rewrite(books.batch)
    books.flush()
    assert books.hash() == whole


def test_an_update_that_cannot_be_read_breaks_the_book(books: Any) -> None:
    """It is missing from the merged book; the reason is given with the next message."""
    books.published()
    text = books.refuses(message([["x", "1"]], [], 10, 11), action="update")
    assert "BTC-USDT" in text
    books.flush()
    assert state(books) == "stale"
    assert books.push(message([], [], 11, 12), action="update") == "a message that could not be read"
    assert books.push(message([], [], 12, 13), action="update") == ""
    assert books.push(SNAPSHOT, action="snapshot") == ""
    assert state(books) == "live"


BAD: list[tuple[str, object]] = [
    ("no object", []),
    ("no sides", {"ts": "1"}),
    ("a side that is no list", message([], {}, 10, 11)),
    ("a level that is no list", message(["1"], [], 10, 11)),
    ("a level without size", message([["1"]], [], 10, 11)),
    ("an empty price", message([level("")], [], 10, 11)),
    ("an empty size", message([level("1", "")], [], 10, 11)),
    ("a price that is no number", message([level("nan")], [], 10, 11)),
    ("a price with an exponent", message([level("1e999999")], [], 10, 11)),
    ("a float", message([[1.5, "1"]], [], 10, 11)),
    ("a size of null", message([["1", None]], [], 10, 11)),
    ("a sequence that is an object", message([], [], 10, {})),
]


@pytest.mark.parametrize("row", [row for _, row in BAD], ids=[name for name, _ in BAD])
def test_a_bad_row_refuses_the_whole_push(books: Any, row: object) -> None:
    """Nothing of the good rows beside it is published; the book is stale rather than wrong."""
    books.published()
    books.refuses(message([], [level("99.9")], 10, 11), row, action="update")
    books.flush()
    assert state(books) == "stale"
    assert books.published() == []


def test_empty_numbers_beside_the_levels_are_not_given(books: Any) -> None:
    """ "" as seqId, prevSeqId, checksum or ts is none."""
    row = message([], [level("99.9")], "", "", checksum="", ts="")
    assert books.push(row, action="update") == ""
    assert state(books) == "live"


def test_an_action_that_is_none_is_refused(books: Any) -> None:
    """A book of 400 levels comes as snapshot or update."""
    books.refuses(SNAPSHOT, action="delete")
    books.refuses(SNAPSHOT)
