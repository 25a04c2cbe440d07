"""Which names of v3 may have tick-by-tick books: OKX serves one book channel at a time (PROTOCOL 6.5).

`spot/depth_l2_tbt:X` means `books-l2-tbt` to a session that is logged in, but that channel ends `books` and
`books50-l2-tbt` of the same instrument on the connection. So where another topic wants one of those, and where the
account is refused, the name is served by `books`.
"""

from __future__ import annotations

from okws_celery.okx.topics import Arg, Topic, parse_topic
from okws_celery.session.board import Board
from okws_celery.session.entry import Entry

__all__ = ["better", "in_the_way", "usual"]

_BETTER = "books-l2-tbt"
_ENDED_BY_BETTER = ("books", "books50-l2-tbt")


def better(topic: Topic, board: Board) -> Topic:
    """A topic as a session with a login subscribes it."""
    if topic.v3 is None or topic.v3.login_arg is None:
        return topic
    inst_id = topic.filter_value
    return topic if any(board.uses(_arg(channel, inst_id)) for channel in _ENDED_BY_BETTER) else topic.logged_in()


def in_the_way(topic: Topic, board: Board) -> list[Entry]:
    """The topics that have to do with less because this one is subscribed."""
    arg = topic.v5.arg_object
    if arg["channel"] not in _ENDED_BY_BETTER:
        return []
    return [entry for entry in board.of_arg(_arg(_BETTER, arg["instId"])) if entry.topic.v3 is not None]


def usual(topic: Topic) -> Topic:
    """A topic as a session without a login subscribes it; itself if that makes no difference."""
    if topic.v3 is None or topic.v3.login_arg is None:
        return topic
    plain = parse_topic(topic.text, stored=True)
    return topic if plain.arg == topic.arg else plain


def _arg(channel: str, inst_id: str) -> Arg:
    return (("channel", channel), ("instId", inst_id))
