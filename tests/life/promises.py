"""What must hold of every job whatever happened to it, read from the database and the folder that are left."""

import hashlib
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from app.domain.blobs import StoredFile, checkpoint_key, dataset_key, recovery_key
from app.domain.job import HELD, Status
from app.persistence import checkpoints, epochs, events, recovery
from app.persistence.rows import JobRow
from app.persistence.tables import datasets, jobs, sweeps
from app.storage.storage import Storage

STARTED, TERMINAL_EVENTS = "job.started", {f"job.{status}" for status in Status if status.terminal}


def every_job(connection: Connection) -> list[JobRow]:
    """All jobs, oldest first."""
    return JobRow.all(connection.execute(select(*JobRow.selected(jobs)).order_by(jobs.c.number)).all())


def check_epochs(connection: Connection, job: JobRow) -> None:
    """Each epoch stands once, without a gap."""
    stored = epochs.read(connection, job.number, limit=1000).epoch
    assert stored == list(range(1, job.epoch + 1)), (job.id, job.status, stored, job.epoch)


def check_attempts(connection: Connection, job: JobRow) -> None:
    """The log has no gap, each attempt begins once and in its turn, and nothing follows the end."""
    log = events.after(connection, job.number)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert [event.data["attempt"] for event in log if event.type == STARTED] == list(range(1, job.attempt + 1))
    ends = [event.sequence for event in log if event.type in TERMINAL_EVENTS]
    assert ends == ([len(log)] if job.status.terminal else []), [event.type for event in log]


def check_files(connection: Connection, storage: Storage, job: JobRow) -> None:
    """Each file that a checkpoint or a recovery point names is there and is what was stored."""
    for checkpoint in checkpoints.of_job(connection, job.number):
        for file in checkpoint.files:
            assert _sha256(storage, checkpoint_key(checkpoint.id, StoredFile.model_validate(file))) == file["sha256"]
    points = recovery.every(connection, job.number)
    assert len(points) <= recovery.KEPT
    for point in points:
        assert _sha256(storage, recovery_key(point.id)) == point.sha256


def _sha256(storage: Storage, key: str) -> str:
    return hashlib.sha256(storage.get(key)).hexdigest()


def check_end(connection: Connection, job: JobRow) -> None:
    """A job that is over holds no lease and no recovery point; one that succeeded has all its epochs, its best and its last."""
    assert job.status.terminal, (job.id, job.status)
    assert (job.lease_owner, recovery.every(connection, job.number)) == (None, [])
    if job.status is Status.SUCCEEDED:
        assert job.epoch == job.epochs
        kinds = {kind for row in checkpoints.of_job(connection, job.number) for kind in row.kinds}
        assert {"best", "last"} <= kinds


def check_datasets(connection: Connection, storage: Storage) -> None:
    """The bytes of each dataset that is listed are there."""
    for id in connection.execute(select(datasets.c.id)).scalars():
        assert storage.get(dataset_key(id))


def check_parallel(connection: Connection) -> None:
    """No sweep trains more trials at once than it may."""
    held = Counter(connection.execute(select(jobs.c.sweep_id).where(jobs.c.status.in_(HELD))).scalars())
    for id, parallel in connection.execute(select(sweeps.c.id, sweeps.c.parallel)):
        assert parallel is None or held[id] <= parallel


def check_seats(held: Iterable[JobRow]) -> None:
    """No two jobs that one process trains in the same stack sit on the same place."""
    seats = Counter((job.lease_owner, job.stack_leader, job.stack_position) for job in held if job.status in HELD)
    assert not [seat for seat, count in seats.items() if count > 1]


def trials_of(connection: Connection, sweep_id: str) -> int:
    """How many jobs a sweep has."""
    return connection.execute(select(func.count()).where(jobs.c.sweep_id == sweep_id)).scalar_one()
