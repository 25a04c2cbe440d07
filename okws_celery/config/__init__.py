"""The config file: settings, profiles and sessions, in three forms. INI of okws 2020, YAML of okws 2021, and TOML.

What is wrong in it is a ConfigError that names file, line and section, and shows no value that may be secret.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from okws_celery.config.building import ConfigFile, ConfigSession, built
from okws_celery.config.draft import EXCHANGE_OPTIONS, FLAGS, PUBLISH_FORMS, SECRET_PARTS, SESSION_OPTIONS, Draft
from okws_celery.errors import ConfigError

__all__ = [
    "EXCHANGE_OPTIONS",
    "FLAGS",
    "PUBLISH_FORMS",
    "SECRET_PARTS",
    "SESSION_OPTIONS",
    "ConfigFile",
    "ConfigSession",
    "read_config_file",
]


def read_config_file(path: Path) -> ConfigFile:
    """The file's content; ConfigError if it cannot be read or something in it is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a mark
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"config file {path}: {getattr(problem, 'strerror', None) or problem}") from None
    return built(_form(path)(path, text))


def _form(path: Path) -> Callable[[Path, str], Draft]:
    # Each form is imported where it is used: a program without a config file needs none of them.
    match path.suffix.lower():
        case ".toml":
            from okws_celery.config.toml_form import draft_of_toml

            return draft_of_toml
        case ".ini" | ".cfg" | ".conf":
            from okws_celery.config.ini_form import draft_of_ini

            return draft_of_ini
        case ".yaml" | ".yml":
            from okws_celery.config.yaml_form import draft_of_yaml

            return draft_of_yaml
    accepted = ".toml, .yaml, .yml, .ini, .cfg or .conf"
    raise ConfigError(f"config file {path}: a name that ends in {accepted} is accepted")
