"""Clones: a new job from the spec of one that is there, and if asked for from a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection

from app.domain.caller import Caller
from app.domain.clone import CloneSpec, at_its_cause, cloned
from app.domain.continuing import Standing, check_continues
from app.domain.errors import Invalid
from app.domain.inheritance import completed, taken_over
from app.domain.resolve_findings import Findings
from app.domain.spec import JobSpec
from app.persistence import starts
from app.persistence.jobs import NewJob
from app.persistence.rows import JobRow
from app.persistence.starts import CheckpointGone, Continuing, NewStart
from app.services.admission import Admission
from app.services.jobs import BeforeCommit, Jobs
from app.services.resolver import Resolver
from app.services.starts import Origin, Starts, Taken, gone


class Clones:
    """Creates jobs as `Jobs` does; every fault is told at its place in the clone."""

    def __init__(self, jobs: Jobs, resolver: Resolver, admission: Admission, starts: Starts) -> None:
        self._jobs = jobs
        self._resolver = resolver
        self._admission = admission
        self._starts = starts

    def create(self, caller: Caller, job_id: str, clone: CloneSpec, before_commit: BeforeCommit) -> None:
        """Queue a clone; NotFound, or Invalid where no such job can be."""
        job = self._jobs.find(caller, job_id).row
        spec = cloned(job.spec, clone)
        with _told_of(clone):
            if clone.from_checkpoint is None:
                new = self._admitted(self._resolver.new_job(spec, self._resolver.facts(caller)))
                self._jobs.queue(caller, new, before_commit, cloned_from=job.id)
                return
            origin = self._starts.origin(caller, clone.from_checkpoint)
            new = self._inheriting(caller, spec, origin, continues=clone.continues)
            told = {"cloned_from": job.id, "checkpoint": origin.checkpoint.row.id}
            self._start(caller, new, origin, before_commit, continues=clone.continues, told=told)

    def _admitted(self, new: NewJob) -> NewJob:
        return self._admission.admit(new, self._admission.memory())

    def _inheriting(self, caller: Caller, spec: JobSpec, origin: Origin, *, continues: bool) -> NewJob:
        """The job with what it takes over from the checkpoint."""
        facts, manifest = self._resolver.facts(caller), origin.manifest
        new = self._resolver.new_job(completed(spec, manifest), facts)
        described = facts.describe(spec.dataset, "/dataset")
        assert described is not None
        resolved, warnings = taken_over(new.resolved_spec, manifest, described.columns)
        if continues:
            resolved = resolved.model_copy(update={"streaming": manifest.spec.streaming, "window": manifest.spec.window})
        return self._admitted(replace(new, spec=spec, resolved_spec=resolved, warnings=[*new.warnings, *warnings]))

    def _start(
        self, caller: Caller, new: NewJob, origin: Origin, before_commit: BeforeCommit, *, continues: bool, told: dict[str, str]
    ) -> None:
        with self._starts.taken(origin, continues=continues) as taken:
            continuing = _continuing(new, origin, taken.standing) if continues else None
            with self._starts.kept(taken) as id:
                start = _start_of(id, origin, taken, continuing)

                def begin(connection: Connection, job: JobRow) -> JobRow:
                    try:
                        return starts.add(connection, job, start)
                    except CheckpointGone:
                        raise gone() from None

                self._jobs.queue(caller, new, before_commit, begin=begin, **told)


def _continuing(new: NewJob, origin: Origin, standing: Standing) -> Continuing:
    """How the training goes on; Invalid where it would be another training."""
    names = ("dataset_sha256", "validation_dataset_sha256", "test_dataset_sha256")
    hashes, findings = {name: sha256 for name in names if (sha256 := getattr(new, name))}, Findings()
    check_continues(new.resolved_spec, origin.manifest, standing, hashes=hashes, findings=findings)
    findings.raise_faults()
    return Continuing(
        epoch=standing.epoch,
        batch=standing.batch,
        seconds=standing.seconds,
        record_every=new.resolved_spec.record_every,
        provenance=origin.manifest.provenance,
    )


def _start_of(id: str, origin: Origin, taken: Taken, continuing: Continuing | None) -> NewStart:
    fitted = origin.manifest.model_dump(mode="json", include={"columns", "target"})
    return NewStart(
        id=id,
        checkpoint=origin.checkpoint.row,
        bytes=taken.file.bytes,
        sha256=taken.file.sha256,
        continuing=continuing,
        **fitted,
    )


@contextmanager
def _told_of(clone: CloneSpec) -> Iterator[None]:
    """Faults of the new spec become faults of what was sent."""
    try:
        yield
    except Invalid as error:
        raise type(error)([at_its_cause(clone, fault) for fault in error.faults]) from None
