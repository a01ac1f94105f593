"""Brings the schema up to date, and says when it is not."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, insert, select

import migrations
from app.domain.caller import DEFAULT_PROJECT
from app.domain.mistakes import Mistake
from app.persistence.database import now
from app.persistence.tables import projects

LOCK = 0x747261696E  # "train": PostgreSQL numbers its advisory locks


class SchemaOutdated(Mistake):
    """Raised when the database's schema is not the one of this version."""

    def __init__(self, found: str | None, wanted: str | None) -> None:
        super().__init__(f"The database is at schema {found or 'none'}, this version needs {wanted}: run `trainyard migrate`.")


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations, wherever the package lies."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Run every migration that is missing and make sure that the default project exists; a second one waits for the first."""
    with engine.begin() as connection:
        _wait_for_others(connection)
        command.upgrade(configuration(connection), "head")
        if connection.execute(select(projects.c.id).where(projects.c.id == DEFAULT_PROJECT)).first() is None:
            connection.execute(insert(projects).values(id=DEFAULT_PROJECT, name="default", created_at=now()))


def _wait_for_others(connection: Connection) -> None:
    """One migrates at a time: on SQLite the transaction, which began as a writing one, is enough."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def require_current(engine: Engine) -> None:
    """SchemaOutdated unless the schema is the one of this version."""
    wanted = ScriptDirectory.from_config(configuration()).get_current_head()
    if (found := _revision(engine)) != wanted:
        raise SchemaOutdated(found, wanted)


def _revision(engine: Engine) -> str | None:
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and not Path(file).exists():
        return None  # to look would make an empty one
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
