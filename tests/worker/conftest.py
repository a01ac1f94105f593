"""Shared by the tests of the worker."""

from pathlib import Path

import pytest

from app.persistence.database import Database
from tests.worker.yard import Yard


@pytest.fixture
def yard(database: Database, tmp_path: Path) -> Yard:
    return Yard(database, tmp_path)
