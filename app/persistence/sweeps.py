"""The sweeps table, and what is asked of a sweep's trials together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.domain.job import AFTER_CANCEL, Status, StopReason
from app.domain.sweep import Mode, SweepSpec
from app.persistence import counts
from app.persistence.counts import Counted
from app.persistence.database import now
from app.persistence.paging import Page, paged
from app.persistence.ranking import behind, in_order, ranked
from app.persistence.rows import JobRow, SweepRow
from app.persistence.tables import jobs, sweeps


@dataclass(frozen=True, kw_only=True)
class NewSweep:
    """What is known of a sweep when it is created."""

    id: str
    project_id: str
    sweep: SweepSpec
    trials: int
    metric: str
    mode: Mode


def add(connection: Connection, new: NewSweep) -> SweepRow:
    """Store a sweep, whose trials follow in the same transaction."""
    asked = new.sweep
    values = {
        "id": new.id,
        "project_id": new.project_id,
        "name": asked.name,
        "spec": asked.spec.model_dump(mode="json", exclude_unset=True),
        "search": {path: found.model_dump(mode="json") for path, found in asked.search.items()},
        "method": asked.method,
        "trials": new.trials,
        "parallel": asked.parallel,
        "metric": new.metric,
        "mode": new.mode,
        "seed": asked.seed,
        "created_at": now(),
    }
    statement = insert(sweeps).values(values).returning(*SweepRow.selected(sweeps))
    return SweepRow.of(connection.execute(statement).one())


def find(connection: Connection, id: str, *, project_id: str) -> SweepRow | None:
    """The sweep of that id in that project."""
    query = select(*SweepRow.selected(sweeps)).where(sweeps.c.id == id, sweeps.c.project_id == project_id)
    return SweepRow.maybe(connection.execute(query).one_or_none())


def page(connection: Connection, *, project_id: str, page: Page) -> list[SweepRow]:
    """One page of a project's sweeps, one row more than asked for where there is more."""
    query = select(*SweepRow.selected(sweeps)).where(sweeps.c.project_id == project_id)
    return SweepRow.all(connection.execute(paged(query, sweeps.c.id, page)).all())


def numbers(connection: Connection, id: str) -> Sequence[int]:
    """The numbers of its trials, oldest first."""
    return connection.execute(select(jobs.c.number).where(jobs.c.sweep_id == id).order_by(jobs.c.number)).scalars().all()


@dataclass(kw_only=True)
class Tally:
    """How a sweep's trials stand; `finished_at` is when the last one ended."""

    counts: dict[Status, int] = field(default_factory=dict)
    finished_at: datetime | None = None


def tallies(connection: Connection, ids: Collection[str]) -> dict[str, Tally]:
    """One question for several sweeps."""
    query = select(jobs.c.sweep_id, jobs.c.status, func.count(), func.max(jobs.c.finished_at)).where(jobs.c.sweep_id.in_(ids))
    found = {id: Tally() for id in ids}
    for id, status, count, finished_at in connection.execute(query.group_by(jobs.c.sweep_id, jobs.c.status)):
        tally = found[id]
        tally.counts[Status(status)] = count
        if finished_at is not None:
            tally.finished_at = max(finished_at, tally.finished_at or finished_at)
    return found


def best(connection: Connection, sweep: SweepRow) -> JobRow | None:
    """The first of the leaderboard, if it has a value."""
    query = _trials(sweep).where(ranked(sweep.mode).is_not(None)).order_by(*in_order(sweep.mode)).limit(1)
    return JobRow.maybe(connection.execute(query).one_or_none())


def leaderboard(connection: Connection, sweep: SweepRow, *, after: str | None, limit: int) -> list[JobRow]:
    """The trials behind that of the id `after`, best first, one more than asked for where there is more.

    Trials move while they train: a page follows from where `after` stands now. Behind a trial that is not there is nothing.
    """
    query = _trials(sweep)
    if after is not None:
        here = select(ranked(sweep.mode).label("value")).where(jobs.c.sweep_id == sweep.id, jobs.c.id == after)
        found = connection.execute(here).one_or_none()
        if found is None:
            return []
        query = query.where(behind(sweep.mode, value=found.value, id=after))
    return JobRow.all(connection.execute(query.order_by(*in_order(sweep.mode)).limit(limit + 1)).all())


def has_trial(connection: Connection, sweep: SweepRow, id: str) -> bool:
    """True where a job is one of its trials."""
    return connection.execute(select(jobs.c.id).where(jobs.c.sweep_id == sweep.id, jobs.c.id == id)).first() is not None


def _trials(sweep: SweepRow) -> Any:
    return select(*JobRow.selected(jobs)).where(jobs.c.sweep_id == sweep.id)


@dataclass(frozen=True)
class Cancelled:
    """A trial that a cancel changed."""

    number: int
    epoch: int
    status: Status


def cancel(connection: Connection, id: str) -> list[Cancelled]:
    """Cancel every live trial as a job's cancel does; the sweep notes it where there was one.

    Trials are locked by their age and the sweep last, see parallel.admit.
    """
    live = select(jobs.c.number, jobs.c.epoch, jobs.c.status).where(jobs.c.sweep_id == id, jobs.c.status.in_([*AFTER_CANCEL]))
    rows = connection.execute(live.order_by(jobs.c.number).with_for_update()).all()
    if not rows:
        return []
    for new in set(AFTER_CANCEL.values()):
        _move(connection, id, old=[old for old, after in AFTER_CANCEL.items() if after is new and old is not new], new=new)
    noted = update(sweeps).where(sweeps.c.id == id).values(cancelled_at=func.coalesce(sweeps.c.cancelled_at, now()))
    connection.execute(noted)
    return [
        Cancelled(row.number, row.epoch, AFTER_CANCEL[row.status]) for row in rows if AFTER_CANCEL[row.status] != row.status
    ]


def _move(connection: Connection, id: str, *, old: Sequence[Status], new: Status) -> None:
    values: dict[str, Any] = {"status": new, "revision": jobs.c.revision + 1}
    if new.terminal:
        values |= {"finished_at": now(), "stop_reason": StopReason.CANCELLED}
    moved = connection.execute(update(jobs).where(jobs.c.sweep_id == id, jobs.c.status.in_(old)).values(values)).rowcount
    if new.terminal:
        counts.add(connection, Counted.JOBS_FINISHED, StopReason.CANCELLED, times=moved)
