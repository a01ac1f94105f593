"""One run of a claimed pack, from the claim until every member has ended or was given back."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
import torch
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from app.domain.job import Status, StopReason
from app.domain.spec import ResolvedSpec
from app.persistence import leases
from app.persistence.database import Database
from app.persistence.leases import Ending, LeaseLost
from app.persistence.rows import JobRow
from app.storage.storage import Storage
from worker.attempt import Attempt
from worker.engine.recovery import position_of
from worker.engine.reports import MemberReport
from worker.engine.stack import Stack
from worker.failures import failure_of
from worker.preparation import Prepared, prepare
from worker.provenance import provenance
from worker.publishing import Publisher
from worker.pulse import Periods, Pulse

log = structlog.get_logger()

# Between two looks at a database that is away.
_PATIENCE_SECONDS = 0.5

DTYPES = {"fp32": torch.float32, "fp64": torch.float64}


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
    ) -> None:
        self._pack = pack
        self._database = database
        self._storage = storage
        self._pulse = pulse
        self._periods = periods
        self._device = device
        self._stopping = stopping
        self._saved_at = time.monotonic()
        self._attempts = {_seat(job): Attempt(job, database=database, storage=storage) for job in pack}
        self._fences = {attempt.fence: attempt.job.id for attempt in self._attempts.values()}

    def run(self) -> None:
        """Train to the end, or until every job is paused, cancelled, yielded or taken away."""
        try:
            with self._pulse.holding(self._fences):
                self._train()
        except (OperationalError, InterfaceError) as error:  # the database is away; it is no fault of the jobs
            log.exception("run.interrupted", jobs=self._ids(), error=type(error).__name__)
            self._return()
        except (DBAPIError, OSError) as error:  # the world, not the jobs: their leases run out and others continue them
            log.exception("run.abandoned", jobs=self._ids(), error=type(error).__name__)
        except Exception as error:
            log.exception("run.failed", jobs=self._ids())
            self._break_up(error)

    def _ids(self) -> list[str]:
        return [attempt.job.id for attempt in self._attempts.values()]

    def _return(self) -> None:
        """Give the jobs back once the database answers; a lease that runs out before counts as a crash."""
        end = time.monotonic() + self._periods.lease
        while self._attempts and time.monotonic() < end and not self._stopping():
            time.sleep(_PATIENCE_SECONDS)
            with suppress(OperationalError, InterfaceError):
                for position in list(self._attempts):
                    with self._about(position) as attempt:
                        attempt.give_back()
                        self._drop(position)

    def _break_up(self, error: Exception) -> None:
        """The stack failed: a job that was alone in it fails, of several one may be to blame, so they go on apart."""
        ending, size = self._failure(self._pack[0], error), self._pack[0].stack_size or 1
        limit = size // 2 if ending.reason is StopReason.OUT_OF_MEMORY else 1
        for position in list(self._attempts):
            with self._about(position) as attempt:
                if size == 1:
                    attempt.fail(ending)
                else:
                    attempt.unpack(limit=limit)
                self._drop(position)

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
        prepared = {}
        for position in list(self._attempts):
            with self._about(position) as attempt:
                prepared[position] = prepare(
                    attempt.job, database=self._database, storage=self._storage, alive=self._pulse.progress
                )
        return self._in_step(prepared)

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
            attempt.job, spec, prepared.loaded, database=self._database, storage=self._storage, provenance=facts
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
            if report.finished:
                self._finish(report, report.finished, stack)
        going = [report for report in here if not report.finished and report.position in self._attempts]
        statuses = self._record(going, stack)
        for position in [position for position, status in statuses.items() if status is Status.CANCELLING]:
            stack.stop(
                position, StopReason.CANCELLED
            )  # one more report follows, with the last epoch whatever record_every says
            del statuses[position]
        self._leave_or_save([report for report in going if report.position in statuses], statuses, stack)

    def _finish(self, report: MemberReport, reason: StopReason, stack: Stack) -> None:
        with self._about(report.position, stack) as attempt:
            attempt.finish(report, reason, lease_seconds=self._periods.lease)
            self._drop(report.position)
            self._pulse.progress()

    def _record(self, reports: Sequence[MemberReport], stack: Stack) -> dict[int, Status]:
        """One transaction for all members; one whose lease is lost writes nothing and leaves."""
        statuses: dict[int, Status] = {}
        if not reports:
            return statuses
        lost = []
        with self._database.write() as connection:
            for report in reports:
                attempt = self._attempts[report.position]
                try:
                    statuses[report.position] = attempt.record(connection, report, lease_seconds=self._periods.lease)
                except LeaseLost:  # told by an update of no row: the transaction is whole
                    lost.append(report.position)
        for position in lost:
            with self._about(position, stack) as attempt:
                raise LeaseLost(attempt.fence)
        return statuses

    def _leave_or_save(self, reports: Sequence[MemberReport], statuses: dict[int, Status], stack: Stack) -> None:
        stopping = self._stopping()
        leaving = {report.position for report in reports if stopping or statuses[report.position] is Status.PAUSING}
        due = time.monotonic() - self._saved_at >= self._periods.checkpoint
        for report in reports:
            if due or report.position in leaving:
                with self._about(report.position, stack) as attempt:
                    attempt.save(report)
                    self._pulse.progress()
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
        try:
            yield attempt
        except (DBAPIError, OSError):
            raise
        except Exception as error:
            if isinstance(error, LeaseLost):
                log.warning("lease.lost", job=attempt.job.id, attempt=attempt.job.attempt)
            else:
                log.exception("job.failed", job=attempt.job.id)
                self._fail(attempt, error)
            self._drop(position)
            if stack:
                stack.leave(position)

    def _fail(self, attempt: Attempt, error: Exception) -> None:
        try:
            attempt.fail(self._failure(attempt.job, error))
        except LeaseLost:
            log.warning("lease.lost", job=attempt.job.id, attempt=attempt.job.attempt)

    def _failure(self, job: JobRow, error: Exception) -> Ending:
        return failure_of(error, ResolvedSpec.model_validate(job.resolved_spec), gpu=self._device == "cuda")

    def _drop(self, position: int) -> None:
        del self._fences[self._attempts.pop(position).fence]


def _seat(job: JobRow) -> int:
    assert job.stack_position is not None
    return job.stack_position


def _place(prepared: Prepared) -> tuple[int, int]:
    return position_of(prepared.state) if prepared.state else (0, 0)
