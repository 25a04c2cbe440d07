"""The page about configuration: its examples are accepted, it names every setting, and both languages have the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from okws_celery.config import ConfigFile
from okws_celery.settings import Settings

DOCS = Path(__file__).parent.parent.parent / "docs"
ENGLISH = (DOCS / "configuration.md").read_text(encoding="utf-8")
CHINESE = (DOCS / "configuration.zh-CN.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The code of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_every_setting_is_named() -> None:
    """With its variable, in both languages."""
    variables = {field.metadata["variable"] for field in fields(Settings) if field.metadata}
    for text in (ENGLISH, CHINESE):
        assert {variable for variable in variables if f"| {variable} |" not in text} == set()


def test_same_code_in_both_languages() -> None:
    """But for what is said in comments."""

    def code(text: str) -> list[str]:
        found = re.findall(r"```\w*\n.*?```", text, re.DOTALL)
        return [re.sub(r" +#.*", "", block) for block in found]

    assert code(ENGLISH) == code(CHINESE)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_toml(read: Callable[[str, str], ConfigFile], text: str) -> None:
    """The example says what the page says of it."""
    (example,) = blocks(text, "toml")
    feed, desk = read("okws.toml", example).sessions
    assert (feed.name, feed.topics) == ("feed", ("tickers:ETH-USDT", "candle1m:ETH-USDT"))
    assert (desk.name, desk.options) == ("desk", {"profile": "desk", "publish": "rows"})


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
@pytest.mark.parametrize("form", ["ini", "yaml"])
def test_forms_of_okws(read: Callable[[str, str], ConfigFile], text: str, form: str) -> None:
    """The examples are files as okws read them, with names of v3."""
    example = next(block for block in blocks(text, form) if "[Unit]" not in block)
    (session,) = read(f"okws.{form}", example).sessions
    assert session.name == "test"
    assert session.topics[0] == "spot/ticker:ETH-USDT"
