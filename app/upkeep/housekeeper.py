"""Returns the jobs of dead workers to the queue and rings again for jobs that nobody took; any number may run at once."""

import time
from threading import Event, Thread

import structlog
from sqlalchemy import Connection

from app.domain.job import Status, devices_taken
from app.persistence import idempotency, jobs, leases, workers
from app.persistence.database import Database
from app.services.ports import Bell

log = structlog.get_logger()

TIDY_SECONDS = 600


class Housekeeper:
    """A thread that tidies every `period` seconds; each sweep is a few conditional updates, so it needs no leader."""

    def __init__(self, database: Database, bell: Bell, *, period: float, max_crashes: int, silent_seconds: float) -> None:
        self._database = database
        self._bell = bell
        self._period = period
        self._max_crashes = max_crashes
        self._silent_seconds = silent_seconds
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sweep that is under way."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def sweep(self) -> None:
        """Tidy once."""
        with self._database.write() as connection:
            lost = leases.crashed(connection, expired=True, max_crashes=self._max_crashes)
            workers.forget_silent(connection, seconds=self._silent_seconds)
        for job in lost:
            log.warning("lease.expired", job=job.id, attempt=job.attempt, status=job.status)
        returned = [(job.id, job.device) for job in lost if job.status is Status.QUEUED]
        with self._database.read() as connection:
            # A busy process looks for the next job by itself: only idle ones need a ring, so a long queue makes no flood.
            idle = workers.idle(connection)
            waiting = {job for device, count in idle.items() for job in self._unclaimed(connection, device, limit=count)}
        for id, device in [*returned, *waiting]:
            self._bell.ring(id, device)

    def _unclaimed(self, connection: Connection, device: str, *, limit: int) -> list[tuple[str, str]]:
        return jobs.unclaimed(connection, devices=devices_taken(device), older_than_seconds=self._period, limit=limit)

    def tidy(self) -> None:
        """Remove what nobody will ask for any more."""
        with self._database.write() as connection:
            idempotency.forget_old(connection)

    def _run(self) -> None:
        tidied = time.monotonic()
        while not self._stopped.wait(self._period):
            try:
                self.sweep()
                if time.monotonic() - tidied > TIDY_SECONDS:
                    self.tidy()
                    tidied = time.monotonic()
            except Exception as error:  # the database is away, or whatever: without this thread no lost job returns
                log.warning("housekeeper.failed", error=repr(error))
