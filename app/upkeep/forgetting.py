"""Frees the memory of deleted checkpoints; that nobody is answered with one is seen to with every prediction."""

from app.persistence import checkpoints
from app.persistence.database import Database
from app.serving.sessions import Sessions

AT_A_TIME = 500


class Forgetter:
    """One in each API process."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions

    def sweep(self) -> None:
        """Drop what is in memory and has no row any more."""
        held = self._sessions.held()
        for start in range(0, len(held), AT_A_TIME):
            some = held[start : start + AT_A_TIME]
            with self._database.read() as connection:
                gone = set(some) - checkpoints.known(connection, some)
            for id in gone:
                self._sessions.forget(id)
