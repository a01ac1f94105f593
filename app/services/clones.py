"""Clones: a new job from the spec of one that is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.clone import CloneSpec, at_its_cause, cloned
from app.domain.errors import Invalid
from app.domain.spec import JobSpec
from app.services.admission import Admission
from app.services.jobs import Jobs, JobView
from app.services.resolver import Resolver


class Clones:
    """Creates jobs as `Jobs` does; every fault is told at its place in the clone."""

    def __init__(self, jobs: Jobs, resolver: Resolver, admission: Admission) -> None:
        self._jobs = jobs
        self._resolver = resolver
        self._admission = admission

    def create(
        self, caller: Caller, job_id: str, clone: CloneSpec, before_commit: Callable[[Connection, JobView], None]
    ) -> None:
        """Queue a clone; NotFound, or Invalid where no such job can be."""
        job = self._jobs.find(caller, job_id).row
        spec = cloned(job.spec, clone)
        with _told_of(clone):
            self._queue(caller, spec, before_commit, cloned_from=job.id)

    def _queue(
        self, caller: Caller, spec: JobSpec, before_commit: Callable[[Connection, JobView], None], *, cloned_from: str
    ) -> None:
        new = self._resolver.new_job(spec, self._resolver.facts(caller))
        self._jobs.queue(self._admission.admit(new, self._admission.memory()), before_commit, cloned_from=cloned_from)


@contextmanager
def _told_of(clone: CloneSpec) -> Iterator[None]:
    """Faults of the new spec become faults of what was sent."""
    try:
        yield
    except Invalid as error:
        raise type(error)([at_its_cause(clone, fault) for fault in error.faults]) from None
