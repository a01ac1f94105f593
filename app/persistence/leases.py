"""The lease on a job and its fence: every write of a worker holds only while its attempt is the current one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select, update

from app.domain.history import EpochColumns, EpochLosses, HeldOut
from app.domain.job import AFTER_RELEASE, HELD, Status, StopReason
from app.persistence import checkpoints, epochs, events, recovery
from app.persistence.database import now
from app.persistence.jobs import is_due, running_by_project
from app.persistence.rows import JobRow
from app.persistence.tables import jobs

SECOND = 1_000_000


class LeaseLost(Exception):
    """Raised when a job belongs to another attempt: whoever sees it must stop and write nothing."""


@dataclass(frozen=True)
class Fence:
    """The right to write about a job: its number and the attempt that was claimed."""

    number: int
    attempt: int

    @property
    def holds(self) -> ColumnElement[bool]:
        """True for the job's row while this attempt is the one that runs."""
        return and_(jobs.c.number == self.number, jobs.c.attempt == self.attempt, jobs.c.status.in_(HELD))


def claim(connection: Connection, *, owner: str, devices: Sequence[str], lease_seconds: float) -> JobRow | None:
    """Take the job that is due: by priority, then the project with the fewest running jobs, then age.

    Epochs beyond the job's newest recovery point are forgotten in the same transaction, for they will be trained again.
    """
    running = running_by_project()
    query = (
        select(jobs.c.number)
        .select_from(jobs.outerjoin(running, running.c.project_id == jobs.c.project_id))
        .where(is_due(), jobs.c.device.in_(devices))
        .order_by(jobs.c.priority.desc(), func.coalesce(running.c.count, 0), jobs.c.number)
        .limit(1)
        .with_for_update(skip_locked=True, of=jobs)
    )
    number = connection.execute(query).scalar_one_or_none()
    return None if number is None else _take(connection, number, owner=owner, lease_seconds=lease_seconds)


