"""Gives back at once what a dead training process held, by the word of its parent."""

import structlog

from app.domain.crashes import Crash
from app.domain.job import Status
from app.persistence import workers
from app.persistence.database import Database
from app.persistence.deaths import crashed
from app.queueing.celery import Doorbell

log = structlog.get_logger()


class Reaper:
    """Opens what it needs for each death: the parent keeps no connection that its next child would inherit."""

    def __init__(self, database_url: str, redis_url: str, *, max_crashes: int) -> None:
        self._database_url = database_url
        self._redis_url = redis_url
        self._max_crashes = max_crashes
        Database(database_url).close()  # loads the driver now: a first death, in want of memory, must not take 11 MB of it

    def bury(self, owner: str, *, crash: Crash, told: bool = False) -> None:
        """Return what a dead process held to the queue and ring for it; `told`: if it held nothing there is nothing to say."""
        database = Database(self._database_url)
        doorbell = Doorbell(self._redis_url)
        try:
            with database.write() as connection:
                lost = crashed(connection, owner=owner, crash=crash, max_crashes=self._max_crashes)
                was_warm = workers.leave(connection, owner)
            if was_warm and not lost and not told:
                log.warning("process.died", owner=owner, how=crash)
            for job in lost:
                log.warning("process.died", owner=owner, how=crash, **job.words, status=job.status, crashes=job.all_crashes)
                if job.status is Status.QUEUED:
                    doorbell.ring(job.id, job.device)
        finally:
            database.close()
            doorbell.close()
