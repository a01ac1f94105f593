"""The keys table: who may call, for which project, how long."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from app.persistence.database import now
from app.persistence.leases import SECOND
from app.persistence.paging import Page, paged
from app.persistence.rows import KeyRow
from app.persistence.tables import keys

# `last_used_at` is written no oftener, so that reading with a key costs no write.
USE_SECONDS = 60

_UNREVOKED = keys.c.revoked_at.is_(None)


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key whose secret is told to its holder and then forgotten."""

    id: str
    project_id: str
    name: str | None
    sha256: str
    scopes: Sequence[str]
    expires_at: datetime | None


def add(connection: Connection, new: NewKey) -> KeyRow:
    """Store a key."""
    values = {**vars(new), "scopes": list(new.scopes), "created_at": now()}
    return KeyRow.of(connection.execute(insert(keys).values(values).returning(*KeyRow.selected(keys))).one())


def valid(connection: Connection, ids: Collection[str]) -> dict[str, KeyRow]:
    """Those of the keys that are neither revoked nor expired by the database's clock."""
    lasting = or_(keys.c.expires_at.is_(None), keys.c.expires_at > now())
    query = select(*KeyRow.selected(keys)).where(keys.c.id.in_(ids), _UNREVOKED, lasting)
    return {row.id: row for row in KeyRow.all(connection.execute(query).all())}


def note_use(connection: Connection, ids: Collection[str]) -> None:
    """Write down that the keys were used, unless that was done within the minute."""
    connection.execute(update(keys).where(keys.c.id.in_(ids), _unnoted()).values(last_used_at=now()))


def _unnoted() -> ColumnElement[bool]:
    return or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < now() - USE_SECONDS * SECOND)


def page(connection: Connection, *, project_id: str | None, page: Page) -> list[KeyRow]:
    """One page of the keys that were not revoked, one more where there is more; of every project where none is named."""
    query = select(*KeyRow.selected(keys)).where(_UNREVOKED)
    if project_id is not None:
        query = query.where(keys.c.project_id == project_id)
    return KeyRow.all(connection.execute(paged(query, keys.c.id, page)).all())


def revoke(connection: Connection, id: str, *, project_id: str | None) -> bool:
    """End a key for good; False where there is no such one, or not in that project, if one is named."""
    own = keys.c.id == id if project_id is None else and_(keys.c.id == id, keys.c.project_id == project_id)
    return connection.execute(update(keys).where(own, _UNREVOKED).values(revoked_at=now())).rowcount == 1


def any_made(connection: Connection) -> bool:
    """True once there was a key, also where all are revoked."""
    return connection.execute(select(keys.c.id).limit(1)).first() is not None
