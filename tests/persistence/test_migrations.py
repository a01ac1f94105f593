"""The one migration tree, on both databases."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select

from app.domain.caller import DEFAULT_PROJECT
from app.persistence.database import Database
from app.persistence.migrate import configuration, migrate, require_current
from app.persistence.tables import keys, metadata, projects


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
