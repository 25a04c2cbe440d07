"""docs/clients.md, in both languages: its programs are programs, and the same ones."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from okws_celery import errors
from okws_celery.sync import Client

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("clients.md", "clients.zh-CN.md")


def programs(page: str) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_calls_exist(page: str) -> None:
    """Every method that is called on a client exists and takes the arguments that are named."""
    methods = dict(inspect.getmembers(Client, inspect.isfunction))
    called = set()
    for program in programs(page):
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
                named = {keyword.arg for keyword in node.keywords}
                assert named <= inspect.signature(methods[node.func.attr]).parameters.keys(), ast.unparse(node)
                called.add(node.func.attr)
    assert {"open_ws", "subscribe", "unsubscribe", "get", "frame", "listen", "close"} <= called


@pytest.mark.parametrize("page", PAGES)
def test_table_names_every_call(page: str) -> None:
    """The table of calls leaves none out."""
    rows = [line for line in (DOCS / page).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`(\w+)\(", "".join(row.split("|")[1] for row in rows)))
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    assert public - {"close"} <= named | {"send"}


@pytest.mark.parametrize("page", PAGES)
def test_table_names_every_code(page: str) -> None:
    """Each code of our own that an answer can carry is explained."""
    codes = {value for name in errors.__all__ if isinstance(value := getattr(errors, name), int)}
    text = (DOCS / page).read_text(encoding="utf-8")
    assert {code for code in codes if f"\n| {code} | " not in text} == set()


def test_same_programs() -> None:
    """Both languages show the same programs, but for their comments."""
    english, chinese = ([ast.dump(ast.parse(program)) for program in programs(page)] for page in PAGES)
    assert english == chinese
