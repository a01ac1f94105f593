"""Aliases of models: where they point, moved, deleted, and who moved them."""

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.errors import Conflict, Invalid, NotFound
from app.domain.models import MOST_ALIASES
from app.persistence import aliases, versions
from app.persistence.database import Database
from app.persistence.model_rows import AliasRow, ModelRow, MoveRow, VersionRow
from app.persistence.paging import Page
from app.services.models import model_of
from app.services.ports import Loader

log = structlog.get_logger()


@dataclass(frozen=True)
class Moved:
    """An alias after a move; whether it is new."""

    row: AliasRow
    created: bool


class Aliases:
    """An alias moves once what it is to point at is in memory."""

    def __init__(self, database: Database, loader: Loader) -> None:
        self._database = database
        self._loader = loader

    def every(self, caller: Caller, model: str) -> list[AliasRow]:
        """Those of a model in the order of their names."""
        with self._database.read() as connection:
            return aliases.every(connection, model_of(connection, caller, model).id)

    def find(self, caller: Caller, model: str, name: str) -> AliasRow:
        """One, or NotFound."""
        with self._database.read() as connection:
            return _alias_of(connection, model_of(connection, caller, model), name)

    def move(self, caller: Caller, model: str, name: str, *, to: int) -> Moved:
        """Let an alias, a new one too, point at a version; every prediction that begins afterwards uses it.

        Raises:
            Invalid: there is no such version.
            Conflict: its checkpoint cannot be loaded, Damaged likewise; or the model has as many aliases as it may.

        """
        with self._database.read() as connection:
            version = _version(connection, model_of(connection, caller, model), to)
        self._loader.load(version.checkpoint_id)
        with self._database.write() as connection:
            held = model_of(connection, caller, model, hold=True)
            _version(connection, held, to)
            before = aliases.find(connection, held.id, name)
            if before is None and len(aliases.every(connection, held.id)) >= MOST_ALIASES:
                raise Conflict(f"The model has {MOST_ALIASES} aliases, which is as many as it may: delete one first.")
            row = aliases.move(connection, held, name, to=to, key_id=caller.key_id)
        log.info("model.alias_moved", model=model, alias=name, version=to, key=caller.key_id)
        return Moved(row, created=before is None)

    def delete(self, caller: Caller, model: str, name: str) -> None:
        """Forget an alias; its history stays with the model."""
        with self._database.write() as connection:
            held = model_of(connection, caller, model, hold=True)
            aliases.remove(connection, held, _alias_of(connection, held, name), key_id=caller.key_id)
        log.info("model.alias_deleted", model=model, alias=name, key=caller.key_id)

    def history(self, caller: Caller, model: str, name: str, page: Page) -> list[MoveRow]:
        """One page of its moves, and one more where there is another; NotFound where there never was such an alias."""
        with self._database.read() as connection:
            found = model_of(connection, caller, model)
            if not aliases.was_there(connection, found.id, name):
                raise _no_alias(found, name)
            return aliases.moves(connection, found.id, name, page)


def _alias_of(connection: Connection, model: ModelRow, name: str) -> AliasRow:
    found = aliases.find(connection, model.id, name)
    if found is None:
        raise _no_alias(model, name)
    return found


def _no_alias(model: ModelRow, name: str) -> NotFound:
    return NotFound(f"alias of model {model.name}:", name)


def _version(connection: Connection, model: ModelRow, number: int) -> VersionRow:
    found = versions.find(connection, model.id, number)
    if found is None:
        raise Invalid.at("/version", "There is no such version of the model.", code="not_found")
    return found
