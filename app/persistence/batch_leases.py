"""What a worker writes about a batch prediction under its fence: parts, its end, its return."""

from typing import Any

from sqlalchemy import Connection, case, insert, select, update

from app.domain.crashes import Crash, verdict_on_batch
from app.domain.job import HELD, Status, StopReason
from app.persistence import counts
from app.persistence.batch_rows import BatchPredictionRow, PartRow
from app.persistence.counts import Counted
from app.persistence.database import now
from app.persistence.leases import LEFT, SECOND, Fence, change, released
from app.persistence.tables import batch_parts
from app.persistence.tables import batch_predictions as batches


def fence_of(row: BatchPredictionRow) -> Fence:
    """The right to write about it."""
    return Fence(row.number, row.attempt, batches)


def note(connection: Connection, fence: Fence, **values: Any) -> BatchPredictionRow:
    """Set columns; LeaseLost where it is no longer ours."""
    return change(connection, fence, BatchPredictionRow, values)


def advance(
    connection: Connection, fence: Fence, part: PartRow, *, seconds: float, warnings: list[dict[str, Any]], kept: int
) -> BatchPredictionRow:
    """Store a part whose file is durable, with all warnings so far; a part is progress, so crashes are counted anew."""
    row = note(
        connection,
        fence,
        parts=batches.c.parts + 1,
        predicted=batches.c.predicted + part.rows,
        bytes=batches.c.bytes + part.content_bytes,
        seconds=batches.c.seconds + seconds,
        warnings=warnings,
        warnings_kept=kept,
        crashes=0,
        refused_at=None,
    )
    connection.execute(insert(batch_parts).values(batch_number=fence.number, **vars(part)))
    counts.add(connection, Counted.BATCH_ROWS, times=part.rows)
    return row


def succeed(connection: Connection, fence: Fence) -> BatchPredictionRow:
    """End it with all its parts."""
    return note(connection, fence, status=Status.SUCCEEDED, finished_at=now(), **LEFT)


def fail(connection: Connection, fence: Fence, reason: StopReason, message: str) -> BatchPredictionRow:
    """End it where it cannot go on; its bytes go after the commit."""
    why = {"error_code": reason, "error_message": message}
    return note(connection, fence, status=Status.FAILED, finished_at=now(), **why, **LEFT)


def give_back(connection: Connection, fence: Fence, *, wait_seconds: float = 0) -> BatchPredictionRow:
    """Return it: it is queued, paused or cancelled; crashes are counted neither up nor down."""
    return note(connection, fence, **_returned(wait_seconds))


def _returned(wait_seconds: float) -> dict[str, Any]:
    ended = case((batches.c.status == Status.CANCELLING, now()), else_=batches.c.finished_at)
    return {**released(batches, wait_seconds=wait_seconds), "finished_at": ended}


def refuse(connection: Connection, fence: Fence) -> tuple[Status, float]:
    """Note that the storage refuses it; its status, and for how many seconds it has. To be followed by an end or a return."""
    row = note(connection, fence)
    since = update(batches).where(fence.holds, batches.c.refused_at.is_(None)).values(refused_at=now())
    connection.execute(since)
    query = select(now() - batches.c.refused_at).where(batches.c.number == fence.number)
    return row.status, float(connection.execute(query).scalar_one()) / SECOND


def crashed(
    connection: Connection,
    *,
    expired: bool = False,
    owner: str | None = None,
    crash: Crash = Crash.SILENT,
    max_crashes: int,
    back_off_seconds: float = 1.0,
) -> list[BatchPredictionRow]:
    """Return those of a dead worker to the queue, or end them after too many crashes in a row without another part.

    Exactly one of `expired` (the lease ran out by the database's clock) and `owner` (its parent saw it die) says whose.
    """
    dead = batches.c.lease_expires_at <= now() if expired else batches.c.lease_owner == owner
    query = select(*BatchPredictionRow.selected(batches)).where(dead, batches.c.status.in_(HELD))
    lost = BatchPredictionRow.all(connection.execute(query.with_for_update(skip_locked=True)).all())
    return [_crash(connection, row, how=crash, max_crashes=max_crashes, back_off=back_off_seconds) for row in lost]


def _crash(
    connection: Connection, row: BatchPredictionRow, *, how: Crash, max_crashes: int, back_off: float
) -> BatchPredictionRow:
    fence, crashes = fence_of(row), row.crashes + 1
    counts.add(connection, Counted.ATTEMPTS_LOST, how)
    if row.status is Status.RUNNING and crashes >= max_crashes:
        return fail(connection, fence, StopReason.WORKER_LOST, verdict_on_batch(crashes, how))
    return note(connection, fence, crashes=crashes, **_returned(back_off * (2**row.crashes - 1)))
