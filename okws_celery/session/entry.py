"""One topic of a session: its feed, its state, and what of it readers may miss."""

from __future__ import annotations

from dataclasses import dataclass, field

from okws_celery.feeds.latest import time_of
from okws_celery.feeds.route import Direct, Feed, Position, Refillable, Translated
from okws_celery.okx.topics import Topic

__all__ = ["Entry", "ts_of"]


@dataclass(slots=True, eq=False)
class Entry:
    """One topic. Times are Unix ms; those of the feed are exchange ms."""

    topic: Topic
    feed: Feed
    translated: Translated | None = None
    """The feed of a v3 topic once more; None for one of v5."""
    began: int = 0
    """When the session began with it."""
    state: str = "pending"
    since: int = 0
    reason: str = ""
    owners: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    seen_written: int = 0
    source: int = 0
    """Serial number of the link from which it comes."""
    publish: bytes = b""
    """The stem of what publishes its pushes, if one subscription serves this topic alone; b"" if they are not."""
    steady: int = 0
    """That number while all is well, 0 while more is to be said of a push than its rows: it is live, without a gap."""
    subscribed: int = 0
    """When it was acknowledged: from then on its silence counts, until it comes."""
    tried: int = 0
    """When it was last subscribed, or found stale."""
    renewed: bool = False
    """Subscribed again because of its silence; not a second time before something has come."""
    gap_from: int = -1
    """Exchange ms of the last row before the gap that is open; -1: none is."""
    gap_reason: str = ""
    refilling: bool = False
    """REST is asked for what is missing: its answer closes the gap, not the next row."""

    refillable: Refillable | None = field(init=False)
    """The feed, if what it missed can be put in before what came since."""
    direct: Direct | None = field(init=False)
    """The feed, if it writes single rows at once."""

    def __post_init__(self) -> None:
        self.refillable = self.feed if isinstance(self.feed, Refillable) else None
        self.direct = self.feed if isinstance(self.feed, Direct) and self.feed.direct else None


def ts_of(position: Position) -> int:
    """Exchange ms of the last row; 0 if there was none."""
    return time_of(position) if isinstance(position, bytes) else position[0]
