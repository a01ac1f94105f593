"""A service with a training process and a Python process beside it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.service import Service, running, settings_for
from tests.code.interpreter import Interpreter, interpreter


@pytest.fixture(scope="session")
def python() -> Iterator[Interpreter]:
    """One Python process for all scripts."""
    with interpreter() as started:
        yield started


@pytest.fixture(scope="module")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service on SQLite."""
    folder = tmp_path_factory.mktemp("code")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'trainyard.db')}"
    with running(settings_for(url, folder / "data")) as started:
        yield started
