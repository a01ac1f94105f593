"""One job's part of a run: what its attempt stores, from the first report to the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from sqlalchemy import Connection

from app.domain.blobs import recovery_folder
from app.domain.history import HeldOut
from app.domain.job import Status, StopReason
from app.domain.numbers import to_json
from app.domain.spec import ResolvedSpec
from app.persistence import leases, outages, recovery, reports
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.leases import Ending, Fence
from app.persistence.rows import JobRow, RecoveryRow
from app.storage.storage import Storage
from worker.engine.reports import EpochLosses, MemberReport
from worker.engine.stack import Stack
from worker.lost import note_loss
from worker.outage import reason_of, sentence
from worker.publishing import Draft, Publisher
from worker.pulse import Periods
from worker.reporting import losses_of, progress_of

log = structlog.get_logger()


@dataclass(frozen=True)
class Saving:
    """What a member goes on from if its process dies now."""

    epoch: int
    point: Draft[RecoveryRow]
    checkpoints: list[Draft[NewCheckpoint]]

    @property
    def contents(self) -> dict[str, bytes]:
        """The files, by their keys."""
        return self.point.contents | _contents(self.checkpoints)


@dataclass(frozen=True)
class Closing:
    """What a member that ended leaves."""

    report: MemberReport
    checkpoints: list[Draft[NewCheckpoint]]
    ending: Ending

    @property
    def contents(self) -> dict[str, bytes]:
        """The files, by their keys."""
        return _contents(self.checkpoints)


class Attempt:
    """Writes about a job as long as its fence holds; every method may raise LeaseLost, and then nothing was written."""

    def __init__(self, job: JobRow, *, database: Database, storage: Storage, periods: Periods) -> None:
        self.job, self.fence = job, Fence(job.number, job.attempt)
        self._database, self._storage, self._periods = database, storage, periods
        self._publisher: Publisher | None = None
        # What an earlier attempt met may be over; the first file that is stored says so.
        self._refused = True
        self._measured_at: dict[int, EpochLosses] = {}

    def begin(self, spec: ResolvedSpec, *, stack: Stack, position: int, publisher: Publisher) -> None:
        """Take a place in a stack."""
        self._spec, self._stack, self._position, self._publisher = spec, stack, position, publisher

    @property
    def _files(self) -> Publisher:
        assert self._publisher is not None
        return self._publisher

    def record(self, connection: Connection, report: MemberReport, *, lease_seconds: float) -> Status:
        """Store a report's epochs; the status says what the caller asked for meanwhile."""
        return reports.record(connection, self.fence, progress_of(report), lease_seconds=lease_seconds)

    def publish_periodic(self, report: MemberReport) -> None:
        """Publish the periodic checkpoints that fell due, as far as the storage takes them."""
        with self._tolerating(report.epoch):
            for losses, exported in report.periodic:
                self._publish([self._files.store(losses_of(losses), exported, kinds=["periodic"])])

    def saving(self, report: MemberReport) -> Saving:
        """A recovery point, and best and last so far: a job may end by a crash or a cancel that no training process sees."""
        point = self._files.draft_state(self._stack.recovery_state(self._position))
        return Saving(report.epoch, point, self._last_checkpoints(self._measured(report)))

    def save(self, saving: Saving) -> None:
        """Point at what is durable now."""
        with self._tolerating(saving.epoch):
            with self._database.write() as connection:
                leases.note(connection, self.fence)
                old = recovery.add(connection, saving.point.row)
            self._files.discard_states(old)
            self._publish([draft.row for draft in saving.checkpoints])

    def go_without(self, saving: Saving, error: OSError) -> None:
        """The storage refused the files: those before stay as they are, and the training goes on."""
        with suppress(OSError):  # as below
            self._files.discard_states([saving.point.row.id])
        self._note_outage(error, epoch=saving.epoch)

    @contextmanager
    def _tolerating(self, epoch: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._note_outage(error, epoch=epoch)
        else:
            self._note_recovery(epoch)

    def _note_outage(self, error: OSError, *, epoch: int) -> None:
        log.error("storage.failed", epoch=epoch, error=str(error))
        self._withdraw()
        self._refused = True
        with self._database.write() as connection:
            leases.note(connection, self.fence)
            outages.begin(connection, self.job.number, epoch=epoch, reason=reason_of(error))

    def _note_recovery(self, epoch: int) -> None:
        if self._refused:
            with self._database.write() as connection:
                leases.note(connection, self.fence)
                outages.end(connection, self.job.number, epoch=epoch)
            self._refused = False

    def _withdraw(self) -> None:
        with suppress(OSError):  # then the janitor does it
            if self._publisher:
                self._publisher.withdraw()

    def put_off(self, error: OSError) -> None:
        """Give the job back, to go on from its last recovery point when the storage may work again; not for ever."""
        log.error("storage.failed", epoch=self.job.epoch, error=str(error))
        self._withdraw()
        with self._database.write() as connection:
            job = leases.note(connection, self.fence)
            seconds = outages.begin(connection, job.number, epoch=job.epoch, reason=reason_of(error))
            if seconds > self._periods.patience and job.status is not Status.CANCELLING:
                ending = Ending(reason=StopReason.INTERNAL_ERROR, message=sentence(error, seconds=seconds))
                leases.finish(connection, self.fence, ending)
            else:
                leases.give_back(connection, self.fence, wait_seconds=self._periods.retry)

    def give_back(self, *, wait_seconds: float = 0) -> None:
        """Return the job: queued, paused or cancelled; if queued, not to be claimed again before a while."""
        with self._database.write() as connection:
            leases.give_back(connection, self.fence, wait_seconds=wait_seconds)

    def unpack(self, *, limit: int) -> None:
        """Return the job, to be trained among at most `limit` members."""
        with self._database.write() as connection:
            leases.unpack(connection, self.fence, limit=limit)

    def closing(self, report: MemberReport, reason: StopReason) -> Closing:
        """What is left of a member that ended: the last epochs, the last checkpoints, and why."""
        report = self._measured(report)
        ending = Ending(reason=reason, message=report.message, test=self._test(report))
        return Closing(report, self._last_checkpoints(report), ending)

    def close(self, closing: Closing, *, lease_seconds: float) -> None:
        """The last epochs, the last checkpoints and the end of the job in one transaction, now that the files are durable."""
        with self._database.write() as connection:
            self.record(connection, closing.report, lease_seconds=lease_seconds)
            new = [draft.row for draft in closing.checkpoints]
            superfluous = [id for one in new for id in self._files.publish(connection, one, final=True)]
            points = recovery.forget_all(connection, self.job.number)
            outages.end(connection, self.job.number, epoch=closing.report.epoch)
            leases.finish(connection, self.fence, closing.ending)
        with suppress(OSError):  # the job is over either way; what stays the janitor removes
            self._files.discard(superfluous)
            self._files.discard_states(points)

    def fail(self, ending: Ending) -> None:
        """End the job where it cannot go on."""
        with self._database.write() as connection:
            leases.finish(connection, self.fence, ending)
            points = recovery.forget_all(connection, self.job.number)
        with suppress(OSError):  # as above
            for id in points:
                self._storage.delete(recovery_folder(id))

    def note_loss(self) -> None:
        """Say that another attempt has the job."""
        note_loss(self._database)

    def _publish(self, new: Sequence[NewCheckpoint]) -> None:
        with self._database.write() as connection:
            leases.note(connection, self.fence)
            superfluous = [id for one in new for id in self._files.publish(connection, one, final=False)]
        self._files.discard(superfluous)

    def _measured(self, report: MemberReport) -> MemberReport:
        """With the metrics that are too dear for every epoch, for the best and the last one; without a loss there are none."""
        if report.finished is StopReason.INVALID_LOSS:
            return report
        best = report.best and self._with_all_metrics(report.best, "best")
        last = report.last and self._with_all_metrics(report.last, "last")
        self._measured_at = {losses.epoch: losses for losses in (best, last) if losses}
        latest = report.latest
        if last and latest and last.epoch == latest.epoch:
            latest = replace(latest, metrics=last.metrics | latest.metrics)
        return replace(report, best=best, last=last, latest=latest)

    def _with_all_metrics(self, losses: EpochLosses, which: Literal["best", "last"]) -> EpochLosses:
        """The best epoch often stays the same from one recovery point to the next: it was measured then."""
        if not self._spec.judged_rows:
            return losses
        if losses.epoch not in self._measured_at:
            _, measured = self._stack.evaluate(self._position, "validation", which)
            found = {f"val_{name}": value for name, value in measured.items()}
            kept = losses.metrics if self._spec.calibration == "none" else {}
            self._measured_at[losses.epoch] = replace(losses, metrics=losses.metrics | found | kept)
        return self._measured_at[losses.epoch]

    def _last_checkpoints(self, report: MemberReport) -> list[Draft[NewCheckpoint]]:
        """Best and last; the last one also has what training would go on from.

        Where the watched metric never was a number no epoch is the best, and the last one stands for it.
        """
        if report.last is None:
            return []
        draft, exported, position = self._files.draft, self._stack.exported, self._position
        state = self._stack.recovery_state(position)
        best, last = losses_of(report.best or report.last), losses_of(report.last)
        if last.epoch == best.epoch:
            return [draft(best, exported(position, "best"), kinds=["best", "last"], state=state)]
        return [
            draft(best, exported(position, "best"), kinds=["best"]),
            draft(last, exported(position, "last"), kinds=["last"], state=state),
        ]

    def _test(self, report: MemberReport) -> HeldOut | None:
        chosen = report.best or report.last
        if not self._spec.test_rows or chosen is None or report.finished is StopReason.INVALID_LOSS:
            return None
        loss, metrics = self._stack.evaluate(self._position, "test", "best")
        named = {name: to_json(value) for name, value in metrics.items()}
        return HeldOut(epoch=chosen.epoch, loss=to_json(loss), metrics=named)


def _contents(drafts: Sequence[Draft[NewCheckpoint]]) -> dict[str, bytes]:
    return {key: data for draft in drafts for key, data in draft.contents.items()}
