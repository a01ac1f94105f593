"""Checkpoints: listed, found, downloaded."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from app.domain.blobs import StoredFile, checkpoint_key
from app.domain.caller import Caller
from app.domain.errors import Damaged, NotFound
from app.persistence import checkpoints, jobs
from app.persistence.database import Database
from app.persistence.rows import CheckpointRow
from app.storage.storage import Storage

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class CheckpointView:
    """A checkpoint and the job it belongs to."""

    row: CheckpointRow
    job_id: str

    @property
    def files(self) -> list[StoredFile]:
        """What can be downloaded."""
        return [StoredFile.model_validate(file) for file in self.row.files]


class Checkpoints:
    """Reads rows and bytes."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def of_job(self, caller: Caller, job_id: str) -> list[CheckpointView]:
        """All of a job's in the order of their epochs."""
        with self._database.read() as connection:
            job = jobs.find(connection, job_id, project_id=caller.project_id)
            if job is None:
                raise NotFound("job", job_id)
            rows = checkpoints.of_job(connection, job.number)
        return [CheckpointView(row=row, job_id=job.id) for row in rows]

    def find(self, caller: Caller, id: str) -> CheckpointView:
        """One, or NotFound."""
        with self._database.read() as connection:
            row = checkpoints.find(connection, id, project_id=caller.project_id)
            job = None if row is None else jobs.by_number(connection, row.job_number)
        if row is None or job is None:
            raise NotFound("checkpoint", id)
        return CheckpointView(row=row, job_id=job.id)

    def file(self, caller: Caller, id: str, name: str) -> StoredFile:
        """One of its files, or NotFound."""
        found = [file for file in self.find(caller, id).files if file.name == name]
        if not found:
            raise NotFound(f"file of checkpoint {id}:", name)
        return found[0]

    def stream(self, id: str, file: StoredFile, *, start: int, end: int) -> Iterator[bytes]:
        """The bytes from start to before end; NotFound where they are gone since, Damaged where they are not as stored.

        The whole file is read before the first byte is answered: an answer that has begun can tell of nothing.
        """
        digest = hashlib.sha256()
        try:
            for piece in self._storage.stream(checkpoint_key(id, file)):
                digest.update(piece)
            if digest.hexdigest() != file.sha256:
                raise _damaged(id, file.name)
            return self._storage.stream(checkpoint_key(id, file), start=start, end=end)
        except FileNotFoundError:
            raise NotFound(f"file of checkpoint {id}:", file.name) from None

    def read(self, id: str, name: str) -> bytes:
        """The whole content of a file; NotFound, or Damaged where it is not what was stored."""
        with self._database.read() as connection:
            file = checkpoints.file_of(connection, id, name)
        if file is None:
            raise NotFound(f"file of checkpoint {id}:", name)
        try:
            data = self._storage.get(checkpoint_key(id, file))
        except FileNotFoundError:
            raise NotFound(f"file of checkpoint {id}:", name) from None
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise _damaged(id, name)
        return data


def _damaged(id: str, name: str) -> Damaged:
    log.error("checkpoint.damaged", checkpoint=id, file=name)
    return Damaged(id, name)
