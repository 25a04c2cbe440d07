"""One topic of a session: its feed, its state, and what of it readers may miss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from okws_celery.feeds.latest import LatestFeed, time_of
from okws_celery.feeds.route import Feed, Refillable, Translated
from okws_celery.okx.topics import Topic

__all__ = ["Entry"]


@dataclass(slots=True, eq=False)
class Entry:
    """One topic. Times are Unix ms; those of the feed are exchange ms."""

    topic: Topic
    feed: Feed
    translated: Translated | None = None
    """The feed of a v3 topic once more; None for one of v5."""
    state: str = "pending"
    since: int = 0
    reason: str = ""
    owners: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    seen_written: int = 0
    source: int = 0
    """Serial number of the link from which it comes."""
    steady: int = 0
    """That number while all is well, 0 while more is to be said of a push than its rows: it is live, without a gap."""
    heard: int = 0
    """When it last came, or was subscribed: from then on its silence counts."""
    tried: int = 0
    """When it was last subscribed, or found stale."""
    renewed: bool = False
    """Subscribed again because of its silence; not a second time before something has come."""
    written: int | bytes = 0
    """Exchange ms of the last row that is known to be in Redis, or that row."""
    sent: int | bytes = 0
    """The same of the last row that is on its way to Redis."""
    gap_from: int = -1
    """Exchange ms of the last row before the gap that is open; -1: none is."""
    gap_reason: str = ""
    refilling: bool = False
    """REST is asked for what is missing: its answer closes the gap, not the next row."""
    mark: Any = None
    """How far the feed's rows are known to be in Redis, if it can be filled from REST."""
    sent_mark: Any = None
    """How far they are on their way."""

    refillable: Refillable | None = field(init=False)
    """The feed, if what it missed can be put in before what came since."""

    latest: LatestFeed | None = field(init=False)
    """The feed, if it has one row only: its time is read when it is needed."""

    def __post_init__(self) -> None:
        self.latest = self.feed if isinstance(self.feed, LatestFeed) else None
        self.refillable = self.feed if isinstance(self.feed, Refillable) else None
        self.mark = self.refillable.mark() if self.refillable else None

    @property
    def written_ts(self) -> int:
        """Exchange ms of the last row that is known to be in Redis; 0 if none is."""
        return self.written if isinstance(self.written, int) else time_of(self.written)
