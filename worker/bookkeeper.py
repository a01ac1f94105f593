"""What a stack reports, stored: epochs, checkpoints, recovery points, ends; and what callers ask for meanwhile, done."""

import time
from collections.abc import Callable, Iterator, Sequence

from app.domain.job import Status, StopReason
from app.persistence.database import Database
from app.persistence.leases import LeaseLost
from app.persistence.reports import record_all
from app.storage.storage import Storage
from worker.attempt import Closing, Saving
from worker.durable import durable
from worker.engine.reports import MemberReport
from worker.engine.stack import Stack
from worker.pack import Pack
from worker.pulse import Periods, Pulse
from worker.reporting import progress_of


class Bookkeeper:
    """Of one stack, whose members are a pack's jobs."""

    def __init__(
        self,
        pack: Pack,
        stack: Stack,
        *,
        database: Database,
        storage: Storage,
        pulse: Pulse,
        periods: Periods,
        stopping: Callable[[], bool],
    ) -> None:
        self._pack, self._stack = pack, stack
        self._database, self._storage = database, storage
        self._pulse, self._periods = pulse, periods
        self._stopping = stopping
        self._saved_at = time.monotonic()

    def handle(self, reports: Sequence[MemberReport]) -> None:
        """Store what is new, let go who has ended, and do what callers asked for."""
        here = [report for report in reports if report.position in self._pack]
        for report in here:
            if report.periodic:
                with self._pack.about(report.position) as attempt:
                    attempt.publish_periodic(report)
                    self._pulse.progress()
        self._finish([report for report in here if report.finished and report.position in self._pack])
        going = [report for report in here if not report.finished and report.position in self._pack]
        statuses = self._record(going)
        for position in [position for position, status in statuses.items() if status is Status.CANCELLING]:
            # One more report follows, with the last epoch whatever record_every says.
            self._stack.stop(position, StopReason.CANCELLED)
            del statuses[position]
        self._leave_or_save([report for report in going if report.position in statuses], statuses)

    def _finish(self, ended: Sequence[MemberReport]) -> None:
        for position, closing, refused in durable(self._storage, self._closings(ended)):
            with self._pack.about(position) as attempt:
                with self._pack.leaving(position):
                    if refused:
                        attempt.put_off(refused)
                    else:
                        attempt.close(closing, lease_seconds=self._periods.lease)
                self._pulse.progress()

    def _closings(self, ended: Sequence[MemberReport]) -> Iterator[tuple[int, Closing]]:
        for report in ended:
            with self._pack.about(report.position) as attempt:
                assert report.finished
                closing = attempt.closing(report, report.finished)
                self._pulse.progress()
                yield report.position, closing

    def _save(self, reports: Sequence[MemberReport]) -> None:
        for position, saving, refused in durable(self._storage, self._savings(reports)):
            with self._pack.about(position) as attempt:
                if refused:
                    attempt.go_without(saving, refused)
                else:
                    attempt.save(saving)
                self._pulse.progress()

    def _savings(self, reports: Sequence[MemberReport]) -> Iterator[tuple[int, Saving]]:
        for report in reports:
            with self._pack.about(report.position) as attempt:
                saving = attempt.saving(report)
                self._pulse.progress()
                yield report.position, saving

    def _record(self, reports: Sequence[MemberReport]) -> dict[int, Status]:
        """One transaction for all members; one whose lease is lost writes nothing and leaves."""
        if not reports:
            return {}
        new = {self._pack[report.position].fence: progress_of(report) for report in reports}
        with self._database.write() as connection:
            held = record_all(connection, new, lease_seconds=self._periods.lease)
        positions = dict(zip(new, [report.position for report in reports], strict=True))
        for fence in new.keys() - held.keys():
            with self._pack.about(positions[fence]):
                raise LeaseLost(fence)
        return {positions[fence]: status for fence, status in held.items()}

    def _leave_or_save(self, reports: Sequence[MemberReport], statuses: dict[int, Status]) -> None:
        stopping = self._stopping()
        leaving = {report.position for report in reports if stopping or statuses[report.position] is Status.PAUSING}
        due = time.monotonic() - self._saved_at >= self._periods.checkpoint
        self._save([report for report in reports if due or report.position in leaving])
        if due:
            self._saved_at = time.monotonic()
        for position in leaving.intersection(self._pack.positions):
            with self._pack.about(position) as attempt:
                with self._pack.leaving(position):
                    attempt.give_back()
                self._stack.leave(position)
