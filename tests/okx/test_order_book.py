"""Order book: the exchange's own vectors, and a plain model beside it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okws_celery.okx.order_book import BadLevel, OrderBook, Outcome, checksum_of


def levels(text: str) -> list[list[str]]:
    """`8476.98:415 8477:7` as rows."""
    return [[*item.split(":"), "0", "1"] for item in text.split()]


def as_text(rows: list[object]) -> str:
    """The reverse of `levels`."""
    return " ".join(f"{row[0]}:{row[1]}" for row in rows)


@pytest.mark.parametrize(
    ("bids", "asks", "crc"),
    [
        ("8476.97:256 8475.55:101 8475.54:100", "8476.98:415 8477:7 8477.34:85", 242848535),
        ("8476.97:256 8475.54:100", "8476.98:400 8477:7 8477.34:85", -950174783),
        ("8476.97:256 8475.55:101 8475.54:100", "8476.98:415", -195013078),
        ("3366.1:7 3366:6", "3366.8:9 3368:8", -1881014294),
        ("0.236:202 0.2345:121", "0.258:201 0.2595:121 0.365:10 0.8355:200", -1968485154),
    ],
)
def test_checksum_vectors(bids: str, asks: str, crc: int) -> None:
    """PROTOCOL 6.4, line by line; the last two are OKX's own."""
    assert checksum_of(levels(asks), levels(bids)) == crc
    assert OrderBook().snapshot(levels(asks), levels(bids), 1, crc) is Outcome.APPLIED
    assert OrderBook().snapshot(levels(asks), levels(bids), 1, crc + 1) is Outcome.BAD_CHECKSUM


def test_checksum_covers_the_best_25_levels() -> None:
    """Whatever lies deeper."""
    deep = [[str(100 + n), "1"] for n in range(30)]
    assert checksum_of(deep, []) == checksum_of(deep[:25], []) != checksum_of(deep[:24], [])


def test_an_update_is_checked_after_it_was_merged() -> None:
    """The second row of PROTOCOL 6.4 follows on the first."""
    book = OrderBook()
    book.snapshot(levels("8476.98:415 8477:7 8477.34:85"), levels("8476.97:256 8475.55:101 8475.54:100"), 1, 242848535)
    assert book.update(levels("8476.98:400"), levels("8475.55:0"), 2, 1, -950174783) is Outcome.APPLIED
    assert book.update(levels("8476.98:401"), [], 3, 2, -950174783) is Outcome.BAD_CHECKSUM
    assert book.update(levels("8476.98:400"), [], 4, 3, -950174783) is Outcome.IGNORED


@pytest.mark.parametrize("checksum", [0, None])
def test_no_checksum_is_no_reason(checksum: int | None) -> None:
    """0 or absent: not given (since June 2026)."""
    assert OrderBook().snapshot(levels("2:1"), levels("1:1"), 1, checksum) is Outcome.APPLIED


def test_sequence_example_of_the_documentation() -> None:
    """(-1,10) (10,15) (15,15) (15,3) (3,5), PROTOCOL 6.3."""
    book = OrderBook()
    assert book.snapshot(levels("2:1"), levels("1:1"), 10) is Outcome.APPLIED
    assert book.update(levels("2:2"), [], 15, 10) is Outcome.APPLIED
    assert book.update([], [], 15, 15) is Outcome.HEARTBEAT
    assert book.update(levels("2:3"), [], 3, 15) is Outcome.APPLIED
    assert book.update(levels("2:4"), [], 5, 3) is Outcome.APPLIED
    assert (as_text(book.asks), book.seq_id) == ("2:4", 5)


@pytest.mark.parametrize(("prev", "seq"), [(9, 11), (11, 12), (-1, 12), (0, 12), (12, 9)])
def test_a_gap_stops_the_book_until_a_snapshot(prev: int, seq: int) -> None:
    """Levels stay, nothing is merged, a snapshot heals."""
    book = OrderBook()
    book.snapshot(levels("2:1"), levels("1:1"), 10)
    assert book.update(levels("2:9"), [], seq, prev) is Outcome.GAP
    assert book.update(levels("2:9"), [], 11, 10) is Outcome.IGNORED
    assert (as_text(book.asks), book.following) == ("2:1", False)
    assert book.snapshot(levels("3:1"), [], 5) is Outcome.APPLIED
    assert book.update(levels("3:2"), [], 6, 5) is Outcome.APPLIED


def test_the_last_message_again_is_no_gap() -> None:
    """The book is where it leads."""
    book = OrderBook()
    book.snapshot(levels("2:1"), [], 10)
    book.update(levels("2:5"), [], 12, 10)
    assert book.update(levels("2:5"), [], 12, 10) is Outcome.REPEAT
    assert book.update(levels("2:6"), [], 13, 12) is Outcome.APPLIED


def test_a_missing_prev_seq_id_is_not_zero() -> None:
    """No number, no check; neither when the book itself has none (servers before 2023)."""
    book = OrderBook()
    book.snapshot(levels("2:1"), [], 10)
    assert book.update(levels("2:2"), [], 99) is Outcome.APPLIED
    assert book.update(levels("2:3"), [], 100, 99) is Outcome.APPLIED
    book.snapshot(levels("2:1"), [])
    assert book.update(levels("2:2"), []) is Outcome.APPLIED
    assert book.update(levels("2:3"), [], 7, 6) is Outcome.APPLIED
    assert book.update(levels("2:4"), [], 9, 8) is Outcome.GAP


