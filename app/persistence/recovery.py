"""Recovery points: where a job continues after a crash or a pause; the newest two are kept."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from app.domain.job import TERMINAL
from app.persistence.database import now
from app.persistence.rows import RecoveryRow
from app.persistence.tables import jobs, recovery_points

KEPT = 2
# The attempt of the point that a job starts from: it stays, or a job whose other points are damaged would begin elsewhere.
START = 0


def add(connection: Connection, point: RecoveryRow) -> list[str]:
    """Store a point (its bytes are durable already) and answer the ids of those that it makes superfluous.

    A point beyond the others is progress, so the job's count of crashes starts again.
    """
    before = newest(connection, point.job_number)
    connection.execute(insert(recovery_points).values(**vars(point), created_at=now()))
    if before is None or (point.epoch, point.batch) > (before.epoch, before.batch):
        connection.execute(update(jobs).where(jobs.c.number == point.job_number).values(crashes=0, pack_crashes=0))
    old = [row.id for row in every(connection, point.job_number) if row.attempt != START][KEPT:]
    forget(connection, old)
    return old


def every(connection: Connection, number: int) -> list[RecoveryRow]:
    """All points of a job, newest first."""
    query = select(*RecoveryRow.selected(recovery_points)).where(recovery_points.c.job_number == number)
    ordered = query.order_by(recovery_points.c.epoch.desc(), recovery_points.c.batch.desc(), recovery_points.c.id.desc())
    return RecoveryRow.all(connection.execute(ordered).all())


def newest(connection: Connection, number: int) -> RecoveryRow | None:
    """Where the job continues."""
    points = every(connection, number)
    return points[0] if points else None


def forget(connection: Connection, ids: list[str]) -> None:
    """Remove points."""
    connection.execute(delete(recovery_points).where(recovery_points.c.id.in_(ids)))


def forget_of_sweep(connection: Connection, sweep_id: str) -> list[str]:
    """Remove all points of a sweep's trials that ended; answers their ids."""
    ended = select(jobs.c.number).where(jobs.c.sweep_id == sweep_id, jobs.c.status.in_(TERMINAL))
    statement = delete(recovery_points).where(recovery_points.c.job_number.in_(ended))
    return list(connection.execute(statement.returning(recovery_points.c.id)).scalars())


def forget_of_the_ended(connection: Connection) -> None:
    """Remove the points of jobs that ended where no training process could: by a crash, or by their lease."""
    ended = select(jobs.c.number).where(jobs.c.status.in_(TERMINAL))
    connection.execute(delete(recovery_points).where(recovery_points.c.job_number.in_(ended)))


def forget_all(connection: Connection, number: int) -> list[str]:
    """Remove all points of a job that ended, for it continues no more; answers their ids."""
    ids = [point.id for point in every(connection, number)]
    forget(connection, ids)
    return ids


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that have a row."""
    return set(connection.execute(select(recovery_points.c.id).where(recovery_points.c.id.in_(ids))).scalars())
