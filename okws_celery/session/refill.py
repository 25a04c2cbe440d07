"""What a session asks of REST for its topics, and when: history, what was missed in a gap, lists that are not pushed.

A job for each topic that lacks something, at most one:

state      event                                        next
needed     the topic is live, a helper is free          asked      a helper thread asks REST
asked      rows came                                    done       merged; what waited follows them; the GAP is closed
asked      they do not reach the first row that waits   needed     at once again, as long as rows wait
asked      REST cannot be reached, or says no           needed     later; rows wait no longer; a GAP says what lacks
any        rows have waited for 3 s                     the same   they wait no longer; trades: done, the GAP stays
any        something is missing once more               needed     what was asked before is not merged

Rows wait only while a gap before them is being filled. REST that is slow, dead or refuses never fails a subscription.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from okws_celery.okx.market_rest import candles_request
from okws_celery.okx.rest import RestError
from okws_celery.session.board import Board
from okws_celery.session.clock import Clock
from okws_celery.session.entry import Entry
from okws_celery.session.lookback import Candles, Instruments, Look, Merge, Source, Trades, asked_topic
from okws_celery.session.mailbox import Mailbox
from okws_celery.session.reconcile import Algos, Orders
from okws_celery.session.rest_client import RestClient
from okws_celery.store.batch import Batch

__all__ = ["Refill"]

_HOLD_S = 3.0
"""How long rows wait at most for what was missed before them, s."""
_ANSWER_S = 4.0
"""How long the answer to a subscribe waits at most for REST, s."""
_FIRST_ROW_S = 0.5
"""REST is asked when the first row has come after a gap, so that its answer reaches it; or after this long, s."""
_AGAIN_S = 0.3
_AT_ONCE = 4
"""Helper threads of one session that ask at the same time."""
_PAUSES_S = (2.0, 5.0, 15.0, 60.0)
_NOT_UNDERSTOOD = -1
_MOST_WARNINGS = 100
_TRIES = 6
"""How often is asked for what need not be had."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    entry: Entry
    source: Source
    gap: bool
    """Something was missed, and rows wait for it."""
    due: float
    live_at: float = 0.0
    """When the topic was first seen to be live; 0 before."""
    asked: bool = False
    tries: int = 0


