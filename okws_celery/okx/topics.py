"""Topics: what a user subscribes with, as text or as OKX's own arg object, checked and brought to one form.

Names of v3 (`spot/ticker:ETH-USDT`) are topics of their own that are served by the arguments of their v5 counterparts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from okws_celery.errors import BadCommand
from okws_celery.okx.catalogue import CATALOGUE, Channel, Kind, channel_of
from okws_celery.okx.v3 import V3Channel, check_filter, is_v3, v3_channel

__all__ = ["Arg", "Topic", "parse_topic", "topic_of"]

Arg = tuple[tuple[str, str], ...]
"""An OKX subscription argument as sorted (key, value) pairs: hashable, one spelling for each meaning."""

_INST_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", "ANY"})
_VALUE = re.compile(r"[A-Za-z0-9_.{}\":\[\]/-]{1,256}")
_ARG_KEY = re.compile(r"[A-Za-z]{1,32}")
_CHANNEL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACCEPTED = (
    "'tickers:BTC-USDT', 'orders:instType=SWAP,instId=BTC-USDT-SWAP', {'channel': ..., 'instId': ...} "
    "or a v3 name such as 'spot/ticker:BTC-USDT'"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A checked topic. `text` is its shortest spelling, by which it is known in answers, events and Redis.

    `arg` is what is subscribed for it. A v3 topic has the arg of its v5 counterpart, and a channel of its own name.
    """

    text: str
    channel: Channel
    arg: Arg
    v3: V3Channel | None = None
    """The line of the v3 table, None for a topic of v5."""
    counterpart: Topic | None = None
    others: tuple[Topic, ...] = ()
    """v5 topics whose rows add to the data; the topic's state does not depend on them."""

    @property
    def v5(self) -> Topic:
        """The v5 topic whose rows it has; itself if it is one."""
        return self.counterpart or self

    @property
    def sources(self) -> tuple[Topic, ...]:
        """The v5 topics that are subscribed for it, first the one that its state follows."""
        return (self.v5, *self.others)

    @property
    def filter_value(self) -> str:
        """What stands behind the colon of a v3 topic, "" if there is none."""
        return self.text.partition(":")[2]

    def logged_in(self) -> Topic:
        """This topic for a session that is logged in: some names of v3 then mean a better channel."""
        if self.v3 is None or self.v3.login_arg is None:
            return self
        v5 = _filled(self.v3.filled(self.v3.login_arg, self.filter_value))
        return replace(self, arg=v5.arg, counterpart=v5)

    @property
    def arg_object(self) -> dict[str, str]:
        """The object that OKX takes in `args`."""
        return dict(self.arg)

    @property
    def path(self) -> str:
        """Under which name it is stored: its text, but `system-status` for OKX's channel `status`."""
        return "system-status" if self.text == "status" else self.text


def parse_topic(given: object, *, stored: bool = False, partial: bool = False) -> Topic:
    """A topic from v5 or v3 text or a v5 arg object; BadCommand (80010) says what is wrong and what is accepted.

    `stored` takes the text of a topic that was checked before: a channel that the catalogue does not know is then
    read back from `channel:key=value`, which from a user would more likely be a slip of the pen. `partial` takes a
    topic of state without the arguments that a subscription needs: all that the channel's topics brought.
    """
    if isinstance(given, Topic):
        return given
    if isinstance(given, Mapping):
        return _from_arg(given, partial)
    if not isinstance(given, str):
        raise BadCommand(f"topic {given!r}: {_ACCEPTED} is accepted")
    name, colon, rest = given.strip().partition(":")
    if "/" in name:
        if is_v3(name):
            if colon and not rest:
                raise BadCommand(f"topic {given!r}: nothing stands after the colon")
            return _v3_topic(name, rest)
        raise BadCommand(f"topic {given!r}: {_ACCEPTED} is accepted")
    channel = channel_of(name)
    if not channel.known and not stored:
        raise BadCommand(f"topic {given!r}: no channel {name!r} is known; {_near(name)}")
    if colon and not rest:
        raise BadCommand(f"topic {given!r}: nothing stands after the colon")
    return topic_of(channel, _arguments(given, channel, rest), partial)


