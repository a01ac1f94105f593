"""A service with a key and one without, for tests that look at an answer only."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.api.service import Service, running, settings_for

KEY = "an admin key of these tests"


def _service(template: Path, folder: Path, broker: str, **changes: object) -> Iterator[Service]:
    url = f"sqlite:///{shutil.copy(template, folder / 'trainyard.db')}"
    with running(settings_for(url, folder / "data", redis_url=broker, **changes)) as service:
        yield service


@pytest.fixture(scope="module")
def locked(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, valkey_server: str) -> Iterator[Service]:
    """A service that wants a key."""
    yield from _service(sqlite_template, tmp_path_factory.mktemp("locked"), valkey_server, api_key=SecretStr(KEY))


@pytest.fixture(scope="module")
def opened(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, valkey_server: str) -> Iterator[Service]:
    """A service without a key, on loopback."""
    yield from _service(sqlite_template, tmp_path_factory.mktemp("opened"), valkey_server)
