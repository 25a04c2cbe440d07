"""Rows in order of time as a pandas DataFrame. pandas is imported by the first table that is made, and not before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from okws_celery.errors import BadCommand
from okws_celery.feeds.candles import columns
from okws_celery.okx.catalogue import Kind
from okws_celery.okx.topics import Topic

if TYPE_CHECKING:
    import pandas

__all__ = ["Numbers", "check_table", "numbers_of", "table"]

Numbers = Literal["float", "decimal", "text"]
"""What becomes of the exchange's numbers: float64, decimal.Decimal, or the exchange's own text."""

_IN_TIME = (Kind.CANDLES, Kind.LOG)
_TIMES = ("ts", "timestamp", "cTime", "uTime")
"""Names of the field that says when a row was; the first that a row has counts."""
_DETAILS = "details"
"""Liquidations have their rows one level down (PROTOCOL 5.1)."""


def numbers_of(decimal: bool, strings: bool) -> Numbers:
    """What the two options of a `frame` mean; BadCommand (80010) for both."""
    if decimal and strings:
        raise BadCommand("frame: decimal or strings is accepted, not both")
    return "decimal" if decimal else "text" if strings else "float"


def check_table(topic: Topic) -> None:
    """BadCommand (80010) if a topic has no rows in time, or if pandas is missing."""
    if topic.channel.kind not in _IN_TIME:
        raise BadCommand(
            f"frame: {topic.text} is one {topic.channel.kind.value}, not rows in time; candles and logs such as "
            "trades are accepted, get() reads the rest"
        )
    _pandas()


def table(topic: Topic, rows: Iterable[Any], numbers: Numbers = "float") -> pandas.DataFrame:
    """The rows that `get` gives of a topic, the index their times: UTC, named as the exchange names the field.

    Columns are named as the exchange names them. Quantities are float64, or as `numbers` says; `confirm` is a bool;
    ids and words stay text. What the exchange left empty is NaN (None where the column is not float64).
    """
    pandas = _pandas()
    named = [part for row in rows for part in _named(topic, row)]
    names = list(dict.fromkeys(name for row in named for name in row))
    time_name = next((name for name in _TIMES if name in names), None)
    if time_name is None:
        return pandas.DataFrame(columns=_without_time(topic), index=pandas.DatetimeIndex([], tz="UTC", name="ts"))
    times = [row.get(time_name) for row in named]
    index = pandas.DatetimeIndex([_moment(pandas, time) for time in times], tz="UTC", name=time_name)
    made = {
        name: _column(pandas, name, [row.get(name) for row in named], numbers) for name in names if name != time_name
    }
    return pandas.DataFrame(made, index=index)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise BadCommand("frame needs pandas: pip install 'okws_celery[pandas]'") from None
    return pandas


def _named(topic: Topic, row: Any) -> Iterable[Mapping[str, Any]]:
    """A row as an object: what comes as a list is a candle of v5."""
    if isinstance(row, Mapping):
        details = row.get(_DETAILS)
        if isinstance(details, Sequence) and not isinstance(details, str):
            rest = {name: value for name, value in row.items() if name != _DETAILS}
            return [{**rest, **detail} for detail in details]
        return [row]
    return [dict(zip(columns(topic.channel.name), row, strict=False))]


def _without_time(topic: Topic) -> list[str]:
    of_v5 = topic.channel.kind is Kind.CANDLES and topic.v3 is None
    return list(columns(topic.channel.name)[1:]) if of_v5 else []


def _moment(pandas: Any, time: Any) -> Any:
    """Exchange ms (v5), or ISO text (v3)."""
    text = str(time or "")
    return (
        pandas.Timestamp(int(text), unit="ms") if text.isdigit() else pandas.Timestamp(text or None).tz_localize(None)
    )


def _column(pandas: Any, name: str, values: list[Any], numbers: Numbers) -> Any:
    if name == "confirm":
        return [str(value) == "1" for value in values]
    if numbers == "text" or not _is_quantity(name, values):
        return pandas.Series([None if value == "" else value for value in values], dtype=object).tolist()
    make: Callable[[Any], Any] = float if numbers == "float" else Decimal
    empty = float("nan") if numbers == "float" else None
    return [empty if value in ("", None) else make(str(value)) for value in values]


def _is_quantity(name: str, values: list[Any]) -> bool:
    """An id is a name and not a number, also where it is written in digits."""
    if name.lower().endswith("id"):
        return False
    return all(_is_number(value) for value in values)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value is None
    text = str(value)
    return not text or (text.lstrip("-").replace(".", "", 1).isdigit() and text.isascii())
