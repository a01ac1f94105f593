"""Services under test on each database; the longer faults run only when they are asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.subject import Subject, subject
from trainyard import Client


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Subject]:
    """A service with two workers, once on each database."""
    with subject(database_url, tmp_path) as started:
        yield started


@pytest.fixture
def client(served: Subject) -> Iterator[Client]:
    """A client of it."""
    with Client(served.url) as opened:
        yield opened
