"""Rows of batch predictions and of their parts as frozen dataclasses."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.domain.blobs import batch_part_key
from app.domain.job import Status
from app.persistence.rows import Record


@dataclass(frozen=True, kw_only=True)
class BatchPredictionRow(Record):
    """See tables.batch_predictions."""

    number: int
    id: str
    project_id: str
    name: str | None
    status: Status
    job_id: str
    model: str | None
    version: int | None
    checkpoint_id: str
    files: list[dict[str, Any]]
    dataset_id: str
    dataset_sha256: str
    format: Literal["parquet", "csv"]
    rows: int
    part_rows: int
    attempt: int
    lease_owner: str | None
    crashes: int
    parts: int
    predicted: int
    bytes: int
    seconds: float
    warnings: list[dict[str, Any]]
    warnings_kept: int
    error_code: str | None
    error_message: str | None
    request_id: str | None
    revision: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    def __post_init__(self) -> None:
        """The status comes as text."""
        object.__setattr__(self, "status", Status(self.status))

    @property
    def device(self) -> str:
        """What it needs: the CPU that every training process has."""
        return "cpu"

    @property
    def all_crashes(self) -> int:
        """In a row without another part: it is never packed."""
        return self.crashes

    @property
    def words(self) -> dict[str, str | int]:
        """What every line of the log about its attempt has in it."""
        about: dict[str, str | int] = {"batch_prediction": self.id, "attempt": self.attempt}
        return about | ({"request_id": self.request_id} if self.request_id else {})


@dataclass(frozen=True, kw_only=True)
class PartRow(Record):
    """See tables.batch_parts."""

    number: int
    rows: int
    content_bytes: int
    outline_bytes: int
    outline_sha256: str
    warning_bytes: int
    sha256: str

    def key(self, batch_id: str) -> str:
        """Of its file."""
        return batch_part_key(batch_id, self.number, self.sha256)

    def content(self, data: bytes) -> bytes:
        """What it adds to the content, of its file's bytes."""
        return data[: self.content_bytes]

    def warnings(self, data: bytes) -> bytes:
        """Warnings of its rows, a line for each."""
        return data[self.content_bytes + self.outline_bytes :]
