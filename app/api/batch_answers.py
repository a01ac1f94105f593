"""The bodies of answers about batch predictions."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from app.api.answer_examples import shown
from app.api.answers import Answer, JobError, Time
from app.api.batch_examples import BATCH_PREDICTION
from app.domain.batch_prediction import Format
from app.domain.batch_warnings import Kind, detail_of
from app.domain.job import Status
from app.persistence.batch_rows import BatchPredictionRow


class BatchProgress(Answer):
    """How many of the `rows` are predicted, durably; `eta_seconds` are of computing."""

    predicted: int
    rows: int
    fraction: float
    rows_per_second: float | None
    eta_seconds: float | None

    @classmethod
    def of(cls, row: BatchPredictionRow) -> Self:
        """From its row; the pace is that of all of it so far."""
        pace = row.predicted / row.seconds if row.seconds > 0 else None
        left = (row.rows - row.predicted) / pace if pace and row.status is Status.RUNNING else None
        fraction = row.predicted / row.rows
        return cls(predicted=row.predicted, rows=row.rows, fraction=fraction, rows_per_second=pace, eta_seconds=left)


class BatchWarning(Answer):
    """What was not as in training, in so many values of a column; where it is null, of further columns together."""

    code: str
    detail: str
    column: str | None
    count: int

    @classmethod
    def of(cls, counted: Mapping[str, Any]) -> Self:
        """From what was counted."""
        kind = Kind(counted["code"], counted["column"])
        return cls(code=kind.code, detail=detail_of(kind), column=kind.column, count=counted["count"])


class BatchPrediction(Answer):
    """The rows of a dataset predicted with a checkpoint; `bytes` of its content are there once it has succeeded."""

    model_config = shown(BATCH_PREDICTION)

    id: str
    object: Literal["batch_prediction"] = "batch_prediction"
    name: str | None
    status: Status
    terminal: bool
    job: str
    checkpoint: str
    model: str | None
    version: int | None
    dataset: str
    format: Format
    attempt: int
    progress: BatchProgress
    warnings: list[BatchWarning]
    bytes: int | None
    error: JobError | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None

    @classmethod
    def of(cls, row: BatchPredictionRow) -> Self:
        """From its row."""
        error = JobError(code=row.error_code, message=row.error_message or "") if row.error_code else None
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)},
                "terminal": row.status.terminal,
                "job": row.job_id,
                "checkpoint": row.checkpoint_id,
                "dataset": row.dataset_id,
                "progress": BatchProgress.of(row),
                "warnings": [BatchWarning.of(counted) for counted in row.warnings],
                "bytes": row.bytes if row.status is Status.SUCCEEDED else None,
                "error": error,
            }
        )
