"""Where a channel lives that the catalogue does not know: OKX refuses it on every path but its own (PROTOCOL 1.2)."""

from __future__ import annotations

from dataclasses import replace

from okws_celery.okx.topics import Topic, parse_topic

__all__ = ["at_first", "elsewhere"]

_NEXT = {"public": "business", "business": "private"}
_WRONG_PATH = frozenset({60008, 60018, 64001, 64002})


def elsewhere(topic: Topic, code: int, *, logged_in: bool) -> Topic | None:
    """The topic on the path to try next after it was refused; None if its path is known, or all were tried."""
    path = _NEXT.get(topic.channel.path)
    if topic.channel.known or code not in _WRONG_PATH or path is None or (path == "private" and not logged_in):
        return None
    return replace(topic, channel=replace(topic.channel, path=path))


def at_first(topic: Topic) -> Topic:
    """The topic on the path that is tried first; itself if it is there."""
    return topic if topic.channel.known else parse_topic(topic.text, stored=True)