def test_updates_before_a_snapshot_are_ignored() -> None:
    """Also after the book was dropped."""
    book = OrderBook()
    assert book.update(levels("2:1"), [], 2, 1) is Outcome.IGNORED
    book.snapshot(levels("2:1"), [], 10)
    book.drop()
    assert book.update(levels("2:2"), [], 11, 10) is Outcome.IGNORED
    assert as_text(book.asks) == "2:1"


def test_crossed_by_an_update_is_a_loss_and_by_a_snapshot_is_not() -> None:
    """Equal prices are crossed; a one-sided book cannot be."""
    book = OrderBook()
    book.snapshot(levels("2:1"), levels("1:1"), 1)
    assert book.update([], levels("2:1"), 2, 1) is Outcome.CROSSED
    assert book.update([], levels("2:0"), 3, 2) is Outcome.IGNORED
    assert book.snapshot(levels("2:1"), levels("3:1 1:1"), 10) is Outcome.CROSSED
    assert book.update([], levels("1.5:1"), 11, 10) is Outcome.CROSSED
    assert book.update([], levels("3:0"), 12, 11) is Outcome.APPLIED
    assert as_text(book.bids) == "1.5:1 1:1"
    assert OrderBook().snapshot([], levels("5:1")) is Outcome.APPLIED


def test_prices_are_compared_as_decimals_and_kept_as_sent() -> None:
    """8477 and 8477.0 are one price; 28 digits are not the end of it."""
    book = OrderBook()
    book.snapshot([], levels("8477:7 10:1 9:1"))
    book.update([], levels("8477.0:8"))
    assert as_text(book.bids) == "8477.0:8 10:1 9:1"
    long = ["1.00000000000000000000000000000000000001", "1.00000000000000000000000000000000000002"]
    book.snapshot([], [[price, "1"] for price in long])
    assert [row[0] for row in book.bids] == long[::-1]


def test_rows_of_v3_may_hold_numbers() -> None:
    """And spreads have negative prices."""
    book = OrderBook()
    book.snapshot([["-9", "1", 1], ["-8.8", 2, 1]], [["-78.9", "1", 3]])
    assert book.asks == [["-9", "1", 1], ["-8.8", 2, 1]]
    book.update([["-9", 0, 0]], [])
    assert book.asks == [["-8.8", 2, 1]]


def test_the_book_is_cut_to_its_depth() -> None:
    """After the whole message, at the far end of each side."""
    book = OrderBook(depth=3)
    book.snapshot(levels("3:1 4:1 5:1"), levels("2:1 1:1 0.5:1"))
    book.update(levels("2.5:1"), levels("2.2:1"))
    assert as_text(book.asks) == "2.5:1 3:1 4:1"
    assert as_text(book.bids) == "2.2:1 2:1 1:1"
    book.update(levels("2.5:0 5:2"), [])
    assert as_text(book.asks) == "3:1 4:1 5:2"


@pytest.mark.parametrize(
    "bad", [["1"], ["", "1"], ["1", ""], ["x", "1"], ["nan", "1"], ["1e5", "1"], [" 1", "1"], ["١", "1"], []]
)
def test_a_bad_level_leaves_the_book_as_it_was(bad: list[str]) -> None:
    """Nothing of the message is merged, whether snapshot or update."""
    book = OrderBook()
    book.snapshot(levels("2:1"), levels("1:1"), 1)
    with pytest.raises(BadLevel):
        book.update([*levels("2:9"), bad], [], 2, 1)
    with pytest.raises(BadLevel):
        book.snapshot([], [bad], 5)
    assert (as_text(book.asks), as_text(book.bids), book.seq_id) == ("2:1", "1:1", 1)
    assert book.update(levels("2:2"), [], 2, 1) is Outcome.APPLIED


asks_and_bids = st.tuples(
    st.lists(st.tuples(st.integers(50, 90), st.integers(0, 3))),
    st.lists(st.tuples(st.integers(1, 49), st.integers(0, 3))),
)


@given(st.lists(st.tuples(st.booleans(), asks_and_bids), max_size=20))
def test_any_messages_give_what_a_plain_dict_gives(
    messages: list[tuple[bool, tuple[list[tuple[int, int]], list[tuple[int, int]]]]],
) -> None:
    """Insert, replace, delete and reset, in any order."""
    book = OrderBook()
    book.snapshot([], [])
    asks: dict[Decimal, list[str]] = {}
    bids: dict[Decimal, list[str]] = {}
    for replace, (new_asks, new_bids) in messages:
        sent = []
        for side, rows in ((asks, new_asks), (bids, new_bids)):
            if replace:
                side.clear()
            as_sent = [[str(price / 4), str(size)] for price, size in rows]
            for row in as_sent:
                if row[1] == "0":
                    side.pop(Decimal(row[0]), None)
                else:
                    side[Decimal(row[0])] = row
            sent.append(as_sent)
        outcome = (book.snapshot if replace else book.update)(*sent)
        assert outcome is Outcome.APPLIED
        assert book.asks == [asks[price] for price in sorted(asks)]
        assert book.bids == [bids[price] for price in sorted(bids, reverse=True)]
