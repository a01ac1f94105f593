"""Models: named, found, listed, deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.domain.ids import new_id
from app.domain.models import ModelSpec
from app.persistence import aliases, models
from app.persistence.database import Database
from app.persistence.model_rows import ModelRow
from app.persistence.models import NewModel
from app.persistence.paging import Page

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """A model, where its aliases point, and its newest version if it has any."""

    row: ModelRow
    aliases: Mapping[str, int]
    latest_version: int | None


class Models:
    """Every method is one short transaction; what changes a model holds its row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, caller: Caller, spec: ModelSpec, before_commit: Callable[[Connection, ModelView], None]) -> None:
        """Register a name; Conflict where the project has it already."""
        new = NewModel(id=new_id("mdl"), project_id=caller.project_id, **spec.model_dump())
        with self._database.write() as connection:
            row = models.add(connection, new)
            if row is None:
                raise Conflict(f"There is a model {spec.name!r} already.")
            before_commit(connection, _views(connection, [row])[0])
        log.info("model.created", model=spec.name)

    def page(self, caller: Caller, page: Page) -> list[ModelView]:
        """One page, and one model more where there is another."""
        with self._database.read() as connection:
            return _views(connection, models.page(connection, project_id=caller.project_id, page=page))

    def find(self, caller: Caller, name: str) -> ModelView:
        """One model, or NotFound."""
        with self._database.read() as connection:
            return _views(connection, [model_of(connection, caller, name)])[0]

    def delete(self, caller: Caller, name: str) -> None:
        """Forget a model with its versions; Conflict while it has an alias, for by that it is called."""
        with self._database.write() as connection:
            model = model_of(connection, caller, name, hold=True)
            if pointing := [alias.name for alias in aliases.every(connection, model.id)]:
                raise Conflict(f"The model is called by {named(pointing)}: delete them first.")
            models.remove(connection, model.id)
        log.info("model.deleted", model=name)


def model_of(connection: Connection, caller: Caller, name: str, *, hold: bool = False) -> ModelRow:
    """The caller's model of that name, or NotFound; with `hold` nothing of it changes until the transaction ends."""
    found = models.find(connection, name, project_id=caller.project_id, hold=hold)
    if found is None:
        raise NotFound("model", name)
    return found


def named(aliases: Sequence[str]) -> str:
    """Aliases in a sentence."""
    return f"the alias{'es' if len(aliases) > 1 else ''} {', '.join(map(repr, aliases))}"


def _views(connection: Connection, rows: Sequence[ModelRow]) -> list[ModelView]:
    ids = [row.id for row in rows]
    pointing, newest = aliases.of_models(connection, ids), models.newest_versions(connection, ids)
    return [ModelView(row=row, aliases=pointing[row.id], latest_version=newest.get(row.id)) for row in rows]