def _take(connection: Connection, number: int, *, owner: str, lease_seconds: float) -> JobRow | None:
    point = recovery.newest(connection, number)
    epoch = point.epoch if point else 0
    statement = (
        update(jobs)
        .where(jobs.c.number == number, jobs.c.status == Status.QUEUED)
        .values(
            status=Status.RUNNING,
            attempt=jobs.c.attempt + 1,
            lease_owner=owner,
            lease_expires_at=now() + int(lease_seconds * SECOND),
            started_at=func.coalesce(jobs.c.started_at, now()),
            stack_size=func.coalesce(jobs.c.stack_size, 1),
            stack_position=func.coalesce(jobs.c.stack_position, 0),
            epoch=epoch,
            revision=jobs.c.revision + 1,
        )
        .returning(*JobRow.selected(jobs))
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    epochs.forget_after(connection, number, epoch)
    checkpoints.forget_after(connection, number, epoch)
    events.append(connection, number, "job.started", attempt=row.attempt, epoch=epoch)
    return JobRow.of(row)


def renew(connection: Connection, fences: Sequence[Fence], *, lease_seconds: float) -> None:
    """Prolong leases by the database's clock; LeaseLost where one is no longer held."""
    for fence in fences:
        statement = update(jobs).where(fence.holds).values(lease_expires_at=now() + int(lease_seconds * SECOND))
        if connection.execute(statement).rowcount != 1:
            raise LeaseLost(fence)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a report adds to a job."""

    epochs: EpochColumns
    epoch: int
    seconds: float | None
    latest: EpochLosses | None
    best: EpochLosses | None


def record(connection: Connection, fence: Fence, progress: Progress, *, lease_seconds: float) -> Status:
    """Store a report and prolong the lease; the status says whether the caller asked to pause or cancel meanwhile."""
    values: dict[str, Any] = {
        "epoch": progress.epoch,
        "lease_expires_at": now() + int(lease_seconds * SECOND),
        "revision": jobs.c.revision + 1,
    }
    if progress.seconds is not None:
        values["seconds"] = progress.seconds
    if progress.latest:
        values["latest"] = progress.latest.model_dump(mode="json")
    if progress.best:
        values["best"] = progress.best.model_dump(mode="json")
    status = _write(connection, fence, values).status
    epochs.add(connection, fence.number, progress.epochs)
    return status


def _write(connection: Connection, fence: Fence, values: dict[str, Any]) -> JobRow:
    statement = update(jobs).where(fence.holds).values(values).returning(*JobRow.selected(jobs))
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise LeaseLost(fence)
    return JobRow.of(row)


def note(connection: Connection, fence: Fence, **values: Any) -> JobRow:
    """Set columns of the job; LeaseLost where it is no longer ours."""
    return _write(connection, fence, {**values, "revision": jobs.c.revision + 1})


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a job ended."""

    reason: StopReason
    message: str | None = None
    test: HeldOut | None = None


def finish(connection: Connection, fence: Fence, ending: Ending) -> JobRow:
    """End a job; nothing changes it afterwards."""
    status = ending.reason.status
    failed = status is Status.FAILED
    row = note(
        connection,
        fence,
        status=status,
        stop_reason=ending.reason,
        error_code=ending.reason if failed else None,
        error_message=ending.message if failed else None,
        test=ending.test.model_dump(mode="json") if ending.test else None,
        finished_at=now(),
        lease_owner=None,
        lease_expires_at=None,
        crashes=0,
    )
    events.append(connection, fence.number, f"job.{status}", stop_reason=ending.reason, epoch=row.epoch)
    return row


_released = case({str(old): str(new) for old, new in AFTER_RELEASE.items()}, value=jobs.c.status)


def give_back(connection: Connection, fence: Fence) -> JobRow:
    """Return a job whose worker stops politely: it is queued, paused or cancelled, and no crash is counted."""
    row = note(connection, fence, status=_released, lease_owner=None, lease_expires_at=None, crashes=0, claimable_at=now())
    _after_release(connection, row, "job.yielded")
    return row


def _after_release(connection: Connection, row: JobRow, event: str) -> None:
    if row.status is Status.CANCELLED:
        values = {"finished_at": now(), "stop_reason": StopReason.CANCELLED}
        connection.execute(update(jobs).where(jobs.c.number == row.number).values(values))
    name = event if row.status is Status.QUEUED else f"job.{row.status}"
    events.append(connection, row.number, name, attempt=row.attempt, epoch=row.epoch)


def crashed(
    connection: Connection, *, expired: bool = False, owner: str | None = None, max_crashes: int, back_off_seconds: float = 1.0
) -> list[JobRow]:
    """Return the jobs of a dead worker to the queue, or end them after too many crashes in a row without a new recovery point.

    Exactly one of `expired` (the lease ran out by the database's clock) and `owner` (its parent saw it die) says whose.
    """
    dead = jobs.c.lease_expires_at <= now() if expired else jobs.c.lease_owner == owner
    query = select(*JobRow.selected(jobs)).where(dead, jobs.c.status.in_(HELD)).with_for_update(skip_locked=True)
    return [_crash(connection, JobRow.of(row), max_crashes, back_off_seconds) for row in connection.execute(query).all()]


def _crash(connection: Connection, job: JobRow, max_crashes: int, back_off_seconds: float) -> JobRow:
    fence = Fence(job.number, job.attempt)
    if job.status is Status.RUNNING and job.crashes + 1 >= max_crashes:
        text = f"The training process died {job.crashes + 1} times in a row without a new checkpointed epoch."
        return finish(connection, fence, Ending(reason=StopReason.WORKER_LOST, message=text))
    wait = int(back_off_seconds * SECOND * (2**job.crashes - 1))
    row = note(
        connection,
        fence,
        status=_released,
        crashes=job.crashes + 1,
        lease_owner=None,
        lease_expires_at=None,
        claimable_at=now() + wait,
    )
    _after_release(connection, row, "job.worker_lost")
    return row
