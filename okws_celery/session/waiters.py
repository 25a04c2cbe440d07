"""Who waits for an answer of this session, and when each is answered: commands from the registry, by their topics."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from okws_celery.errors import DONE, Answer, answer
from okws_celery.keys import ControlKeys
from okws_celery.store.batch import Batch
from okws_celery.store.registry import REPLY_MS, Command

__all__ = ["Waiters"]


@dataclass(slots=True, eq=False)
class _Waiter:
    command: Command
    open: set[str]
    answers: dict[str, Answer] = field(default_factory=dict)


class Waiters:
    """Commands whose outcome is not known yet. Answers go to the command's reply key through the given batch."""

    def __init__(self, keys: ControlKeys) -> None:
        self._keys = keys
        self._waiting: list[_Waiter] = []

    def add(self, command: Command) -> None:
        """Wait for the outcome of each of the command's topics."""
        self._waiting.append(_Waiter(command, set(command.topics)))

    def settle(self, batch: Batch, topic: str, op: str, said: Answer) -> None:
        """The outcome of a topic, for everybody who waits for that op on it."""
        for waiter in list(self._waiting):
            if waiter.command.op == op and topic in waiter.open:
                waiter.open.discard(topic)
                waiter.answers[topic] = said
                if not waiter.open:
                    self._waiting.remove(waiter)
                    self.reply(batch, waiter.command.id, _summary(waiter))

    def expire(self, now_ms: int) -> None:
        """Forget those whose deadline has passed: they have told their caller that the outcome is unknown."""
        self._waiting = [waiter for waiter in self._waiting if waiter.command.deadline > now_ms]

    def settle_all(self, batch: Batch, said: Answer) -> None:
        """The session ends: everybody hears why."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.answers |= dict.fromkeys(waiter.open, said)
            self.reply(batch, waiter.command.id, _summary(waiter))

    def reply(self, batch: Batch, command_id: str, said: Answer) -> None:
        """Answer one command."""
        key = self._keys.reply(command_id)
        batch.write("RPUSH", key, json.dumps(said, separators=(",", ":")))
        batch.write("PEXPIRE", key, REPLY_MS)


def _summary(waiter: _Waiter) -> Answer:
    """One answer for all topics: an error if one is, with that one's code and text."""
    topics = {topic: waiter.answers[topic] for topic in waiter.command.topics}
    failed = next((said for said in topics.values() if said["errorCode"] != DONE), None)
    if failed is not None:
        return answer(failed["errorCode"], failed["message"], topics=topics)
    return answer(DONE, f"{waiter.command.op}: {', '.join(topics) or 'nothing to do'}", topics=topics)
