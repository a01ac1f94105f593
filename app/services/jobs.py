"""Jobs: created from a spec, found, listed, cancelled, paused, resumed, deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from app.domain.blobs import checkpoint_folder, recovery_folder
from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound, UnknownCursor
from app.domain.job import AFTER_CANCEL, AFTER_PAUSE, AFTER_RESUME, TERMINAL, Status
from app.domain.spec import JobSpec
from app.persistence import checkpoints, events, jobs, line, recovery, versions, workers
from app.persistence.database import Database
from app.persistence.filters import Filter
from app.persistence.jobs import NewJob
from app.persistence.paging import Page
from app.persistence.rows import EventRow, JobRow
from app.services.admission import Admission
from app.services.holding import datasets_of, hold
from app.services.keeping import forget
from app.services.ports import Bell
from app.services.quotas import Quotas
from app.services.resolver import Resolver
from app.storage.storage import Storage

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job, and while it is queued its place and why it waits."""

    row: JobRow
    queue_position: int | None = None
    queued_reason: str | None = None


BeforeCommit = Callable[[Connection, JobView], None]
Begin = Callable[[Connection, JobRow], JobRow]


def as_it_is(connection: Connection, job: JobRow) -> JobRow:
    """Where a job starts that has nothing to start from."""
    return job


