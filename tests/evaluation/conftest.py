"""A service with a worker, for all tests of a module; an operator's losses are installed in both."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.service import running, settings_for
from tests.evaluation.yard import Yard
from tests.plugins import install


@pytest.fixture(scope="module")
def yard(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """On SQLite: no database has a part in what is computed."""
    folder = tmp_path_factory.mktemp("evaluation")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'trainyard.db')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(install(folder / "site"))
        with running(settings_for(url, folder / "data")) as service:
            yield Yard(service)
