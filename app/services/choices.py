"""Which checkpoint a prediction uses: the best by default, and while a job trains the newest there is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from anyio import to_thread

from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.persistence import checkpoints, jobs
from app.persistence.database import Database
from app.persistence.rows import CheckpointRow, JobRow

# A choice is kept so long, so that a busy client costs one question a second; a deleted job predicts no longer than that.
KEPT_SECONDS = 1.0
KEPT_CHOICES = 1024


@dataclass(frozen=True)
class _Choice:
    checkpoint_id: str
    until: float


class Choices:
    """Used on the event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[tuple[str, str, str], _Choice] = {}

    async def choose(self, caller: Caller, job_id: str, which: str) -> str:
        """The id of the checkpoint; NotFound, or Conflict where the job has none yet."""
        key = (caller.project_id, job_id, which)
        kept = self._kept.get(key)
        if kept and kept.until > time.monotonic():
            return kept.checkpoint_id
        chosen = await to_thread.run_sync(self._choose, caller, job_id, which)
        if len(self._kept) >= KEPT_CHOICES:
            self._kept.clear()
        self._kept[key] = _Choice(chosen, time.monotonic() + KEPT_SECONDS)
        return chosen

    def _choose(self, caller: Caller, job_id: str, which: str) -> str:
        with self._database.read() as connection:
            job = jobs.find(connection, job_id, project_id=caller.project_id)
            if job is None:
                raise NotFound("job", job_id)
            rows = checkpoints.of_job(connection, job.number)
        return _chosen(job, rows, which).id


def _chosen(job: JobRow, rows: Sequence[CheckpointRow], which: str) -> CheckpointRow:
    if which not in ("best", "last"):
        named = [row for row in rows if row.id == which]
        if not named:
            raise NotFound(f"checkpoint of job {job.id}:", which)
        return named[0]
    if not rows:
        yet = (
            "kept no checkpoint"
            if job.status.terminal
            else "has no checkpoint yet; the first comes with its first recovery point, or at its end"
        )
        raise Conflict(f"The job is {job.status} and {yet}.")
    return next((row for row in reversed(rows) if which in row.kinds), rows[-1])
