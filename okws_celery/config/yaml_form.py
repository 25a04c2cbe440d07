"""The YAML form of okws 2021: `settings`, `servers` and `subscribes`; beside them `profiles`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from okws_celery.config.draft import Draft, Entry, Place, Section

__all__ = ["draft_of_yaml"]

_SECTIONS = ("settings", "servers", "subscribes", "profiles")
_NULL = "tag:yaml.org,2002:null"


def draft_of_yaml(path: Path, text: str) -> Draft:
    """The sections of the file; ConfigError names the line of what cannot be read.

    Scalars are taken as they are written: a password of digits stays text.
    """
    draft = Draft()
    root = _root(path, text)
    if root is None:
        return draft
    tables: dict[str, yaml.Node] = {}
    for key, node, place in _pairs(root, Place(path)):
        if key.lower() not in _SECTIONS:
            raise place.wrong(f"not known; {', '.join(_SECTIONS)} are accepted")
        if key.lower() in tables:
            raise place.wrong("stands there twice")
        tables[key.lower()] = node
    if "settings" in tables:
        draft.settings = _entries(tables["settings"], Place(path, section="settings"))
    for name, node, place in _pairs(tables.get("profiles"), Place(path, section="profiles")):
        section = Place(path, place.line, f"profiles.{name}")
        draft.profiles.append(Section(name, section, _entries(node, section)))
    for number, node in enumerate(_items(tables.get("servers"), Place(path, section="servers")), start=1):
        draft.sessions.append(_server(node, Place(path, _line(node), f"servers {number}")))
    for number, node in enumerate(_items(tables.get("subscribes"), Place(path, section="subscribes")), start=1):
        _subscribe(draft, node, Place(path, _line(node), f"subscribes {number}"))
    return draft


def _root(path: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        # The whole message quotes the line, and a problem may quote a word, which may be a secret.
        said = re.sub(r"(['\"]).{2,}\1", "something", problem.problem or "not YAML")
        raise Place(path, mark.line + 1 if mark else 0).wrong(f"not YAML: {said}") from None
    except yaml.YAMLError:
        raise Place(path).wrong("not YAML: it has a character that must not stand there") from None


def _server(node: yaml.Node, place: Place) -> Section:
    entries = _entries(node, place)
    names = [entry for entry in entries if entry.key.lower() == "name"]
    if len(names) != 1 or not names[0].value:
        raise place.wrong("a server needs one name")
    name = str(names[0].value)
    return Section(name, Place(place.path, place.line, f"servers {name}"), [one for one in entries if one not in names])


def _subscribe(draft: Draft, node: yaml.Node, place: Place) -> None:
    named: dict[str, tuple[yaml.Node, Place]] = {}
    for key, value, at in _pairs(node, place):
        if key.lower() not in ("server", "channels"):
            raise at.wrong("not known; server and channels are accepted")
        if key.lower() in named:
            raise at.wrong("stands there twice")
        named[key.lower()] = value, at
    if named.keys() != {"server", "channels"}:
        raise place.wrong("server and channels are needed")
    server, at = named["server"]
    section = next((one for one in draft.sessions if one.name == _plain(server, at)), None)
    if section is None:
        known = ", ".join(one.name for one in draft.sessions) or "none"
        raise at.wrong(f"no server {_plain(server, at)!r} stands under servers (there: {known})")
    channels, at = named["channels"]
    for item in [channels] if isinstance(channels, yaml.ScalarNode) else _items(channels, at):
        spot = Place(at.path, _line(item), at.section, at.key)
        section.topics.append(Entry("channels", _plain(item, spot), spot))


def _entries(node: yaml.Node, place: Place) -> list[Entry]:
    return [Entry(key, _plain(value, at), at) for key, value, at in _pairs(node, place)]


def _pairs(node: yaml.Node | None, place: Place) -> Iterator[tuple[str, yaml.Node, Place]]:
    """Key, value and place of each pair; nothing at all counts as an empty mapping."""
    if node is None or node.tag == _NULL:
        return
    if not isinstance(node, yaml.MappingNode):
        raise Place(place.path, _line(node), place.section, place.key).wrong("'key: value' is accepted")
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise Place(place.path, _line(key), place.section).wrong("a plain word is accepted as a key")
        yield key.value, value, Place(place.path, _line(key), place.section, key.value)


def _items(node: yaml.Node | None, place: Place) -> list[yaml.Node]:
    if node is None or node.tag == _NULL:
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise Place(place.path, _line(node), place.section, place.key).wrong("a list is accepted, '- ' before each")
    return list(node.value)


def _plain(node: yaml.Node, place: Place) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return "" if node.tag == _NULL else node.value
    if isinstance(node, yaml.MappingNode):  # a topic as OKX's arg object
        return {key: _plain(value, at) for key, value, at in _pairs(node, place)}
    raise place.wrong("one value is accepted, not a list")


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1
