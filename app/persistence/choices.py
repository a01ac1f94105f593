"""What predictions choose their checkpoints from, asked for every one of them: as little as says which it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, select

from app.domain.job import Status
from app.domain.models import number_in
from app.persistence.rows import KINDS
from app.persistence.tables import checkpoints, jobs, model_aliases, model_versions, models


@dataclass(frozen=True)
class Candidate:
    """A checkpoint, and any of `best`, `last`, `periodic`."""

    id: str
    kinds: frozenset[str]


@dataclass(frozen=True)
class Candidates:
    """A job's status, and its checkpoints in the order of their epochs."""

    status: Status
    checkpoints: Sequence[Candidate]


_OF_JOB = (
    select(jobs.c.status, checkpoints.c.id, checkpoints.c.is_best, checkpoints.c.is_last, checkpoints.c.is_periodic)
    .select_from(jobs.outerjoin(checkpoints, checkpoints.c.job_number == jobs.c.number))
    .where(jobs.c.id == bindparam("asked"), jobs.c.project_id == bindparam("of_project"))
    .order_by(checkpoints.c.epoch)
)


def of_job(connection: Connection, id: str, *, project_id: str) -> Candidates | None:
    """Those of the job of that id in that project."""
    rows = connection.execute(_OF_JOB, {"asked": id, "of_project": project_id}).all()
    if not rows:
        return None
    found = [
        Candidate(row.id, frozenset(kind for kind, is_it in zip(KINDS, row[2:], strict=True) if is_it))
        for row in rows
        if row.id is not None
    ]
    return Candidates(Status(rows[0].status), found)


@dataclass(frozen=True)
class Version:
    """A version of a model, and its checkpoint."""

    number: int
    checkpoint_id: str


_OF_MODEL = models.c.project_id == bindparam("of_project"), models.c.name == bindparam("asked")
_NUMBERED = model_versions.c.model_id == models.c.id, model_versions.c.number == bindparam("number")
_NAMED = model_aliases.c.model_id == models.c.id, model_aliases.c.name == bindparam("alias")
_POINTED_AT = model_versions.c.model_id == models.c.id, model_versions.c.number == model_aliases.c.version

_SERVED = select(model_versions.c.number, model_versions.c.checkpoint_id)
_BY_NUMBER = _SERVED.select_from(models.outerjoin(model_versions, and_(*_NUMBERED))).where(*_OF_MODEL)
_BY_ALIAS = _SERVED.select_from(
    models.outerjoin(model_aliases, and_(*_NAMED)).outerjoin(model_versions, and_(*_POINTED_AT))
).where(*_OF_MODEL)


def of_model(connection: Connection, name: str, which: str, *, project_id: str) -> list[Version] | None:
    """The version of that number or alias, none where there is no such one; None where there is no such model."""
    number = number_in(which)
    query, asked = (_BY_ALIAS, {"alias": which}) if number is None else (_BY_NUMBER, {"number": number})
    row = connection.execute(query, {"asked": name, "of_project": project_id, **asked}).one_or_none()
    if row is None:
        return None
    return [] if row.number is None else [Version(row.number, row.checkpoint_id)]


def numbers_of_model(connection: Connection, name: str, *, project_id: str) -> list[str]:
    """The numbers of its versions, as texts."""
    query = select(model_versions.c.number).select_from(models.join(model_versions)).where(*_OF_MODEL)
    found = connection.execute(query.order_by(model_versions.c.number), {"asked": name, "of_project": project_id})
    return [str(number) for number in found.scalars()]


_THERE = select(checkpoints.c.id).where(
    checkpoints.c.id == bindparam("asked"), checkpoints.c.project_id == bindparam("of_project")
)


def is_there(connection: Connection, id: str, *, project_id: str) -> bool:
    """Whether the project has a checkpoint of that id."""
    return connection.execute(_THERE, {"asked": id, "of_project": project_id}).first() is not None
