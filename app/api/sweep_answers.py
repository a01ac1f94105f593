"""The bodies of answers about sweeps."""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from app.api.answer_examples import TRIAL, shown
from app.api.answers import Answer, DescribedAs, Job, Time
from app.api.report_examples import SWEEP
from app.domain.job import HELD, TERMINAL, Status
from app.domain.numbers import JsonNumber
from app.domain.spec import JobSpec
from app.domain.sweep import Mode, SweepStatus, reported_value
from app.persistence.rows import JobRow
from app.services.sweeps import SweepView, TrialView


class SweepProgress(Answer):
    """How many trials stand where: those a worker holds are `running`; paused ones are neither queued nor running."""

    trials: int
    queued: int
    running: int
    paused: int
    succeeded: int
    failed: int
    cancelled: int
    fraction: float

    @classmethod
    def of(cls, view: SweepView) -> Self:
        """From how the trials stand; one that was deleted counts as over."""
        counts = Counter(view.tally.counts)
        trials = view.row.trials
        live = sum(count for status, count in counts.items() if status not in TERMINAL)
        return cls(
            trials=trials,
            queued=counts[Status.QUEUED],
            running=sum(counts[status] for status in HELD),
            paused=counts[Status.PAUSED],
            succeeded=counts[Status.SUCCEEDED],
            failed=counts[Status.FAILED],
            cancelled=counts[Status.CANCELLED],
            fraction=(trials - live) / trials,
        )


class BestTrial(Answer):
    """The first of the leaderboard."""

    job: str
    status: Status
    epoch: int
    value: float
    parameters: dict[str, Any]

    @classmethod
    def of(cls, row: JobRow | None) -> Self | None:
        """From its row, whose `best` the value comes from."""
        if row is None or row.best is None:
            return None
        return cls.model_validate(
            {"job": row.id, "status": row.status, "epoch": row.best["epoch"], "value": row.value, "parameters": row.parameters}
        )


class Sweep(Answer):
    """Many jobs from one spec."""

    model_config = shown(SWEEP)

    id: str
    object: Literal["sweep"] = "sweep"
    name: str | None
    status: SweepStatus
    terminal: bool
    spec: Annotated[dict[str, Any], DescribedAs(JobSpec)]
    search: dict[str, Any]
    method: Literal["grid", "random", "tpe"]
    trials: int
    parallel: int | None
    metric: str
    mode: Mode
    stop: dict[str, Any] | None
    seed: int
    progress: SweepProgress
    best: BestTrial | None
    created_at: Time
    finished_at: Time | None

    @classmethod
    def of(cls, view: SweepView) -> Self:
        """From its row and its trials."""
        row = view.row
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)},
                "status": view.status,
                "terminal": view.status.terminal,
                "progress": SweepProgress.of(view),
                "best": BestTrial.of(view.best),
                "finished_at": view.tally.finished_at if view.status.terminal else None,
            }
        )


class TrialJob(Job):
    """A job of a sweep: `parameters` are what was set in the sweep's spec, `value` is the sweep's metric at its best epoch."""

    model_config = shown(TRIAL)

    parameters: dict[str, Any]
    value: JsonNumber

    @classmethod
    def of_trial(cls, view: TrialView) -> Self:
        """From the job and its sweep."""
        row = view.job.row
        job = dict(Job.of(view.job))
        return cls.model_validate({**job, "parameters": row.parameters, "value": reported_value(row.best, view.sweep.metric)})
