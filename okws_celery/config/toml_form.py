"""The TOML form: [settings], [profiles.<name>] and [sessions.<name>]."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from okws_celery.config.draft import Draft, Entry, Place, Section

__all__ = ["draft_of_toml"]

_SECTIONS = ("settings", "profiles", "sessions")
_KeyPath = tuple[str, ...]


def draft_of_toml(path: Path, text: str) -> Draft:
    """The sections of the file; ConfigError names the line of what cannot be read."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise _not_toml(path, text, problem) from None
    lines = _Lines(text)
    unknown = next((name for name in tables if name not in _SECTIONS), "")
    if unknown:
        accepted = "[settings], [profiles.<name>] and [sessions.<name>] are accepted"
        raise Place(path, lines.of((unknown,))).wrong(f"section [{unknown}] is not known; {accepted}")
    settings = Place(path, lines.of(("settings",)), "settings")
    draft = Draft(_entries(tables.get("settings", {}), settings, lines, ("settings",)))
    for kind, sections in (("profiles", draft.profiles), ("sessions", draft.sessions)):
        for name, body in _table(tables.get(kind, {}), Place(path, lines.of((kind,)), kind)).items():
            place = Place(path, lines.of((kind, name)), f"{kind}.{name}")
            section = Section(name, place, _entries(body, place, lines, (kind, name)))
            if kind == "sessions":
                _take_topics(section, lines, (kind, name))
            sections.append(section)
    return draft


def _entries(body: Any, place: Place, lines: _Lines, path: _KeyPath) -> list[Entry]:
    return [
        Entry(key, value, Place(place.path, lines.of((*path, key)) or place.line, place.section, key))
        for key, value in _table(body, place).items()
    ]


def _take_topics(section: Section, lines: _Lines, path: _KeyPath) -> None:
    found = [entry for entry in section.entries if entry.key.lower() == "topics"]
    section.entries = [entry for entry in section.entries if entry not in found]
    for entry in found:
        topics = [entry.value] if isinstance(entry.value, str | dict) else entry.value
        if not isinstance(topics, list):
            raise entry.place.wrong("a list of topics is accepted")
        at = entry.place.line
        for topic in topics:
            at = lines.within((*path, entry.key), topic, at)
            section.topics.append(Entry("topics", topic, Place(entry.place.path, at, entry.place.section, entry.key)))


def _table(value: Any, place: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Place(place.path, place.line).wrong(f"[{place.section}] must be a table")
    return value


def _not_toml(path: Path, text: str, problem: tomllib.TOMLDecodeError) -> Exception:
    said = str(problem).partition(" (at ")[0]
    found = re.search(r"at line (\d+)", str(problem))
    return Place(path, int(found[1]) if found else text.count("\n") + 1).wrong(f"not TOML: {said}")


class _Lines:
    """The lines of headers and keys, which Python's parser does not tell, of a text that is known to be TOML."""

    def __init__(self, text: str) -> None:
        self._first: dict[_KeyPath, int] = {}
        self._source = text.splitlines()
        self._last: dict[_KeyPath, int] = {}
        header: _KeyPath = ()
        for statement, first, last in _statements(self._source):
            here = next(iter(_leaves(tomllib.loads(statement))), ())
            if statement.lstrip().startswith("["):
                header = here
                self._note(header, first, last)
            else:
                for leaf in _leaves(tomllib.loads(statement)):
                    self._note((*header, *leaf), first, last)

    def of(self, path: _KeyPath) -> int:
        """The line where this key, or a key below it, stands first; 0 if it does not."""
        return self._first.get(path, 0)

    def within(self, path: _KeyPath, item: Any, after: int) -> int:
        """The line from `after` on where an item of a list stands; `after` if it cannot be told."""
        for line in range(after, self._last.get(path, after) + 1):
            if isinstance(item, str) and item in self._source[line - 1]:
                return line
        return after

    def _note(self, path: _KeyPath, first: int, last: int) -> None:
        for length in range(1, len(path) + 1):
            self._first.setdefault(path[:length], first)
        self._last[path] = last


def _statements(source: list[str]) -> Iterator[tuple[str, int, int]]:
    """Each header or pair with its first and last line: the parser itself tells where one that has begun is whole."""
    begun: list[str] = []
    for number, line in enumerate(source, start=1):
        begun.append(line)
        try:
            tomllib.loads("\n".join(begun))
        except tomllib.TOMLDecodeError:
            continue
        if line.strip():
            yield "\n".join(begun), number - len(begun) + 1, number
        begun = []


def _leaves(table: Any) -> Iterator[_KeyPath]:
    """The paths of all that is not a table, and of empty tables."""
    if isinstance(table, list) and table and isinstance(table[0], dict):
        table = table[0]
    if not isinstance(table, dict) or not table:
        yield ()
        return
    for key, value in table.items():
        for rest in _leaves(value) if isinstance(value, dict | list) else [()]:
            yield (key, *rest)
