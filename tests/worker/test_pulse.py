"""The heartbeat of a training process, on both databases."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.persistence import workers
from app.persistence.database import Database
from app.storage.folder import Folder
from tests.servers.processes import wait_until
from worker.pulse import Periods
from worker.trainer import Trainer

PERIODS = Periods(lease=30, heartbeat=0.01, stall=60, checkpoint=30, report=0)


def registered(database: Database) -> list[tuple[str, int | None, int | None]]:
    with database.read() as connection:
        return [(row.id, row.memory, row.host_memory) for row in workers.every(connection)]


@pytest.fixture
def trainer(database: Database, tmp_path: Path) -> Iterator[Trainer]:
    """A warm training process."""
    started = Trainer(
        database=database,
        storage=Folder(tmp_path / "files"),
        name="test:1",
        device="cpu",
        threads=1,
        memory=2,
        host_memory=1,
        periods=PERIODS,
        stopping=lambda: False,
    )
    started.warm_up()
    yield started
    started.leave()


def test_a_process_that_was_taken_for_dead_registers_again(trainer: Trainer, database: Database) -> None:
    with database.write() as connection:
        workers.mark_silent(connection, seconds=-1)
        workers.forget_silent(connection, seconds=-1)

    wait_until(lambda: registered(database) == [("test:1", 2, 1)], seconds=20, what="the process to register again")


def test_a_process_that_left_does_not_come_back(trainer: Trainer, database: Database) -> None:
    trainer.leave()

    assert "pulse" not in {thread.name for thread in threading.enumerate()}
    assert registered(database) == []
