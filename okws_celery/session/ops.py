"""The ops of one session: which wait, which are on their way, and the one answer that each command gets. No I/O.

state    event                                     next
WAITING  its link is up, its codes are known       SENT, once; it never waits again
WAITING  deadline, an instrument nobody knows,     answered: not sent, and never will be
         the end of the session
SENT     OKX's reply, or its error with this id    answered with it
SENT     deadline, link lost, end of the session   answered: the outcome is unknown (80014)

Times are Unix ms by our clock; `expTime` is by the exchange's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from okws_celery.errors import NO_WORKER, UNKNOWN_OUTCOME, Answer, answer
from okws_celery.okx.messages import Event, Reply
from okws_celery.okx.ops import Op, answer_of, error_answer

__all__ = ["Ops", "Verdict"]

_OURS = re.compile(r"o[0-9]{1,18}")
_ECHOED = re.compile(r'"id"\s*:\s*"(o[0-9]{1,18})"')
_AFTERWARDS = "look at the order itself before it is sent again"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sender of a command is to be told."""

    command_id: str
    said: Answer


@dataclass(slots=True, eq=False)
class _Flight:
    command_id: str
    deadline: int
    op: Op
    wire_id: str = ""
    link: int = 0
    """Serial number of the link that it went out on."""


class Ops:
    """Belongs to the session's loop. Every command that was added is answered once, by one of the verdicts."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        """instId -> instIdCode, as far as it is known."""
        self._waiting: dict[str, list[_Flight]] = {}
        self._sent: dict[str, _Flight] = {}
        # Command ids that were seen, until their deadline: the same command may come twice, and is carried out once.
        self._known: dict[str, int] = {}
        self._count = 0

    # -- how it stands

    def __len__(self) -> int:
        """Commands that are not answered."""
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def waiting(self, path: str) -> bool:
        """Whether an op waits for the link of this path."""
        return bool(self._waiting.get(path))

    def on_their_way(self, link: int) -> bool:
        """Whether a reply is awaited from this link."""
        return any(flight.link == link for flight in self._sent.values())

    def overdue_on(self, link: int, now_ms: int) -> bool:
        """Whether the deadline of something that was sent on this link has passed."""
        return any(flight.link == link and flight.deadline <= now_ms for flight in self._sent.values())

    def nameless(self) -> set[str]:
        """Instruments whose instIdCode somebody waits for."""
        return {one for flights in self._waiting.values() for flight in flights for one in self._lacks(flight.op)}

    def is_ours(self, event: Event) -> bool:
        """Whether an error event concerns an op, also one that was given up."""
        return bool(_OURS.fullmatch(event.id)) or self._echoed(event) in self._sent

    # -- what happens

    def add(self, command_id: str, deadline: int, op: Op, now_ms: int) -> Verdict | None:
        """A command to carry out before its deadline."""
        if command_id in self._known:
            return None
        self._known[command_id] = deadline
        flight = _Flight(command_id, deadline, op)
        if deadline <= now_ms:
            return _not_sent(flight, "its time was up when it came")
        self._waiting.setdefault(op.kind.path, []).append(flight)
        return None

    def take(self, path: str, link: int, now_ms: int, offset_ms: int | None = None) -> Iterator[str]:
        """The frames to send now on a link that is up and logged in, each as it is taken: from then on it is sent.

        With the offset of the exchange's clock, an op that OKX lets expire does so at its deadline.
        """
        for flight in list(self._waiting.get(path, ())):
            if flight.deadline <= now_ms or self._lacks(flight.op):
                continue
            self._waiting[path].remove(flight)
            self._count += 1
            flight.wire_id, flight.link = f"o{self._count}", link
            self._sent[flight.wire_id] = flight
            expires_ms = None if offset_ms is None else flight.deadline + offset_ms
            yield flight.op.request(flight.wire_id, self.codes, expires_ms)

    def replied(self, reply: Reply, link: int) -> Verdict | None:
        """OKX's reply to an op; None if nobody waits for it (any more)."""
        flight = self._landed(reply.id, link)
        return Verdict(flight.command_id, answer_of(flight.op, reply.body)) if flight else None

    def failed(self, event: Event, body: Mapping[str, Any], link: int) -> Verdict | None:
        """OKX's error to an op, which comes as an event with its id, or with an echo of the request in its text."""
        flight = self._landed(event.id or self._echoed(event), link)
        return Verdict(flight.command_id, error_answer(flight.op, event.code, event.text, body)) if flight else None

    def unknown_instrument(self, inst_id: str, code: int, reason: str) -> list[Verdict]:
        """An instIdCode cannot be had: `code` is OKX's, 0 if it was not OKX who said so."""
        found = [one for flights in self._waiting.values() for one in flights if inst_id in self._lacks(one.op)]
        return [self._not_sent(one, f"no instIdCode for {inst_id}, {reason}", code) for one in found]

    def link_down(self, link: int) -> list[Verdict]:
        """A link is gone, and with it the replies that were to come on it. Nothing is sent a second time."""
        lost = [flight for flight in self._sent.values() if flight.link == link]
        return [self._unknown(flight, "the connection was lost before OKX answered") for flight in lost]

    def overdue(self, now_ms: int) -> list[Verdict]:
        """Those whose deadline has passed."""
        self._known = {one: deadline for one, deadline in self._known.items() if deadline > now_ms}
        late = [flight for flight in self._sent.values() if flight.deadline <= now_ms]
        verdicts = [self._unknown(flight, "no reply from OKX in time") for flight in late]
        for path, flights in list(self._waiting.items()):
            for flight in [one for one in flights if one.deadline <= now_ms]:
                lacks = ", ".join(sorted(self._lacks(flight.op)))
                why = f"no instIdCode for {lacks} in time" if lacks else f"/{path} was not up and logged in in time"
                verdicts.append(self._not_sent(flight, why))
        return verdicts

    def end(self, said: Answer) -> list[Verdict]:
        """The session ends, for the reason given: nothing more is sent or heard."""
        verdicts = [self._unknown(one, f"{said['message']} before OKX answered") for one in list(self._sent.values())]
        waiting = [one for flights in self._waiting.values() for one in flights]
        self._waiting.clear()
        return [
            *verdicts,
            *(
                Verdict(one.command_id, said | {"message": f"{one.op.name}: not sent, {said['message']}"})
                for one in waiting
            ),
        ]

    # -- within

    def _lacks(self, op: Op) -> set[str]:
        return op.inst_ids - self.codes.keys()

    def _echoed(self, event: Event) -> str:
        """The id in the echo of a request that OKX could not read (60012), "" if there is none."""
        found = None if event.id else _ECHOED.search(event.text)
        return found.group(1) if found else ""

    def _landed(self, wire_id: str, link: int) -> _Flight | None:
        flight = self._sent.get(wire_id)
        if flight is None or flight.link != link:
            return None
        return self._sent.pop(wire_id)

    def _unknown(self, flight: _Flight, why: str) -> Verdict:
        del self._sent[flight.wire_id]
        text = f"{flight.op.name}: sent, and {why}: unknown outcome; {_AFTERWARDS}"
        return Verdict(flight.command_id, answer(UNKNOWN_OUTCOME, text))

    def _not_sent(self, flight: _Flight, why: str, code: int = 0) -> Verdict:
        self._waiting[flight.op.kind.path].remove(flight)
        return _not_sent(flight, why, code)


def _not_sent(flight: _Flight, why: str, code: int = 0) -> Verdict:
    text = f"{flight.op.name}: not sent, {why}; it will not be carried out"
    return Verdict(flight.command_id, answer(code or NO_WORKER, text))
