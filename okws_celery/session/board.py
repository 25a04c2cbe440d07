"""The topics of one session: where each push goes, and what readers are told about each topic's state and gaps.

state     event                                 next
pending   acknowledged, or a first push         live      (books: with the first snapshot)
live      link lost, book broken, late error    stale     STALE and an open GAP are announced
live      silent longer than it legally can be  stale     the same, and it is subscribed again
stale     acknowledged again, or a push         live      LIVE; the back-fill or the first row closes the GAP
any       refused for good                      refused

One subscription of the exchange may serve several topics: those of v5 and of v3 names, each with a feed of its own. A
topic may have further subscriptions that add to its data (`Topic.others`); its state follows the first one alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from okws_celery.feeds import feed_of, translated_of
from okws_celery.feeds.ledger import Ledger
from okws_celery.feeds.logs import LogFeed
from okws_celery.feeds.route import BadPush, Limits, Position, Route
from okws_celery.feeds.state import StateFeed
from okws_celery.keys import DataKeys
from okws_celery.okx.catalogue import CATALOGUE, Kind
from okws_celery.okx.messages import Push
from okws_celery.okx.topics import Arg, Topic
from okws_celery.session.entry import Entry, ts_of
from okws_celery.session.rounds import Rounds
from okws_celery.session.routes import Routes, Served
from okws_celery.store.batch import Batch

__all__ = ["Board"]

_GAPS_KEPT = 10_000
_LEAST_SILENCE_MS = 1000 * min(channel.silence_s for channel in CATALOGUE.values() if channel.silence_s)


def _nobody(entry: Entry, whole: bool) -> None:
    pass


class Board:
    """Owned by the session's loop. Every method adds to the batch that it is given."""

    def __init__(self, data: DataKeys, publish: str, limits: Limits) -> None:
        self._data = data
        self._base = data.of("")
        self._pushes = publish in ("both", "pushes")
        self._rows = publish in ("both", "rows")
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self.rounds = Rounds(self._entries)
        """For what is done once a second for every topic."""
        self._routes = Routes(self._base, self._pushes)
        self.alone, self.direct = self._routes.alone, self._routes.direct
        """See there; the short way looks a push up in them."""
        self.touched: dict[Entry, Position] = {}
        """Topics of which rows were written since the last batch was sent, and how far they reached before."""
        self.under_way: dict[Entry, Position] = {}
        """The same for the batch that was sent last, while it is not known to be in Redis."""
        self.ledgers: dict[str, Ledger] = {}
        """Of executions, by key; what they know waits for Redis as well."""
        self._sent_ledgers: list[tuple[Ledger, int]] = []
        self.on_missing: Callable[[Entry, bool], None] = _nobody
        """Hears of each topic of which something may be missing, and whether Redis has lost everything of it."""
        self.states: Counter[str] = Counter()
        """How many topics are in each state."""
        self.pushes = 0
        self.unrouted = 0
        self.stirred = False
        """Whether a push has done more than add rows to a topic that is as it should be."""

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, text: str) -> Entry | None:
        """The entry of a topic, by its text."""
        return self._entries.get(text)

    def of_arg(self, arg: Arg) -> list[Entry]:
        """The entries whose topics an exchange subscription is for."""
        return [entry for entry in self._routes.using(arg) if entry.topic.arg == arg]

    def shared(self, arg: Arg) -> bool:
        """Whether several topics have this subscription."""
        return len(self._routes.using(arg)) > 1

    def uses(self, arg: Arg) -> bool:
        """Whether any topic has this subscription, be it only to add to its data."""
        return bool(self._routes.using(arg))

    # -- topics come and go

    def add(self, batch: Batch, topic: Topic, now_ms: int) -> Entry:
        """Begin with a topic: nothing is known of it yet."""
        route = Route(topic, self._base, self._rows, self._limits)
        translated = None if topic.v3 is None else translated_of(route)
        feed = translated or feed_of(route)
        if isinstance(feed, StateFeed):
            feed.ledger = self.ledgers.setdefault(route.key, feed.ledger)
        entry = Entry(topic, feed, translated, began=now_ms)
        self._entries[topic.text] = entry
        self.states[entry.state] += 1
        self._routes.add(entry)
        feed.prepare(batch)
        self._set(batch, entry, "pending", "", now_ms)
        return entry

    def share(self, batch: Batch, entry: Entry, arg: Arg, now_ms: int) -> None:
        """An arg of this topic is live for others: begin with what they have, as it may say nothing more for long."""
        for elder in self._routes.using(arg):
            if elder is entry or (elder.topic.arg == arg and elder.state != "live"):
                continue
            self.touch(entry)
            entry.feed.seed(batch, arg, elder.feed.known(arg))
            if arg == entry.topic.arg:
                self._join(batch, entry, elder, now_ms)
            return

    def turn_to(self, batch: Batch, entry: Entry, topic: Topic, now_ms: int) -> None:
        """Have a topic served by another subscription of the same kind than it was."""
        entry.feed.interrupted(batch)
        self._routes.remove(entry)
        entry.topic = topic
        self._routes.add(entry)
        self._set(batch, entry, "pending", "", now_ms)

    def remove(self, batch: Batch, entry: Entry) -> None:
        """Nobody wants this topic any more; its data stay, its state does not."""
        entry.feed.interrupted(batch)
        del self._entries[entry.topic.text]
        self._leave_state(entry)
        self._routes.remove(entry)
        self.rounds.remove(entry)
        self.touched.pop(entry, None)
        self.under_way.pop(entry, None)
        batch.write("HDEL", self._data.topics, entry.topic.text)
        batch.write("HDEL", self._data.seen, entry.topic.text)

    def restore(self, batch: Batch, entry: Entry, seen_ms: int, open_gap: tuple[int, str] | None = None) -> None:
        """A topic that another holder of this session had: what came since it was last seen is missing.

        With the time from which on the earlier holder announced a gap that is still open, if it did.
        """
        if open_gap is not None:
            entry.gap_from, entry.gap_reason, entry.steady = *open_gap, 0
        elif seen_ms > 0:
            self._open_gap(batch, entry, "taken over", seen_ms)
        else:
            return
        self.on_missing(entry, False)

    # -- data

    def push(self, batch: Batch, push: Push, frame: bytes, now_ms: int, source: int) -> Entry | None:
        """Route a push of a link to its feeds. An entry if its topic must be subscribed again; BadPush if it makes no
        sense."""
        spelling = bytes(push.arg)
        routed = self._routes.find(spelling)
        if not routed:
            return self._push_by_rows(batch, spelling, push, frame, now_ms, source)
        return self._push_to_each(batch, routed, push, frame, now_ms, source)

    def _push_by_rows(
        self, batch: Batch, spelling: bytes, push: Push, frame: bytes, now_ms: int, source: int
    ) -> Entry | None:
        found = self._routes.find_by_rows(spelling, push.data)
        if not found:
            self.unrouted += 1
        broken: Entry | None = None
        for routed, rows in found:
            part = msgspec.structs.replace(push, data=rows)
            broken = self._push_to_each(batch, routed, part, frame, now_ms, source) or broken
            if any(served.entry.translated is None for served in routed):
                frame = b""  # it is published once
        return broken

    def _push_to_each(
        self, batch: Batch, routed: tuple[Served, ...], push: Push, frame: bytes, now_ms: int, source: int
    ) -> Entry | None:
        self.pushes += 1
        broken: Entry | None = None
        problem: BadPush | None = None
        for served in routed:
            try:
                broken = self._push_to(batch, served, push, frame, now_ms, source) or broken
            except BadPush as raised:  # the other topics of this subscription are to have it all the same
                problem = raised
        if problem is not None:
            raise problem
        return broken

    def _push_to(
        self, batch: Batch, served: Served, push: Push, frame: bytes, now_ms: int, source: int
    ) -> Entry | None:
        entry, aside = served.entry, served.aside
        if aside is not None:
            if entry.translated is not None:
                entry.translated.aside(batch, push, aside)
            return None
        if not self._admits(entry, push, source):
            return None
        self.touch(entry)
        fault = entry.feed.write(batch, push)
        if not entry.seen:
            # With the first push, so that `max_age` holds as soon as there is something to read.
            entry.seen_written = now_ms
            batch.write("HSET", self._data.seen, entry.topic.text, now_ms)
        entry.seen = now_ms
        if self._pushes and (source == entry.source or entry.feed.first_ts) and not _is_repeated(entry):
            said = frame if entry.translated is None else entry.translated.spoken(push)
            if said:
                batch.publish(served.pushes, said)
        return self.settle(batch, entry, fault, source, now_ms)

    def _admits(self, entry: Entry, push: Push, source: int) -> bool:
        if entry.state == "refused" and source < entry.source:
            return False
        return source == entry.source or self._from_another(entry, push, source)

    def settle(self, batch: Batch, entry: Entry, fault: str, source: int, now_ms: int) -> Entry | None:
        """A topic has spoken of which more may be to be said than its rows; or, from now on, nothing is."""
        self.stirred = True
        if fault:
            self._stale(batch, entry, fault, now_ms)
            return entry
        entry.renewed = False
        self.resumed(batch, entry)
        if entry.feed.live:
            self._live(batch, entry, now_ms)
            settled = source == entry.source and entry.gap_from < 0 and not _is_repeated(entry)
            # What is told of instruments is looked at: topics that are parked wait for it.
            if settled and entry.translated is None and entry.topic.channel.name != "instruments":
                entry.steady = source
        elif entry.state == "live":
            # A snapshot that is crossed asks for no new subscription; it is stale until merging has put it right.
            self._stale(batch, entry, "crossed", now_ms)
        return None

    def touch(self, entry: Entry) -> None:
        """Rows of a topic are about to be written."""
        if entry not in self.touched:
            self.touched[entry] = entry.feed.position

    def resumed(self, batch: Batch, entry: Entry) -> None:
        """Rows of a topic were written: they close a gap that nothing else will close."""
        if entry.gap_from >= 0 and entry.feed.first_ts and not entry.refilling:
            self._close_gap(batch, entry, entry.feed.first_ts)

    def refilled(self, batch: Batch, entry: Entry, *, complete: bool, first_ts: int) -> None:
        """Rows of REST were written, the oldest news among them of `first_ts`; they fill a gap, or its end."""
        entry.refilling = False
        if entry.gap_from >= 0 and (complete or first_ts):
            self._close_gap(batch, entry, entry.gap_from if complete else first_ts, filled=complete)
        self.resumed(batch, entry)

    def lacks(self, batch: Batch, entry: Entry, reason: str) -> None:
        """REST has not given what a topic begins with: a gap from the beginning on, open as long as it is asked."""
        entry.refilling = True
        if entry.gap_from < 0:
            entry.gap_from, entry.gap_reason, entry.steady = 0, reason, 0
            self._gap(batch, entry, None)

    def flushing(self) -> None:
        """Everything written up to now goes to Redis; what went before has arrived."""
        self.under_way, self.touched = self.touched, {}
        if self.ledgers:
            self._confirm_ledgers()
            self._sent_ledgers = [(ledger, ledger.mark) for ledger in self.ledgers.values()]

    def flushed(self) -> None:
        """What was on its way is known to be in Redis."""
        self.under_way = {}
        self._confirm_ledgers()

    def _confirm_ledgers(self) -> None:
        for ledger, count in self._sent_ledgers:
            ledger.confirm(count)
        self._sent_ledgers = []

    def dropped(self, batch: Batch, reason: str) -> None:
        """What was written since the last confirmation is not in Redis: say so, and write again what is remembered."""
        self._announce(batch, list(self.touched | self.under_way), reason, whole=False)

    def emptied(self, batch: Batch, reason: str) -> None:
        """Redis may have forgotten everything: say so of every topic, and write again what is remembered."""
        self._announce(batch, self._entries.values(), reason, whole=True)

    def _announce(self, batch: Batch, entries: Iterable[Entry], reason: str, *, whole: bool) -> None:
        # How far rows reach that are known to have been in Redis.
        there = self.touched | self.under_way
        self.under_way = {}
        for entry in entries:
            if self._entries.get(entry.topic.text) is not entry:
                continue  # it was left meanwhile
            had_none = entry.gap_from < 0
            position = self.touched[entry] = there.get(entry, entry.feed.position)
            self._open_gap(batch, entry, reason, ts_of(position))
            if entry.refillable is not None and not isinstance(position, bytes):
                entry.refillable.undo(position[1])
            self.on_missing(entry, whole)
            if had_none and entry.gap_from >= 0 and not entry.refilling and _is_rewritten(entry):
                # The exchange may have nothing new to say for days.
                self._close_gap(batch, entry, max(entry.gap_from, entry.feed.last_ts))
        for ledger in self.ledgers.values():
            ledger.again(batch)
        self.rewrite(batch)

    def rewrite(self, batch: Batch) -> None:
        """Write everything again: states, latest values, candles, books."""
        for entry in self._entries.values():
            entry.seen_written = 0
            self._write_state(batch, entry)
            entry.feed.rewrite(batch)

    # -- states

    def acknowledged(self, batch: Batch, arg: Arg, now_ms: int, source: int) -> None:
        """The exchange has subscribed this arg, on a link."""
        for entry in self.of_arg(arg):
            entry.source = entry.source or source
            entry.subscribed = entry.tried = now_ms
            # A topic that has fallen silent is live again when it speaks, not when the exchange says that it will.
            if entry.topic.channel.kind is not Kind.BOOK and not entry.renewed:
                self._live(batch, entry, now_ms)

    def refused(self, batch: Batch, arg: Arg, code: int, text: str, now_ms: int, source: int = 0) -> None:
        """The exchange will not serve this arg: on a link, and what an older one still says of it does not count."""
        for entry in self.of_arg(arg):
            entry.source = max(entry.source, source)
            entry.feed.interrupted(batch)
            self._set(batch, entry, "refused", f"{code} {text}".strip() if code else text, now_ms)

    def pending(self, batch: Batch, entry: Entry, now_ms: int) -> None:
        """A topic that was refused is tried again, because somebody asked anew."""
        if entry.state == "refused":
            self._set(batch, entry, "pending", "", now_ms)

    def replaced(self, source: int, following: int) -> None:
        """What comes from one link comes from another from now on, also where nothing has come yet."""
        for entry in self._entries.values():
            if entry.source == source:
                entry.source, entry.steady = following, 0

    def broken(self, batch: Batch, arg: Arg, reason: str, now_ms: int, source: int = 0) -> None:
        """What comes next for this arg, if anything, does not follow on what came before.

        With a source only if it comes from there: a link that was replaced may end as it likes.
        """
        for entry in self.of_arg(arg):
            if source in (0, entry.source):
                entry.feed.interrupted(batch)
                self._stale(batch, entry, reason, now_ms)
                self.on_missing(entry, False)

    def silent(self, batch: Batch, entries: Iterable[Entry], now_ms: int) -> list[Entry]:
        """Those of some topics to subscribe again: silent for longer than their channel can be, which makes them stale.

        Once; one that stays dead is tried again every ten minutes, a book without a good snapshot every minute, both
        without another word.
        """
        again = []
        lately = now_ms - _LEAST_SILENCE_MS
        for entry in entries:
            if entry.seen > lately and entry.state == "live":
                continue  # so it is with nearly all, of which there may be thousands
            silence_s = entry.topic.channel.silence_s
            if not silence_s:
                continue
            silent_s = (now_ms - max(entry.seen, entry.subscribed)) / 1000
            if entry.state == "live" and silent_s > silence_s:
                entry.feed.interrupted(batch)
                self._stale(batch, entry, f"silent for {silence_s} s", now_ms)
                self.on_missing(entry, False)
                again.append(entry)
            elif (
                entry.state in ("stale", "pending") and entry.tried and (now_ms - entry.tried) / 1000 > _retry_s(entry)
            ):
                again.append(entry)
            else:
                continue
            entry.renewed, entry.tried = True, now_ms
        return again

    def write_seen(self, batch: Batch, entries: Iterable[Entry]) -> None:
        """Write when each of some topics was last heard of, if that is news."""
        heard = [entry for entry in entries if entry.seen != entry.seen_written]
        pairs: list[str | int] = []
        for entry in heard:
            entry.seen_written = seen = entry.seen
            pairs += (entry.topic.text, seen)
        if pairs:
            batch.write("HSET", self._data.seen, *pairs)

    def end(self, batch: Batch) -> None:
        """The session ends: nothing here is live any more."""
        for entry in self._entries.values():
            entry.feed.interrupted(batch)
        batch.write("DEL", self._data.topics, self._data.seen)

    def event(self, batch: Batch, body: dict[str, Any]) -> None:
        """Publish one of our own events."""
        batch.publish(self._data.event, json.dumps(body, separators=(",", ":")))

    # -- within

    def _join(self, batch: Batch, entry: Entry, elder: Entry, now_ms: int) -> None:
        entry.source = elder.source
        entry.subscribed, entry.tried = max(elder.seen, elder.subscribed), elder.tried
        if elder.seen and (entry.feed.last_ts or entry.topic.channel.kind is Kind.STATE):
            entry.seen = entry.seen_written = elder.seen
            batch.write("HSET", self._data.seen, entry.topic.text, entry.seen)
        if entry.feed.live:
            self._live(batch, entry, now_ms)

    def _from_another(self, entry: Entry, push: Push, source: int) -> bool:
        """Whether to take a push from a link that is not the topic's, while a new link replaces an old one.

        The new link becomes the topic's with its first push, of a merged book with its snapshot. From then on the old
        one is heard only where each row says by itself whether it is news.
        """
        if source > entry.source:
            if push.action != "update":
                entry.source = source
                return True
            return False
        kind = entry.topic.channel.kind
        # Pages of two links' snapshots must not be mixed.
        return kind is Kind.LOG or (kind is Kind.STATE and push.event_type != "snapshot")

    def _live(self, batch: Batch, entry: Entry, now_ms: int) -> None:
        if entry.state == "live":
            return
        if entry.state == "stale":
            self.event(batch, {"op": "LIVE", "topic": entry.topic.text})
        self._set(batch, entry, "live", "", now_ms)

    def _stale(self, batch: Batch, entry: Entry, reason: str, now_ms: int) -> None:
        if entry.state not in ("live", "pending"):
            return
        entry.tried = now_ms
        self._open_gap(batch, entry, reason, entry.feed.last_ts or (entry.since if _tells_events(entry) else 0))
        self._set(batch, entry, "stale", reason, now_ms)
        self.event(batch, {"op": "STALE", "topic": entry.topic.text, "reason": reason})

    def _open_gap(self, batch: Batch, entry: Entry, reason: str, from_ts: int) -> None:
        # Where nothing has come before, nothing can be missing.
        if entry.gap_from < 0 and from_ts:
            entry.gap_from, entry.gap_reason, entry.steady = from_ts, reason, 0
            self._gap(batch, entry, None)

    def _close_gap(self, batch: Batch, entry: Entry, first_ts: int, *, filled: bool = False) -> None:
        self._gap(batch, entry, first_ts, filled=filled)
        entry.gap_from = -1

    def _gap(self, batch: Batch, entry: Entry, to_ts: int | None, *, filled: bool = False) -> None:
        gap: dict[str, Any] = {
            "op": "GAP",
            "topic": entry.topic.text,
            "from": entry.gap_from,
            "to": to_ts,
            "reason": entry.gap_reason,
        }
        if filled:
            gap["filled"] = True
        text = json.dumps(gap, separators=(",", ":"))
        batch.write("XADD", self._data.gaps, "MAXLEN", "~", _GAPS_KEPT, "*", "data", text)
        batch.publish(self._data.event, text)

    def _set(self, batch: Batch, entry: Entry, state: str, reason: str, now_ms: int) -> None:
        self._leave_state(entry)
        self.states[state] += 1
        entry.state, entry.since, entry.reason, entry.steady = state, now_ms, reason, 0
        self._write_state(batch, entry)

    def _leave_state(self, entry: Entry) -> None:
        self.states[entry.state] -= 1
        if not self.states[entry.state]:
            del self.states[entry.state]

    def _write_state(self, batch: Batch, entry: Entry) -> None:
        told: dict[str, Any] = {"state": entry.state, "since": entry.since}
        if entry.reason:
            told["reason"] = entry.reason
        batch.write("HSET", self._data.topics, entry.topic.text, json.dumps(told, separators=(",", ":")))


def _is_repeated(entry: Entry) -> bool:
    """Whether the latest push brought nothing new: a link may repeat what the one that it replaces has brought."""
    return isinstance(entry.feed, LogFeed) and entry.feed.repeated


def _is_rewritten(entry: Entry) -> bool:
    """Whether all that there is to know of a topic is written again from memory."""
    return entry.state == "live" and entry.topic.channel.kind in (Kind.STATE, Kind.LATEST)


def _tells_events(entry: Entry) -> bool:
    """Whether something can be missing where nothing has come before: an order that was placed and filled meanwhile."""
    return entry.topic.v5.channel.name in ("orders", "orders-algo")


def _retry_s(entry: Entry) -> int:
    """After how long a stale topic is subscribed once more, though nothing says that it will help."""
    return 65 if entry.topic.channel.kind is Kind.BOOK else 600
