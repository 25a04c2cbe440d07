"""The INI form: a session as a section with credentials and `commands`, as in okws 2020; [config] or [settings]."""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from okws_celery.config.draft import Draft, Entry, Place, Section
from okws_celery.errors import BadCommand
from okws_celery.okx.topics import parse_topic

__all__ = ["draft_of_ini"]

_SETTINGS = ("config", "settings")
_PROFILE = "profiles."
_OPS = ("subscribe", "unsubscribe")


def draft_of_ini(path: Path, text: str) -> Draft:
    """The sections of the file; ConfigError names the line of what cannot be read."""
    parser = _Parser()
    _read(parser, path, text)
    draft = Draft()
    for name in parser.sections():
        place = Place(path, parser.line_of(name), name)
        section = Section(name, place, as_okws=True)
        for key, value, line in parser.entries(name):
            at = Place(path, line, name, key)
            match key.lower():
                case "commands" if name.lower() not in _SETTINGS:
                    _run_commands(section, _lines(text, value, at))
                case "topics" if name.lower() not in _SETTINGS:
                    section.topics += [Entry("topics", one, spot) for one, spot in _lines(text, value, at)]
                case _:
                    section.entries.append(Entry(key, value, at))
        if name.lower() in _SETTINGS:
            draft.settings += section.entries
        elif name.lower().startswith(_PROFILE):
            section.name = name[len(_PROFILE) :]
            draft.profiles.append(section)
        elif name == configparser.DEFAULTSECT:
            raise place.wrong("a session's name, config, settings or profiles.<name> is accepted as a section")
        else:
            draft.sessions.append(section)
    return draft


class _Parser(configparser.ConfigParser):
    """Python's own parser, which knows no lines: each key is kept as "<line> <key>"."""

    def __init__(self) -> None:
        # Names of any case are ours to compare, and a name that nobody has keeps [DEFAULT] from being special.
        super().__init__(interpolation=None, default_section="\0")
        self._line = 0
        self._sections_at: dict[str, int] = {}

    def numbered(self, text: str) -> Iterator[str]:
        """The lines of a file; the parser has not begun the next one while it handles the one before."""
        for self._line, line in enumerate(text.splitlines(keepends=True), start=1):
            stripped = line.strip()
            if stripped.startswith("[") and "]" in stripped:
                self._sections_at.setdefault(stripped[1 : stripped.index("]")], self._line)
            yield line

    def optionxform(self, optionstr: str) -> str:
        """Called once for each key, when its line is read."""
        return f"{self._line} {optionstr}"

    def line_of(self, section: str) -> int:
        """The line of a section's header."""
        return self._sections_at.get(section, 0)

    def entries(self, section: str) -> Iterator[tuple[str, str, int]]:
        """Key, value and line."""
        for numbered, value in self.items(section, raw=True):
            line, _, key = numbered.partition(" ")
            yield key, value or "", int(line)


def _read(parser: _Parser, path: Path, text: str) -> None:
    try:
        parser.read_file(parser.numbered(text))
    except configparser.MissingSectionHeaderError as problem:
        raise Place(path, problem.lineno).wrong("a [section] must come first") from None
    except configparser.DuplicateSectionError as problem:
        raise Place(path, problem.lineno or 0, str(problem.section)).wrong("stands there twice") from None
    except configparser.ParsingError as problem:
        # The parser's own message quotes the line, which may hold a secret.
        raise Place(path, problem.errors[0][0]).wrong("'key = value' is accepted") from None


def _lines(text: str, value: str, place: Place) -> Iterator[tuple[str, Place]]:
    """The lines of a value, each with its place; the parser leaves comments between them out."""
    source = text.splitlines()
    line = place.line
    for one in filter(None, map(str.strip, value.splitlines())):
        while line < len(source) and one not in source[line - 1]:
            line += 1
        yield one, Place(place.path, line, place.section, place.key)
        line += 1


def _run_commands(section: Section, commands: Iterator[tuple[str, Place]]) -> None:
    """What is subscribed when all has been carried out, in order."""
    for text, place in commands:
        op, args = _command(text, place)
        for arg in args:
            entry = Entry("commands", arg, place)
            if op == "subscribe":
                section.topics.append(entry)
            else:
                left = _topic(entry)
                section.topics = [one for one in section.topics if _topic(one) != left]


def _topic(entry: Entry) -> str:
    """A topic in its one spelling: what was subscribed as an object may be left as text."""
    try:
        return parse_topic(entry.value).text
    except BadCommand as problem:
        raise entry.place.wrong(problem) from None


def _command(text: str, place: Place) -> tuple[str, list[Any]]:
    # Nothing of the line is quoted: a login may stand there.
    try:
        command = json.loads(text)
    except ValueError:
        raise place.wrong(
            'a JSON object on a line of its own is accepted: {"op": "subscribe", "args": [...]}'
        ) from None
    if not isinstance(command, dict) or not isinstance(command.get("op"), str):
        raise place.wrong('an object with "op" and "args" is accepted')
    if command["op"] not in _OPS:
        raise place.wrong(f"op {command['op']!r}; {' and '.join(_OPS)} are accepted")
    args = command.get("args")
    args = [args] if isinstance(args, str | dict) else args
    if not isinstance(args, list) or not args:
        raise place.wrong('"args" must be a list of topics')
    unknown = sorted(command.keys() - {"op", "args", "id"})
    if unknown:
        raise place.wrong(f"{unknown[0]!r} is not known in a command; op and args are accepted")
    return command["op"], args
