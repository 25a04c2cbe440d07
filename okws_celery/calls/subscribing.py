"""The topics and owners of `subscribe` and `unsubscribe`, checked: all of a list, or none is touched."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from okws_celery.errors import Answer, BadCommand
from okws_celery.keys import check_name
from okws_celery.okx.topics import parse_topic
from okws_celery.store.registry import SessionRecord

__all__ = ["Topics", "check_login", "checked_topics", "of_one", "on_the_wire"]

Topics = str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]
"""One topic, as text or as OKX's arg object, or several."""


def checked_topics(name: object, topic: Topics, owner: object, ttl: object = None) -> list[str]:
    """The topics as text, each once; BadCommand (80010) if one of the arguments is wrong."""
    check_name(name)
    check_name(owner, "owner")
    if ttl is not None and not (isinstance(ttl, int | float) and not isinstance(ttl, bool) and 0 < ttl < math.inf):
        raise BadCommand(f"ttl {ttl!r}: a number of seconds above 0 is accepted")
    several = [topic] if isinstance(topic, str | Mapping) else topic
    if not isinstance(several, Iterable) or not (several := list(several)):
        raise BadCommand(f"topic {topic!r}: a topic or a list of topics is accepted")
    return list(dict.fromkeys(parse_topic(one).text for one in several))


def on_the_wire(texts: Iterable[str]) -> list[str | dict[str, str]]:
    """Topics as they travel: text, but for a channel that the catalogue does not know the object that OKX takes."""
    topics = [parse_topic(text, stored=True) for text in texts]
    return [topic.text if topic.channel.known else topic.arg_object for topic in topics]


def check_login(record: SessionRecord, texts: Iterable[str]) -> None:
    """BadCommand (80010) if one of the topics needs a login and the session was opened without credentials."""
    if record.options.get("credentials") or record.options.get("profile"):
        return
    private = [text for text in texts if parse_topic(text, stored=True).channel.login]
    if private:
        raise BadCommand(f"{', '.join(private)}: needs a login, and the session was opened without credentials")


def of_one(topic: Topics, said: Answer) -> Answer:
    """The answer in the form of the question: for a topic that stood alone, its own."""
    if isinstance(topic, str | Mapping):
        return next(iter(said.get("topics", {}).values()), said)
    return said
