"""The projects table: who owns what."""

from collections.abc import Collection

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.ids import new_id
from app.persistence.database import now
from app.persistence.tables import projects
from app.persistence.turns import count_running


def find(connection: Connection, named: str) -> str | None:
    """The id of the project of that name, or of that id."""
    query = select(projects.c.id).where(or_(projects.c.name == named, projects.c.id == named))
    return connection.execute(query.order_by(projects.c.name != named).limit(1)).scalar_one_or_none()


def find_or_add(connection: Connection, named: str) -> str:
    """The same, of a new project where there was none."""
    found = find(connection, named)
    if found is not None:
        return found
    id = new_id("prj")
    try:
        with connection.begin_nested():
            connection.execute(insert(projects).values(id=id, name=named, created_at=now()))
    except IntegrityError:  # another was quicker
        found = find(connection, named)
        assert found is not None
        return found
    return id


def names(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """The names of projects by their ids."""
    query = select(projects.c.id, projects.c.name).where(projects.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}


def room(connection: Connection, id: str, most_running: int) -> int:
    """How much more of the project may run; counted with it locked, for two claims at once each see the state before both."""
    connection.execute(select(projects.c.id).where(projects.c.id == id).with_for_update(key_share=True))
    return max(0, most_running - count_running(connection, id))


def note_claim(connection: Connection, ids: Collection[str]) -> None:
    """Write down that something of these projects is claimed now; last in the claim, which others wait for from here on."""
    connection.execute(update(projects).where(projects.c.id.in_(ids)).values(claimed_at=now()))
