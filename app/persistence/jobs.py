"""The jobs table as the API uses it: add, find, list, and the changes that a caller may ask for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, not_, or_, select, update

from app.domain.job import Status
from app.domain.packing import pack_key
from app.domain.spec import JobSpec, ResolvedSpec
from app.persistence import counts
from app.persistence.counts import Counted
from app.persistence.database import now
from app.persistence.filters import Filter, filtered
from app.persistence.paging import Page, paged
from app.persistence.parallel import within_parallel
from app.persistence.rows import JobRow, JobState
from app.persistence.tables import jobs


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What is known of a job when it is created."""

    id: str
    project_id: str
    spec: JobSpec
    resolved_spec: ResolvedSpec
    warnings: Sequence[str]
    dataset_sha256: str
    validation_dataset_sha256: str | None = None
    test_dataset_sha256: str | None = None
    device: str
    sweep_id: str | None = None
    parameters: dict[str, JsonValue] | None = None
    request_id: str | None = None


# Statements are built once: to build this one takes longer than to insert the row.
_ADD_ALL = insert(jobs).values(dict.fromkeys(("created_at", "claimable_at"), now()))
_ADD = _ADD_ALL.returning(*JobRow.selected(jobs))


def add(connection: Connection, job: NewJob) -> JobRow:
    """Store a queued job."""
    return JobRow.of(connection.execute(_ADD, _stored(job)).one())


def add_all(connection: Connection, new: Sequence[NewJob]) -> None:
    """Store queued jobs in their order."""
    connection.execute(_ADD_ALL, [_stored(job) for job in new])


def _stored(job: NewJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "project_id": job.project_id,
        "name": job.spec.name,
        "status": Status.QUEUED,
        "spec": job.spec.model_dump(mode="json", exclude_unset=True),
        "resolved_spec": job.resolved_spec.model_dump(mode="json"),
        "warnings": list(job.warnings),
        "metadata": job.spec.metadata,
        "dataset_id": job.spec.dataset,
        "dataset_sha256": job.dataset_sha256,
        "validation_dataset_id": job.spec.validation_dataset,
        "validation_dataset_sha256": job.validation_dataset_sha256,
        "test_dataset_id": job.spec.test_dataset,
        "test_dataset_sha256": job.test_dataset_sha256,
        "sweep_id": job.sweep_id,
        "parameters": job.parameters,
        "device": job.device,
        "request_id": job.request_id,
        "priority": job.spec.priority,
        "epochs": job.resolved_spec.epochs,
        "pack_key": pack_key(job.resolved_spec, dataset_sha256=job.dataset_sha256),
        **dict.fromkeys(("attempt", "crashes", "pack_crashes", "epoch", "seconds", "revision"), 0),
    }


def find(connection: Connection, id: str, *, project_id: str) -> JobRow | None:
    """The job of that id in that project."""
    return JobRow.maybe(connection.execute(_FIND, {"asked": id, "of_project": project_id}).one_or_none())


_asked = and_(jobs.c.id == bindparam("asked"), jobs.c.project_id == bindparam("of_project"))
_FIND = select(*JobRow.selected(jobs)).where(_asked)
_STATE = select(*JobState.selected(jobs)).where(_asked)


def state(connection: Connection, id: str, *, project_id: str) -> JobState | None:
    """The same, as far as its history needs it."""
    return JobState.maybe(connection.execute(_STATE, {"asked": id, "of_project": project_id}).one_or_none())


def states(connection: Connection, ids: Collection[str], *, project_id: str) -> dict[str, JobState]:
    """Of several, by their ids, those that are there."""
    query = select(*JobState.selected(jobs)).where(jobs.c.id.in_(ids), jobs.c.project_id == project_id)
    return {state.id: state for state in JobState.all(connection.execute(query).all())}


def page(connection: Connection, *, project_id: str, page: Page, filter: Filter) -> list[JobRow]:
    """One page of a project's jobs, one row more than asked for where there is more."""
    query = select(*JobRow.selected(jobs)).where(jobs.c.project_id == project_id)
    return JobRow.all(connection.execute(paged(filtered(query, filter), jobs.c.id, page)).all())


def change_status(connection: Connection, number: int, *, old: Status, new: Status) -> JobRow | None:
    """One conditional update; None means that the job stood elsewhere meanwhile."""
    values: dict[str, Any] = {"status": new, "revision": jobs.c.revision + 1}
    if new.terminal:
        values |= {"finished_at": now(), "stop_reason": str(new)}
    if new is Status.QUEUED:
        values["claimable_at"] = now()  # it waits from now on, not since it was created
    statement = update(jobs).where(jobs.c.number == number, jobs.c.status == old).values(values)
    changed = JobRow.maybe(connection.execute(statement.returning(*JobRow.selected(jobs))).one_or_none())
    if changed and new.terminal:
        counts.add(connection, Counted.JOBS_FINISHED, str(new))
    return changed


