"""Topics that the exchange refused because of their instrument, to be tried again when `instruments` lists it."""

from __future__ import annotations

from collections.abc import Iterable

from okws_celery.feeds.route import BadPush
from okws_celery.feeds.rows import RowReader
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Topic

__all__ = ["Parked"]

_NOT_TRADED = ("expired", "suspend")
_read = RowReader("instId", "state")


class Parked:
    """Topics by instId. Costs nothing as long as none is parked."""

    def __init__(self) -> None:
        self.texts: dict[str, set[str]] = {}
        """What is parked, by instId."""

    def refused(self, topic: Topic) -> None:
        """The exchange will not serve this topic."""
        inst_id = dict(topic.arg).get("instId", "")
        if inst_id:
            self.texts.setdefault(inst_id, set()).add(topic.text)

    def listed(self, inst_ids: Iterable[str]) -> list[str]:
        """These instruments are listed: the topics to try again."""
        return sorted(text for inst_id in inst_ids for text in self.texts.pop(inst_id, ()))

    def heard(self, push: Push) -> list[str]:
        """A push of any channel: the topics to try again because of it."""
        if b'"instruments"' not in bytes(push.arg):
            return []
        found = []
        for raw in push.data:
            try:
                inst_id, state = _read(bytes(raw))
            except BadPush:
                continue
            if state not in _NOT_TRADED:
                found.append(inst_id)
        return self.listed(found)
