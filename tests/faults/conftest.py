"""Services under test on each database: one for all tests of a process here, made whole again before each."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.persistence.database import Database
from tests.faults.deaths import Deaths
from tests.faults.points import Nursery, nursery
from tests.faults.subject import Subject, subject
from tests.servers.postgres import create_database, drop_database
from tests.worker.yard import Yard
from trainyard import Client

# On every run one database is enough for what takes seconds; the other one is for --faults.
ON_EACH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.faults)]


@pytest.fixture(scope="package", params=ON_EACH)
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A service with two workers."""
    folder = tmp_path_factory.mktemp("faults")
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), folder / "trainyard.db")
        with subject(f"sqlite:///{path}", folder) as made:
            yield made
        return
    server: str = request.getfixturevalue("postgres_server")
    url = create_database(server, template=request.getfixturevalue("postgres_template"))
    with subject(url, folder) as made:
        yield made
    drop_database(server, url)


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    """Where processes are born that die where they are told to."""
    with nursery() as made:
        yield made


@pytest.fixture
def deaths(database: Database, born: Nursery, tmp_path: Path) -> Deaths:
    """Jobs for them, on a fresh database of each kind."""
    return Deaths(Yard(database, tmp_path), born, tmp_path)


@pytest.fixture
def served(started: Subject) -> Subject:
    """The service; whatever the test before left dead is alive again."""
    started.heal()
    return started


@pytest.fixture
def client(served: Subject) -> Iterator[Client]:
    """A client of it."""
    with Client(served.url) as opened:
        yield opened


@pytest.fixture(scope="package")
def iris(started: Subject) -> str:
    """The id of a dataset."""
    with Client(started.url) as client:
        return client.sample("iris")["id"]
