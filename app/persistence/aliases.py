"""The aliases of models, and every move of each; all under the lock of the model's row."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, insert, select, update

from app.domain.ids import new_id
from app.persistence.database import now
from app.persistence.model_rows import AliasRow, ModelRow, MoveRow
from app.persistence.paging import Page, paged
from app.persistence.tables import alias_moves, model_aliases, model_versions

_AT_A_TIME = 500


def of_models(connection: Connection, ids: Collection[str]) -> Mapping[str, Mapping[str, int]]:
    """The version of each alias, by the ids of their models; in the order of their names."""
    query = select(model_aliases.c.model_id, model_aliases.c.name, model_aliases.c.version)
    found: dict[str, dict[str, int]] = {id: {} for id in ids}
    for model, name, version in connection.execute(query.where(model_aliases.c.model_id.in_(ids))):
        found[model][name] = version
    return {id: dict(sorted(aliases.items())) for id, aliases in found.items()}


def checkpoints_beside(connection: Connection, checkpoint_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """The checkpoints that aliases point at, by the ids of the models of which one of these is a version."""
    versions, some = model_versions.c, sorted(checkpoint_ids)
    found: dict[str, set[str]] = {}
    for start in range(0, len(some), _AT_A_TIME):
        models = select(versions.model_id).where(versions.checkpoint_id.in_(some[start : start + _AT_A_TIME]))
        target = (versions.model_id == model_aliases.c.model_id) & (versions.number == model_aliases.c.version)
        query = select(versions.model_id, versions.checkpoint_id).join(model_aliases, target)
        for model, checkpoint in connection.execute(query.where(versions.model_id.in_(models))):
            found.setdefault(model, set()).add(checkpoint)
    return {model: frozenset(ids) for model, ids in found.items()}


def every(connection: Connection, model_id: str) -> list[AliasRow]:
    """The aliases of a model in the order of their names, which is the same on every database."""
    query = select(*AliasRow.selected(model_aliases)).where(model_aliases.c.model_id == model_id)
    return sorted(AliasRow.all(connection.execute(query).all()), key=lambda alias: alias.name)


def find(connection: Connection, model_id: str, name: str) -> AliasRow | None:
    """The alias of that name."""
    query = select(*AliasRow.selected(model_aliases)).where(model_aliases.c.model_id == model_id, model_aliases.c.name == name)
    return AliasRow.maybe(connection.execute(query).one_or_none())


def move(connection: Connection, model: ModelRow, name: str, *, to: int, key_id: str | None) -> AliasRow:
    """Let an alias point at a version, whether it is there yet or not; one that points there already is left as it is."""
    before = find(connection, model.id, name)
    if before is not None and before.version == to:
        return before
    _note(connection, model, name, before=before.version if before else None, after=to, key_id=key_id)
    statement = (
        update(model_aliases).where(model_aliases.c.id == before.id).values(version=to, moved_at=now())
        if before
        else insert(model_aliases).values(_new(model, name, to))
    )
    return AliasRow.of(connection.execute(statement.returning(*AliasRow.selected(model_aliases))).one())


def _new(model: ModelRow, name: str, version: int) -> dict[str, object]:
    where = {"id": new_id("als"), "project_id": model.project_id, "model_id": model.id}
    return {**where, "name": name, "version": version, "created_at": now(), "moved_at": now()}


def remove(connection: Connection, model: ModelRow, alias: AliasRow, *, key_id: str | None) -> None:
    """Forget an alias; its moves stay, this one too."""
    _note(connection, model, alias.name, before=alias.version, after=None, key_id=key_id)
    connection.execute(delete(model_aliases).where(model_aliases.c.id == alias.id))


def _note(
    connection: Connection, model: ModelRow, alias: str, *, before: int | None, after: int | None, key_id: str | None
) -> None:
    where = {"id": new_id("mov"), "project_id": model.project_id, "model_id": model.id, "alias": alias}
    move = {"from_version": before, "to_version": after, "key_id": key_id, "created_at": now()}
    connection.execute(insert(alias_moves).values({**where, **move}))


def moves(connection: Connection, model_id: str, name: str, page: Page) -> list[MoveRow]:
    """One page of the moves of an alias, one row more than asked for where there is more."""
    query = select(*MoveRow.selected(alias_moves)).where(alias_moves.c.model_id == model_id, alias_moves.c.alias == name)
    return MoveRow.all(connection.execute(paged(query, alias_moves.c.id, page)).all())


def was_there(connection: Connection, model_id: str, name: str) -> bool:
    """True where there is or was an alias of that name."""
    query = select(alias_moves.c.id).where(alias_moves.c.model_id == model_id, alias_moves.c.alias == name)
    return connection.execute(query.limit(1)).first() is not None
