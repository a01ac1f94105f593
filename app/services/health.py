"""Whether what stands behind the service answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.domain.caller import Caller
from app.persistence import batch_predictions, jobs, workers
from app.persistence.database import Database
from app.persistence.rows import WorkerRow
from app.services.ports import Bell
from app.storage.marked import MARK
from app.storage.storage import Storage

log = structlog.get_logger()

OK, DOWN, DEGRADED, STARTING = "ok", "down", "degraded", "starting"


@dataclass(frozen=True)
class Readiness:
    """Each part by name; a degraded one does not keep the service from being ready."""

    parts: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """True when requests can be answered."""
        return not {DOWN, STARTING} & set(self.parts.values())


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Who works and what waits; `own` are the ids of those jobs and batch predictions at work that are the caller's."""

    workers: list[WorkerRow]
    own: Collection[str]
    queued: int
    statuses: Mapping[str, int]


class Health:
    """Asks database, queue and storage."""

    def __init__(self, database: Database, storage: Storage, bell: Bell, *, expect_worker: bool) -> None:
        self._database = database
        self._storage = storage
        self._bell = bell
        self._expect_worker = expect_worker

    def readiness(self) -> Readiness:
        """May take seconds where something does not answer."""
        parts = {
            "database": OK if _works(self._count_workers) else DOWN,
            "queue": OK if self._bell.check() else DEGRADED,
            "storage": OK if _works(self._storage.check) else DOWN,
        }
        if self._expect_worker and parts["database"] == OK:
            parts["workers"] = OK if self._count_workers() else STARTING
        return Readiness(parts)

    def can_predict(self) -> bool:
        """Whether checkpoints can be found and read, also on a full disk; may take seconds, too."""
        return _works(self._count_workers) and _works(partial(self._storage.get, MARK))

    def _count_workers(self) -> int:
        with self._database.read() as connection:
            return workers.count(connection)

    def overview(self, caller: Caller) -> Overview:
        """Workers and how many jobs wait; and how many of the caller's are in each live status."""
        with self._database.read() as connection:
            everyone = workers.every(connection)
            held = [worker.job_id for worker in everyone if worker.job_id]
            return Overview(
                workers=everyone,
                own=_among(connection, held, caller),
                queued=jobs.count_queued(connection),
                statuses=jobs.live_counts(connection, project_id=caller.project_id),
            )


def _among(connection: Connection, ids: Sequence[str], caller: Caller) -> set[str]:
    own = [kind.among(connection, ids, project_id=caller.project_id) for kind in (jobs, batch_predictions)]
    return set().union(*own)


def _works(check: Callable[[], object]) -> bool:
    try:
        check()
    except (OSError, SQLAlchemyError) as error:
        log.error("health.down", error=type(error).__name__)
        return False
    return True
