"""The answers of creating requests by the caller's key, so that a request which is sent again creates nothing again."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from app.persistence.database import now
from app.persistence.tables import idempotency_keys as keys

SECOND = 1_000_000
PENDING_SECONDS = 60
KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Key:
    """The caller's key, and the fingerprint of what was asked with it."""

    project_id: str
    key: str
    fingerprint: str

    @property
    def row(self) -> ColumnElement[bool]:
        """Its row."""
        return and_(keys.c.project_id == self.project_id, keys.c.key == self.key)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is stored of a key; without a status the first request is still under way."""

    fingerprint: str
    status: int | None
    body: bytes | None
    headers: dict[str, str] | None


def find_or_begin(connection: Connection, key: Key) -> Kept | None:
    """What is stored of a key; None where nothing was and from now on a request is under way.

    Raises IntegrityError where another was quicker.

    """
    query = select(keys.c.fingerprint, keys.c.status, keys.c.body, keys.c.headers).where(key.row, ~_expired())
    row = connection.execute(query).one_or_none()
    if row is not None:
        return Kept(**row._mapping)
    connection.execute(delete(keys).where(key.row, _expired()))
    connection.execute(insert(keys).values(**vars(key), created_at=now()))
    return None


def finish(connection: Connection, key: Key, *, status: int, body: bytes, headers: dict[str, str]) -> None:
    """Store the answer, in the transaction that creates what it speaks of."""
    mine = and_(key.row, keys.c.fingerprint == key.fingerprint)
    connection.execute(update(keys).where(mine).values(status=status, body=body, headers=headers))


def forget(connection: Connection, key: Key) -> None:
    """The request came to nothing: it may be tried again."""
    connection.execute(delete(keys).where(key.row, keys.c.status.is_(None)))


def forget_expired(connection: Connection) -> None:
    """Remove all that has expired."""
    connection.execute(delete(keys).where(_expired()))


def _expired() -> ColumnElement[bool]:
    abandoned = and_(keys.c.status.is_(None), keys.c.created_at < now() - PENDING_SECONDS * SECOND)
    return or_(abandoned, keys.c.created_at < now() - KEPT_SECONDS * SECOND)
