"""The README's programs, run as they stand there, and its Chinese sister, which must say the same."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import eventually
from workers import Worker

from okws_celery.settings import Settings
from okws_celery.simulator import Simulator

ROOT = Path(__file__).parent.parent.parent
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")

Shell = Callable[[str], str]
Until = Callable[[str, Callable[[str], object]], str]


def programs(text: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def outline(text: str) -> list[tuple[str, int]]:
    """What a translation keeps: headings by level, code by its length, table rows by their columns."""
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            found.append((line.split()[0], 0))
        elif line.startswith("|"):
            found.append(("|", line.count("|")))
        elif line.startswith("```"):
            found.append((line, 0))
    return found


@pytest.fixture
def environ(redis_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[dict[str, str]]:
    """For programs, while a worker runs as the README starts it."""
    with Worker(tmp_path, redis_url, OKWS_WS_URL=simulator.ws_url):
        yield os.environ | {"OKWS_REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def shell(environ: dict[str, str], tmp_path: Path) -> Shell:
    """Runs a program in a folder elsewhere."""

    def run(program: str) -> str:
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environ, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def until(environ: dict[str, str], tmp_path: Path) -> Until:
    """Runs a program that has no end until what it has printed will do."""

    def run(program: str, enough: Callable[[str], object]) -> str:
        log = tmp_path / "program.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", program], cwd=tmp_path, env=environ, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            eventually(lambda: enough(log.read_text()), timeout=60)
        finally:
            process.kill()
            process.wait()
        return log.read_text()

    return run


def test_ten_lines_of_the_client(shell: Shell) -> None:
    """Open, subscribe, read a ticker and candles, close: each line does what the page says."""
    lines = [ast.literal_eval(line) for line in shell(programs(ENGLISH)[0]).splitlines()]
    opened, subscribed, *_, ticker, candles, status, closed = lines
    assert [line["errorCode"] for line in (opened, subscribed, status, closed)] == [80000] * 4, lines
    assert list(subscribed["topics"]) == ["tickers:BTC-USDT", "candle1m:BTC-USDT"]
    assert ticker["instId"] == "BTC-USDT"
    assert float(ticker["last"]) > 0
    assert 1 <= len(candles) <= 3
    assert status["status"] == "CONNECTED"


def test_the_same_by_tasks(shell: Shell) -> None:
    """From any program, `delay` opens, subscribes, lists and closes."""
    subscribed, servers, closed = [ast.literal_eval(line) for line in shell(programs(ENGLISH)[1]).splitlines()]
    assert [line["errorCode"] for line in (subscribed, servers, closed)] == [80000] * 3
    assert servers["message"] == ["tests"]


def test_the_moment_something_arrives(until: Until) -> None:
    """A listener tells every trade and every book, as soon as the program runs."""
    said = until(programs(ENGLISH)[2], lambda said: all(said.count(topic) > 2 for topic in ("'trades'", "'books5'")))
    assert "Traceback" not in said


class TestPages:
    def test_programs_can_be_read_by_python(self) -> None:
        """No block has a slip of the pen."""
        assert len(programs(ENGLISH)) == 5
        for program in programs(ENGLISH):
            compile(program, "README.md", "exec")

    def test_both_languages_have_the_same_code(self) -> None:
        """Blocks differ in their comments only."""
        english, chinese = programs(ENGLISH), programs(CHINESE)
        assert [ast.dump(ast.parse(text)) for text in english] == [ast.dump(ast.parse(text)) for text in chinese]

    def test_both_languages_have_the_same_outline(self) -> None:
        """Headings, tables and blocks follow each other alike; what stands in code style is the same."""
        assert outline(ENGLISH) == outline(CHINESE)
        names = re.compile(r"`((?:okex|okws)/[^`]+|OKWS_[A-Z_]+[^`]*|make [^`]+)`")
        assert sorted(names.findall(ENGLISH)) == sorted(names.findall(CHINESE))

    def test_every_setting_is_in_the_table(self) -> None:
        """A setting that nobody can find is none."""
        variables = {field.metadata["variable"] for field in dataclasses.fields(Settings) if field.metadata}
        for page in (ENGLISH, CHINESE):
            table = "\n".join(line for line in page.splitlines() if line.startswith("| OKWS_"))
            assert variables <= set(re.findall(r"OKWS_[A-Z_]+[A-Z]", table))

    @pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda path: path.name)
    def test_links_lead_somewhere(self, page: Path) -> None:
        """Every link to a file of the project has that file, and the heading if it names one."""
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            there = (page.parent / target).resolve() if target else page
            assert there.exists(), target
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
            slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert not anchor or anchor in slugs