class Jobs:
    """Every method is one short transaction; the doorbell is rung after the commit."""

    def __init__(
        self, database: Database, storage: Storage, bell: Bell, *, resolver: Resolver, admission: Admission, quotas: Quotas
    ) -> None:
        self._database = database
        self._storage = storage
        self._bell = bell
        self._resolver = resolver
        self._admission = admission
        self._quotas = quotas

    def create(self, caller: Caller, spec: JobSpec, before_commit: BeforeCommit) -> None:
        """Queue a job; Invalid where the spec does not fit its datasets, or no worker's memory."""
        new = self._resolver.new_job(spec, self._resolver.facts(caller))
        self.queue(caller, self._admission.admit(new, self._admission.memory()), before_commit)

    def queue(self, caller: Caller, new: NewJob, before_commit: BeforeCommit, *, begin: Begin = as_it_is, **told: str) -> None:
        """Queue a job that was admitted, its event with what is `told`; `begin` says where it starts.

        Raises Invalid: a dataset was deleted meanwhile; QueueFull, QuotaExceeded.
        """
        with self._database.write() as connection:
            self._quotas.check_queue(connection, caller, new=1)
            hold(connection, datasets_of(new.spec))
            row = begin(connection, jobs.add(connection, new))
            events.append(connection, row.number, "job.created", **told)
            before_commit(connection, _placed(connection, [row], self._quotas)[0])
        log.info("job.created", job=row.id)
        self._bell.ring(row.id, row.device)

    def find(self, caller: Caller, id: str) -> JobView:
        """One job, or NotFound."""
        return self._view(self._find(caller, id))

    def _find(self, caller: Caller, id: str) -> JobRow:
        with self._database.read() as connection:
            row = jobs.find(connection, id, project_id=caller.project_id)
        if row is None:
            raise NotFound("job", id)
        return row

    def _view(self, row: JobRow) -> JobView:
        return self.views([row])[0]

    def page(self, caller: Caller, page: Page, filter: Filter) -> list[JobView]:
        """One page, and one job more where there is another."""
        with self._database.read() as connection:
            rows = jobs.page(connection, project_id=caller.project_id, page=page, filter=filter)
        return self.views(rows)

    def views(self, rows: Sequence[JobRow]) -> list[JobView]:
        """Rows with their places in the queue."""
        if not any(row.status is Status.QUEUED for row in rows):
            return [JobView(row=row) for row in rows]
        with self._database.read() as connection:
            return _placed(connection, rows, self._quotas)

    def events(self, caller: Caller, id: str, *, after: str | None, limit: int) -> list[EventRow]:
        """What happened beyond an event, oldest first; UnknownCursor where the job has no such event."""
        row = self._find(caller, id)
        with self._database.read() as connection:
            sequence = events.sequence_of(connection, row.number, after) if after is not None else 0
            if sequence is None:
                raise UnknownCursor
            return events.after(connection, row.number, sequence=sequence, limit=limit)

    def cancel(self, caller: Caller, id: str) -> JobView:
        """Stop a job; one that is over stays as it is."""
        return self._change(caller, id, AFTER_CANCEL | {status: status for status in TERMINAL})

    def pause(self, caller: Caller, id: str) -> JobView:
        """Let the worker write down where it stands and give the job back; Conflict where it is ending or over."""
        return self._change(caller, id, AFTER_PAUSE)

    def resume(self, caller: Caller, id: str) -> JobView:
        """Queue a paused job again; Conflict where it is pausing, ending or over."""
        view = self._change(caller, id, AFTER_RESUME)
        if view.row.status is Status.QUEUED:
            self._bell.ring(view.row.id, view.row.device)
        return view

    def _change(self, caller: Caller, id: str, changes: Mapping[Status, Status]) -> JobView:
        """The change that the job's status allows, tried again where a worker was quicker."""
        while True:
            job = self._find(caller, id)
            if job.status not in changes:
                raise Conflict(f"The job is {job.status}.")
            if changes[job.status] is job.status:
                return self._view(job)
            if changed := self._try(job, changes[job.status]):
                return self._view(changed)

    def _try(self, job: JobRow, new: Status) -> JobRow | None:
        name = "job.resumed" if new is Status.QUEUED else f"job.{new}"
        over: list[str] = []
        with self._database.write() as connection:
            changed = jobs.change_status(connection, job.number, old=job.status, new=new)
            if changed:
                reason = {"stop_reason": changed.stop_reason} if new.terminal else {}
                events.append(connection, job.number, name, epoch=changed.epoch, **reason)
                over = recovery.forget_all(connection, job.number) if new.terminal else []
        forget(self._storage, *(recovery_folder(id) for id in over))
        return changed

    def delete(self, caller: Caller, id: str) -> None:
        """Forget a job that is over, with its history and checkpoints; Conflict while a model needs one of those."""
        job = self._find(caller, id)
        if not job.status.terminal:
            raise Conflict(f"The job is {job.status}: cancel it first.")
        with self._database.write() as connection:
            if not jobs.hold(connection, job.number):
                raise NotFound("job", id)
            if need := versions.needing(connection, job.number):
                raise Conflict(f"Version {need.version} of model {need.model!r} is one of its checkpoints: delete that first.")
            kept = [checkpoint_folder(row.id) for row in checkpoints.of_job(connection, job.number)]
            kept += [recovery_folder(row.id) for row in recovery.every(connection, job.number)]
            jobs.remove(connection, job.number)
        forget(self._storage, *kept)


def _has_gpu(connection: Connection) -> bool:
    return any(worker.device == "cuda" and not worker.silent_at for worker in workers.every(connection))


def _placed(connection: Connection, rows: Sequence[JobRow], quotas: Quotas) -> list[JobView]:
    queued = [row for row in rows if row.status is Status.QUEUED]
    places = line.queue_positions(connection, queued, most_running=quotas.most_running)
    held_back = jobs.held_back(connection, queued)
    gpu = any(row.device == "cuda" for row in queued) and _has_gpu(connection)
    full = quotas.full(connection)

    def reason(row: JobRow) -> str:
        if row.device == "cuda" and not gpu:
            return "no_gpu_worker"
        return "quota" if row.number in held_back or row.project_id in full else "waiting"

    waiting = {row.number: JobView(row=row, queue_position=places.get(row.number), queued_reason=reason(row)) for row in queued}
    return [waiting.get(row.number) or JobView(row=row) for row in rows]
