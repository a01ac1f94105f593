"""Shared by the tests of the worker."""

from pathlib import Path

import pytest
import torch

from app.persistence.database import Database
from tests.worker.yard import Yard


@pytest.fixture
def yard(database: Database, tmp_path: Path) -> Yard:
    torch.set_num_threads(1)  # as a training process does: two threads that wait for each other on a busy machine take minutes
    return Yard(database, tmp_path)
