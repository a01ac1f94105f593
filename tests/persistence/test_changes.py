"""Whether anything was committed: the mark of SQLite moves with every commit of anybody, and what was known goes with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import insert

from app.domain.caller import DEFAULT_PROJECT
from app.persistence.database import Database
from app.persistence.tables import keys
from app.services.unchanged import MOST, Unchanged


@pytest.fixture
def here(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url)) as database:
        yield database


def add(database: Database, id: str) -> None:
    with database.write() as connection:
        row = {"id": id, "project_id": DEFAULT_PROJECT, "sha256": "0", "scopes": ["read"], "created_at": 1}
        connection.execute(insert(keys).values(row))


def test_the_mark_moves_with_every_commit_of_this_process_and_of_another(here: Database, sqlite_url: str) -> None:
    marks = [here.changes.mark()]
    add(here, "key_1")
    marks.append(here.changes.mark())
    with closing(Database(sqlite_url)) as another:
        add(another, "key_2")
    marks.append(here.changes.mark())

    assert None not in marks
    assert len({*marks}) == 3
    assert here.changes.mark() == marks[-1]


def give_up(database: Database) -> None:
    """Write, and take it back."""
    with database.write() as connection:
        connection.execute(insert(keys).values(id="key_3", project_id=DEFAULT_PROJECT, sha256="0", scopes=[], created_at=1))
        raise RuntimeError


def test_the_mark_stays_while_nothing_is_committed(here: Database) -> None:
    before = here.changes.mark()

    with pytest.raises(RuntimeError):
        give_up(here)

    assert here.changes.mark() == before


def test_a_database_that_another_has_for_itself_tells_no_mark_until_it_is_free(here: Database) -> None:
    with closing(sqlite3.connect(str(here.engine.url.database), isolation_level=None)) as other:
        other.executescript("PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE")

        assert here.changes.mark() is None

    assert here.changes.mark() is not None


def test_a_mark_of_a_connection_is_no_mark_of_the_next(here: Database) -> None:
    marks = []
    for number in range(3):
        marks.append(here.changes.mark())
        here.changes.close()
        add(here, f"key_{number}")

    assert None not in marks
    assert len({*marks}) == 3


def test_postgresql_cannot_tell(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        assert database.changes.mark() is None


class Marks:
    """Tells what it was set to."""

    def __init__(self) -> None:
        self.now: int | None = 1

    def __call__(self) -> int | None:
        return self.now


def test_what_is_known_is_known_as_long_as_the_mark_stays() -> None:
    marks = Marks()
    known: Unchanged[str, str] = Unchanged(marks)
    mark, _ = known.look("a")
    known.keep("a", "here", mark)

    assert known.look("a") == (1, "here")
    marks.now = 2
    assert known.look("a") == (2, None)
    marks.now = 1
    assert known.look("a") == (1, None)


def test_what_was_found_before_something_changed_is_not_kept() -> None:
    marks = Marks()
    known: Unchanged[str, str] = Unchanged(marks)
    mark, _ = known.look("a")
    marks.now = 2
    known.look("b")
    known.keep("a", "old", mark)

    assert known.look("a") == (2, None)


def test_without_a_mark_nothing_is_known() -> None:
    marks = Marks()
    known: Unchanged[str, str] = Unchanged(marks)
    known.look("a")
    marks.now = None
    mark, _ = known.look("a")
    known.keep("a", "here", mark)

    assert known.look("a") == (None, None)


def test_no_more_than_so_many_are_known() -> None:
    known: Unchanged[int, int] = Unchanged(Marks())
    for key in range(MOST + 1):
        mark, _ = known.look(key)
        known.keep(key, key, mark)

    assert known.look(0) == (1, None)
    assert known.look(MOST) == (1, MOST)
