"""The versions of models: numbers follow one another under the lock of the model's row, and none is given twice."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from app.persistence.database import now
from app.persistence.model_rows import VersionRow
from app.persistence.paging import Page, paged
from app.persistence.tables import checkpoints, jobs, model_versions, models


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A checkpoint that a model is to hold."""

    id: str
    project_id: str
    model_id: str
    checkpoint_id: str
    description: str | None
    metadata: Mapping[str, str]


def add(connection: Connection, new: NewVersion) -> VersionRow:
    """Store a version under the next number."""
    counted = update(models).where(models.c.id == new.model_id).values(last_version=models.c.last_version + 1)
    number = connection.execute(counted.returning(models.c.last_version)).scalar_one()
    values = {**vars(new), "number": number, "created_at": now()}
    statement = insert(model_versions).values(values).returning(*VersionRow.selected(model_versions))
    return VersionRow.of(connection.execute(statement).one())


def find(connection: Connection, model_id: str, number: int) -> VersionRow | None:
    """The version of that number."""
    query = select(*VersionRow.selected(model_versions))
    found = query.where(model_versions.c.model_id == model_id, model_versions.c.number == number)
    return VersionRow.maybe(connection.execute(found).one_or_none())


def page(connection: Connection, model_id: str, page: Page) -> list[VersionRow]:
    """One page of a model's versions, one row more than asked for where there is more."""
    query = select(*VersionRow.selected(model_versions)).where(model_versions.c.model_id == model_id)
    return VersionRow.all(connection.execute(paged(query, model_versions.c.id, page)).all())


def remove(connection: Connection, id: str) -> None:
    """Forget a version; its number is not given again."""
    connection.execute(delete(model_versions).where(model_versions.c.id == id))


@dataclass(frozen=True)
class Need:
    """A version of a model that holds a checkpoint."""

    model: str
    version: int


def needing(connection: Connection, job_number: int) -> Need | None:
    """The first version that holds a checkpoint of that job; ask with the job's row locked, as a registration has it."""
    query = (
        select(models.c.name, model_versions.c.number)
        .join(models, models.c.id == model_versions.c.model_id)
        .join(checkpoints, checkpoints.c.id == model_versions.c.checkpoint_id)
        .where(checkpoints.c.job_number == job_number)
        .order_by(model_versions.c.id)
    )
    row = connection.execute(query.limit(1)).first()
    return None if row is None else Need(row[0], row[1])


def jobs_of(connection: Connection, checkpoint_ids: Collection[str]) -> dict[str, str]:
    """The id of the job of each of these checkpoints."""
    query = select(checkpoints.c.id, jobs.c.id).join(jobs, jobs.c.number == checkpoints.c.job_number)
    return {row[0]: row[1] for row in connection.execute(query.where(checkpoints.c.id.in_(checkpoint_ids)))}
