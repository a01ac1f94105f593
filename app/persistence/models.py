"""The models table: names, each once in a project."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from app.persistence.database import now
from app.persistence.model_rows import ModelRow
from app.persistence.paging import Page, paged
from app.persistence.tables import model_versions, models


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """A name without any version yet."""

    id: str
    project_id: str
    name: str
    description: str | None
    metadata: Mapping[str, str]


def add(connection: Connection, new: NewModel) -> ModelRow | None:
    """Store a model; None where the name is taken."""
    values = {**vars(new), "last_version": 0, "created_at": now()}
    try:
        with connection.begin_nested():
            row = connection.execute(insert(models).values(values).returning(*ModelRow.selected(models))).one()
    except IntegrityError:
        return None
    return ModelRow.of(row)


def find(connection: Connection, name: str, *, project_id: str, hold: bool = False) -> ModelRow | None:
    """The model of that name in that project; with `hold` nothing of it changes until the transaction ends."""
    query = select(*ModelRow.selected(models)).where(models.c.project_id == project_id, models.c.name == name)
    return ModelRow.maybe(connection.execute(query.with_for_update() if hold else query).one_or_none())


def page(connection: Connection, *, project_id: str, page: Page) -> list[ModelRow]:
    """One page of a project's models, one row more than asked for where there is more."""
    query = select(*ModelRow.selected(models)).where(models.c.project_id == project_id)
    return ModelRow.all(connection.execute(paged(query, models.c.id, page)).all())


def newest_versions(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """The highest version of each of the models that has any."""
    newest = select(model_versions.c.model_id, func.max(model_versions.c.number))
    query = newest.where(model_versions.c.model_id.in_(ids)).group_by(model_versions.c.model_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def remove(connection: Connection, id: str) -> None:
    """Forget a model, its versions and the moves of its aliases."""
    connection.execute(delete(models).where(models.c.id == id))
