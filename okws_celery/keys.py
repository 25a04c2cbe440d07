"""The name of every Redis key and pub/sub channel, and nothing else.

Data keys start with the prefix (`okex`), control keys with the namespace (`okws`). The control keys of one session
share a hash tag, so that a script may touch several of them on Redis Cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from okws_celery.errors import BadCommand

__all__ = ["ControlKeys", "DataKeys", "NamespaceKeys", "check_name"]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_name(name: object, what: str = "session name") -> str:
    """`name` itself if it is 1 to 64 of A-Z a-z 0-9 _ . -, else BadCommand (code 80010)."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise BadCommand(f"{what} {name!r}: 1 to 64 of the characters A-Z a-z 0-9 _ . - are accepted")


@dataclass(frozen=True, slots=True)
class DataKeys:
    """What readers see of one session. Also the names of the pub/sub channels of the same meaning."""

    prefix: str
    name: str

    def of(self, path: str) -> str:
        """The data key, and the row channel, of a stored topic: `okex/N/tickers:ETH-USDT`."""
        return f"{self.prefix}/{self.name}/{path}"

    def log(self, channel: str) -> str:
        """Stream of every row of an account channel, as it came."""
        return f"{self.prefix}/{self.name}/{channel}/log"

    @property
    def status(self) -> str:
        """Key and channel: READY, CONNECTED, DISCONNECTED, REFUSED or EXIT."""
        return self.of("status")

    @property
    def topics(self) -> str:
        """Hash: topic -> JSON {"state", "since", "reason"}."""
        return self.of("topics")

    @property
    def seen(self) -> str:
        """Hash: topic -> ms of the last arrival."""
        return self.of("seen")

    @property
    def event(self) -> str:
        """Channel of exchange events and of CONNECTED, STALE, LIVE, GAP signals."""
        return self.of("event")

    @property
    def gaps(self) -> str:
        """Stream of GAP events."""
        return self.of("gaps")


@dataclass(frozen=True, slots=True)
class ControlKeys:
    """The control keys of one session."""

    namespace: str
    name: str

    def _of(self, what: str) -> str:
        return f"{self.namespace}/{{{self.name}}}/{what}"

    @property
    def lease(self) -> str:
        """String with a TTL: the fencing token of the holder."""
        return self._of("lease")

    @property
    def session(self) -> str:
        """Hash: state, task_id, generation, ticket, options, code, msg, hint (see store/registry.py)."""
        return self._of("session")

    @property
    def wanted(self) -> str:
        """Hash: "<topic> <owner>" -> expiry in ms (0: none); the field "version" rises with every change."""
        return self._of("wanted")

    @property
    def commands(self) -> str:
        """List of commands that wait for the session, each a JSON object with an id and a deadline."""
        return self._of("commands")

    @property
    def bus(self) -> str:
        """Pub/sub channel on which the session is poked."""
        return self._of("bus")

    @property
    def ticket(self) -> str:
        """Counter: every open_ws and close_ws draws one before it is dispatched."""
        return self._of("ticket")

    @property
    def coming(self) -> str:
        """String with a TTL: the ticket of an open_ws that was sent and has not begun yet."""
        return self._of("coming")

    @property
    def closed(self) -> str:
        """Ticket of the last close_ws: an open_ws with a lower one ends at once."""
        return self._of("closed")

    @property
    def dispatch(self) -> str:
        """Lock with a TTL: one supervisor at a time dispatches a session anew."""
        return self._of("dispatch")

    @property
    def applied(self) -> str:
        """Number of the last batch that went through, to know after a lost connection whether it did."""
        return self._of("applied")

    @property
    def counters(self) -> str:
        """String, JSON: what `inspect sessions` shows of the session, and `publish`; lives as long as the lease."""
        return self._of("counters")

    def reply(self, command_id: str) -> str:
        """List on which the one who sent a command waits for its answer."""
        return self._of(f"reply/{command_id}")

    def claim(self, command_id: str) -> str:
        """String: "taken" by a worker or "given up" by the caller, whoever came first."""
        return self._of(f"claim/{command_id}")


@dataclass(frozen=True, slots=True)
class NamespaceKeys:
    """The control keys that belong to no session."""

    namespace: str

    @property
    def sessions(self) -> str:
        """Hash: name -> task id of every session that should be open."""
        return f"{self.namespace}/sessions"

    @property
    def workers(self) -> str:
        """Hash: worker -> JSON {"capacity", "held", "seen"}; the whole expires when no worker is left."""
        return f"{self.namespace}/workers"

    @property
    def coming(self) -> str:
        """Pattern of ControlKeys.coming of every session."""
        return ControlKeys(self.namespace, "*").coming

    def held(self, worker: str) -> str:
        """Sorted set: the sessions a worker holds, score = ms until which the place is taken."""
        return f"{self.namespace}/held/{worker}"

    def connects(self, host: str) -> str:
        """Pacing of new connections to one host of the exchange, shared by all workers."""
        return f"{self.namespace}/connects/{host}"

    def requests(self, host: str, path: str) -> str:
        """Pacing of one REST endpoint of a host of the exchange, shared by all workers."""
        return f"{self.namespace}/requests/{host}{path}"

    @property
    def configs(self) -> str:
        """Hash: config file, as host:path -> JSON of what it wants (see store/configured.py)."""
        return f"{self.namespace}/configs"

    @property
    def configs_seen(self) -> str:
        """Hash: config file -> ms when a worker that uses it was last seen."""
        return f"{self.namespace}/configs/seen"

    @property
    def starting(self) -> str:
        """String with a TTL: a server is starting its worker, so it is worth waiting for one."""
        return f"{self.namespace}/starting"

    @property
    def quit(self) -> str:
        """String: another one after each `server_quit`, for servers that missed the QUIT on `info`."""
        return f"{self.namespace}/quit"

    def fence(self, listener: str) -> str:
        """Channel on which a listener tells itself which messages came before its read of the keys."""
        return f"{self.namespace}/fence/{listener}"

    @property
    def info(self) -> str:
        """Channel: CONNECTED when a worker is up; QUIT when `server_quit` ended every session."""
        return f"{self.namespace}/info"
