"""One run of a claimed batch prediction, from the claim until it has ended or was given back."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog
from sqlalchemy import Connection

from app.domain.batch_warnings import MOST_KEPT, added_up
from app.domain.blobs import batch_folder, batch_model_folder
from app.domain.errors import TrainyardError
from app.domain.job import Status, StopReason
from app.persistence import batch_leases, batch_predictions, leases
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import Database
from app.persistence.leases import LeaseLost
from app.serving.sessions import load
from app.serving.table import frame_of
from app.storage.storage import Storage
from app.tabular.row_groups import slices
from worker.batch.files import BatchFiles
from worker.batch.parts import Draft, draft, last
from worker.batch.predicting import RowPredictor
from worker.dataset_files import dataset_files
from worker.failures import is_out_of_memory
from worker.held import Held
from worker.insisting import AWAY, insist
from worker.lost import note_loss
from worker.outage import sentence
from worker.pulse import Periods, Pulse

log = structlog.get_logger()

# What is left of the files of one that has ended.
_NEEDLESS = {Status.SUCCEEDED: batch_model_folder, Status.FAILED: batch_folder, Status.CANCELLED: batch_folder}


class Leaving(Exception):
    """Raised where the worker stops, or a caller asked for a pause or a cancel."""


class BatchRun:
    """Predicts part after part, from the first that is not durable; each is committed under the fence."""

    def __init__(
        self,
        row: BatchPredictionRow,
        *,
        database: Database,
        storage: Storage,
        pulse: Pulse,
        periods: Periods,
        stopping: Callable[[], bool],
    ) -> None:
        self._row, self._fence = row, batch_leases.fence_of(row)
        self._held = Held({self._fence: row.id})
        self._database, self._storage, self._pulse = database, storage, pulse
        self._periods, self._stopping = periods, stopping
        self._looked_at = self._added_at = time.monotonic()
        self.spoiled = False
        """An error may have left this process unfit for other work."""

    def run(self) -> None:
        """Predict to the end, or until it is paused, cancelled, yielded or taken away."""
        with self._pulse.holding(self._held):
            try:
                self._try()
            except LeaseLost:
                note_loss(self._database)
        if needless := _NEEDLESS.get(self._row.status):
            with suppress(OSError):  # then the janitor does it, or whoever deletes the batch prediction
                self._storage.delete(needless(self._row.id))

    def _try(self) -> None:
        try:
            self._predict()
        except LeaseLost:
            raise
        except Leaving:
            self._insist(self._give_back)
        except AWAY as error:
            log.exception("database.failed", error=type(error).__name__)
            self._insist(partial(self._give_back, wait_seconds=self._periods.pause))
        except OSError as error:
            log.error("storage.failed", part=self._row.parts, error=str(error))
            self._insist(partial(self._put_off, error))
        except Exception as error:
            log.exception("batch_prediction.failed")
            self.spoiled = is_out_of_memory(error)
            self._insist(partial(self._fail, *_failure(error)))

    def _predict(self) -> None:
        with dataset_files(self._storage, alive=self._alive) as datasets:
            files = BatchFiles(self._storage, self._row)
            predictor = RowPredictor(load(files.model), alive=self._alive)
            first, path = self._row.predicted, datasets.path(self._row.dataset_id)
            for rows in slices(path, predictor.names, rows=self._row.part_rows, first=first):
                outputs, found = predictor.predict(rows, first=first, room=MOST_KEPT - self._row.warnings_kept)
                frame = frame_of(outputs, targets=predictor.target.names, classes=predictor.target.classes)
                self._add(draft(self._row.parts, frame, format=self._row.format, found=found))
                first = self._row.predicted
        self._close(files)

    def _add(self, part: Draft) -> None:
        self._storage.put(part.row.key(self._row.id), part.data)
        self._write(partial(self._advanced, part))
        self._pulse.progress()

    def _write(self, change: Callable[[Connection], BatchPredictionRow]) -> None:
        """What is committed is believed, nothing else: by the row's status files are removed."""
        with self._database.write() as connection:
            row = change(connection)
        self._row = row

    def _leave(self, change: Callable[[Connection], BatchPredictionRow]) -> None:
        """Its end or its return."""
        with self._held.leaving(self._fence):
            self._write(change)

    def _advanced(self, part: Draft, connection: Connection) -> BatchPredictionRow:
        since, self._added_at = self._added_at, time.monotonic()
        return batch_leases.advance(
            connection,
            self._fence,
            part.row,
            seconds=self._added_at - since,
            warnings=added_up(self._row.warnings, part.counts),
            kept=self._row.warnings_kept + part.kept,
        )

    def _close(self, files: BatchFiles) -> None:
        """The end, and of a Parquet file its footer, in one transaction."""
        footer = None
        if self._row.format == "parquet":
            with self._database.read() as connection:
                parts = batch_predictions.parts_of(connection, self._row.number)
            footer = last(self._row.parts, files.outlines(parts, alive=self._alive))
            self._storage.put(footer.row.key(self._row.id), footer.data)
        self._leave(partial(self._succeeded, footer))

    def _succeeded(self, footer: Draft | None, connection: Connection) -> BatchPredictionRow:
        if footer:
            self._advanced(footer, connection)
        return batch_leases.succeed(connection, self._fence)

    def _alive(self) -> None:
        """Between any few rows: a caller who cancels waits for no part."""
        self._pulse.progress()
        if time.monotonic() - self._looked_at < self._periods.report:
            return
        with self._database.write() as connection:
            status = leases.prolong(connection, self._fence, lease_seconds=self._periods.lease)
        self._looked_at = time.monotonic()
        if status is None:
            raise LeaseLost(self._fence)
        if status is not Status.RUNNING or self._stopping():
            raise Leaving

    def _insist(self, act: Callable[[], None]) -> None:
        insist(act, stopping=self._stopping, alive=self._pulse.progress)

    def _give_back(self, *, wait_seconds: float = 0) -> None:
        self._leave(partial(batch_leases.give_back, fence=self._fence, wait_seconds=wait_seconds))

    def _put_off(self, error: OSError) -> None:
        """Go on when the storage may work again; not for ever."""
        self._leave(partial(self._refused, error))

    def _refused(self, error: OSError, connection: Connection) -> BatchPredictionRow:
        status, seconds = batch_leases.refuse(connection, self._fence)
        if seconds > self._periods.patience and status is not Status.CANCELLING:
            message = sentence(error, seconds=seconds, work="the batch prediction")
            return batch_leases.fail(connection, self._fence, StopReason.INTERNAL_ERROR, message)
        return batch_leases.give_back(connection, self._fence, wait_seconds=self._periods.retry)

    def _fail(self, reason: StopReason, message: str) -> None:
        self._leave(partial(batch_leases.fail, fence=self._fence, reason=reason, message=message))


def _failure(error: Exception) -> tuple[StopReason, str]:
    if is_out_of_memory(error):
        text = "The process ran out of memory: set TRAINYARD_BATCH_PART_ROWS lower, or give the worker more memory."
        return StopReason.OUT_OF_MEMORY, text
    if isinstance(error, TrainyardError):
        return StopReason.INVALID_DATA, error.detail
    text = f"The prediction met an unexpected error ({type(error).__name__}); the worker's log tells more."
    return StopReason.INTERNAL_ERROR, text
