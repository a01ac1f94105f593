"""Returns what dead workers held to the queue and rings again for what nobody took; any number may run at once."""

import structlog
from sqlalchemy import Connection

from app.domain.job import Status, devices_taken
from app.persistence import batch_predictions, counts, jobs, workers
from app.persistence.database import Database
from app.persistence.deaths import crashed
from app.services.ports import Bell
from app.upkeep.periodically import Periodically

log = structlog.get_logger()

# How much longer a silent worker stays in sight than it takes to call it so.
REMEMBERED = 20


class Housekeeper:
    """A thread that tidies every `period` seconds; each sweep is a few conditional updates, so it needs no leader."""

    def __init__(self, database: Database, bell: Bell, *, period: float, max_crashes: int, silent_seconds: float) -> None:
        self._database = database
        self._bell = bell
        self._period = period
        self._max_crashes = max_crashes
        self._silent_seconds = silent_seconds
        self._thread = Periodically(self.sweep, name="housekeeper", period=period)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sweep that is under way."""
        self._thread.stop()

    def sweep(self) -> None:
        """Tidy once."""
        with self._database.write() as connection:
            lost = crashed(connection, expired=True, max_crashes=self._max_crashes)
            silent = workers.mark_silent(connection, seconds=self._silent_seconds)
            workers.forget_silent(connection, seconds=REMEMBERED * self._silent_seconds)
            counts.add_up(connection)
        for worker in silent:
            log.error("worker.silent", worker=worker, seconds=self._silent_seconds)
        for job in lost:
            log.warning("lease.expired", **job.words, status=job.status)
        returned = [(job.id, job.device) for job in lost if job.status is Status.QUEUED]
        with self._database.read() as connection:
            # A busy process looks for the next job by itself: only idle ones need a ring, so a long queue makes no flood.
            idle = workers.idle(connection)
            waiting = {job for device, count in idle.items() for job in self._unclaimed(connection, device, limit=count)}
            batches = batch_predictions.unclaimed(connection, older_than_seconds=self._period, limit=sum(idle.values()))
        for id, device in [*returned, *waiting, *((id, "cpu") for id in batches)]:
            self._bell.ring(id, device)

    def _unclaimed(self, connection: Connection, device: str, *, limit: int) -> list[tuple[str, str]]:
        return jobs.unclaimed(connection, devices=devices_taken(device), older_than_seconds=self._period, limit=limit)
