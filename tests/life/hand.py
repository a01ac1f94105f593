"""A worker's hand: one attempt at a job that writes what worker/attempt.py writes, transaction by transaction."""

import hashlib
from dataclasses import dataclass

from app.domain.blobs import checkpoint_folder, checkpoint_key, described, recovery_folder, recovery_key
from app.domain.caller import DEFAULT_PROJECT
from app.domain.history import EpochColumns, EpochLosses
from app.domain.ids import new_id
from app.domain.job import Status, StopReason
from app.persistence import checkpoints, events, leases, recovery, reports
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.leases import Ending, Fence
from app.persistence.reports import Progress
from app.persistence.rows import RecoveryRow
from app.storage.storage import Storage
from tests.life.model import PERIODIC_KEPT
from tests.life.world import FOREVER

MODEL = "model.json"


@dataclass(frozen=True)
class Hand:
    """Every method raises LeaseLost, and writes nothing, where the attempt is not the current one."""

    database: Database
    storage: Storage
    job_id: str
    fence: Fence

    def report(self, first: int, last: int) -> Status:
        """Epochs `first` to `last`."""
        numbers = list(range(first, last + 1))
        losses: list[float | None] = [1 / number for number in numbers]
        columns = EpochColumns(
            epoch=numbers, train_loss=losses, val_loss=losses, learning_rate=losses, seconds=[1.0] * len(numbers)
        )
        progress = Progress(epochs=columns, epoch=last, seconds=1.0, latest=None, best=None)
        with self.database.write() as connection:
            return reports.record(connection, self.fence, progress, lease_seconds=FOREVER)

    def save(self, epoch: int) -> None:
        """A recovery point: bytes, row, and then the bytes of those that it makes superfluous."""
        id, data = new_id("rec"), b"state"
        self.storage.put(recovery_key(id), data)
        number, attempt, sha256 = self.fence.number, self.fence.attempt, hashlib.sha256(data).hexdigest()
        point = RecoveryRow(id=id, job_number=number, attempt=attempt, epoch=epoch, batch=0, bytes=len(data), sha256=sha256)
        with self.database.write() as connection:
            leases.note(connection, self.fence)
            old = recovery.add(connection, point)
        for superfluous in old:
            self.storage.delete(recovery_folder(superfluous))

    def publish(self, epoch: int, kinds: frozenset[str]) -> None:
        """A checkpoint, or more kinds of the one that stands at that epoch."""
        new = self._stored(epoch, kinds)
        with self.database.write() as connection:
            leases.note(connection, self.fence)
            superfluous = checkpoints.publish(connection, new, keep=PERIODIC_KEPT)
        self._discard(superfluous)

    def _stored(self, epoch: int, kinds: frozenset[str]) -> NewCheckpoint:
        with self.database.read() as connection:
            standing = checkpoints.at_epoch(connection, self.fence.number, epoch)
        id, data = standing.id if standing else new_id("ckpt"), b"{}"
        file = described(MODEL, data)
        if standing is None:
            self.storage.put(checkpoint_key(id, file), data)
        return NewCheckpoint(
            id=id,
            project_id=DEFAULT_PROJECT,
            job_number=self.fence.number,
            kinds=kinds,
            losses=EpochLosses.of(epoch, train=1.0, val=1.0),
            files=[file],
        )

    def _discard(self, superfluous: list[str]) -> None:
        for id in superfluous:
            self.storage.delete(checkpoint_folder(id))

    def finish(self, epoch: int, reason: StopReason) -> None:
        """The last checkpoint and the end, in one transaction."""
        new = self._stored(epoch, frozenset({"best", "last"}))
        with self.database.write() as connection:
            leases.note(connection, self.fence)
            superfluous = checkpoints.publish(connection, new, keep=PERIODIC_KEPT)
            events.append(connection, self.fence.number, "job.checkpoint", checkpoint=new.id, epoch=epoch)
            points = recovery.forget_all(connection, self.fence.number)
            leases.finish(connection, self.fence, Ending(reason=reason))
        self._discard(superfluous)
        for id in points:
            self.storage.delete(recovery_folder(id))

    def give_back(self) -> None:
        """Stop politely."""
        with self.database.write() as connection:
            leases.give_back(connection, self.fence)

    def unpack(self) -> None:
        """Stop, to be trained alone."""
        with self.database.write() as connection:
            leases.unpack(connection, self.fence, limit=1)

    def renew(self) -> bool:
        """False where the lease is lost."""
        with self.database.write() as connection:
            return leases.renew(connection, [self.fence], lease_seconds=FOREVER) == []
