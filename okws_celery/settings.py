"""Every setting, its default and its environment variable, in one typed place.

The environment wins over a config file, that over the defaults; what a command line or a caller gives wins over all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from okws_celery.config import EXCHANGE_OPTIONS, PUBLISH_FORMS, ConfigFile, ConfigSession, read_config_file
from okws_celery.errors import BadCommand, ConfigError
from okws_celery.okx.endpoints import REGIONS, Endpoints, check_proxy, endpoints

__all__ = ["EXCHANGE_OPTIONS", "PUBLISH_FORMS", "Settings", "load"]

MOST_BACKFILL = 1_000


def _setting(variable: str, default: Any, meaning: str, *, shown: bool = True) -> Any:
    return field(default=default, repr=shown, metadata={"variable": variable, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this process. Times in seconds."""

    redis_url: str = _setting("OKWS_REDIS_URL", "redis://localhost:6379/0", "Redis for data and control", shown=False)
    broker_url: str = _setting("OKWS_BROKER_URL", "", "Celery broker; default: the same Redis", shown=False)
    result_backend: str = _setting("OKWS_RESULT_BACKEND", "", "Celery results; default: the same Redis", shown=False)
    ws_url: str = _setting("OKWS_WS_URL", "", "base of OKX's WebSocket URLs; default: by region and demo")
    rest_url: str = _setting("OKWS_REST_URL", "", "base of OKX's REST URLs; default: by region")
    region: str = _setting("OKWS_REGION", "global", "global, us or eea")
    demo: bool = _setting("OKWS_DEMO", False, "1 for demo trading")
    ca_file: str = _setting("OKWS_CA_FILE", "", "extra CA certificates for the exchange's TLS, PEM")
    deflate: bool = _setting("OKWS_DEFLATE", False, "1: have the exchange compress what it sends, if it can")
    proxy: str = _setting("OKWS_PROXY", "", "http://, socks5:// or socks5h:// proxy to the exchange", shown=False)
    config: str = _setting("OKWS_CONFIG", "", "config file: INI, YAML or TOML")
    celery_config: str = _setting("OKWS_CELERY_CONFIG", "", "module of Celery settings laid over the defaults")
    prefix: str = _setting("OKWS_PREFIX", "okex", "first part of data keys")
    namespace: str = _setting("OKWS_NAMESPACE", "okws", "first part of control keys; names queues and exchanges")
    publish: str = _setting("OKWS_PUBLISH", "both", "pub/sub forms: both, pushes, rows or none")
    book_depth: int = _setting("OKWS_BOOK_DEPTH", 0, "levels kept of a book; 0: as deep as the channel")
    max_rows: int = _setting("OKWS_MAX_ROWS", 1000, "candles kept of a topic")
    max_log: int = _setting("OKWS_MAX_LOG", 10_000, "entries kept of a stream, about")
    backfill: int = _setting("OKWS_BACKFILL", 300, "closed candles that REST adds to a topic; 0: none, at most 1,000")
    max_sessions: int = _setting("OKWS_MAX_SESSIONS", 256, "sessions that one worker may hold")
    timeout_s: float = _setting("OKWS_TIMEOUT", 10.0, "how long a call waits for its outcome, s")
    secret_key_file: str = _setting(
        "OKWS_SECRET_KEY_FILE", "~/.config/okws/secret.key", "file of the key that encrypts credentials"
    )
    secret_key: str = _setting("OKWS_SECRET_KEY", "", "the key itself", shown=False)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Credentials and options by profile name in lower case (OKWS_PROFILE_<NAME>, `[profiles.<name>]`)."""
    sessions: tuple[ConfigSession, ...] = field(default=(), repr=False)
    """What the config file wants open: workers see to it when they start."""
    given: frozenset[str] = frozenset()
    """Names of the settings that the environment or the config file gave; the others are defaults."""

    def endpoints(self, options: Mapping[str, Any]) -> Endpoints:
        """Where a session with these options connects to: they win over the process's, a URL over region and demo."""
        return endpoints(
            region=options.get("region") or self.region,
            demo=bool(options.get("demo", self.demo)),
            ws_url=options.get("ws_url") or self.ws_url,
            rest_url=options.get("rest_url") or self.rest_url,
        )

    def with_(self, **changes: Any) -> Settings:
        """A checked copy with some settings changed."""
        return _checked(replace(self, **changes, given=self.given | changes.keys()))


