"""What a simulator remembers of requests, logins and closed connections."""

from __future__ import annotations

from okws_celery.simulator.journal import Journal


def test_all_is_counted_and_the_newest_is_kept() -> None:
    """However much happens, what is kept has an end; numbers go on, and old ones give what is left after them."""
    journal: Journal[int] = Journal()
    for number in range(1_000_000):
        journal.append(number)
    assert len(journal) == 1_000_000
    kept = journal.since()
    assert 40_000 <= len(kept) <= 50_000
    assert kept == list(range(kept[0], 1_000_000))
    assert journal.since(999_998) == [999_998, 999_999]
    assert journal.since(1_000_000) == []
    assert journal.since(5) == kept
