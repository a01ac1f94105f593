"""The service that the document is held against."""

from collections.abc import Iterator

import pytest

from app.upkeep.valkey import find_server
from tests.contract.world import World, world
from tests.servers.missing import missing


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service with a key, a worker, and one of each thing that the document's examples name."""
    if find_server() is None:
        missing("Valkey")
    with world(tmp_path_factory.mktemp("subject")) as started:
        yield started
