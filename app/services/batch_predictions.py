"""Batch predictions: found, listed, waited for, cancelled, paused, resumed, deleted."""

from collections.abc import Mapping

from anyio import to_thread

from app.domain.blobs import batch_folder
from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.domain.job import AFTER_CANCEL, AFTER_PAUSE, AFTER_RESUME, TERMINAL, Status
from app.persistence import batch_predictions
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import Database
from app.persistence.paging import Page
from app.services.deadline import Deadline
from app.services.keeping import forget
from app.services.ports import Bell
from app.services.watcher import Watcher
from app.storage.storage import Storage


class BatchPredictions:
    """Every method is one short transaction; the doorbell is rung after the commit."""

    def __init__(self, database: Database, storage: Storage, bell: Bell, watcher: Watcher) -> None:
        self._database = database
        self._storage = storage
        self._bell = bell
        self._watcher = watcher

    def find(self, caller: Caller, id: str) -> BatchPredictionRow:
        """One, or NotFound."""
        return found(self._database, caller, id)

    def page(self, caller: Caller, page: Page) -> list[BatchPredictionRow]:
        """One page, and one more where there is another."""
        with self._database.read() as connection:
            return batch_predictions.page(connection, project_id=caller.project_id, page=page)

    async def until_over(self, caller: Caller, id: str, *, seconds: float) -> None:
        """Return when it is terminal, or after so many seconds."""
        deadline = Deadline(seconds)
        while True:
            row = await to_thread.run_sync(self.find, caller, id)
            if row.status.terminal or not deadline.left or self._watcher.closed:
                return
            of = batch_predictions.revisions
            await self._watcher.changed(row.number, seen=row.revision, timeout=deadline.left, of=of)

    def cancel(self, caller: Caller, id: str) -> BatchPredictionRow:
        """Stop it, and keep nothing; one that is over stays as it is."""
        row = self._change(caller, id, AFTER_CANCEL | {status: status for status in TERMINAL})
        if row.status is Status.CANCELLED:
            forget(self._storage, batch_folder(row.id))
        return row

    def pause(self, caller: Caller, id: str) -> BatchPredictionRow:
        """Let the worker give it back; Conflict where it is ending or over."""
        return self._change(caller, id, AFTER_PAUSE)

    def resume(self, caller: Caller, id: str) -> BatchPredictionRow:
        """Queue a paused one again; Conflict where it is pausing, ending or over."""
        row = self._change(caller, id, AFTER_RESUME)
        if row.status is Status.QUEUED:
            self._bell.ring(row.id, row.device)
        return row

    def _change(self, caller: Caller, id: str, changes: Mapping[Status, Status]) -> BatchPredictionRow:
        """The change that the status allows, tried again where a worker was quicker."""
        while True:
            row = self.find(caller, id)
            if row.status not in changes:
                raise Conflict(f"The batch prediction is {row.status}.")
            if changes[row.status] is row.status:
                return row
            with self._database.write() as connection:
                new = changes[row.status]
                changed = batch_predictions.change_status(connection, row.number, old=row.status, new=new)
            if changed:
                return changed

    def delete(self, caller: Caller, id: str) -> None:
        """Forget one that is over, with all that it predicted."""
        row = self.find(caller, id)
        if not row.status.terminal:
            raise Conflict(f"The batch prediction is {row.status}: cancel it first.")
        with self._database.write() as connection:
            batch_predictions.remove(connection, row.number)
        forget(self._storage, batch_folder(row.id))


def found(database: Database, caller: Caller, id: str) -> BatchPredictionRow:
    """The caller's of that id, or NotFound."""
    with database.read() as connection:
        row = batch_predictions.find(connection, id, project_id=caller.project_id)
    if row is None:
        raise NotFound("batch prediction", id)
    return row
