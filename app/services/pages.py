"""A page of a history: which epochs it is of, and how they are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import Connection

from app.domain import metrics
from app.domain.history import EpochColumns
from app.domain.schema import Task
from app.persistence import epochs
from app.persistence.rows import JobState

Columns = Literal["all", "losses"]


@dataclass(frozen=True, kw_only=True)
class Window:
    """Up to `limit` epochs beyond `after`, none at `before` or later; with `every`, epoch 1 and its multiples."""

    after: int = 0
    before: int | None = None
    limit: int = 1000
    every: int = 1
    max_points: int | None = None
    """With it all epochs of the range, or where they are more a sample of so many; `limit` does not count then."""
    columns: Columns = "all"


@dataclass(frozen=True, kw_only=True)
class HistoryPage:
    """A page, and the job as it stood when it was read."""

    job: JobState
    columns: EpochColumns = field(default_factory=EpochColumns)
    total: int = 0
    next: int = 0
    has_more: bool = False
    sampled: bool = False
    body: bytes = b""


def read_window(connection: Connection, job: JobState, window: Window) -> EpochColumns:
    """The epochs of a window; a job says how far it is, so that a poll that finds nothing new reads no epoch."""
    if window.after >= job.epoch:
        return EpochColumns()
    return epochs.read(
        connection,
        job.number,
        after=window.after,
        before=window.before,
        limit=window.limit,
        every=window.every,
        names=names_of(job, window.columns),
    )


def read_page(connection: Connection, job: JobState, window: Window) -> HistoryPage:
    """The first `limit` epochs of a window."""
    columns = read_window(connection, job, replace(window, limit=window.limit + 1))
    total = _total(connection, job, columns)
    has_more = len(columns) > window.limit
    columns = part(columns, 0, window.limit) if has_more else columns
    next = columns.epoch[-1] if columns.epoch else window.after
    return HistoryPage(job=job, columns=columns, total=total, next=next, has_more=has_more)


def _total(connection: Connection, job: JobState, columns: EpochColumns) -> int:
    """How many epochs are stored; a job that stores each of them says so itself, as long as none came since."""
    record_every: int = job.resolved_spec["record_every"]
    if record_every == 1 and not columns:
        return job.epoch
    return epochs.count(connection, job.number, record_every=record_every)


def names_of(job: JobState, columns: Columns = "all") -> Sequence[str]:
    """The columns that are read, beside the epoch."""
    return epochs.BOTH if columns == "losses" else (*epochs.LOSSES, "seconds", *metrics_of(job))


def metrics_of(job: JobState) -> Sequence[str]:
    """The metric columns that a job fills: none without validation rows."""
    spec = job.resolved_spec
    if not spec["validation_rows"] and not (spec.get("ensemble") or {}).get("folds"):
        return ()
    watched = (spec["early_stopping"] or {}).get("metric")
    return [f"val_{name}" for name in metrics.of_epochs(Task(spec["task"]), watched=watched)]


def part(columns: EpochColumns, start: int, stop: int) -> EpochColumns:
    """The epochs at places start to before stop."""
    return EpochColumns(
        epoch=columns.epoch[start:stop],
        train_loss=columns.train_loss[start:stop],
        val_loss=columns.val_loss[start:stop],
        learning_rate=columns.learning_rate[start:stop],
        seconds=columns.seconds[start:stop],
        metrics={name: values[start:stop] for name, values in columns.metrics.items()},
    )
