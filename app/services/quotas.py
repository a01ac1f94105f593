"""Quotas: what a project has, and whether it may have more; asked in the transaction that adds to it."""

from collections.abc import Collection

from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.quota import Quota
from app.persistence import batch_predictions, datasets, jobs, turns
from app.persistence.datasets import NewDataset

_COUNTED = (jobs.count_queued, batch_predictions.count_queued)


class Quotas:
    """Requests that come at the same moment may each find room: a quota keeps a project in bounds, to the job it does not."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota

    def check_queue(self, connection: Connection, caller: Caller, *, new: int) -> None:
        """Whether so many jobs or batch predictions more may wait; QueueFull or QuotaExceeded where not."""
        if self._quota.queued_jobs:
            queued = [count(connection, project_id=caller.project_id) for count in _COUNTED]
            self._quota.check_queue(new, queued=sum(queued))

    @property
    def most_running(self) -> int:
        """How many jobs and batch predictions of a project may run at once; 0 without a limit."""
        return self._quota.running_jobs

    def full(self, connection: Connection) -> Collection[str]:
        """The projects of which as many run as may."""
        return turns.full(connection, self._quota.running_jobs)

    def check_dataset(self, connection: Connection, new: NewDataset) -> None:
        """Whether the dataset may be kept; QuotaExceeded where not."""
        had = datasets.totals(connection, project_id=new.project_id)
        self._quota.check_datasets(rows=had.rows + new.rows, stored_bytes=had.stored_bytes + new.stored_bytes)
