"""What the members of a pack report, four times a second: one transaction, few statements, each built once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Connection, Double, Row, bindparam, case, func, or_, select, update

from app.domain.history import EpochColumns, EpochLosses
from app.domain.job import HELD, Status
from app.persistence import counts, epochs
from app.persistence.counts import Counted
from app.persistence.database import now
from app.persistence.leases import SECOND, Fence, LeaseLost
from app.persistence.ranking import value_of
from app.persistence.tables import jobs, sweeps


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a report adds to a job."""

    epochs: EpochColumns
    epoch: int
    seconds: float | None
    latest: EpochLosses | None
    best: EpochLosses | None


_LOSSES = JSON(none_as_null=True)
_HELD = (
    select(jobs.c.number, jobs.c.attempt, jobs.c.status, jobs.c.epoch, sweeps.c.metric)
    .select_from(jobs.outerjoin(sweeps, sweeps.c.id == jobs.c.sweep_id))
    .where(jobs.c.number.in_(bindparam("numbers", expanding=True)), jobs.c.status.in_(HELD))
    .order_by(jobs.c.number)  # as renewing does, or the two would wait for each other
    .with_for_update(of=jobs)
)
_REPORT = (
    update(jobs)
    .where(jobs.c.number == bindparam("held"), jobs.c.attempt == bindparam("by"), or_(*(jobs.c.status == one for one in HELD)))
    .values(
        epoch=bindparam("new_epoch"),
        seconds=func.coalesce(bindparam("new_seconds", type_=Double), jobs.c.seconds),
        latest=func.coalesce(bindparam("new_latest", type_=_LOSSES), jobs.c.latest),
        best=func.coalesce(bindparam("new_best", type_=_LOSSES), jobs.c.best),
        value=case((bindparam("best_is_new", type_=Boolean), bindparam("new_value", type_=Double)), else_=jobs.c.value),
        lease_expires_at=now() + bindparam("lease", type_=BigInteger),
        revision=jobs.c.revision + 1,
    )
)


def record(connection: Connection, fence: Fence, progress: Progress, *, lease_seconds: float) -> Status:
    """Store a report and prolong the lease; the status says whether the caller asked to pause or cancel meanwhile."""
    statuses = record_all(connection, {fence: progress}, lease_seconds=lease_seconds)
    if fence not in statuses:
        raise LeaseLost(fence)
    return statuses[fence]


def record_all(connection: Connection, reports: Mapping[Fence, Progress], *, lease_seconds: float) -> dict[Fence, Status]:
    """The same of several jobs; of those whose lease is lost nothing is stored, and they have no status."""
    found = connection.execute(_HELD, {"numbers": [fence.number for fence in reports]})
    rows = {row.number: row for row in found}
    held = {fence: rows[fence.number] for fence in reports if fence.number in rows and fence.is_of(rows[fence.number].attempt)}
    if held:
        lease = int(lease_seconds * SECOND)
        connection.execute(_REPORT, [_values(row, reports[fence]) | {"lease": lease} for fence, row in held.items()])
        epochs.add(connection, {fence.number: reports[fence].epochs for fence in held})
        trained = sum(max(0, reports[fence].epoch - row.epoch) for fence, row in held.items())
        counts.add(connection, Counted.EPOCHS, times=trained)
    return {fence: Status(row.status) for fence, row in held.items()}


def _values(row: Row[Any, Any, Any, Any, Any], progress: Progress) -> dict[str, Any]:
    return {
        "held": row.number,
        "by": row.attempt,
        "new_epoch": progress.epoch,
        "new_seconds": progress.seconds,
        "new_latest": progress.latest and progress.latest.model_dump(mode="json"),
        "new_best": progress.best and progress.best.model_dump(mode="json"),
        "best_is_new": progress.best is not None,
        "new_value": value_of(progress.best, row.metric) if progress.best and row.metric else None,
    }
