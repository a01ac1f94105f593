"""A connection that stays open: never a step behind, and back after it broke; on both databases."""

from contextlib import closing

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from app.domain.caller import DEFAULT_PROJECT
from app.persistence.database import Database
from app.persistence.tables import keys


def add(database: Database, id: str) -> None:
    with database.write() as connection:
        row = {"id": id, "project_id": DEFAULT_PROJECT, "sha256": "0", "scopes": ["read"], "created_at": 1}
        connection.execute(insert(keys).values(row))


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(keys)).scalar_one()


def test_each_question_sees_all_that_was_committed_before_it(database: Database) -> None:
    connection, found = database.keep_open(), []
    for number in range(3):
        found.append(connection.ask(count))
        add(database, f"key_{number}")

    assert [*found, connection.ask(count)] == [0, 1, 2, 3]


def test_it_holds_no_writer_up(database: Database) -> None:
    connection = database.keep_open()
    connection.ask(count)

    with database.write() as writer:
        writer.execute(text("ALTER TABLE keys RENAME TO away"))

    with pytest.raises(DBAPIError):
        connection.ask(count)
    with database.write() as writer:
        writer.execute(text("ALTER TABLE away RENAME TO keys"))
    assert connection.ask(count) == 0


def test_after_the_database_was_restarted_it_asks_again(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        connection = database.keep_open()
        process: int = connection.ask(lambda on: on.execute(text("SELECT pg_backend_pid()")).scalar_one())

        with database.write() as other:
            other.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})

        assert connection.ask(count) == 0