def topic_of(channel: Channel, arguments: Mapping[str, str], partial: bool = False) -> Topic:
    """The topic of a channel and its argument values, checked against the catalogue."""
    missing = [key for key in channel.required if not arguments.get(key)]
    if missing and not (partial and channel.kind is Kind.STATE):
        raise BadCommand(f"topic {channel.name!r}: {', '.join(missing)} missing; {_takes(channel)}")
    for key, value in arguments.items():
        if channel.known and key not in channel.arg_keys:
            raise BadCommand(f"topic {channel.name!r}: {key!r} is not one of its keys; {_takes(channel)}")
        if not _VALUE.fullmatch(value):
            raise BadCommand(f"topic {channel.name!r}: {key} {value!r} has characters that no OKX name has")
        if key == "instType" and value not in _INST_TYPES:
            types = ", ".join(sorted(_INST_TYPES))
            raise BadCommand(f"topic {channel.name!r}: instType {value!r}; {types} are accepted")
    arg = tuple(sorted({"channel": channel.name, **arguments}.items()))
    return Topic(_text(channel, arguments), channel, arg)


def _v3_topic(name: str, rest: str) -> Topic:
    found = v3_channel(name)
    key, equals, value = rest.partition("=")
    value = value if equals and key == found.filter else rest
    check_filter(found, value)
    v5, *others = [_filled(found.filled(arg, value)) for arg in found.args]
    text = f"{name}:{value}" if value else name
    return Topic(text, found.channel, v5.arg, found, v5, tuple(others))


def _filled(arg: Mapping[str, str]) -> Topic:
    arguments = dict(arg)
    return topic_of(channel_of(arguments.pop("channel")), arguments)


def _from_arg(given: Mapping[object, object], partial: bool) -> Topic:
    name = given.get("channel")
    if not isinstance(name, str) or not _CHANNEL.fullmatch(name):
        raise BadCommand(f"topic {dict(given)!r}: 'channel' must be a channel's name; {_ACCEPTED} is accepted")
    arguments: dict[str, str] = {}
    for key, value in given.items():
        if key == "channel":
            continue
        if key == "extraParams":
            value = _compact(value)
        if not isinstance(key, str) or not _ARG_KEY.fullmatch(key) or not isinstance(value, str):
            raise BadCommand(f"topic {dict(given)!r}: keys are letters and values are text, as OKX takes them")
        if value:
            arguments[key] = value
    return topic_of(channel_of(name), arguments, partial)


def _compact(value: object) -> object:
    """An object as OKX takes it in `extraParams`, as text, without the spaces with which it may be written."""
    said = value
    if isinstance(value, str):
        try:
            said = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return json.dumps(dict(said), separators=(",", ":")) if isinstance(said, Mapping) else value


def _arguments(given: str, channel: Channel, rest: str) -> dict[str, str]:
    if not rest:
        return {}
    if "=" not in rest:
        if not channel.arg_keys:
            raise BadCommand(f"topic {given!r}: the channel {channel.name} takes no argument")
        return {channel.arg_keys[0]: rest}
    pairs = [part.partition("=") for part in rest.split(",")]
    if any(not equals or not value for _, equals, value in pairs) or len({key for key, _, _ in pairs}) < len(pairs):
        raise BadCommand(f"topic {given!r}: several keys are written as channel:key=value,key=value, each once")
    return {key: value for key, _, value in pairs}


def _text(channel: Channel, arguments: Mapping[str, str]) -> str:
    if not arguments:
        return channel.name
    order = channel.arg_keys if channel.known else tuple(sorted(arguments))
    if len(arguments) == 1 and order[0] in arguments:
        value = arguments[order[0]]
        if channel.known and "=" not in value:
            return f"{channel.name}:{value}"
    return f"{channel.name}:" + ",".join(f"{key}={arguments[key]}" for key in order if key in arguments)


def _takes(channel: Channel) -> str:
    if not channel.arg_keys:
        return "it takes no argument"
    needs = " and ".join(channel.required) or "nothing"
    return f"it needs {needs}" + (f" and takes {', '.join(channel.optional)}" if channel.optional else "")


def _near(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, CATALOGUE, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}? A channel newer than this version works as an arg object"
    return f"{_ACCEPTED} is accepted; a channel newer than this version works as an arg object"
