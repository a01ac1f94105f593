"""Keeps models warm where they are asked for: what an alias was moved to is loaded before anybody waits for it."""

from collections.abc import Mapping
from contextlib import suppress

from app.domain.errors import TrainyardError
from app.persistence import aliases
from app.persistence.database import Database
from app.services.ports import Loader
from app.serving.sessions import Sessions


class Warmer:
    """One in each API process; that which moves an alias has loaded it already."""

    def __init__(self, database: Database, sessions: Sessions, loader: Loader) -> None:
        self._database, self._sessions, self._loader = database, sessions, loader
        self._seen: Mapping[str, frozenset[str]] = {}

    def sweep(self) -> None:
        """Load what aliases point at and did not at the last sweep, of the models with a version in memory.

        What left the memory for want of room is not loaded again: that would drive out another, over and over.
        """
        if not (held := self._sessions.held()):
            return
        with self._database.read() as connection:
            present = aliases.checkpoints_beside(connection, held)
        before, self._seen = self._seen, present
        moved = {id for model, ids in present.items() for id in ids - before.get(model, frozenset())}
        for id in moved.difference(held):
            with suppress(TrainyardError):  # it is told to whoever predicts with it
                self._loader.load(id)
