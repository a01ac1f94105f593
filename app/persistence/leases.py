"""The lease and its fence, of a job or a batch prediction: a worker's write holds only while its attempt is the current one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, case, select, tuple_, update

from app.domain.crashes import Crash, verdict
from app.domain.history import HeldOut
from app.domain.job import AFTER_RELEASE, HELD, Status, StopReason
from app.persistence import counts, events, recovery
from app.persistence.counts import Counted
from app.persistence.database import now
from app.persistence.rows import JobRow, Record
from app.persistence.tables import jobs

SECOND = 1_000_000
LEFT: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}
"""Of what nobody holds."""

R = TypeVar("R", bound=Record)


class LeaseLost(Exception):
    """Raised when what was held belongs to another attempt: whoever sees it must stop and write nothing."""


@dataclass(frozen=True)
class Fence:
    """The right to write about a job, or a row of another table of work: its number and the attempt that was claimed."""

    number: int
    attempt: int
    table: Table = jobs

    @property
    def holds(self) -> ColumnElement[bool]:
        """True for the row while this attempt is the one that runs."""
        row = self.table.c
        return and_(row.number == self.number, row.attempt == self.attempt, row.status.in_(HELD))

    def is_of(self, attempt: int) -> bool:
        """The same of a row that was found held."""
        return attempt == self.attempt


def renew(connection: Connection, fences: Iterable[Fence], *, lease_seconds: float) -> list[Fence]:
    """Prolong leases by the database's clock; answers those that are no longer held."""
    in_order = sorted(fences, key=lambda fence: (fence.table.name, fence.number))
    return [fence for fence in in_order if prolong(connection, fence, lease_seconds=lease_seconds) is None]


def prolong(connection: Connection, fence: Fence, *, lease_seconds: float) -> Status | None:
    """Prolong one lease; the status says what a caller asked for meanwhile, None that it is no longer held."""
    until = now() + int(lease_seconds * SECOND)
    statement = update(fence.table).where(fence.holds).values(lease_expires_at=until).returning(fence.table.c.status)
    status = connection.execute(statement).scalar_one_or_none()
    return None if status is None else Status(status)


def change(connection: Connection, fence: Fence, record: type[R], values: Mapping[str, Any]) -> R:
    """Set columns of what is held; LeaseLost where it is no longer ours."""
    statement = update(fence.table).where(fence.holds).values(**values, revision=fence.table.c.revision + 1)
    row = connection.execute(statement.returning(*record.selected(fence.table))).one_or_none()
    if row is None:
        raise LeaseLost(fence)
    return record.of(row)


def released(table: Table, *, wait_seconds: float = 0) -> dict[str, Any]:
    """What becomes of columns of a row that nobody holds any more; if it is queued, it is not claimed before a while."""
    status = case({str(old): str(new) for old, new in AFTER_RELEASE.items()}, value=table.c.status)
    return {"status": status, **LEFT, "claimable_at": now() + int(wait_seconds * SECOND)}


def note(connection: Connection, fence: Fence, **values: Any) -> JobRow:
    """Set columns of the job; LeaseLost where it is no longer ours."""
    return change(connection, fence, JobRow, values)


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
        **LEFT,
        crashes=0,
    )
    events.append(connection, fence.number, f"job.{status}", stop_reason=ending.reason, epoch=row.epoch)
    counts.add(connection, Counted.JOBS_FINISHED, ending.reason)
    return row


def give_back(connection: Connection, fence: Fence, *, wait_seconds: float = 0) -> JobRow:
    """Return a job whose worker stops politely: it is queued, paused or cancelled; crashes are counted neither up nor down."""
    row = note(connection, fence, **released(jobs, wait_seconds=wait_seconds))
    _after_release(connection, row, "job.yielded")
    return row


def unpack(connection: Connection, fence: Fence, *, limit: int) -> JobRow:
    """Return a job whose stack could not go on as it was, to train among at most `limit` members, in a stack of its own."""
    places = {"stack_leader": None, "stack_size": None, "stack_position": None, "pack_limit": limit, "pack_crashes": 0}
    note(connection, fence, **places)
    events.append(connection, fence.number, "job.unpacked", limit=limit)
    return give_back(connection, fence)


def _after_release(connection: Connection, row: JobRow, event: str, **data: str | int) -> None:
    if row.status is Status.CANCELLED:
        values = {"finished_at": now(), "stop_reason": StopReason.CANCELLED}
        connection.execute(update(jobs).where(jobs.c.number == row.number).values(values))
        recovery.forget_all(connection, row.number)  # their bytes are the janitor's: here is no storage
        counts.add(connection, Counted.JOBS_FINISHED, StopReason.CANCELLED)
    name = event if row.status is Status.QUEUED else f"job.{row.status}"
    events.append(connection, row.number, name, attempt=row.attempt, epoch=row.epoch, **data)


def crashed(
    connection: Connection,
    *,
    expired: bool = False,
    owner: str | None = None,
    crash: Crash = Crash.SILENT,
    max_crashes: int,
    back_off_seconds: float = 1.0,
) -> list[JobRow]:
    """Return the jobs of a dead worker to the queue, or end them after too many crashes in a row without a new recovery point.

    Exactly one of `expired` (the lease ran out by the database's clock) and `owner` (its parent saw it die) says whose. The
    crash of a pack is counted apart, for it may be a neighbour's fault: after some of them each member is tried alone.
    """
    dead = _ran_out() if expired else jobs.c.lease_owner == owner
    query = select(*JobRow.selected(jobs)).where(dead, jobs.c.status.in_(HELD)).with_for_update(skip_locked=True)
    lost = JobRow.all(connection.execute(query).all())
    together = Counter(job.lease_owner for job in lost)
    return [
        _crash(
            connection,
            job,
            how=crash,
            packed=together[job.lease_owner] > 1,
            max_crashes=max_crashes,
            back_off=back_off_seconds,
        )
        for job in lost
    ]


def _ran_out() -> ColumnElement[bool]:
    """True for a job whose lease ran out, and for its whole pack: the leases of a pack end some microseconds apart."""
    ended = and_(jobs.c.status.in_(HELD), jobs.c.lease_expires_at <= now())
    packs = select(jobs.c.lease_owner, jobs.c.stack_leader).where(ended)
    # The row's own lease is asked for too, so that one which is renewed at this moment is let go.
    return and_(jobs.c.lease_expires_at <= now() + SECOND, tuple_(jobs.c.lease_owner, jobs.c.stack_leader).in_(packs))


def _crash(connection: Connection, job: JobRow, *, how: Crash, packed: bool, max_crashes: int, back_off: float) -> JobRow:
    fence = Fence(job.number, job.attempt)
    crashes, pack_crashes = job.crashes + (not packed), job.pack_crashes + packed
    counts.add(connection, Counted.ATTEMPTS_LOST, how)
    if job.status is Status.RUNNING and not packed and crashes >= max_crashes:
        recovery.forget_all(connection, job.number)
        return finish(connection, fence, Ending(reason=StopReason.WORKER_LOST, message=verdict(crashes, how)))
    wait = back_off * (2 ** (job.crashes + job.pack_crashes) - 1)
    row = note(connection, fence, crashes=crashes, pack_crashes=pack_crashes, **released(jobs, wait_seconds=wait))
    _after_release(connection, row, "job.worker_lost", how=how, crashes=row.all_crashes)
    return row
