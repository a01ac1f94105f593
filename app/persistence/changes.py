"""Whether anything was committed to the database: SQLite can tell in two microseconds, another one has to be asked."""

import sqlite3
from contextlib import suppress

from sqlalchemy import Engine


class Changes:
    """Used by one thread at a time, which may be an event loop's: it reads shared memory and never waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._can_tell = engine.dialect.name == "sqlite"
        self._cursor: sqlite3.Cursor | None = None
        self._generation = 0

    def mark(self) -> int | None:
        """The same number as long as nothing was committed, by whatever process; None where that cannot be told now."""
        if not self._can_tell:
            return None
        try:
            if self._cursor is None:
                self._cursor = self._open()
            # All of it: a statement that is not read to its end would go on seeing what it saw.
            [(version,)] = self._cursor.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:
            self.close()
            return None
        return (self._generation << 32) | (int(version) & 0xFFFFFFFF)

    def _open(self) -> sqlite3.Cursor:
        connection = sqlite3.connect(str(self._engine.url.database), timeout=0, isolation_level=None, check_same_thread=False)
        return connection.cursor()

    def close(self) -> None:
        """Give the connection up; the next question opens another, which counts anew, so no mark of it was told before."""
        self._generation += 1
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            with suppress(sqlite3.Error):
                cursor.connection.close()
