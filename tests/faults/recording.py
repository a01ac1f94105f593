"""What happened to the jobs of a database, told by triggers of the database itself, beside what was done to the service."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select, text

from app.persistence import epochs
from app.persistence.database import Database
from app.persistence.rows import CheckpointRow, JobRow, RecoveryRow
from app.persistence.tables import checkpoints, jobs, recovery_points
from app.storage.folder import Folder

_LOG = {
    "sqlite": "CREATE TABLE told (seq INTEGER PRIMARY KEY AUTOINCREMENT, at BIGINT, job INTEGER, what TEXT, was TEXT,"
    " status TEXT, attempt INTEGER, epoch INTEGER)",
    "postgresql": "CREATE TABLE told (seq BIGSERIAL PRIMARY KEY, at BIGINT, job BIGINT, what TEXT, was TEXT,"
    " status TEXT, attempt INTEGER, epoch INTEGER)",
}
_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
}
_ROW = "INSERT INTO told (at, job, what, was, status, attempt, epoch)"
# Name, event, condition, and what is told. A worker changes the job's row before its epochs, so that lock orders what is told.
_TRIGGERS = (
    ("created", "INSERT ON jobs", "true", "SELECT {now}, NEW.number, 'created', '', NEW.status, NEW.attempt, NEW.epoch"),
    (
        "moved",
        "UPDATE ON jobs",
        "OLD.status <> NEW.status OR OLD.attempt <> NEW.attempt",
        "SELECT {now}, NEW.number, 'moved', OLD.status, NEW.status, NEW.attempt, NEW.epoch",
    ),
    (
        "rewritten",
        "UPDATE ON jobs",
        "CAST(OLD.resolved_spec AS TEXT) <> CAST(NEW.resolved_spec AS TEXT) OR OLD.dataset_id <> NEW.dataset_id",
        "SELECT {now}, NEW.number, 'rewritten', OLD.status, NEW.status, NEW.attempt, NEW.epoch",
    ),
    (
        "trained",
        "INSERT ON epochs",
        "true",
        "SELECT {now}, number, 'epoch', '', status, attempt, NEW.epoch FROM jobs WHERE number = NEW.job_number",
    ),
    (
        "forgot",
        "DELETE ON epochs",
        "true",
        "SELECT {now}, number, 'forgot', '', status, attempt, OLD.epoch FROM jobs WHERE number = OLD.job_number",
    ),
)


def install(database: Database) -> None:
    """Have the database tell of every change from now on."""
    kind = database.engine.dialect.name
    with database.write() as connection:
        connection.execute(text(_LOG[kind]))
        for name, event, condition, told in _TRIGGERS:
            row = f"{_ROW} {told.format(now=_NOW[kind])};"
            for statement in _statements(kind, name, event, condition, row):
                connection.execute(text(statement))


def _statements(kind: str, name: str, event: str, condition: str, row: str) -> list[str]:
    if kind == "sqlite":
        return [f"CREATE TRIGGER told_{name} AFTER {event} WHEN {condition} BEGIN {row} END"]
    body = f"CREATE FUNCTION told_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {row} RETURN NULL; END $$"
    return [
        body,
        f"CREATE TRIGGER told_{name} AFTER {event} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION told_{name}()",
    ]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One change of a job as the database told it; `attempt` and `status` are the job's at that moment."""

    seq: int
    at: int
    job: int
    what: str
    was: str
    status: str
    attempt: int
    epoch: int


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something that was done to the service; microseconds since 1970, and the job that it was aimed at."""

    at: int
    text: str
    job: str | None = None


def deed(text: str, *, job: str | None = None) -> Deed:
    """One that is done now."""
    return Deed(at=time.time_ns() // 1000, text=text, job=job)


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of a run that has settled."""

    jobs: Mapping[int, JobRow]
    entries: Sequence[Entry]
    epochs: Mapping[int, Sequence[int]]
    losses: Mapping[int, object]
    checkpoints: Sequence[CheckpointRow]
    points: Sequence[RecoveryRow]
    files: Folder
    accepted: Sequence[str] = ()
    """Ids that the API answered."""
    trials: Mapping[str, int] = field(default_factory=dict)
    """Ids of sweeps that the API answered, with how many jobs each asked for."""
    twins: Mapping[str, str] = field(default_factory=dict)
    """Id of a job → that of the undisturbed job of the same spec."""
    deeds: Sequence[Deed] = ()

    def of(self, number: int) -> list[Entry]:
        """What happened to one job."""
        return [entry for entry in self.entries if entry.job == number]

    def named(self, id: str) -> JobRow | None:
        """The job of an id."""
        return next((job for job in self.jobs.values() if job.id == id), None)


def read(
    database: Database,
    files: Path,
    *,
    accepted: Sequence[str] = (),
    trials: Mapping[str, int] | None = None,
    twins: Mapping[str, str] | None = None,
    deeds: Sequence[Deed] = (),
) -> Record:
    """The record of all jobs of a database."""
    with database.read() as connection:
        rows = JobRow.all(connection.execute(select(*JobRow.selected(jobs)).order_by(jobs.c.number)).all())
        told = connection.execute(text("SELECT * FROM told ORDER BY seq")).all()
        histories = {row.number: epochs.read(connection, row.number, limit=1_000_000) for row in rows}
        return Record(
            jobs={row.number: row for row in rows},
            entries=[Entry(**row._mapping) for row in told],
            epochs={number: history.epoch for number, history in histories.items()},
            losses={number: (one.epoch, one.train_loss, one.val_loss, one.metrics) for number, one in histories.items()},
            checkpoints=CheckpointRow.all(connection.execute(select(*CheckpointRow.selected(checkpoints))).all()),
            points=RecoveryRow.all(connection.execute(select(*RecoveryRow.selected(recovery_points))).all()),
            files=Folder(files),
            accepted=accepted,
            trials=trials or {},
            twins=twins or {},
            deeds=deeds,
        )
