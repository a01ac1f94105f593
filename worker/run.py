"""One run of a claimed pack, from the claim until every member has ended or was given back."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog
import torch
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from app.domain.job import Status, StopReason
from app.domain.spec import ResolvedSpec
from app.persistence import leases
from app.persistence.database import Database
from app.persistence.leases import Ending, LeaseLost
from app.persistence.reports import record_all
from app.persistence.rows import JobRow
from app.storage.storage import Storage
from worker.attempt import Attempt, Closing, Saving
from worker.dataset_files import DatasetFiles, dataset_files
from worker.durable import durable
from worker.engine.recovery import position_of
from worker.engine.reports import MemberReport
from worker.engine.stack import Stack
from worker.failures import DeviceLost, failure_of, is_device_lost, is_out_of_memory, release
from worker.insisting import AWAY, insist
from worker.preparation import Prepared, prepare
from worker.provenance import provenance
from worker.publishing import Publisher
from worker.pulse import Periods, Pulse
from worker.reporting import progress_of

log = structlog.get_logger()

# bf16 rounds the factors of products alone.
DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.float32}


class Stopped(Exception):
    """Raised where the worker stops while a job is still being prepared."""


class Run:
    """Trains the jobs of one stack and stores everything that comes of them; each by its own attempt."""

    def __init__(
        self,
        pack: Sequence[JobRow],
        *,
        database: Database,
        storage: Storage,
        pulse: Pulse,
        periods: Periods,
        device: str,
        stopping: Callable[[], bool],
        interrupted: Callable[[], bool] | None = None,
    ) -> None:
        self._pack = pack
        self._database = database
        self._storage = storage
        self._pulse = pulse
        self._periods = periods
        self._device = device
        self._stopping = stopping
        self._interrupted = interrupted or stopping
        self._saved_at = time.monotonic()
        self.spoiled = False
        """An error may have left this process unfit for another job."""
        self._attempts = {_seat(job): Attempt(job, database=database, storage=storage, periods=periods) for job in pack}
        self._fences = {attempt.fence: attempt.job.id for attempt in self._attempts.values()}

    def run(self) -> None:
        """Train to the end, or until every job is paused, cancelled, yielded or taken away."""
        with self._pulse.holding(self._fences):
            try:
                self._train()
            except DeviceLost:
                raise
            except Stopped:
                self._return_all()
            except AWAY as error:
                log.exception("database.failed", jobs=self._ids(), error=type(error).__name__)
                self._return_all(wait_seconds=self._periods.pause)
            except Exception as error:
                self._check_device(error)
                log.exception("run.failed", jobs=self._ids())
                self._break_up(error)
                release(error)

    def _check_device(self, error: Exception) -> None:
        """A lost device is nobody's end: this process is, and its parent gives the jobs back as those of any that died."""
        if is_device_lost(error, gpu=self._device == "cuda"):
            log.error("device.lost", jobs=self._ids(), error=str(error))
            raise DeviceLost from error

    def _return_all(self, *, wait_seconds: float = 0) -> None:
        """Give the jobs back, as soon as the database answers."""
        insist(partial(self._give_back, wait_seconds), stopping=self._stopping, alive=self._pulse.progress)

    def _give_back(self, wait_seconds: float) -> None:
        for position in list(self._attempts):
            with self._about(position) as attempt:
                attempt.give_back(wait_seconds=wait_seconds)
                self._drop(position)

    def _ids(self) -> list[str]:
        return [attempt.job.id for attempt in self._attempts.values()]

    def _break_up(self, error: Exception) -> None:
        """The stack failed: a job that was alone in it fails, of several one may be to blame, so they go on apart."""
        ending, size = self._failure(self._pack[0], error), self._pack[0].stack_size or 1
        limit = size // 2 if ending.reason is StopReason.OUT_OF_MEMORY else 1
        try:
            for position in list(self._attempts):
                with self._about(position) as attempt:
                    if size == 1:
                        attempt.fail(ending)
                    else:
                        attempt.unpack(limit=limit)
                    self._drop(position)
        except SQLAlchemyError as failure:  # their leases run out, and that is counted as a crash
            log.exception("run.abandoned", jobs=self._ids(), error=type(failure).__name__)

    def _train(self) -> None:
        prepared = self._prepared()
        if not prepared:
            return
        stack = self._stacked(prepared)
        for reports in stack.train():
            self._pulse.progress()
            self._handle(reports, stack)
            if not self._attempts:
                return

    def _prepared(self) -> dict[int, Prepared]:
        """The members that can train, by their place; a job that cannot be read fails by itself."""
        prepared: dict[int, Prepared] = {}
        with dataset_files(self._storage, alive=self._alive) as files:
            for position in list(self._attempts):
                with self._about(position) as attempt:
                    if one := self._prepare(attempt, position, files):
                        prepared[position] = one
        return self._in_step(prepared)

    def _prepare(self, attempt: Attempt, position: int, files: DatasetFiles) -> Prepared | None:
        """None where the storage does not answer: the job waits until it may."""
        try:
            return prepare(attempt.job, database=self._database, storage=self._storage, files=files, alive=self._alive)
        except OSError as error:
            attempt.put_off(error)
            self._drop(position)
            return None

    def _alive(self) -> None:
        self._pulse.progress()
        if self._interrupted():
            raise Stopped

    def _in_step(self, prepared: dict[int, Prepared]) -> dict[int, Prepared]:
        """Without those that fell back behind a damaged recovery point: they train on their own."""
        places = {position: _place(one) for position, one in prepared.items()}
        for position in [position for position, place in places.items() if place != next(iter(places.values()))]:
            del prepared[position]
            with self._about(position) as attempt:
                attempt.give_back()
                self._drop(position)
        return prepared

    def _stacked(self, prepared: dict[int, Prepared]) -> Stack:
        places = range(self._pack[0].stack_size or 1)
        spec = next(iter(prepared.values())).member.spec
        stack = Stack(
            [prepared[place].member if place in prepared else None for place in places],
            dtype=DTYPES[spec.precision],
            device=self._device,
            states=[prepared[place].state if place in prepared else None for place in places],
            report_seconds=self._periods.report,
        )
        for position, one in prepared.items():
            with self._about(position, stack) as attempt:
                self._begin(attempt, one, stack=stack, position=position)
        return stack

    def _begin(self, attempt: Attempt, prepared: Prepared, *, stack: Stack, position: int) -> None:
        spec = prepared.member.spec
        facts = provenance(attempt.job, spec, device=self._device, continued=prepared.state is not None)
        publisher = Publisher(
            attempt.job, spec, prepared.fitted, database=self._database, storage=self._storage, provenance=facts
        )
        attempt.begin(spec, stack=stack, position=position, publisher=publisher)
        with self._database.write() as connection:
            leases.note(connection, attempt.fence, reproducibility=facts)

    def _handle(self, reports: Sequence[MemberReport], stack: Stack) -> None:
        """Store what is new, let go who has ended, and do what callers asked for."""
        here = [report for report in reports if report.position in self._attempts]
        for report in here:
            if report.periodic:
                with self._about(report.position, stack) as attempt:
                    attempt.publish_periodic(report)
                    self._pulse.progress()
        self._finish([report for report in here if report.finished and report.position in self._attempts], stack)
        going = [report for report in here if not report.finished and report.position in self._attempts]
        statuses = self._record(going, stack)
        for position in [position for position, status in statuses.items() if status is Status.CANCELLING]:
            # One more report follows, with the last epoch whatever record_every says.
            stack.stop(position, StopReason.CANCELLED)
            del statuses[position]
        self._leave_or_save([report for report in going if report.position in statuses], statuses, stack)

    def _finish(self, ended: Sequence[MemberReport], stack: Stack) -> None:
        for position, closing, refused in durable(self._storage, self._closings(ended, stack)):
            with self._about(position, stack) as attempt:
                if refused:
                    attempt.put_off(refused)
                else:
                    attempt.close(closing, lease_seconds=self._periods.lease)
                self._drop(position)
                self._pulse.progress()

    def _closings(self, ended: Sequence[MemberReport], stack: Stack) -> Iterator[tuple[int, Closing]]:
        for report in ended:
            with self._about(report.position, stack) as attempt:
                assert report.finished
                closing = attempt.closing(report, report.finished)
                self._pulse.progress()
                yield report.position, closing

    def _save(self, reports: Sequence[MemberReport], stack: Stack) -> None:
        for position, saving, refused in durable(self._storage, self._savings(reports, stack)):
            with self._about(position, stack) as attempt:
                if refused:
                    attempt.go_without(saving, refused)
                else:
                    attempt.save(saving)
                self._pulse.progress()

    def _savings(self, reports: Sequence[MemberReport], stack: Stack) -> Iterator[tuple[int, Saving]]:
        for report in reports:
            with self._about(report.position, stack) as attempt:
                saving = attempt.saving(report)
                self._pulse.progress()
                yield report.position, saving

    def _record(self, reports: Sequence[MemberReport], stack: Stack) -> dict[int, Status]:
        """One transaction for all members; one whose lease is lost writes nothing and leaves."""
        if not reports:
            return {}
        new = {self._attempts[report.position].fence: progress_of(report) for report in reports}
        with self._database.write() as connection:
            held = record_all(connection, new, lease_seconds=self._periods.lease)
        positions = dict(zip(new, [report.position for report in reports], strict=True))
        for fence in new.keys() - held.keys():
            with self._about(positions[fence], stack):
                raise LeaseLost(fence)
        return {positions[fence]: status for fence, status in held.items()}

    def _leave_or_save(self, reports: Sequence[MemberReport], statuses: dict[int, Status], stack: Stack) -> None:
        stopping = self._stopping()
        leaving = {report.position for report in reports if stopping or statuses[report.position] is Status.PAUSING}
        due = time.monotonic() - self._saved_at >= self._periods.checkpoint
        self._save([report for report in reports if due or report.position in leaving], stack)
        if due:
            self._saved_at = time.monotonic()
        for position in leaving & self._attempts.keys():
            with self._about(position, stack) as attempt:
                attempt.give_back()
                self._drop(position)
                stack.leave(position)

    @contextmanager
    def _about(self, position: int, stack: Stack | None = None) -> Iterator[Attempt]:
        """What goes wrong in here is this job's alone: it ends or is left to its new owner, the others go on."""
        attempt = self._attempts[position]
        with bound_contextvars(**attempt.job.words), self._alone(attempt, position, stack):
            yield attempt

    @contextmanager
    def _alone(self, attempt: Attempt, position: int, stack: Stack | None) -> Iterator[None]:
        try:
            yield
        except (*AWAY, Stopped):
            raise
        except Exception as error:
            self._check_device(error)
            if is_out_of_memory(error) and (self._pack[0].stack_size or 1) > 1:
                raise  # the memory is the stack's: it is halved
            if isinstance(error, LeaseLost):
                attempt.note_loss()
            else:
                log.exception("job.failed")
                self._fail(attempt, error)
            self._drop(position)
            if stack:
                stack.leave(position)

    def _fail(self, attempt: Attempt, error: Exception) -> None:
        try:
            attempt.fail(self._failure(attempt.job, error))
        except LeaseLost:
            attempt.note_loss()

    def _failure(self, job: JobRow, error: Exception) -> Ending:
        self.spoiled = self.spoiled or is_out_of_memory(error)
        return failure_of(error, ResolvedSpec.model_validate(job.resolved_spec), gpu=self._device == "cuda")

    def _drop(self, position: int) -> None:
        del self._fences[self._attempts.pop(position).fence]


def _seat(job: JobRow) -> int:
    assert job.stack_position is not None
    return job.stack_position


def _place(prepared: Prepared) -> tuple[int, int]:
    return position_of(prepared.state) if prepared.state else (0, 0)
