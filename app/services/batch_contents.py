"""What batch predictions predicted, as bytes: the parts one after the other, each checked before it is handed on."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain

import structlog

from app.domain.caller import Caller
from app.domain.errors import Conflict, ContentDamaged, NotFound
from app.domain.job import Status
from app.persistence import batch_predictions
from app.persistence.batch_rows import BatchPredictionRow, PartRow
from app.persistence.database import Database
from app.services.batch_predictions import found
from app.storage.storage import Storage

log = structlog.get_logger()


class BatchContents:
    """In memory is one part at a time."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database, self._storage = database, storage

    def find(self, caller: Caller, id: str) -> BatchPredictionRow:
        """One that can be read; NotFound, or Conflict before it has succeeded."""
        row = found(self._database, caller, id)
        if row.status is not Status.SUCCEEDED:
            raise Conflict(f"The batch prediction is {row.status}: there is nothing to read before it has succeeded.")
        return row

    def stream(self, row: BatchPredictionRow, *, start: int, end: int) -> Iterator[bytes]:
        """The content from start to before end.

        Raises, as far as the first part tells: NotFound where it is gone since, ContentDamaged where it is not as stored. What
        comes later breaks the stream.
        """
        return _begun(self._content(row, self._parts(row), start, end))

    def warnings(self, row: BatchPredictionRow) -> Iterator[bytes]:
        """The warnings that were kept, a line of JSON each, in the order of the rows; raises as above."""
        warned = [part for part in self._parts(row) if part.warning_bytes]
        return _begun(part.warnings(self._read(row, part)) for part in warned)

    def _content(self, row: BatchPredictionRow, parts: Sequence[PartRow], start: int, end: int) -> Iterator[bytes]:
        before = 0
        for part in parts:
            first, stop = max(start - before, 0), min(end - before, part.content_bytes)
            if first < stop:
                yield part.content(self._read(row, part))[first:stop]
            before += part.content_bytes

    def _parts(self, row: BatchPredictionRow) -> list[PartRow]:
        with self._database.read() as connection:
            parts = batch_predictions.parts_of(connection, row.number)
        if not parts:
            raise _gone(row)
        return parts

    def _read(self, row: BatchPredictionRow, part: PartRow) -> bytes:
        try:
            data = self._storage.get(part.key(row.id))
        except FileNotFoundError:
            raise _gone(row) from None
        if hashlib.sha256(data).hexdigest() != part.sha256:
            log.error("batch_prediction.damaged", batch_prediction=row.id, part=part.number)
            raise ContentDamaged(f"Part {part.number} of batch prediction {row.id} is damaged: ask for another one.")
        return data


def _gone(row: BatchPredictionRow) -> NotFound:
    return NotFound("content of batch prediction", row.id)


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """With the first piece read: an answer that has begun can tell of nothing."""
    return chain([next(pieces, b"")], pieces)