class Refill:
    """Belongs to the session's loop."""

    def __init__(
        self,
        name: str,
        rest: RestClient,
        mailbox: Mailbox,
        clock: Clock,
        board: Board,
        batch: Batch,
        candles: int,
        is_live: Callable[[Entry], bool],
        on_listed: Callable[[tuple[str, ...]], None],
    ) -> None:
        """`candles` is how many closed ones are wanted; `on_listed` hears of instruments that are new or changed."""
        self._name = name
        self._rest = rest
        self._mailbox = mailbox
        self._clock = clock
        self._board = board
        self._batch = batch
        self._is_live = is_live
        self._on_listed = on_listed
        self._jobs: dict[str, _Job] = {}
        self._helpers = 0
        self._silent: set[str] = set()
        self._candles = Candles(candles) if candles else None
        self._sources: dict[str, Source] = {
            "trades": Trades(),
            "trades-all": Trades(),
            "instruments": Instruments(self._families),
            "orders": Orders(),
            "orders-algo": Algos(),
        }
        board.on_missing = self.missing

    # -- what is lacking

    def joined(self, entry: Entry) -> None:
        """A topic begins."""
        source = self._source(entry)
        if source is not None and source.at_first and entry.topic.text not in self._jobs:
            if entry.refillable is not None:
                entry.refillable.hold()
            self._need(entry, source, gap=False)

    def missing(self, entry: Entry, whole: bool = False) -> None:
        """Something was missed; `whole`: Redis has lost everything of this topic."""
        source = self._source(entry)
        if source is None or entry.state == "refused":
            return
        feed = entry.refillable
        if feed is not None:
            feed.hold()
            if whole:
                feed.emptied()
        entry.refilling = True
        self._need(entry, source, gap=True)

    def again(self) -> None:
        """Redis was emptied on purpose: ask anew for what REST has of every topic."""
        for entry in self._board:
            source = self._source(entry)
            if source is not None and source.at_first and entry.state != "refused":
                if entry.refillable is not None:
                    entry.refillable.emptied()
                self._need(entry, source, gap=False)

    def left(self, text: str) -> None:
        """Nobody wants this topic any more, or the exchange refuses it."""
        job = self._jobs.get(text)
        if job is not None:
            self._give_up(job)

    def pending(self, text: str) -> bool:
        """Whether the answer to a subscribe should wait for REST."""
        job = self._jobs.get(text)
        if job is None or job.tries:
            return False
        return not job.live_at or self._clock.now < job.live_at + _ANSWER_S

    @property
    def settled(self) -> bool:
        """Whether nothing is asked, or about to be."""
        return all(job.tries for job in self._jobs.values())

    # -- the loop's turns

    def drive(self) -> None:
        """Ask what is due, the most urgent first; end what has waited for too long."""
        if not self._jobs:
            return
        now = self._clock.now
        due = []
        for job in list(self._jobs.values()):
            if not job.live_at and self._is_live(job.entry):
                job.live_at = now
            if job.live_at:
                self._look_at_time(job)
                if not job.asked and now >= job.due and self._ready(job):
                    due.append(job)
        for job in sorted(due, key=lambda job: job.source.urgency)[: _AT_ONCE - self._helpers]:
            if self._jobs.get(job.entry.topic.text) is job:
                self._ask(job)

    def _ready(self, job: _Job) -> bool:
        feed = job.entry.feed
        if not getattr(feed, "prepared", True):
            return False
        held = job.entry.refillable
        if held is None or not held.holding:
            return True
        if not job.gap and not held.reached:
            self._board.touch(job.entry)
            held.release(self._batch)  # nothing came before: what comes follows on nothing
            self._board.resumed(self._batch, job.entry)
            return True
        return held.waits or not job.gap or self._clock.now >= job.live_at + _FIRST_ROW_S

    def _look_at_time(self, job: _Job) -> None:
        held = job.entry.refillable
        if held is not None and held.holding and self._clock.now >= job.live_at + _HOLD_S:
            self._let_go(job)

    def _ask(self, job: _Job) -> None:
        job.asked = True
        self._helpers += 1
        look = job.source.ask(job.entry, gap=job.gap, until=job.live_at + _HOLD_S)
        self._mailbox.run(lambda: self._helper(job, look), f"okws-rest-{self._name}")

    def _helper(self, job: _Job, look: Look) -> Callable[[], None]:
        try:
            merge = look(self._rest.get)
        except RestError as problem:
            said = problem
            return lambda: self._failed(job, said)
        except Exception as problem:
            # What the exchange answers is not ours to trust: whatever it does to us, rows must not wait for ever.
            _log.exception("session %s: what REST said of %s was not understood", self._name, job.entry.topic.text)
            odd = RestError(type(problem).__name__, _NOT_UNDERSTOOD)
            return lambda: self._failed(job, odd)
        return lambda: self._came(job, merge)

    # -- answers

    def _came(self, job: _Job, merge: Merge) -> None:
        self._helpers -= 1
        job.asked = False
        entry = job.entry
        if self._jobs.get(entry.topic.text) is not job:
            return
        held = entry.refillable
        in_time = held is not None and held.holding and self._clock.now + _AGAIN_S < job.live_at + _HOLD_S
        self._board.touch(entry)
        try:
            outcome = merge(self._batch, not in_time)
        except Exception as problem:
            _log.exception("session %s: what REST said of %s could not be taken", self._name, entry.topic.text)
            self._tell(job, RestError(type(problem).__name__, _NOT_UNDERSTOOD))
            return
        if outcome.behind:
            job.due = self._clock.now + _AGAIN_S
            return
        del self._jobs[entry.topic.text]
        self._board.refilled(self._batch, entry, complete=outcome.complete, first_ts=outcome.first_ts)
        if outcome.listed:
            self._on_listed(outcome.listed)

    def _failed(self, job: _Job, problem: RestError) -> None:
        self._helpers -= 1
        job.asked = False
        if self._jobs.get(job.entry.topic.text) is job:
            self._tell(job, problem)

    def _tell(self, job: _Job, problem: RestError) -> None:
        """REST was of no use: later once more, or never."""
        text = job.entry.topic.text
        if str(problem) not in self._silent and len(self._silent) < _MOST_WARNINGS:
            self._silent.add(str(problem))
            _log.warning("session %s: no back-fill of %s and others: %s", self._name, text, problem)
        job.tries += 1
        final = problem.code and not problem.passing
        job.due = self._clock.now + _PAUSES_S[min(job.tries, len(_PAUSES_S)) - 1]
        if final or (job.tries >= _TRIES and not job.source.insists):
            if job.source.insists or not final:  # that there is no history is an answer
                self._lacks(job, problem)
            self._give_up(job)
        else:
            self._let_go(job)
            self._lacks(job, problem)

    def _lacks(self, job: _Job, problem: RestError) -> None:
        if not job.gap and self._jobs.get(job.entry.topic.text) is job:
            self._board.lacks(self._batch, job.entry, f"no back-fill: {problem}")

    def _let_go(self, job: _Job) -> None:
        """Rows wait no longer."""
        entry = job.entry
        if entry.refillable is not None:
            job.tries = max(job.tries, 1)
            self._board.touch(entry)
            entry.refillable.release(self._batch)
            entry.refilling = False
            self._board.resumed(self._batch, entry)
            if entry.topic.text in self._jobs and not job.source.at_first:
                del self._jobs[entry.topic.text]

    def _give_up(self, job: _Job) -> None:
        self._let_go(job)
        job.entry.refilling = False
        self._jobs.pop(job.entry.topic.text, None)

    # -- within

    def _need(self, entry: Entry, source: Source, *, gap: bool) -> None:
        before = self._jobs.get(entry.topic.text)
        gap = gap or (before is not None and before.gap and before.entry is entry)
        self._jobs[entry.topic.text] = _Job(entry, source, gap, self._clock.now)

    def _source(self, entry: Entry) -> Source | None:
        topic = asked_topic(entry.topic)
        if topic.channel.name in self._sources:
            return self._sources[topic.channel.name]
        if self._candles is not None and candles_request(topic.channel.name, "x") is not None:
            return self._candles
        return None

    def _families(self) -> list[str]:
        topics = [entry.topic for entry in self._board]
        args = [dict(asked_topic(topic).arg) for topic in topics]
        # A v3 name that chooses an underlying may stand for a subscription that does not.
        chosen = [topic.filter_value for topic in topics if topic.v3 and topic.v3.name == "option/instruments"]
        return [*(arg["instFamily"] for arg in args if "instFamily" in arg), *chosen]
