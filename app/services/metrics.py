"""The numbers for operators: what the database knows, and what all API processes counted."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.domain.crashes import Crash
from app.domain.job import Status, StopReason
from app.persistence import batch_predictions, counts, jobs, workers
from app.persistence.counts import Counted, Totals
from app.persistence.database import Database
from app.telemetry.exposition import Exposition, Known, Labels
from app.telemetry.meters import Meters

log = structlog.get_logger()


class Metrics:
    """Read anew at each scrape; what could be counted and was not yet is 0, so that a rate has where to start from."""

    def __init__(self, database: Database, meters: Meters) -> None:
        self._database = database
        self._meters = meters

    def write(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type; without the database what the processes counted is told all the same."""
        return Exposition(version=version("trainyard"), reading=self._meters.read(), known=self._known()).write(accept)

    def _known(self) -> Known | None:
        try:
            with self._database.read() as connection:
                return _ask(connection)
        except SQLAlchemyError as error:
            log.error("database.unavailable", error=type(error).__name__)
            return None


def _ask(connection: Connection) -> Known:
    totals = counts.totals(connection)
    return Known(
        jobs=dict.fromkeys(((status,) for status in Status), 0) | _labelled(jobs.status_counts(connection)),
        longest_waits={("auto",): 0, ("cpu",): 0, ("cuda",): 0} | _labelled(jobs.longest_waits(connection)),
        workers=_by_status(connection),
        finished={(reason.status, reason): _total(totals, Counted.JOBS_FINISHED, reason) for reason in StopReason},
        attempts_lost={(crash,): _total(totals, Counted.ATTEMPTS_LOST, crash) for crash in Crash},
        epochs=_total(totals, Counted.EPOCHS),
        leases_lost=_total(totals, Counted.LEASES_LOST),
        batches=dict.fromkeys(((status,) for status in Status), 0) | _labelled(batch_predictions.status_counts(connection)),
        batch_rows=_total(totals, Counted.BATCH_ROWS),
    )


def _labelled(values: Mapping[str, float]) -> dict[Labels, float]:
    return {(label,): value for label, value in values.items()}


def _total(totals: Totals, what: Counted, label: str = "") -> int:
    return totals.get((what, label), 0)


def _by_status(connection: Connection) -> dict[Labels, float]:
    found: Counter[tuple[str, str]] = Counter((worker.device, worker.status) for worker in workers.every(connection))
    devices = {"cpu", *(device for device, _ in found)}
    statuses = ("idle", "training", "predicting", "silent")
    return {(device, status): found[device, status] for device in devices for status in statuses}
