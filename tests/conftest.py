"""Fixtures for every test: real servers, and a fresh migrated database on each of the two kinds."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from app.loading import prepare_torch
from app.logs import configure_logs
from app.persistence.database import Database
from app.persistence.migrate import migrate
from app.upkeep.valkey import find_server
from tests.servers.missing import missing
from tests.servers.postgres import URL_VARIABLE, create_database, drop_database, find_binaries, postgres
from tests.servers.service import Service, embedded
from tests.servers.valkey import valkey
from trainyard import Client

prepare_torch()  # before any other module imports it

# How long an example takes says nothing on a machine that others use, too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--containers", action="store_true", help="also run the images' install steps, as CI does")
    parser.addoption("--seeds", type=int, default=15, help="how many random programs tests/life plays on each database")
    parser.addoption("--pretend-gpu", action="store_true", help="tests/engine trains on a GPU that is pretended")
    parser.addoption("--faults", action="store_true", help="also run the faults that take long")


def pytest_configure() -> None:
    configure_logs("info")  # not structlog's own way, which draws every frame's variables and so holds them
    gc.disable()  # while all code is loaded, as app.loading has it


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--faults"):
        long = [item for item in items if item.get_closest_marker("faults")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


def migrated(url: str) -> str:
    """Bring a database up to date; its URL."""
    database = Database(url)
    migrate(database.engine)
    database.close()
    return url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server where databases may be created."""
    if url := os.environ.get(URL_VARIABLE):
        yield url
    elif binaries := find_binaries():
        with postgres(binaries) as url:
            yield url
    else:
        missing("PostgreSQL")


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a migrated database to copy."""
    url = migrated(create_database(postgres_server))
    yield url.rpartition("/")[2].partition("?")[0]
    drop_database(postgres_server, url)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """URL of a fresh migrated PostgreSQL database."""
    url = create_database(postgres_server, template=postgres_template)
    yield url
    drop_database(postgres_server, url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a fresh migrated SQLite database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'trainyard.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh migrated database, once of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh migrated database, once of each kind."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """URL of a Valkey server of the tests' own."""
    binary = find_server()
    if binary is None:
        missing("Valkey")
    with valkey(binary) as url:
        yield url


@pytest.fixture
def valkey_url(valkey_server: str) -> str:
    """URL of an empty Valkey server."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A whole embedded service, shared by all tests that ask for it."""
    if find_server() is None:
        missing("Valkey")
    with embedded(tmp_path_factory.mktemp("service") / "data") as started:
        yield started


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """A client of the shared service."""
    with service.client() as opened:
        yield opened
