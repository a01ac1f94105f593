"""Removes what nothing refers to any more: bytes without a row, writes and uploads that died, old keys; any number at once.

A checkpoint's or dataset's bytes come before their row. So only what is old is looked at, and only then whether there is a row:
nothing under way is as old, and what has a row by then stays.
"""

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import Connection

from app.domain.blobs import BATCHES, CHECKPOINTS, DATASETS, RECOVERY
from app.persistence import batch_predictions, checkpoints, datasets, idempotency, recovery
from app.persistence.database import Database
from app.services.datasets import HELD
from app.storage.storage import Storage

log = structlog.get_logger()

AT_A_TIME = 500

Known = Callable[[Connection, Collection[str]], set[str]]
_ROWS: dict[str, Known] = {
    DATASETS: datasets.known,
    CHECKPOINTS: checkpoints.known,
    RECOVERY: recovery.known,
    BATCHES: batch_predictions.known,
}


class Janitor:
    """One sweep goes through the whole storage; each step may be repeated, and none waits for another."""

    def __init__(self, database: Database, storage: Storage, *, uploads: Path, age_seconds: float) -> None:
        self._database = database
        self._storage = storage
        self._uploads = uploads
        self._age = age_seconds

    def sweep(self) -> None:
        """Remove all that is old and that nothing refers to."""
        with self._database.write() as connection:
            idempotency.forget_old(connection)
            recovery.forget_of_the_ended(connection)
        self._forget_unneeded()
        removed = sum(self._remove_unreferenced(kind, known) for kind, known in _ROWS.items())
        removed += self._storage.remove_temporaries(older_than=self._age) + self._remove_uploads()
        if removed:
            log.info("janitor.removed", count=removed)

    def _forget_unneeded(self) -> None:
        """Looked for without a lock, then removed in transactions of their own: jobs are locked before what hangs on them."""
        more = True
        while more:
            with self._database.read() as connection:
                found = checkpoints.unneeded(connection, limit=AT_A_TIME)
            if found:
                with self._database.write() as connection:
                    checkpoints.forget_unneeded(connection, found)
            more = len(found) == AT_A_TIME

    def _remove_unreferenced(self, kind: str, known: Known) -> int:
        removed = 0
        for ids in _portions(self._storage.folders(kind, older_than=self._age)):
            with self._database.read() as connection:
                gone = set(ids) - known(connection, ids)
            for id in gone:
                self._storage.delete(f"{kind}/{id}")
            removed += len(gone)
        return removed

    def _remove_uploads(self) -> int:
        """Of a received upload the file is written to until it is read, and gone soon after.

        A dataset is held in a folder of its own; the file in it may be as old as the dataset.
        """
        old = [path for path in self._uploads.glob("*") if _is_left(path) and _age(path) > self._age]
        for path in old:
            if path.is_file():
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path, ignore_errors=True)
        return len(old)


def _is_left(path: Path) -> bool:
    return path.is_file() or path.name.startswith(HELD)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # another janitor was quicker
        return 0.0


def _portions(ids: Iterator[str]) -> Iterator[Sequence[str]]:
    while portion := list(islice(ids, AT_A_TIME)):
        yield portion
