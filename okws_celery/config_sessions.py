"""The sessions of OKWS_CONFIG: when a worker starts, what the file wants is made the desired state, once.

They are then opened like every session that should be open and is not: by a supervisor's next look. Nothing here
connects or waits, and several workers with one file do the same thing twice without harm.
"""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okws_celery.calls.opening import close_now
from okws_celery.calls.options import checked_options, resolved_options
from okws_celery.errors import BadCommand, ConfigError
from okws_celery.settings import Settings
from okws_celery.store.configured import Claims, Configured
from okws_celery.store.registry import Registry

__all__ = ["ConfigSessions", "PlannedSession", "planned"]

_RENEW_S = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A session as it will stand in the registry: credentials sealed, or a profile that workers know by name."""

    name: str
    topics: list[str]
    options: Mapping[str, Any]
    fingerprint: str
    """Changes with its credentials and options, those of its profile included."""


def planned(settings: Settings) -> list[PlannedSession]:
    """What the config file of these settings wants; ConfigError if this worker could not open it."""
    plans = []
    for session in settings.sessions:
        given = {**session.options, **session.credentials}
        try:
            options = checked_options(settings, session.credentials, session.options, sealing=True)
            resolved_options(settings, options)
        except BadCommand as problem:
            raise ConfigError(f"{session.place}: {problem}") from None
        profile = settings.profiles.get(str(given.get("profile", "")).lower(), {})
        fingerprint = _fingerprint({**profile, **given})
        plans.append(PlannedSession(session.name, list(session.topics), options, fingerprint))
    return plans


class ConfigSessions:
    """What one worker does about its config file. `look` may raise StoreError, and is then called again."""

    def __init__(self, registry: Registry) -> None:
        settings = registry.settings
        self._registry = registry
        self._configured = Configured(registry)
        path = Path(settings.config).expanduser().absolute() if settings.config else None
        self._file = f"{socket.gethostname()}:{path}" if path else ""
        self._plans = planned(settings)
        self._claims: Claims = {plan.name: plan.topics for plan in self._plans}
        self._begun = False
        self._renewed_at = 0.0

    def look(self) -> None:
        """The first time: open, subscribe, leave and close what the file says. Later: say that it is in use."""
        if not self._file:
            return
        if not self._begun:
            self._begin()
            self._begun = True
        elif self._claims and time.monotonic() - self._renewed_at > _RENEW_S:
            self._configured.renew(self._file, self._claims)
        else:
            return
        self._renewed_at = time.monotonic()

    def _begin(self) -> None:
        before, others = self._configured.claims(self._file)
        if not before and not self._plans:
            return
        for name in before.keys() - self._claims.keys():
            self._leave(name, others)
        for plan in self._plans:
            self._open(plan, others)
        self._configured.claim(self._file, self._claims)

    def _leave(self, name: str, others: list[Claims]) -> None:
        wanted_elsewhere = any(name in claims for claims in others)
        if self._configured.ours(name) and not wanted_elsewhere:
            _log.info("session %s: closed, it has left %s", name, self._file)
            close_now(self._registry, name)
        else:
            self._configured.want(name, (), _kept(name, others))

    def _open(self, plan: PlannedSession, others: list[Claims]) -> None:
        alone = not any(plan.name in claims for claims in others)
        match self._configured.desire(plan.name, plan.options, plan.fingerprint, may_change=alone):
            case "refused":
                _log.warning(
                    "session %s: OKX refused it for good; it is tried again when %s has other credentials for it",
                    plan.name,
                    self._file,
                )
                return
            case "other":
                whose = "an app" if alone else "another config file"
                _log.warning("session %s: opened by %s, whose options it keeps", plan.name, whose)
            case outcome:
                _log.info("session %s: %s, as %s says", plan.name, outcome, self._file)
        self._configured.want(plan.name, plan.topics, _kept(plan.name, others))


def _kept(name: str, others: list[Claims]) -> list[str]:
    return [topic for claims in others for topic in claims.get(name, ())]


def _fingerprint(given: Mapping[str, Any]) -> str:
    # Slow to compute, since it stands in Redis and a proxy's password may be short.
    text = json.dumps({key: given[key] for key in sorted(given)})
    return hashlib.scrypt(text.encode(), salt=b"okws-config", n=2**12, r=8, p=1, dklen=8).hex()
