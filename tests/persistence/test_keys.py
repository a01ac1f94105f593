"""The keys and projects tables, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier

from sqlalchemy import select, update

from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.persistence import keys, projects
from app.persistence.database import Database, now
from app.persistence.keys import NewKey
from app.persistence.leases import SECOND
from app.persistence.tables import keys as keys_table
from app.persistence.tables import projects as projects_table


def add(database: Database) -> str:
    new = NewKey(id=new_id("key"), project_id=DEFAULT_PROJECT, name=None, sha256="0", scopes=["read"], expires_at=None)
    with database.write() as connection:
        return keys.add(connection, new).id


def use(database: Database, id: str) -> datetime | None:
    with database.write() as connection:
        keys.note_use(connection, [id])
        found: datetime | None = connection.execute(select(keys_table.c.last_used_at).where(keys_table.c.id == id)).scalar_one()
    return found


def test_a_use_is_noted_again_only_after_a_minute(database: Database) -> None:
    id, other = add(database), add(database)
    first, again = use(database, id), use(database, id)
    with database.write() as connection:
        connection.execute(update(keys_table).values(last_used_at=now() - (keys.USE_SECONDS + 1) * SECOND))

    later = use(database, id)

    assert first is not None
    assert later is not None
    assert (again, later >= first) == (first, True)
    assert use(database, other) is not None


def test_of_a_new_name_one_project_is_made_however_many_ask_at_once(database: Database) -> None:
    together = Barrier(6)

    def ask(_: int) -> str:
        together.wait()
        with database.write() as connection:
            return projects.find_or_add(connection, "team-a")

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(ask, range(6)))

    with database.read() as connection:
        named = connection.execute(select(projects_table.c.id).where(projects_table.c.name == "team-a")).scalars().all()
    assert found == set(named)
    assert len(named) == 1


def test_a_project_is_found_by_its_name_and_by_its_id(database: Database) -> None:
    with database.write() as connection:
        id = projects.find_or_add(connection, "team-a")
        assert [projects.find_or_add(connection, text) for text in ("team-a", id, "default", DEFAULT_PROJECT)] == [
            id,
            id,
            DEFAULT_PROJECT,
            DEFAULT_PROJECT,
        ]
        assert projects.find(connection, "team-b") is None
