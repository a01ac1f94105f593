"""Which checkpoints of a job stand, on both databases."""

from collections.abc import Sequence

from app.domain.blobs import StoredFile
from app.domain.caller import DEFAULT_PROJECT
from app.domain.history import EpochLosses
from app.persistence import checkpoints
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.rows import JobRow
from tests.persistence.jobs import queued


def publish(
    database: Database, job: JobRow, epoch: int, *kinds: str, keep: int = 2, files: Sequence[StoredFile] = ()
) -> list[str]:
    new = NewCheckpoint(
        id=f"ckpt_{epoch}",
        project_id=DEFAULT_PROJECT,
        job_number=job.number,
        kinds=frozenset(kinds),
        losses=EpochLosses.of(epoch, train=1.0, val=None),
        files=files,
    )
    with database.write() as connection:
        return checkpoints.publish(connection, new, keep=keep)


def standing(database: Database, job: JobRow) -> dict[int, set[str]]:
    with database.read() as connection:
        return {row.epoch: set(row.kinds) for row in checkpoints.of_job(connection, job.number)}


def test_there_is_one_best_and_a_former_best_is_superfluous(database: Database) -> None:
    job = queued(database)
    publish(database, job, 3, "best")

    superfluous = publish(database, job, 7, "best")

    assert superfluous == ["ckpt_3"]
    assert standing(database, job) == {7: {"best"}}


def test_the_newest_periodic_ones_are_kept_and_the_best_among_the_old(database: Database) -> None:
    job = queued(database)
    publish(database, job, 10, "periodic")
    publish(database, job, 10, "best")
    superfluous = [id for epoch in (20, 30, 40) for id in publish(database, job, epoch, "periodic")]

    assert superfluous == ["ckpt_20"]
    assert standing(database, job) == {10: {"best"}, 30: {"periodic"}, 40: {"periodic"}}


def test_an_epoch_that_is_there_gets_another_kind_and_more_files(database: Database) -> None:
    job = queued(database)
    publish(database, job, 10, "periodic")
    file = StoredFile(name="state.safetensors", bytes=3, sha256="0")

    superfluous = publish(database, job, 10, "best", "last", files=[file])

    assert superfluous == []
    assert standing(database, job) == {10: {"periodic", "best", "last"}}
    with database.read() as connection:
        row = checkpoints.at_epoch(connection, job.number, 10)
    assert row is not None
    assert row.files == [file.model_dump()]
