"""The bodies of answers: what is stored, in the words of the API."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema

from app.api.answer_examples import CHECKPOINT, EVENT, JOB, shown
from app.domain.blobs import StoredFile
from app.domain.history import EpochLosses, HeldOut
from app.domain.job import Status, StopReason
from app.domain.numbers import JsonNumber
from app.domain.spec import JobSpec, ResolvedSpec
from app.persistence.rows import EventRow, JobRow
from app.services.checkpoints import CheckpointView
from app.services.jobs import JobView


def rfc3339(time: datetime) -> str:
    """A time in UTC with milliseconds: `2026-11-23T03:22:00.123Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})]


class Answer(BaseModel):
    """A body that the service answers; fields may be added."""

    model_config = ConfigDict(frozen=True, from_attributes=True, json_schema_serialization_defaults_required=True)


@dataclass(frozen=True)
class DescribedAs:
    """Marks an object that is answered as it was stored, and that the document describes by a model."""

    model: type[BaseModel]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The model's."""
        return handler(self.model.__pydantic_core_schema__)


class Progress(Answer):
    """How far a job is; `eta_seconds` are of training time, to `epochs` or to `max_seconds`, whichever comes first."""

    epoch: int
    epochs: int
    fraction: float
    epochs_per_second: float | None
    eta_seconds: float | None

    @classmethod
    def of(cls, row: JobRow) -> Self:
        """From the job's row; the pace is that of the whole training so far."""
        pace = row.epoch / row.seconds if row.seconds > 0 else None
        left = (row.epochs - row.epoch) / pace if pace and row.status is Status.RUNNING else None
        limit = row.resolved_spec["max_seconds"]
        if left is not None and limit is not None:
            left = max(0.0, min(left, limit - row.seconds))
        fraction = row.epoch / row.epochs
        return cls(epoch=row.epoch, epochs=row.epochs, fraction=fraction, epochs_per_second=pace, eta_seconds=left)


class JobError(Answer):
    """Why a job failed."""

    code: str
    message: str


class Start(Answer):
    """The checkpoint that a job started from: at its epoch, or at 0 with its weights, classes and preprocessing alone."""

    checkpoint: str
    epoch: int

    @classmethod
    def of(cls, row: JobRow) -> Self | None:
        """From the job's row; None where it began with weights of its own."""
        if row.start_checkpoint is None or row.start_epoch is None:
            return None
        return cls(checkpoint=row.start_checkpoint, epoch=row.start_epoch)


class Job(Answer):
    """One training of one network, from a spec."""

    model_config = shown(JOB)

    id: str
    object: Literal["job"] = "job"
    name: str | None
    status: Status
    terminal: bool
    stop_reason: StopReason | None
    dataset: str
    sweep: str | None
    start: Start | None
    spec: Annotated[dict[str, Any], DescribedAs(JobSpec)]
    resolved_spec: Annotated[dict[str, Any], DescribedAs(ResolvedSpec)]
    warnings: list[str]
    attempt: int
    progress: Progress
    queue_position: int | None
    queued_reason: Literal["waiting", "no_gpu_worker", "quota"] | None
    latest: EpochLosses | None
    best: EpochLosses | None
    test: HeldOut | None
    error: JobError | None
    metadata: dict[str, str]
    reproducibility: dict[str, Any]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        """From its row and its place in the queue."""
        row = view.row
        error = JobError(code=row.error_code, message=row.error_message or "") if row.error_code else None
        known = {**row.hashes, "seed": row.resolved_spec["seed"]}
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)},
                "terminal": row.status.terminal,
                "dataset": row.dataset_id,
                "sweep": row.sweep_id,
                "start": Start.of(row),
                "progress": Progress.of(row),
                "queue_position": view.queue_position,
                "queued_reason": view.queued_reason,
                "error": error,
                "reproducibility": known | (row.reproducibility or {}),
            }
        )


class Event(Answer):
    """Something that happened to a job."""

    model_config = shown(EVENT)

    id: str
    object: Literal["event"] = "event"
    sequence: int
    type: str
    data: dict[str, JsonNumber | str | bool | list[str]]
    created_at: Time

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """From its row."""
        return cls.model_validate(row)


class Checkpoint(Answer):
    """Weights and all that is needed to predict, at one epoch."""

    model_config = shown(CHECKPOINT)

    id: str
    object: Literal["checkpoint"] = "checkpoint"
    job: str
    epoch: int
    kinds: list[Literal["best", "last", "periodic"]]
    train_loss: JsonNumber
    val_loss: JsonNumber
    metrics: dict[str, JsonNumber]
    files: list[StoredFile]
    created_at: Time

    @classmethod
    def of(cls, view: CheckpointView) -> Self:
        """From its row."""
        row = view.row
        return cls.model_validate(
            {
                **row.losses,
                "id": row.id,
                "job": view.job_id,
                "kinds": sorted(row.kinds),
                "files": view.files,
                "created_at": row.created_at,
            }
        )


T = TypeVar("T", bound=Answer)
R = TypeVar("R")


class Listing(Answer, Generic[T]):
    """One page of a list; `next` is the cursor for `after`."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool
    next: str | None

    @classmethod
    def of(cls, rows: Sequence[R], *, limit: int, answer: Callable[[R], T], cursor: Callable[[T], str]) -> Self:
        """From one row more than asked for, where there are that many."""
        data = [answer(row) for row in rows[:limit]]
        has_more = len(rows) > limit
        return cls(data=data, has_more=has_more, next=cursor(data[-1]) if has_more else None)

    @classmethod
    def whole(cls, data: Iterable[T]) -> Self:
        """A list that is never paged."""
        return cls(data=list(data), has_more=False, next=None)
