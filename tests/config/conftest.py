"""Config files of a test."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from okws_celery.config import ConfigFile, read_config_file


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], ConfigFile]:
    """Reads a file of this name and text."""

    folder = tmp_path_factory.mktemp("config")  # whose name, unlike a test's own folder's, has no part of the text

    def read(name: str, text: str) -> ConfigFile:
        path: Path = folder / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return read_config_file(path)

    return read
