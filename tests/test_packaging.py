"""The package as others meet it: its public face, its weight when imported, what is installed and required."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from setuptools import find_packages

import okws_celery

ROOT = Path(__file__).parent.parent


def python(program: str) -> str:
    """What this program prints, run by itself."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def setup_cfg() -> configparser.ConfigParser:
    """The declarations of the package."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def libraries_of(path: Path) -> set[str]:
    """The top-level names of the libraries, neither Python's nor ours, that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"okws_celery", ""}


class TestPublicFace:
    def test_every_name_is_there(self) -> None:
        """What `__all__` promises can be had, by attribute and by `from okws_celery import ...`."""
        assert okws_celery.__all__ == ["__version__", "aio", "client", "errors", "query", "server", "tasks"]
        for name in okws_celery.__all__:
            assert getattr(okws_celery, name)
            python(f"from okws_celery import {name}")
        assert set(okws_celery.__all__) <= set(dir(okws_celery))

    def test_a_name_that_is_not_there(self) -> None:
        """Anything else is an AttributeError, as of any module; Celery relies on it to find its application."""
        for name in ("app", "clinet"):
            with pytest.raises(AttributeError, match=f"module 'okws_celery' has no attribute '{name}'"):
                getattr(okws_celery, name)

    def test_client_stays_a_function(self) -> None:
        """No module of the name of a public function hides it after an import."""
        program = "import okws_celery; okws_celery.client; import okws_celery.sync; print(callable(okws_celery.client))"
        assert python(program) == "True"

    @pytest.mark.parametrize(
        ("module", "heavy"),
        [
            ("okws_celery", "celery kombu redis websocket msgspec socket ssl"),
            (
                "okws_celery.query",
                "celery kombu websocket pandas okws_celery.session okws_celery.celery okws_celery.tasks",
            ),
            ("okws_celery.server", "celery kombu websocket okws_celery.session okws_celery.celery okws_celery.tasks"),
            ("okws_celery.sync", "celery kombu websocket okws_celery.session okws_celery.celery okws_celery.tasks"),
            ("okws_celery.aio", "celery kombu websocket pandas okws_celery.session okws_celery.celery"),
        ],
    )
    def test_imports_are_light(self, module: str, heavy: str) -> None:
        """A reader loads neither Celery nor what holds connections."""
        program = f"import sys, {module}; print(*sorted(set({heavy.split()!r}) & set(sys.modules)))"
        assert python(program) == ""

    def test_celery_finds_the_application(self) -> None:
        """`celery -A okws_celery` and a plain import give the same application."""
        program = (
            "from celery.app.utils import find_app; from okws_celery.celery import app\n"
            "print(find_app('okws_celery') is app)"
        )
        assert python(program) == "True"


class TestDeclarations:
    def test_every_package_is_installed(self) -> None:
        """No folder with modules is left out for want of an `__init__.py`."""
        folders = {path.parent for path in (ROOT / "okws_celery").rglob("*.py")}
        wanted = {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders}
        assert set(find_packages(str(ROOT), include=["okws_celery*"])) == wanted

    def test_types_are_shipped(self) -> None:
        """Type checkers of users see our types."""
        assert resources.files("okws_celery").joinpath("py.typed").is_file()
        assert setup_cfg()["options.package_data"]["okws_celery"] == "py.typed"

    def test_floors_that_matter(self) -> None:
        """Below these a worker may go deaf on a broken Redis connection, or a reader may grow for ever."""
        required = setup_cfg()["options"]["install_requires"].split("\n")
        assert {"celery >= 5.7", "kombu[redis] >= 5.7", "hiredis >= 3.5"} <= set(required)

    def test_what_is_imported_is_required(self) -> None:
        """Every library that a module imports is among the requirements, or in an extra that its users know of."""
        options = setup_cfg()
        extras = options["options.extras_require"]
        lines = options["options"]["install_requires"] + extras["simulator"] + extras["pandas"]
        required = {re.match(r"[\w-]*", line)[0].replace("-", "_") for line in lines.split("\n")}
        modules = set((ROOT / "okws_celery").rglob("*.py"))
        modules -= {ROOT / "okws_celery/simulator/pytest_plugin.py"}  # it is pytest that imports it
        imported = {name for path in modules for name in libraries_of(path)}
        named = {"websocket": "websocket_client", "yaml": "PyYAML"}
        assert {named.get(name, name) for name in imported} <= required


class TestMake:
    def test_help_lists_every_target(self) -> None:
        """`make help` and the list of targets agree, and the file has no target without a word about it."""
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:]
        command = ["make", "--no-print-directory", "help"]
        listed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
        assert [line.split()[1] for line in listed.splitlines()] == targets
        wanted = "install run test bench profile worker flower redis simulator lint format types clean help"
        assert targets == wanted.split()

    @pytest.mark.parametrize(
        ("cases", "status"),
        [
            ('<testcase classname="tests.real.test_a" name="a"/>', 0),
            ('<testcase classname="tests.real.test_a" name="a"><skipped/></testcase>', 1),
            ('<testcase classname="tests.real.test_a" name="a"/><testcase classname="tests.b" name="b"/>', 0),
            ('<testcase classname="tests.test_b" name="b"/>', 1),
            (
                '<testcase classname="tests.real.test_a" name="a"/><testcase classname="tests.b" name="b">'
                '<skipped message="OKWS_CAPTURES is not set"/></testcase>',
                1,
            ),
            (
                '<testcase classname="tests.real.test_a" name="a"/><testcase classname="tests.b" name="b">'
                '<skipped message="only on Linux"/></testcase>',
                0,
            ),
        ],
    )
    def test_skipped_captures_are_noticed(self, tmp_path: Path, cases: str, status: int) -> None:
        """A run that was to test captured data and did not is a failure."""
        report = tmp_path / "tests.xml"
        report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
        command = [sys.executable, str(ROOT / ".ci" / "captured_data_was_tested.py"), str(report)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == status
