"""The answers of creating requests by the caller's key, so that a request which is sent again creates nothing again."""

from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True)
class Pending:
    """A request that is under way: the key is its own until another, thinking it dead, begins anew."""

    key: Key
    since: datetime

    @property
    def row(self) -> ColumnElement[bool]:
        """The key's row while it is still this request's."""
        return and_(self.key.row, keys.c.status.is_(None), keys.c.created_at == self.since)


def find_or_begin(connection: Connection, key: Key) -> Kept | Pending:
    """What is stored of a key; where nothing was, a request that is under way from now on.

    Raises IntegrityError where another was quicker.

    """
    query = select(keys.c.fingerprint, keys.c.status, keys.c.body, keys.c.headers).where(key.row, ~_expired())
    row = connection.execute(query).one_or_none()
    if row is not None:
        return Kept(**row._mapping)
    connection.execute(delete(keys).where(key.row, _expired()))
    begun = insert(keys).values(**vars(key), created_at=now()).returning(keys.c.created_at)
    return Pending(key, connection.execute(begun).scalar_one())


def finish(connection: Connection, pending: Pending, *, status: int, body: bytes, headers: dict[str, str]) -> bool:
    """Store the answer, in the transaction that creates what it speaks of; False where another request has the key now."""
    answered = update(keys).where(pending.row).values(status=status, body=body, headers=headers)
    return connection.execute(answered).rowcount == 1


def forget(connection: Connection, pending: Pending) -> None:
    """The request came to nothing: it may be tried again."""
    connection.execute(delete(keys).where(pending.row))


def forget_old(connection: Connection) -> None:
    """Remove what is kept no longer; a pending one stays as long, for a slow upload may still be answered."""
    connection.execute(delete(keys).where(_old()))


def _expired() -> ColumnElement[bool]:
    abandoned = and_(keys.c.status.is_(None), keys.c.created_at < now() - PENDING_SECONDS * SECOND)
    return or_(abandoned, _old())


def _old() -> ColumnElement[bool]:
    return keys.c.created_at < now() - KEPT_SECONDS * SECOND
