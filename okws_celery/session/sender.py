"""Carries out the ops that callers send through a session: from command to frame, from OKX's reply to the answer.

What may be sent when, and what is answered, is decided in `ops`; here are the links, the clock and the REST lookups.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from okws_celery.errors import Answer, BadCommand
from okws_celery.okx.messages import Event, Reply
from okws_celery.okx.ops import code_request, parse_op
from okws_celery.okx.rest import RestError
from okws_celery.session.clock import Clock
from okws_celery.session.link import Link
from okws_celery.session.mailbox import Mailbox
from okws_celery.session.ops import Ops, Verdict
from okws_celery.session.rest_client import RestClient
from okws_celery.session.waiters import Waiters
from okws_celery.store.batch import Batch
from okws_celery.store.registry import Command

__all__ = ["Sender"]

_MEASURE_S = 600.0
"""So old may the offset of the exchange's clock be for an `expTime`, s, or it is measured anew."""
_MEASURE_AGAIN_S = 60.0
_EXPIRED = 50004
"""OKX's refusal of an op whose `expTime` has passed, or its own timeout."""

_log = logging.getLogger(__name__)


class Sender:
    """Belongs to the session's loop."""

    def __init__(
        self,
        name: str,
        may_trade: bool,
        rest: RestClient,
        waiters: Waiters,
        batch: Batch,
        mailbox: Mailbox,
        clock: Clock,
        listed: Callable[[], str],
    ) -> None:
        """`listed` names the key that has instruments by their instId, "" while no topic keeps one up to date."""
        self._name = name
        self._may_trade = may_trade
        self._rest = rest
        self._waiters = waiters
        self._batch = batch
        self._mailbox = mailbox
        self._clock = clock
        self._listed = listed
        self._ops = Ops()
        self._looked_up: set[str] = set()
        self._tried_at = -_MEASURE_AGAIN_S
        self._expired = False
        """OKX called an op too late that by our clock was in time."""

    # -- what is asked

    def accept(self, command: Command) -> str:
        """Take a command; the path of the link that it needs, "" if it is answered already."""
        try:
            op = parse_op(command.request)
            if not self._may_trade:
                raise BadCommand(f"{op.name}: needs a login, and the session was opened without credentials")
        except BadCommand as problem:
            self._waiters.reply(self._batch, command.id, problem.answer())
            return ""
        self._tell(self._ops.add(command.id, command.deadline, op, self._clock.ms))
        self._look_up()
        if op.kind.expires:
            self._measure_if_due()
        return op.kind.path if self._ops.waiting(op.kind.path) else ""

    def end(self, said: Answer) -> None:
        """The session ends: everybody hears what became of his command."""
        self._tell_all(self._ops.end(said))

    # -- how it stands

    def __len__(self) -> int:
        """Commands that are not answered."""
        return len(self._ops)

    def waiting(self, path: str) -> bool:
        """Whether an op waits for the link of this path."""
        return self._ops.waiting(path)

    def busy(self, link: Link) -> bool:
        """Whether a reply is awaited from this link."""
        return self._ops.on_their_way(link.serial)

    def overdue(self, link: Link) -> bool:
        """Whether the time of something that was sent on this link is up."""
        return self._ops.overdue_on(link.serial, self._clock.ms)

    # -- links

    def serve(self, link: Link) -> None:
        """Send what waits for a link that is up and logged in, as fast as it is read; LinkLost if it breaks."""
        # Without the exchange's time no `expTime` is added: a wrong clock of ours would have OKX refuse every order.
        offset_ms = round(self._rest.offset_s * 1000) if self._rest.measured_at is not None else None
        frames = self._ops.take(link.path, link.serial, self._clock.ms, offset_ms)
        while not link.wants_write:  # what would wait on our side might go out after its deadline
            frame = next(frames, None)
            if frame is None:
                return
            _log.debug("session %s, /%s: sends %s", self._name, link.path, frame)
            link.send(frame)

    def replied(self, link: Link, reply: Reply) -> bool:
        """OKX's reply; False if nobody waits for it."""
        verdict = self._ops.replied(reply, link.serial)
        if verdict is not None and verdict.said["errorCode"] == _EXPIRED:
            self._expired = True
        self._tell(verdict)
        return verdict is not None

    def refused(self, link: Link, event: Event, frame: bytes) -> bool:
        """OKX's error event; False if it does not concern an op."""
        if not self._ops.is_ours(event):
            return False
        self._tell(self._ops.failed(event, msgspec.json.decode(frame), link.serial))
        return True

    def lost(self, link: Link) -> None:
        """The link is gone."""
        self._tell_all(self._ops.link_down(link.serial))

    def tick(self) -> None:
        """Answer those whose time is up."""
        if self._ops:
            self._tell_all(self._ops.overdue(self._clock.ms))

    # -- within

    def _look_up(self) -> None:
        for inst_id in self._ops.nameless() - self._looked_up:
            self._looked_up.add(inst_id)
            key = self._listed()
            if key:
                self._batch.ask(partial(self._read, inst_id), "HGET", key, inst_id)
            else:
                self._ask_rest(inst_id)

    def _read(self, inst_id: str, row: Any) -> None:
        """What the session's own topic says of an instrument; where it says nothing, REST is asked."""
        code = _code(inst_id, [row]) if isinstance(row, bytes) else None
        if code is None:
            self._ask_rest(inst_id)
        else:
            self._known(inst_id, code)

    def _ask_rest(self, inst_id: str) -> None:
        self._mailbox.run(partial(self._found, inst_id), f"okws-instrument-{self._name}")

    def _found(self, inst_id: str) -> Callable[[], None]:
        """On a helper thread: ask OKX for an instIdCode."""
        try:
            code = _code(inst_id, self._rest.get(code_request(inst_id)))
            if code is None:
                raise RestError("OKX has none for it (yet)")
        except RestError as problem:
            said, reason = problem.code, str(problem)
        except Exception as problem:  # each proxy and TLS library has errors of its own
            said, reason = 0, f"REST: {type(problem).__name__}"
        else:
            return partial(self._known, inst_id, code)
        return partial(self._not_found, inst_id, said, reason)

    def _measure_if_due(self) -> None:
        measured_at = self._rest.measured_at
        fresh = measured_at is not None and self._clock.now - measured_at < _MEASURE_S
        if self._expired or (not fresh and self._clock.now - self._tried_at >= _MEASURE_AGAIN_S):
            self._expired, self._tried_at = False, self._clock.now
            self._mailbox.run(self._measure, f"okws-clock-{self._name}")

    def _measure(self) -> Callable[[], None]:
        """On a helper thread: learn the exchange's time, for the orders that follow."""
        try:
            self._rest.measure_clock()
        except RestError as problem:
            _log.debug("session %s: the exchange's clock was not measured: %s", self._name, problem)
        return lambda: None

    def _known(self, inst_id: str, code: int) -> None:
        self._looked_up.discard(inst_id)
        self._ops.codes[inst_id] = code

    def _not_found(self, inst_id: str, code: int, reason: str) -> None:
        self._looked_up.discard(inst_id)
        self._tell_all(self._ops.unknown_instrument(inst_id, code, reason))

    def _tell(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._waiters.reply(self._batch, verdict.command_id, verdict.said)

    def _tell_all(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            self._tell(verdict)


def _code(inst_id: str, rows: list[bytes]) -> int | None:
    for row in rows:
        try:
            found: Any = msgspec.json.decode(row)
        except (ValueError, RecursionError):
            continue
        code = found.get("instIdCode") if isinstance(found, dict) and found.get("instId") == inst_id else None
        if isinstance(code, int) and not isinstance(code, bool):
            return code
    return None
