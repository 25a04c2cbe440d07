"""Reads a config file, TOML or INI, into settings and profiles, each with the place where it stands."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from okws_celery.errors import ConfigError

__all__ = ["ConfigFile", "read_config_file"]

_OLD_NAMES = {"redis": "redis_url", "maxrows": "max_rows", "timeout": "timeout_s"}
"""Names of okws 2020, and the variables' own, beside the field names of Settings."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What stands in the file: settings as name -> (value, place), and profiles by lower-case name."""

    settings: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_config_file(path: Path) -> ConfigFile:
    """The file's content; ConfigError names the file, and the line or section, when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"config file {path}: {getattr(problem, 'strerror', None) or problem}") from None
    if path.suffix == ".toml":
        return _toml(path, text)
    if path.suffix in (".ini", ".cfg", ".conf"):
        return _ini(path, text)
    raise ConfigError(f"config file {path}: a name that ends in .toml, .ini, .cfg or .conf is accepted")


def _toml(path: Path, text: str) -> ConfigFile:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"config file {path}: {problem}") from None
    settings = _table(path, "settings", tables.pop("settings", {}))
    profiles = _table(path, "profiles", tables.pop("profiles", {}))
    if tables:
        raise ConfigError(f"config file {path}: section [{next(iter(tables))}] is not known; {_SECTIONS}")
    return ConfigFile(
        settings={_name(key): (value, f"config file {path}, [settings] {key}") for key, value in settings.items()},
        profiles={name.lower(): _table(path, f"profiles.{name}", body) for name, body in profiles.items()},
    )


def _ini(path: Path, text: str) -> ConfigFile:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case: apiKey is one
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as problem:
        raise ConfigError(f"config file {path}, line {problem.lineno}: a [section] must come first") from None
    except configparser.ParsingError as problem:
        # The parser's own message quotes the line, which may hold a secret.
        lines = ", ".join(str(number) for number, _ in problem.errors)
        raise ConfigError(f"config file {path}, line {lines}: 'key = value' is accepted") from None
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as problem:
        place = f"config file {path}, line {problem.lineno}, [{problem.section}]"
        raise ConfigError(f"{place}: stands there twice") from None
    settings: dict[str, tuple[Any, str]] = {}
    profiles: dict[str, Mapping[str, Any]] = {}
    for section in parser.sections():
        body = dict(parser[section])
        if section in ("config", "settings"):
            settings |= {_name(key): (value, f"config file {path}, [{section}] {key}") for key, value in body.items()}
        elif section.startswith("profiles."):
            profiles[section.removeprefix("profiles.").lower()] = body
        else:
            raise ConfigError(f"config file {path}: section [{section}] is not known; {_SECTIONS}")
    return ConfigFile(settings, profiles)


_SECTIONS = "[settings] and [profiles.<name>] are accepted"


def _name(key: str) -> str:
    plain = key.lower().removeprefix("okws_")
    return _OLD_NAMES.get(plain, plain)


def _table(path: Path, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"config file {path}: [{name}] must be a table")
    return value
