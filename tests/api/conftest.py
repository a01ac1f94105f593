"""A service on each kind of database, one on SQLite for what no database has a part in, and a shared one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.service import Service, running, settings_for
from tests.servers.postgres import create_database, drop_database


@pytest.fixture
def service(database_url: str, valkey_server: str, tmp_path: Path) -> Iterator[Service]:
    """A running service, once on each kind of database."""
    with running(settings_for(database_url, tmp_path / "data", redis_url=valkey_server)) as service:
        yield service


@pytest.fixture(scope="session")
def shared(sqlite_template: Path, valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One running service for all tests that look at an answer only: what others left in it must not matter to them."""
    folder = tmp_path_factory.mktemp("shared")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'trainyard.db')}"
    with running(settings_for(url, folder / "data", redis_url=valkey_server)) as service:
        yield service


@pytest.fixture
def small(sqlite_url: str, valkey_server: str, tmp_path: Path) -> Iterator[Service]:
    """A running service on SQLite."""
    with running(settings_for(sqlite_url, tmp_path / "data", redis_url=valkey_server)) as service:
        yield service


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lasting(request: pytest.FixtureRequest, valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service on each kind of database for all tests of a file: none of them may mind what the others left."""
    folder = tmp_path_factory.mktemp("lasting")
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_template'), folder / 'trainyard.db')}"
    else:
        server = request.getfixturevalue("postgres_server")
        url = create_database(server, template=request.getfixturevalue("postgres_template"))
    with running(settings_for(url, folder / "data", redis_url=valkey_server)) as service:
        yield service
    if request.param == "postgresql":
        drop_database(server, url)
