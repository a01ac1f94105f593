"""One attempt at one job, from claim to finish."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import structlog
import torch
from sqlalchemy.exc import DBAPIError

from app.domain.blobs import recovery_folder
from app.domain.history import HeldOut
from app.domain.job import Status, StopReason
from app.domain.numbers import to_json
from app.persistence import leases, recovery
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.leases import Ending, Fence, LeaseLost
from app.persistence.rows import JobRow
from app.storage.storage import Storage
from worker.engine.reports import EpochLosses, MemberReport
from worker.engine.stack import Stack
from worker.failures import failure_of
from worker.preparation import prepare
from worker.provenance import provenance
from worker.publishing import Publisher
from worker.pulse import Periods, Pulse
from worker.reporting import losses_of, progress_of

log = structlog.get_logger()

DTYPES = {"fp32": torch.float32, "fp64": torch.float64}


class Run:
    """Trains a claimed job and stores everything that comes of it."""

    def __init__(
        self,
        job: JobRow,
        *,
        database: Database,
        storage: Storage,
        pulse: Pulse,
        periods: Periods,
        device: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._job = job
        self._fence = Fence(job.number, job.attempt)
        self._database = database
        self._storage = storage
        self._pulse = pulse
        self._periods = periods
        self._device = device
        self._stopping = stopping
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Train to the end, or until the job is paused, cancelled, yielded or taken away."""
        try:
            with self._pulse.holding(self._fence, self._job.id):
                self._train()
        except LeaseLost:
            log.warning("lease.lost", job=self._job.id, attempt=self._job.attempt)
        except (DBAPIError, OSError) as error:  # the world, not the job: its lease runs out and another attempt continues it
            log.exception("run.abandoned", job=self._job.id, error=type(error).__name__)
        except Exception as error:
            log.exception("run.failed", job=self._job.id)
            self._fail(failure_of(error))

    def _fail(self, ending: Ending) -> None:
        try:
            with self._database.write() as connection:
                leases.finish(connection, self._fence, ending)
                points = recovery.forget_all(connection, self._job.number)
        except LeaseLost:
            log.warning("lease.lost", job=self._job.id, attempt=self._job.attempt)
            return
        with suppress(OSError):  # the job is over either way
            for id in points:
                self._storage.delete(recovery_folder(id))

    def _train(self) -> None:
        prepared = prepare(self._job, database=self._database, storage=self._storage, alive=self._pulse.progress)
        self._spec = prepared.member.spec
        facts = provenance(self._job, self._spec, device=self._device, continued=prepared.state is not None)
        self._publisher = Publisher(
            self._job, self._spec, prepared.loaded, database=self._database, storage=self._storage, provenance=facts
        )
        with self._database.write() as connection:
            leases.note(connection, self._fence, reproducibility=facts)
        self._stack = Stack(
            [prepared.member],
            dtype=DTYPES[self._spec.precision],
            device=self._device,
            states=[prepared.state],
            report_seconds=self._periods.report,
        )
        for [report] in self._stack.train():
            self._pulse.progress()
            if self._handle(report):
                return

    def _handle(self, report: MemberReport) -> bool:
        """Store a report; True when this attempt is over."""
        for losses, weights in report.periodic:
            self._publish([self._publisher.store(losses_of(losses), weights, kinds=["periodic"])])
            self._pulse.progress()
        if report.finished:
            self._finish(report, report.finished)
            return True
        with self._database.write() as connection:
            status = leases.record(connection, self._fence, progress_of(report), lease_seconds=self._periods.lease)
        if status is Status.CANCELLING:
            self._stack.stop(0, StopReason.CANCELLED)  # one more report follows, with the last epoch whatever record_every says
            return False
        leaving = status is Status.PAUSING or self._stopping()
        if leaving or time.monotonic() - self._saved_at >= self._periods.checkpoint:
            self._save(report)
        if leaving:
            with self._database.write() as connection:
                leases.give_back(connection, self._fence)
        return leaving

    def _save(self, report: MemberReport) -> None:
        """A recovery point, and best and last so far: a job may end by a crash or a cancel that no training process sees."""
        point = self._publisher.store_state(self._stack.recovery_state(0))
        with self._database.write() as connection:
            leases.note(connection, self._fence)
            old = recovery.add(connection, point)
        self._publisher.discard_states(old)
        self._publish(self._last_checkpoints(self._measured(report)))
        self._saved_at = time.monotonic()

    def _publish(self, new: list[NewCheckpoint]) -> None:
        with self._database.write() as connection:
            leases.note(connection, self._fence)
            superfluous = [id for one in new for id in self._publisher.publish(connection, one, final=False)]
        self._publisher.discard(superfluous)

    def _finish(self, report: MemberReport, reason: StopReason) -> None:
        """The last checkpoints, the last epochs and the end of the job: one transaction, after the bytes are durable."""
        report = self._measured(report)
        new = self._last_checkpoints(report)
        ending = Ending(reason=reason, message=report.message, test=self._test(report))
        with self._database.write() as connection:
            leases.record(connection, self._fence, progress_of(report), lease_seconds=self._periods.lease)
            superfluous = [id for one in new for id in self._publisher.publish(connection, one, final=True)]
            points = recovery.forget_all(connection, self._job.number)
            leases.finish(connection, self._fence, ending)
        self._publisher.discard(superfluous)
        self._publisher.discard_states(points)

    def _measured(self, report: MemberReport) -> MemberReport:
        """With the metrics that are too dear for every epoch, for the best and the last one."""
        best = report.best and self._with_all_metrics(report.best, "best")
        last = report.last and self._with_all_metrics(report.last, "last")
        latest = last if last and report.latest and last.epoch == report.latest.epoch else report.latest
        return replace(report, best=best, last=last, latest=latest)

    def _with_all_metrics(self, losses: EpochLosses, which: Literal["best", "last"]) -> EpochLosses:
        if not self._spec.validation_rows:
            return losses
        _, measured = self._stack.evaluate(0, "validation", which)
        missing = {f"val_{name}": value for name, value in measured.items() if f"val_{name}" not in losses.metrics}
        return replace(losses, metrics=losses.metrics | missing)

    def _last_checkpoints(self, report: MemberReport) -> list[NewCheckpoint]:
        """Best and last; the last one also has what training would go on from.

        Where the watched metric never was a number no epoch is the best, and the last one stands for it.
        """
        if report.last is None:
            return []
        store, state = self._publisher.store, self._stack.recovery_state(0)
        best, last = losses_of(report.best or report.last), losses_of(report.last)
        if last.epoch == best.epoch:
            return [store(best, self._stack.weights(0, "best"), kinds=["best", "last"], state=state)]
        return [
            store(best, self._stack.weights(0, "best"), kinds=["best"]),
            store(last, self._stack.weights(0, "last"), kinds=["last"], state=state),
        ]

    def _test(self, report: MemberReport) -> HeldOut | None:
        chosen = report.best or report.last
        if not self._spec.test_rows or chosen is None:
            return None
        loss, metrics = self._stack.evaluate(0, "test", "best")
        named = {name: to_json(value) for name, value in metrics.items()}
        return HeldOut(epoch=chosen.epoch, loss=to_json(loss), metrics=named)
