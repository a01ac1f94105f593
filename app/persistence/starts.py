"""How a job begins that starts from a checkpoint: with a copy of its own, so that the checkpoint may go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.persistence import checkpoints, epochs, recovery
from app.persistence.rows import CheckpointRow, JobRow, RecoveryRow
from app.persistence.tables import jobs as jobs_table
from app.persistence.tables import starts


@dataclass(frozen=True, kw_only=True)
class Continuing:
    """How a training goes on that another job began."""

    epoch: int
    batch: int
    seconds: float
    record_every: int
    provenance: Mapping[str, Any]
    """What decided its bits so far; the new job has the same place in a stack of the same size."""


@dataclass(frozen=True, kw_only=True)
class NewStart:
    """What a job starts from; the bytes lie at the key of the recovery point `id` already."""

    id: str
    checkpoint: CheckpointRow
    bytes: int
    sha256: str
    columns: list[dict[str, Any]]
    target: dict[str, Any]
    continuing: Continuing | None


class CheckpointGone(Exception):
    """Raised when a checkpoint, or what is taken of it, was deleted or replaced before a job could start from it."""


def add(connection: Connection, job: JobRow, new: NewStart) -> JobRow:
    """Let a job that was just added start there; raises CheckpointGone."""
    if not checkpoints.hold(connection, new.checkpoint.id, sha256=new.sha256):
        raise CheckpointGone
    values: dict[str, Any] = {"start_checkpoint": new.checkpoint.id, "start_epoch": 0}
    epoch = batch = 0
    if new.continuing:
        epoch, batch = new.continuing.epoch, new.continuing.batch
        values |= _gone_on(job, new.checkpoint, new.continuing)
        record_every = new.continuing.record_every
        epochs.copy(connection, new.checkpoint.job_number, job.number, until=epoch, record_every=record_every)
    fitted = {"job_number": job.number, "columns": new.columns, "target": new.target}
    connection.execute(insert(starts).values(fitted))
    point = RecoveryRow(
        id=new.id,
        job_number=job.number,
        attempt=recovery.START,
        epoch=epoch,
        batch=batch,
        bytes=new.bytes,
        sha256=new.sha256,
    )
    recovery.add(connection, point)
    changed = update(jobs_table).where(jobs_table.c.number == job.number).values(values)
    return JobRow.of(connection.execute(changed.returning(*JobRow.selected(jobs_table))).one())


def _gone_on(job: JobRow, checkpoint: CheckpointRow, continuing: Continuing) -> dict[str, Any]:
    """A member's bits depend on its stack's size and on its place in it, so it keeps both, in a stack of its own."""
    facts = continuing.provenance
    seat = {"stack_leader": job.number, "stack_size": facts["stack_size"], "stack_position": facts["stack_position"]}
    told = {"epoch": continuing.epoch, "seconds": continuing.seconds, "latest": checkpoint.losses}
    return {"start_epoch": continuing.epoch, "pack_key": None, "reproducibility": dict(facts), **seat, **told}


def fitted_of(connection: Connection, number: int) -> tuple[list[dict[str, Any]], dict[str, Any]] | None:
    """The columns and the target that a job reads its rows with; None where it fits them itself."""
    row = connection.execute(select(starts.c.columns, starts.c.target).where(starts.c.job_number == number)).one_or_none()
    return None if row is None else (row[0], row[1])
