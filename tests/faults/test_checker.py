"""The checker bites: with the fence, the claim's condition or the rename taken out it says so, in a sentence and a story."""

from pathlib import Path

import pytest

from app.persistence import claims, leases
from app.persistence.database import Database
from tests.faults import recording
from tests.faults.invariants import breaches
from tests.faults.weakened import InPlace, WithoutCondition, WithoutFence
from tests.worker.yard import Killed, Yard
from worker.trainer import Trainer


@pytest.fixture
def yard(database: Database, tmp_path: Path) -> Yard:
    """A training process on a database that tells what happens."""
    recording.install(database)
    return Yard(database, tmp_path)


def found(yard: Yard) -> list[str]:
    """What the checker says once a sound process has brought everything to its end."""
    yard.on_report, yard.trainer = lambda: None, Trainer
    yard.bury()
    yard.work()
    return breaches(recording.read(yard.database, yard.storage.root))


def steal(yard: Yard) -> None:
    """The lease runs out, another process takes the job, and dies of it later."""
    yard.bury()
    with yard.database.write() as connection:
        claims.claim(connection, owner="thief", devices=["auto"], lease_seconds=30)


def bury_thief(yard: Yard) -> None:
    with yard.database.write() as connection:
        leases.crashed(connection, owner="thief", max_crashes=3, back_off_seconds=0)


@pytest.mark.parametrize("trainer", [Trainer, WithoutFence], ids=["sound", "without the fence"])
def test_a_process_that_writes_about_a_job_of_another_is_told(yard: Yard, trainer: type[Trainer]) -> None:
    job = yard.submit(epochs=12)
    yard.trainer = trainer
    yard.on_report = lambda: steal(yard) if yard.reports == 8 else None

    yard.work(checkpoint=0)
    bury_thief(yard)

    told = found(yard)
    if trainer is Trainer:
        assert told == []
    else:
        breach, story = told[0].split("\n    ")
        assert breach == f"I3: {job.id}: epoch 4 was written in attempt 2, where epoch 3 was next"
        lived = "created · claimed 1 at 0 · epochs 1–3 · queued · claimed 2 at 2 · forgot 3 · epochs 4–12 · succeeded"
        assert story == lived


@pytest.mark.parametrize("trainer", [Trainer, WithoutCondition], ids=["sound", "without the claim's condition"])
def test_a_job_that_is_claimed_while_it_is_held_is_told(yard: Yard, trainer: type[Trainer]) -> None:
    job = yard.submit(epochs=12)
    other = Yard.__new__(Yard)
    other.__dict__.update(yard.__dict__, reports=0, stop_after=3, on_report=lambda: None, trainer=trainer)
    yard.on_report = lambda: other.work() if yard.reports == 8 else None

    yard.work(checkpoint=0)

    told = found(yard)
    if trainer is Trainer:
        assert told == []
    else:
        breach, story = told[0].split("\n    ")
        assert breach == f"I3: {job.id}: attempt 2 was claimed while attempt 1 held the job"
        assert story.startswith("created · claimed 1 at 0 · epochs 1–3 · claimed 2")


def test_a_file_that_is_written_in_place_and_is_torn_is_told(yard: Yard) -> None:
    yard.storage = InPlace(yard.storage.root)
    yard.submit(epochs=12)
    pieces = iter(range(1000))

    def die() -> None:
        if next(pieces) == 9:
            raise Killed

    yard.storage.midway = die
    with pytest.raises(Killed):
        yard.work(checkpoint=0)

    told = found(yard)
    assert len(told) == 1
    assert told[0].startswith("I5: checkpoints/ckpt_")
    assert told[0].endswith(" is torn")
