"""What becomes of all that a dead worker held, jobs and batch predictions alike."""

from sqlalchemy import Connection

from app.domain.crashes import Crash
from app.persistence import batch_leases, leases
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.rows import JobRow


def crashed(
    connection: Connection, *, expired: bool = False, owner: str | None = None, crash: Crash = Crash.SILENT, max_crashes: int
) -> list[JobRow | BatchPredictionRow]:
    """Return it to the queue, or end it after too many crashes in a row; exactly one of `expired` and `owner` says whose."""
    jobs = leases.crashed(connection, expired=expired, owner=owner, crash=crash, max_crashes=max_crashes)
    batches = batch_leases.crashed(connection, expired=expired, owner=owner, crash=crash, max_crashes=max_crashes)
    return [*jobs, *batches]
