"""The one migration tree, on both databases."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from app.persistence.database import Database
from app.persistence.migrate import configuration, migrate, require_current
from app.persistence.tables import metadata


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
