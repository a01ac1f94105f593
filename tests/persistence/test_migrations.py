"""The one migration tree, on both databases."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, insert, inspect, select, text

from app.domain.caller import DEFAULT_PROJECT
from app.persistence.database import Database
from app.persistence.migrate import configuration, migrate, require_current
from app.persistence.tables import keys, metadata, projects
from tests.servers.postgres import create_database, drop_database
from tests.servers.processes import wait_until


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database.engine)

    require_current(database.engine)


def test_the_way_back_leaves_nothing(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(configuration(connection), "base")

    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}


def test_what_is_stored_stays_on_the_way_forth_and_back(database: Database) -> None:
    with database.engine.begin() as connection:
        key = {"id": "key_1", "project_id": DEFAULT_PROJECT, "sha256": "0", "scopes": ["read"], "created_at": 1}
        connection.execute(insert(keys).values(key))
    with database.engine.begin() as connection:
        command.downgrade(configuration(connection), "0002")
    migrate(database.engine)

    with database.read() as connection:
        assert connection.execute(select(projects.c.id, keys.c.id).join(keys)).all() == [(DEFAULT_PROJECT, "key_1")]


@pytest.fixture
def empty_postgres(postgres_server: str) -> Iterator[str]:
    url = create_database(postgres_server)
    yield url
    drop_database(postgres_server, url)


def test_two_that_migrate_an_empty_database_at_once_do_it_once(empty_postgres: str) -> None:
    first, second, watching = (Database(empty_postgres) for _ in range(3))
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")

    def is_waited_for() -> bool:
        with watching.read() as connection:
            return bool(connection.scalar(waiting))

    with ThreadPoolExecutor() as threads:

        @event.listens_for(first.engine, "commit")
        def start_the_other(connection: Connection) -> None:
            threads.submit(migrate, second.engine).add_done_callback(others.append)
            wait_until(is_waited_for, what="the second to wait for the first")

        others: list[Future[None]] = []
        migrate(first.engine)

    assert [other.exception() for other in others] == [None]
    require_current(second.engine)
    for each in (first, second, watching):
        each.close()