def is_due() -> ColumnElement[bool]:
    """What makes a job claimable now."""
    return and_(jobs.c.status == Status.QUEUED, jobs.c.claimable_at <= now(), within_parallel())


def held_back(connection: Connection, rows: Sequence[JobRow]) -> set[int]:
    """The numbers of those whose sweep trains as many at once as it may."""
    trials = [row.number for row in rows if row.sweep_id is not None]
    if not trials:
        return set()
    query = select(jobs.c.number).where(jobs.c.number.in_(trials), not_(within_parallel()))
    return set(connection.execute(query).scalars())


def revisions(connection: Connection, numbers: Collection[int]) -> dict[int, int]:
    """By their numbers: one question for all watched jobs."""
    query = select(jobs.c.number, jobs.c.revision).where(jobs.c.number.in_(numbers))
    return {row.number: row.revision for row in connection.execute(query)}


def needing(connection: Connection, dataset_id: str) -> int:
    """How many live jobs still read that dataset, to train, to validate or to test."""
    live = [status for status in Status if not status.terminal]
    reads = or_(*(column == dataset_id for column in (jobs.c.dataset_id, jobs.c.validation_dataset_id, jobs.c.test_dataset_id)))
    return connection.execute(select(func.count()).where(jobs.c.status.in_(live), reads)).scalar_one()


def unclaimed(
    connection: Connection, *, devices: Collection[str], older_than_seconds: float, limit: int
) -> list[tuple[str, str]]:
    """Ids and devices of the oldest claimable jobs for these devices that nobody took for a while."""
    border = now() - int(older_than_seconds * 1_000_000)
    waiting = and_(is_due(), jobs.c.claimable_at <= border, jobs.c.device.in_(devices))
    query = select(jobs.c.id, jobs.c.device).where(waiting)
    return [(id, device) for id, device in connection.execute(query.order_by(jobs.c.number).limit(limit))]


def by_number(connection: Connection, number: int) -> JobRow | None:
    """The job of that number."""
    return JobRow.maybe(connection.execute(select(*JobRow.selected(jobs)).where(jobs.c.number == number)).one_or_none())


def hold(connection: Connection, number: int) -> bool:
    """Lock a job until the transaction ends, so that no model begins to need its checkpoints; False if it is gone."""
    return connection.execute(select(jobs.c.number).where(jobs.c.number == number).with_for_update()).first() is not None


def remove(connection: Connection, number: int) -> None:
    """Forget a job; its epochs, checkpoints, recovery points and events go with it, their bytes after the commit."""
    connection.execute(delete(jobs).where(jobs.c.number == number))


def status_counts(connection: Connection) -> dict[str, int]:
    """How many jobs are in each status that any is in."""
    query = select(jobs.c.status, func.count()).group_by(jobs.c.status)
    return {row.status: row[1] for row in connection.execute(query)}


def longest_waits(connection: Connection) -> dict[str, float]:
    """For how many seconds the oldest of the claimable jobs has waited to be claimed, by the device that they ask for."""
    query = select(jobs.c.device, now() - func.min(jobs.c.claimable_at)).where(is_due()).group_by(jobs.c.device)
    return {row.device: row[1] / 1_000_000 for row in connection.execute(query)}


def live_counts(connection: Connection, *, project_id: str) -> dict[str, int]:
    """How many of a project's jobs are in each status that is not terminal."""
    live = [status for status in Status if not status.terminal]
    query = select(jobs.c.status, func.count()).where(jobs.c.project_id == project_id, jobs.c.status.in_(live))
    return {row.status: row[1] for row in connection.execute(query.group_by(jobs.c.status))}


_COUNT_QUEUED = select(func.count()).where(jobs.c.status == Status.QUEUED)
_COUNT_QUEUED_OF = _COUNT_QUEUED.where(jobs.c.project_id == bindparam("of_project"))


def count_queued(connection: Connection, *, project_id: str | None = None) -> int:
    """How many jobs wait, of a project or of all."""
    if project_id is None:
        return connection.execute(_COUNT_QUEUED).scalar_one()
    return connection.execute(_COUNT_QUEUED_OF, {"of_project": project_id}).scalar_one()


def among(connection: Connection, ids: Collection[str], *, project_id: str) -> set[str]:
    """Those of the ids that are jobs of the project."""
    return set(connection.execute(select(jobs.c.id).where(jobs.c.id.in_(ids), jobs.c.project_id == project_id)).scalars())