_FIELDS = {item.name: item for item in fields(Settings) if item.metadata}
_BY_VARIABLE = {item.metadata["variable"]: name for name, item in _FIELDS.items()}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment and the config file that it names; ConfigError names what is wrong."""
    environ = os.environ if environ is None else environ
    path = environ.get("OKWS_CONFIG", "")
    file = read_config_file(Path(path).expanduser()) if path else ConfigFile()
    values: dict[str, Any] = {}
    for name, (value, place) in file.settings.items():
        if name not in _FIELDS:
            raise ConfigError(f"{place}: no setting {name!r}; accepted are {', '.join(sorted(_FIELDS))}")
        values[name] = _converted(name, value, place)
        try:
            _checked(Settings(**{name: values[name]}))
        except ConfigError as problem:
            raise ConfigError(f"{place}: {problem}") from None
    for variable, name in _BY_VARIABLE.items():
        if environ.get(variable):
            values[name] = _converted(name, environ[variable], variable)
    profiles = dict(file.profiles)
    for variable, text in environ.items():
        if variable.startswith("OKWS_PROFILE_"):
            profiles[variable.removeprefix("OKWS_PROFILE_").lower()] = _profile(variable, text)
    return _checked(Settings(**values, profiles=profiles, sessions=file.sessions, given=frozenset(values)))


def _converted(name: str, value: Any, place: str) -> Any:
    # A secret may stand where a setting is wrong, so the text names the place and the type, never the value.
    kind: type = type(_FIELDS[name].default)
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[str(value).lower()]
        if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
            raise TypeError
        return kind(value)
    except (KeyError, TypeError, ValueError):
        wanted = {bool: "1 or 0", int: "a whole number", float: "a number", str: "text"}[kind]
        raise ConfigError(f"{place}: {wanted} is accepted for {name}") from None


def _profile(variable: str, text: str) -> Mapping[str, Any]:
    try:
        profile = json.loads(text)
    except ValueError:
        profile = None
    if not isinstance(profile, dict):
        raise ConfigError(f'{variable}: a JSON object is accepted: {{"apiKey", "secret", "password", "region", ...}}')
    return profile


def _checked(settings: Settings) -> Settings:
    if settings.region not in REGIONS:
        raise ConfigError(f"OKWS_REGION {settings.region!r}: {', '.join(REGIONS)} are accepted")
    if settings.publish not in PUBLISH_FORMS:
        raise ConfigError(f"OKWS_PUBLISH {settings.publish!r}: {', '.join(PUBLISH_FORMS)} are accepted")
    for name in ("max_rows", "max_log", "max_sessions", "timeout_s"):
        if not 0 < getattr(settings, name) < float("inf"):
            raise ConfigError(f"{_FIELDS[name].metadata['variable']}: a number above 0 is accepted")
    if settings.book_depth < 0:
        raise ConfigError("OKWS_BOOK_DEPTH: 0 (as deep as the channel) or a number of levels is accepted")
    if not 0 <= settings.backfill <= MOST_BACKFILL:
        raise ConfigError(f"OKWS_BACKFILL: 0 (none) to {MOST_BACKFILL:,} candles are accepted")
    try:
        settings.endpoints({})
        check_proxy(settings.proxy)
    except BadCommand as problem:
        raise ConfigError(f"OKWS_WS_URL, OKWS_REST_URL, OKWS_PROXY: {problem}") from None
    for name in ("prefix", "namespace"):
        if not getattr(settings, name).replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"{_FIELDS[name].metadata['variable']}: letters, digits, - and _ are accepted")
    return settings
