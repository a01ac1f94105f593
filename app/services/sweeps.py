"""Sweeps: created with all their trials, found, listed, ranked, cancelled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from app.domain import ids
from app.domain.blobs import recovery_folder
from app.domain.caller import Caller
from app.domain.errors import Invalid, NotFound, UnknownCursor
from app.domain.job import Status
from app.domain.sweep import SweepSpec, SweepStatus, status_of
from app.domain.sweep_trials import Trial, TrialFindings, resolve_metric, trials_of
from app.persistence import events, jobs, recovery, sweeps, workers
from app.persistence.database import Database
from app.persistence.filters import Filter
from app.persistence.jobs import NewJob
from app.persistence.paging import Page
from app.persistence.rows import JobRow, SweepRow
from app.persistence.sweeps import Cancelled, NewSweep, Tally
from app.services.admission import Admission
from app.services.holding import datasets_of, hold
from app.services.jobs import Jobs, JobView
from app.services.keeping import forget
from app.services.ports import Bell
from app.services.quotas import Quotas
from app.services.resolver import Resolver
from app.storage.storage import Storage

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """A sweep, how its trials stand, and the best of them."""

    row: SweepRow
    tally: Tally
    best: JobRow | None

    @property
    def status(self) -> SweepStatus:
        """Where it stands."""
        return status_of(self.tally.counts, cancelled=self.row.cancelled_at is not None)


@dataclass(frozen=True)
class TrialView:
    """A job of a sweep, and the sweep that compares it."""

    job: JobView
    sweep: SweepRow


class Sweeps:
    """A sweep and all its trials are one transaction; the doorbell is rung after the commit."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        bell: Bell,
        *,
        resolver: Resolver,
        admission: Admission,
        jobs: Jobs,
        quotas: Quotas,
        most_trials: int,
    ) -> None:
        self._database = database
        self._storage = storage
        self._bell = bell
        self._resolver = resolver
        self._admission = admission
        self._jobs = jobs
        self._quotas = quotas
        self._most_trials = most_trials

    def create(self, caller: Caller, sweep: SweepSpec, before_commit: Callable[[Connection, SweepView], None]) -> None:
        """Queue a job for each trial; Invalid where the search cannot be, or a trial's spec does not fit its dataset."""
        trials = trials_of(sweep, most_trials=self._most_trials)
        prepared = self._prepare_all(caller, sweep, trials)
        metric, mode = resolve_metric(sweep, [job.resolved_spec for job in prepared])
        new = NewSweep(
            id=ids.new_id("swp"), project_id=caller.project_id, sweep=sweep, trials=len(trials), metric=metric, mode=mode
        )
        members = [
            replace(job, sweep_id=new.id, parameters=trial.parameters) for job, trial in zip(prepared, trials, strict=True)
        ]
        self._queue(caller, new, members, before_commit)

    def _prepare_all(self, caller: Caller, sweep: SweepSpec, trials: Sequence[Trial]) -> list[NewJob]:
        facts, memory = self._resolver.facts(caller), self._admission.memory()
        findings = TrialFindings(sweep)
        prepared: list[NewJob] = []
        for trial in trials:
            try:
                prepared.append(self._admission.admit(self._resolver.new_job(trial.spec, facts), memory))
            except Invalid as error:
                findings.add(trial.number, trial.parameters, error.faults)
        findings.raise_faults()
        return prepared

    def _queue(
        self,
        caller: Caller,
        new: NewSweep,
        members: Sequence[NewJob],
        before_commit: Callable[[Connection, SweepView], None],
    ) -> None:
        with self._database.write() as connection:
            self._quotas.check_queue(connection, caller, new=len(members))
            hold(connection, _datasets_of(new.sweep, members))
            row = sweeps.add(connection, new)
            jobs.add_all(connection, members)
            events.append_all(connection, "job.created", [(number, {}) for number in sweeps.numbers(connection, new.id)])
            idle = sum(workers.idle(connection).values())
            before_commit(connection, SweepView(row=row, tally=Tally(counts={Status.QUEUED: len(members)}), best=None))
        log.info("sweep.created", sweep=row.id, jobs=len(members))
        for job in members[: max(1, idle)]:  # whoever ends a job looks for the next one by itself
            self._bell.ring(job.id, job.device)

    def find(self, caller: Caller, id: str) -> SweepView:
        """One sweep, or NotFound."""
        return self._views([self._find(caller, id)])[0]

    def _find(self, caller: Caller, id: str) -> SweepRow:
        with self._database.read() as connection:
            row = sweeps.find(connection, id, project_id=caller.project_id)
        if row is None:
            raise NotFound("sweep", id)
        return row

    def page(self, caller: Caller, page: Page) -> list[SweepView]:
        """One page, and one sweep more where there is another."""
        with self._database.read() as connection:
            rows = sweeps.page(connection, project_id=caller.project_id, page=page)
        return self._views(rows)

    def _views(self, rows: Sequence[SweepRow]) -> list[SweepView]:
        with self._database.read() as connection:
            tallies = sweeps.tallies(connection, [row.id for row in rows])
            return [SweepView(row=row, tally=tallies[row.id], best=sweeps.best(connection, row)) for row in rows]

    def trials(self, caller: Caller, id: str, page: Page) -> list[TrialView]:
        """One page of a sweep's trials by their ids, and one more where there is another."""
        sweep = self._find(caller, id)
        return [TrialView(job, sweep) for job in self._jobs.page(caller, page, Filter(sweep=id))]

    def leaderboard(self, caller: Caller, id: str, *, after: str | None, limit: int) -> list[TrialView]:
        """The same, the best first; UnknownCursor where there is no such trial, for its place is not known."""
        sweep = self._find(caller, id)
        with self._database.read() as connection:
            if after is not None and not sweeps.has_trial(connection, sweep, after):
                raise UnknownCursor
            rows = sweeps.leaderboard(connection, sweep, after=after, limit=limit)
        return [TrialView(job, sweep) for job in self._jobs.views(rows)]

    def cancel(self, caller: Caller, id: str) -> SweepView:
        """Stop every live trial; a sweep that is over stays as it is."""
        sweep = self._find(caller, id)
        with self._database.write() as connection:
            changed = sweeps.cancel(connection, sweep.id)
            for status in (Status.CANCELLED, Status.CANCELLING):
                entries = [(trial.number, _told(trial)) for trial in changed if trial.status is status]
                events.append_all(connection, f"job.{status}", entries)
            over = recovery.forget_of_sweep(connection, sweep.id)
        forget(self._storage, *(recovery_folder(point) for point in over))
        return self.find(caller, id)


def _datasets_of(sweep: SweepSpec, members: Sequence[NewJob]) -> dict[str, str]:
    """The ids of all datasets that the trials read, and where the sweep names them."""
    named = {id: place for job in members for id, place in datasets_of(job.spec).items()}
    return {id: f"/search{place}" if place[1:] in sweep.search else f"/spec{place}" for id, place in named.items()}


def _told(trial: Cancelled) -> dict[str, int | str]:
    return {"epoch": trial.epoch} | ({"stop_reason": str(trial.status)} if trial.status.terminal else {})
