"""Bytes come before the row that names them; where the row did not come to be they go again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.persistence.database import Database
from app.storage.storage import Storage


@contextmanager
def kept(database: Database, storage: Storage, folder: str, *, named: Callable[[Connection], bool]) -> Iterator[None]:
    """Within it bytes are stored below `folder`, and a row that names them; `named` asks whether it stands.

    After an error of the database that is not certain: a commit whose answer was lost may be under way still. Such bytes are
    the janitor's.
    """
    try:
        yield
    except SQLAlchemyError:
        raise
    except BaseException:
        with suppress(SQLAlchemyError):
            if not _stands(database, named):
                storage.delete(folder)
        raise


def forget(storage: Storage, *folders: str) -> None:
    """Remove what no row names any more; where the storage is away it is the janitor's, for the rows are gone all the same."""
    for folder in folders:
        with suppress(OSError):
            storage.delete(folder)


def _stands(database: Database, named: Callable[[Connection], bool]) -> bool:
    with database.read() as connection:
        return named(connection)
