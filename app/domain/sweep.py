"""A sweep: many jobs from one spec, what is varied among them, and how the best is known."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from app.domain.job import Status
from app.domain.numbers import JsonNumber
from app.domain.spec import JobSpec
from app.domain.spec.blocks import Block, Count, Storable
from app.domain.spec.spec import Seed
from app.domain.sweep_search import Search

Mode = Literal["min", "max"]


class SweepSpec(Block):
    """What `POST /v1/sweeps` takes; `spec` is that of a job, and each path of `search` is varied in it."""

    name: Annotated[str, Field(max_length=200)] | None = None
    spec: JobSpec
    search: Search
    method: Literal["grid", "random", "tpe"] = "random"
    trials: Annotated[Count | None, Field(description="How many to draw; of a grid the most that it may have.")] = None
    parallel: Annotated[Count | None, Field(description="At most so many are trained at once; null: no limit.")] = None
    metric: Annotated[str | None, Field(max_length=64, description="null: `val_loss`, or `train_loss` without it.")] = None
    mode: Annotated[Mode | None, Field(description="null: by the metric's name.")] = None
    stop: dict[str, Storable] | None = None
    seed: Seed = 42


class SweepStatus(StrEnum):
    """Where a sweep stands, which follows from its trials."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """True when nothing follows."""
        return self not in (SweepStatus.RUNNING, SweepStatus.CANCELLING)


def status_of(counts: Mapping[Status, int], *, cancelled: bool) -> SweepStatus:
    """A sweep is over when all its trials are; it succeeded when one of them did, unless its cancel ended one."""
    if any(not status.terminal for status in counts):
        return SweepStatus.CANCELLING if cancelled else SweepStatus.RUNNING
    if cancelled and counts.get(Status.CANCELLED):
        return SweepStatus.CANCELLED
    if counts.get(Status.SUCCEEDED):
        return SweepStatus.SUCCEEDED
    return SweepStatus.FAILED if counts.get(Status.FAILED) else SweepStatus.CANCELLED


def reported_value(losses: Mapping[str, Any] | None, metric: str) -> JsonNumber:
    """A metric of one epoch as it was reported; None where it was not."""
    if losses is None:
        return None
    found: JsonNumber = losses[metric] if metric in ("train_loss", "val_loss") else losses["metrics"].get(metric)
    return found
