"""Which names of v3 may have tick-by-tick books: OKX serves one book channel at a time (PROTOCOL 6.5).

`spot/depth_l2_tbt:X` means `books-l2-tbt` to a session that is logged in, but that channel ends `books` and
`books50-l2-tbt` of the same instrument on the connection. So where another topic wants one of those, and where the
account is refused, the name is served by `books`.
"""

from __future__ import annotations

from collections.abc import Iterable

from okws_celery.okx.topics import Topic, parse_topic
from okws_celery.session.board import Board, Entry

__all__ = ["better", "in_the_way", "usual"]

_ENDED_BY_BETTER = ("books", "books50-l2-tbt")


def better(topic: Topic, board: Board) -> Topic:
    """A topic as a session with a login subscribes it."""
    wished = topic.logged_in()
    if wished is not topic and any(_wants_smaller(entry.topic, wished) for entry in board):
        return topic
    return wished


def in_the_way(topic: Topic, board: Board) -> Iterable[Entry]:
    """The topics that have to do with less because this one is subscribed."""
    return [entry for entry in board if usual(entry.topic) is not entry.topic and _wants_smaller(topic, entry.topic)]


def usual(topic: Topic) -> Topic:
    """A topic as a session without a login subscribes it; itself if that makes no difference."""
    plain = parse_topic(topic.text, stored=True)
    return topic if plain.arg == topic.arg else plain


def _wants_smaller(topic: Topic, than: Topic) -> bool:
    arg = topic.v5.arg_object
    return arg["channel"] in _ENDED_BY_BETTER and arg.get("instId") == than.v5.arg_object.get("instId")
