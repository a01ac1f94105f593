"""Versions of models: registered, found, listed, deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.errors import Conflict, Invalid, NotFound
from app.domain.ids import new_id
from app.domain.models import DEFAULT, VersionSpec, number_in
from app.persistence import aliases, checkpoints, versions
from app.persistence.database import Database
from app.persistence.model_rows import ModelRow, VersionRow
from app.persistence.paging import Page
from app.persistence.versions import NewVersion
from app.services.models import model_of, named
from app.services.ports import Loader

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """A version, the name of its model, the job of its checkpoint, and the aliases that point at it."""

    row: VersionRow
    model: str
    job_id: str
    aliases: Sequence[str]


class Versions:
    """What is registered can predict: it is loaded before."""

    def __init__(self, database: Database, loader: Loader) -> None:
        self._database = database
        self._loader = loader

    def register(
        self, caller: Caller, name: str, spec: VersionSpec, before_commit: Callable[[Connection, VersionView], None]
    ) -> None:
        """Register a checkpoint under the next number; the first one becomes the alias `default`.

        Raises:
            Invalid: there is no such checkpoint.
            Conflict: it cannot be loaded; Damaged likewise.

        """
        with self._database.read() as connection:
            model_of(connection, caller, name)
            if checkpoints.find(connection, spec.checkpoint, project_id=caller.project_id) is None:
                raise _no_checkpoint()
        self._loader.load(spec.checkpoint)
        with self._database.write() as connection:
            model = model_of(connection, caller, name, hold=True)
            view = _views(connection, model, [_added(connection, caller, model, spec)])[0]
            before_commit(connection, view)
        log.info("model.registered", model=name, version=view.row.number, checkpoint=spec.checkpoint, job=view.job_id)

    def page(self, caller: Caller, name: str, page: Page) -> list[VersionView]:
        """One page, and one version more where there is another."""
        with self._database.read() as connection:
            model = model_of(connection, caller, name)
            return _views(connection, model, versions.page(connection, model.id, page))

    def find(self, caller: Caller, name: str, which: str) -> VersionView:
        """One version by its number or an alias, or NotFound."""
        with self._database.read() as connection:
            model = model_of(connection, caller, name)
            found = _views(connection, model, [_version_of(connection, model, which)])
        if not found:  # deleted meanwhile
            raise NotFound(f"version or alias of model {name}:", which)
        return found[0]

    def delete(self, caller: Caller, name: str, which: str) -> None:
        """Forget a version, so that its checkpoint may go; Conflict while an alias points at it."""
        with self._database.write() as connection:
            model = model_of(connection, caller, name, hold=True)
            version = _version_of(connection, model, which)
            if pointing := _pointing_at(aliases.of_models(connection, [model.id])[model.id], version):
                raise Conflict(f"Version {version.number} is called by {named(pointing)}: move or delete them first.")
            versions.remove(connection, version.id)
        log.info("model.unregistered", model=name, version=version.number, checkpoint=version.checkpoint_id)


def _added(connection: Connection, caller: Caller, model: ModelRow, spec: VersionSpec) -> VersionRow:
    """With the model's row locked, then the job's: whatever removes checkpoints holds that one."""
    if not checkpoints.hold(connection, spec.checkpoint):
        raise _no_checkpoint()
    new = NewVersion(
        id=new_id("mver"),
        project_id=model.project_id,
        model_id=model.id,
        checkpoint_id=spec.checkpoint,
        description=spec.description,
        metadata=spec.metadata,
    )
    row = versions.add(connection, new)
    if row.number == 1:
        aliases.move(connection, model, DEFAULT, to=row.number, key_id=caller.key_id)
    return row


def _version_of(connection: Connection, model: ModelRow, which: str) -> VersionRow:
    number = number_in(which)
    if number is None and (alias := aliases.find(connection, model.id, which)):
        number = alias.version
    found = None if number is None else versions.find(connection, model.id, number)
    if found is None:
        raise NotFound(f"version or alias of model {model.name}:", which)
    return found


def _no_checkpoint() -> Invalid:
    return Invalid.at("/checkpoint", "There is no such checkpoint.", code="not_found")


def _pointing_at(aliases: Mapping[str, int], version: VersionRow) -> list[str]:
    return [name for name, number in aliases.items() if number == version.number]


def _views(connection: Connection, model: ModelRow, rows: Sequence[VersionRow]) -> list[VersionView]:
    pointing = aliases.of_models(connection, [model.id])[model.id]
    jobs = versions.jobs_of(connection, [row.checkpoint_id for row in rows])

    def view(row: VersionRow) -> VersionView:
        return VersionView(row=row, model=model.name, job_id=jobs[row.checkpoint_id], aliases=_pointing_at(pointing, row))

    return [view(row) for row in rows if row.checkpoint_id in jobs]  # else deleted between the two questions
