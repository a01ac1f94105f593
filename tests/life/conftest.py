"""A world on each kind of database, begun anew by each test; and the seeds that chance starts from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.tabular.reading import describe_upload
from tests.life.world import Rows, World
from tests.servers.postgres import create_database, drop_database
from tests.worker.yard import CSV


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("seeds")))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp("rows")
    upload, parquet = folder / "upload.csv", folder / "data.parquet"
    upload.write_text(CSV)
    return Rows(parquet, describe_upload(upload, format="csv", destination=parquet))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database for all tests of a module."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        yield f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('life') / 'trainyard.db')}"
        return
    server: str = request.getfixturevalue("postgres_server")
    made = create_database(server, template=request.getfixturevalue("postgres_template"))
    yield made
    drop_database(server, made)


@pytest.fixture(scope="module")
def world(url: str, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    opened = World(url, tmp_path_factory.mktemp("world"), rows)
    yield opened
    opened.close()
