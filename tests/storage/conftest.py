"""A bucket for the tests of storages."""

import importlib.util
from collections.abc import Iterator

import pytest

from tests.servers.bucket import s3
from tests.servers.missing import missing


@pytest.fixture(scope="session")
def bucket_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables by which it is found."""
    if importlib.util.find_spec("moto") is None:
        missing("moto")
    with s3(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture
def in_bucket(bucket_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the bucket are set."""
    for name, value in bucket_environment.items():
        monkeypatch.setenv(name, value)
