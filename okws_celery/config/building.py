"""From what stands in a config file to what it means: names, options, credentials and topics, each checked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from okws_celery.config.draft import (
    EXCHANGE_OPTIONS,
    FLAGS,
    PUBLISH_FORMS,
    SECRET_PARTS,
    SESSION_OPTIONS,
    Draft,
    Entry,
    Section,
)
from okws_celery.errors import BadCommand, ConfigError
from okws_celery.keys import check_name
from okws_celery.okx.endpoints import check_proxy, endpoints
from okws_celery.okx.login import credentials
from okws_celery.okx.topics import parse_topic

__all__ = ["ConfigFile", "ConfigSession", "built"]

_OLD_NAMES = {"redis": "redis_url", "maxrows": "max_rows", "max_row": "max_rows", "timeout": "timeout_s"}
"""Names of okws, and the variables' own, beside the field names of Settings."""
_WITHOUT_USE = frozenset({"listen_channel", "redis_info_key"})
"""Settings of okws that named what this package has no need of: commands travel through Celery."""
_INFO = "info"
"""okws's setting OKWS_INFO, the channel `<namespace>/info`."""
_log = logging.getLogger(__name__)
_SPELLED = {"apikey": "apiKey"}
"""Names of credentials that are not written in lower case."""


@dataclass(frozen=True, slots=True)
class ConfigSession:
    """A session that should be open: what `open_ws` and `subscribe` would have been given."""

    name: str
    topics: tuple[str, ...]
    """As text, each once, in the order of the file."""
    options: Mapping[str, Any] = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    """In clear; empty for a public session and for one with a profile."""
    place: str
    """File, line and section, for messages."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says: settings as name -> (value, place), profiles by lower-case name, sessions in order."""

    settings: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sessions: tuple[ConfigSession, ...] = ()


def built(draft: Draft) -> ConfigFile:
    """The meaning of a file; ConfigError for the first thing that is wrong."""
    profiles = {section.name.lower(): _profile(section) for section in _each_once(draft.profiles, "profile")}
    sessions = tuple(_session(section) for section in _each_once(draft.sessions, "session"))
    return ConfigFile(_settings(draft.settings), profiles, sessions)


def _settings(entries: Iterable[Entry]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for entry in entries:
        plain = entry.key.lower().removeprefix("okws_")
        name, value = _OLD_NAMES.get(plain, plain), entry.value
        if name in _WITHOUT_USE:
            continue
        if name == _INFO:
            name, value = "namespace", _namespace(entry)
        if name in found:
            raise entry.place.wrong(f"{name} stands there twice")
        found[name] = (value, str(entry.place))
    return found


def _namespace(entry: Entry) -> str:
    namespace, _, rest = str(entry.value).rpartition("/")
    if rest != _INFO or not namespace:
        raise entry.place.wrong("<namespace>/info is accepted, such as okws/info")
    return namespace


def _profile(section: Section) -> dict[str, Any]:
    secret, options = _parts(section, EXCHANGE_OPTIONS)
    _check_credentials(section, secret)
    return {**secret, **options}


def _session(section: Section) -> ConfigSession:
    secret, options = _parts(section, SESSION_OPTIONS)
    if section.as_okws and secret and _has_empty_key(section):
        _log.warning("%s: apiKey is empty, so that the session has no login", section.place)
        secret = {}
    given = _check_credentials(section, secret)
    if given and "profile" in options:
        raise section.place.wrong("a profile or credentials are accepted, not both")
    topics: dict[str, None] = {}
    for entry in section.topics:
        try:
            topic = parse_topic(entry.value)
        except BadCommand as problem:
            raise entry.place.wrong(problem) from None
        if topic.channel.login and not given and "profile" not in options:
            raise entry.place.wrong(f"topic {topic.text!r} needs a login, and the session has no credentials")
        topics[topic.text] = None
    return ConfigSession(section.name, tuple(topics), options, secret if given else {}, str(section.place))


def _has_empty_key(section: Section) -> bool:
    return any(entry.key.lower().replace("_", "") == "apikey" and not entry.value for entry in section.entries)


def _each_once(sections: Iterable[Section], what: str) -> list[Section]:
    found: dict[str, Section] = {}
    for section in sections:
        try:
            check_name(section.name, what if what == "profile" else "session name")
        except BadCommand as problem:
            raise section.place.wrong(problem) from None
        key = section.name.lower() if what == "profile" else section.name  # profiles are found in any case
        if key in found:
            raise section.place.wrong(f"{what} {section.name!r} stands there twice")
        found[key] = section
    return list(found.values())


def _parts(section: Section, accepted: tuple[str, ...]) -> tuple[dict[str, str], dict[str, Any]]:
    """Credentials and options of a section, under one spelling, empty ones left out."""
    secret: dict[str, str] = {}
    options: dict[str, Any] = {}
    seen: set[str] = set()
    for entry in section.entries:
        plain = entry.key.lower()
        name = plain if plain in accepted else plain.replace("_", "")
        if name not in accepted and name not in SECRET_PARTS:
            raise entry.place.wrong(f"not known; apiKey, secret, password, {', '.join(accepted)} are accepted")
        if name in seen:
            raise entry.place.wrong("stands there twice")
        seen.add(name)
        if entry.value in (None, ""):
            continue
        if name in SECRET_PARTS:
            secret[_SPELLED.get(name, name)] = _text(entry)
        else:
            options[name] = _option(name, entry)
    return secret, options


def _option(name: str, entry: Entry) -> Any:
    if name == "demo":
        try:
            return FLAGS[entry.value.lower() if isinstance(entry.value, str) else entry.value]
        except (KeyError, TypeError):
            raise entry.place.wrong("true or false is accepted") from None
    text = _text(entry)
    if name == "publish" and text not in PUBLISH_FORMS:
        raise entry.place.wrong(f"{text!r}; {', '.join(PUBLISH_FORMS)} are accepted")
    try:
        match name:
            case "profile":
                check_name(text, "profile")
            case "proxy":
                check_proxy(text)
            case "region":
                endpoints(region=text)
            case "ws_url":
                endpoints(ws_url=text)
            case "rest_url":
                endpoints(rest_url=text)
    except BadCommand as problem:
        raise entry.place.wrong(problem) from None
    return text


def _text(entry: Entry) -> str:
    if not isinstance(entry.value, str):
        raise entry.place.wrong("text is accepted")
    return entry.value


def _check_credentials(section: Section, secret: Mapping[str, str]) -> bool:
    """Whether there are any; ConfigError if some are missing."""
    try:
        return credentials(secret) is not None
    except BadCommand as problem:
        raise ConfigError(f"{section.place}: {problem}") from None
