"""Keys: made, listed, revoked."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from app.domain import keys as secrets
from app.domain.caller import Caller
from app.domain.errors import Forbidden, Invalid, NotFound
from app.domain.ids import new_id
from app.domain.keys import Scope
from app.persistence import keys, projects
from app.persistence.database import Database
from app.persistence.keys import NewKey
from app.persistence.paging import Page
from app.persistence.rows import KeyRow

# A day before the end of all times, so that it is a time in every zone.
_LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a new key shall be; without a project that of the caller."""

    name: str | None = None
    project: str | None = None
    scopes: Collection[Scope]
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KeyView:
    """A key and the name of its project; the secret only where it was made just now."""

    row: KeyRow
    project: str
    secret: str | None = field(default=None, repr=False)


class Keys:
    """An admin's keys are those of its project; the operator's those of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, caller: Caller, wish: Wish, before_commit: Callable[[Connection, KeyView], None] = lambda *_: None
    ) -> KeyView:
        """Make a key; a project that the operator names and that is not there is made, too."""
        _check(wish)
        id = new_id("key")
        secret = secrets.new_secret(id)
        with self._database.write() as connection:
            new = NewKey(
                id=id,
                project_id=_project(connection, caller, wish.project),
                name=wish.name,
                sha256=secrets.digest(secret),
                scopes=[scope for scope in secrets.SCOPES if scope in wish.scopes],
                expires_at=wish.expires_at,
            )
            [view] = _views(connection, [keys.add(connection, new)])
            view = replace(view, secret=secret)
            before_commit(connection, view)
        return view

    def page(self, caller: Caller, page: Page) -> list[KeyView]:
        """One page, and one key more where there is another."""
        with self._database.read() as connection:
            return _views(connection, keys.page(connection, project_id=_bounds(caller), page=page))

    def revoke(self, caller: Caller, id: str) -> None:
        """From the commit on no request is answered with it."""
        with self._database.write() as connection:
            revoked = keys.revoke(connection, id, project_id=_bounds(caller))
        if not revoked:
            raise NotFound("key", id)


def _check(wish: Wish) -> None:
    if wish.project is not None and not re.fullmatch(secrets.PROJECT, wish.project):
        raise Invalid.at("/project", "A project's name is of letters, digits, `.`, `_` and `-`.", code="bad_format")
    if len(wish.name or "") > secrets.MOST_NAME:
        raise Invalid.at("/name", f"It has more than {secrets.MOST_NAME} characters.", code="too_large")
    if wish.expires_at is not None and not datetime.now(UTC) < wish.expires_at <= _LAST:
        raise Invalid.at("/expires_at", "It has passed already, or is beyond the calendar.", code="out_of_range")


def _bounds(caller: Caller) -> str | None:
    return None if caller.is_operator else caller.project_id


def _project(connection: Connection, caller: Caller, named: str | None) -> str:
    if named is None:
        return caller.project_id
    if caller.is_operator:
        return projects.find_or_add(connection, named)
    if projects.find(connection, named) != caller.project_id:
        raise Forbidden("A project's admin makes keys for that project only.")
    return caller.project_id


def _views(connection: Connection, rows: Sequence[KeyRow]) -> list[KeyView]:
    names = projects.names(connection, {row.project_id for row in rows})
    return [KeyView(row=row, project=names[row.project_id]) for row in rows]
