"""Parts with one safeguard taken out, to be swapped in where the checker must show that it bites."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, update

from app.domain.job import TERMINAL, Status
from app.persistence.database import now
from app.persistence.leases import SECOND, Fence
from app.persistence.rows import JobRow
from app.persistence.tables import jobs
from app.storage.folder import Folder
from worker.held import Held
from worker.run import Run
from worker.trainer import Trainer


@dataclass(frozen=True)
class NoFence(Fence):
    """Holds whoever's turn it is."""

    @property
    def holds(self) -> ColumnElement[bool]:
        """True for the job's row."""
        return jobs.c.number == self.number

    def is_of(self, attempt: int) -> bool:
        """True for any."""
        return True


class WithoutFence(Trainer):
    """Writes about a job although another attempt has it."""

    def _run_of(self, pack: Sequence[JobRow]) -> Run:
        run = super()._run_of(pack)
        attempts = [run._pack[position] for position in run._pack.positions]
        for attempt in attempts:
            attempt.fence = NoFence(attempt.job.number, attempt.job.attempt)
        run._pack.held = Held({attempt.fence: attempt.job.id for attempt in attempts})
        return run


class WithoutCondition(Trainer):
    """Claims the oldest job that has not ended, whoever holds it."""

    def _claim(self) -> list[JobRow]:
        values = {
            "status": Status.RUNNING,
            "attempt": jobs.c.attempt + 1,
            "lease_owner": self._name,
            "lease_expires_at": now() + int(self._periods.lease * SECOND),
            "stack_leader": jobs.c.number,
            "stack_size": 1,
            "stack_position": 0,
        }
        claim = update(jobs).where(jobs.c.status.not_in(TERMINAL)).values(values).returning(*JobRow.selected(jobs))
        with self._database.write() as connection:
            return JobRow.all(connection.execute(claim).all())


class OneByOne(Folder):
    """Writes one file after the other, so that the n-th of them is the same in every run."""

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """See Storage.put_all."""
        for key, data in contents.items():
            self.put(key, data)


class InPlace(OneByOne):
    """Writes under the final name from the start; `midway` is called when half of it is there."""

    midway: Callable[[], None] = staticmethod(lambda: None)

    def put(self, key: str, data: bytes) -> None:
        """Store bytes as one would without a second thought."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            self.midway()
            file.write(data[len(data) // 2 :])
