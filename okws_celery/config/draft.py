"""What stands in a config file, whatever its form: keys and values with their places, not yet understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from okws_celery.errors import ConfigError

__all__ = [
    "EXCHANGE_OPTIONS",
    "FLAGS",
    "PUBLISH_FORMS",
    "SECRET_PARTS",
    "SESSION_OPTIONS",
    "Draft",
    "Entry",
    "Place",
    "Section",
]

PUBLISH_FORMS = ("both", "pushes", "rows", "none")
EXCHANGE_OPTIONS = ("region", "demo", "proxy", "ws_url", "rest_url")
"""Settings that a profile or one `open_ws` may choose for itself."""
SESSION_OPTIONS = ("profile", *EXCHANGE_OPTIONS, "publish")
"""What `open_ws`, or a session in a config file, takes beside a name and credentials."""
SECRET_PARTS = frozenset({"apikey", "secret", "secretkey", "password", "passphrase"})
"""The names of credentials, in lower case and without underscores."""

FLAGS = {True: True, False: False, "1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}
"""What may be written for yes and no, in lower case."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. A line of 0 is not known."""

    path: Path
    line: int = 0
    section: str = ""
    key: str = ""

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        section = f", [{self.section}]" if self.section else ""
        return f"config file {self.path}{line}{section}{' ' + self.key if self.key else ''}"

    def wrong(self, text: object) -> ConfigError:
        """The error that says what is wrong here."""
        return ConfigError(f"{self}: {text}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value, or a topic. The value may be secret."""

    key: str
    value: Any = field(repr=False)
    place: Place


@dataclass(slots=True)
class Section:
    """One profile or session, or the settings."""

    name: str
    place: Place
    entries: list[Entry] = field(default_factory=list)
    topics: list[Entry] = field(default_factory=list)
    """What a session subscribes, in order: text or OKX's arg object."""
    as_okws: bool = False
    """It stands in the form of okws 2020, which had no login where `apiKey` was there and empty, whatever else was."""


@dataclass(slots=True)
class Draft:
    """A whole file."""

    settings: list[Entry] = field(default_factory=list)
    profiles: list[Section] = field(default_factory=list)
    sessions: list[Section] = field(default_factory=list)
