"""Rows as frozen dataclasses, so that no dictionary crosses a module's boundary."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, Self

from sqlalchemy import ColumnElement, Row, Table

from app.domain.ids import is_id
from app.domain.job import Status
from app.domain.numbers import JsonNumber
from app.domain.sweep import Mode

KINDS = ("best", "last", "periodic")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A row of one table; the fields are columns of that name."""

    @classmethod
    def selected(cls, table: Table) -> list[ColumnElement[Any]]:
        """What to select."""
        return [table.c[field.name] for field in fields(cls)]

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of just these columns."""
        return cls(**row._mapping)

    @classmethod
    def maybe(cls, row: Row[Any] | None) -> Self | None:
        """From a row that may not be there."""
        return None if row is None else cls.of(row)

    @classmethod
    def all(cls, rows: Sequence[Row[Any]]) -> list[Self]:
        """From many."""
        return [cls.of(row) for row in rows]


@dataclass(frozen=True, kw_only=True)
class KeyRow(Record):
    """See tables.keys."""

    id: str
    project_id: str
    name: str | None
    sha256: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class DatasetRow(Record):
    """See tables.datasets; statistics are read on their own, they can be large."""

    id: str
    project_id: str
    name: str | None
    rows: int
    bytes: int
    sha256: str
    stored_bytes: int
    columns: list[dict[str, Any]]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class JobState(Record):
    """What a history needs of its job, read in half the time; see tables.jobs."""

    number: int
    id: str
    status: Status
    resolved_spec: dict[str, Any]
    attempt: int
    epoch: int
    revision: int

    def __post_init__(self) -> None:
        """The status comes as text."""
        object.__setattr__(self, "status", Status(self.status))


@dataclass(frozen=True, kw_only=True)
class JobRow(JobState):
    """See tables.jobs."""

    project_id: str
    name: str | None
    stop_reason: str | None
    spec: dict[str, Any]
    warnings: list[str]
    metadata: dict[str, str]
    dataset_id: str
    dataset_sha256: str
    validation_dataset_id: str | None
    validation_dataset_sha256: str | None
    test_dataset_id: str | None
    test_dataset_sha256: str | None
    sweep_id: str | None
    parameters: dict[str, Any] | None
    value: float | None
    start_checkpoint: str | None
    start_epoch: int | None
    device: str
    priority: int
    pack_key: str | None
    pack_limit: int | None
    stack_leader: int | None
    stack_size: int | None
    stack_position: int | None
    lease_owner: str | None
    crashes: int
    pack_crashes: int
    epochs: int
    seconds: float
    latest: dict[str, Any] | None
    best: dict[str, Any] | None
    test: dict[str, Any] | None
    error_code: str | None
    error_message: str | None
    reproducibility: dict[str, Any] | None
    request_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def all_crashes(self) -> int:
        """In a row without a new recovery point, those of its pack included."""
        return self.crashes + self.pack_crashes

    @property
    def words(self) -> dict[str, str | int]:
        """What every line of the log about its attempt has in it."""
        about: dict[str, str | int] = {"job": self.id, "attempt": self.attempt}
        return about | ({"request_id": self.request_id} if self.request_id else {})

    @property
    def dataset_ids(self) -> list[str]:
        """Of the datasets that the job reads, each once, the one it trains on first."""
        ids = (self.dataset_id, self.validation_dataset_id, self.test_dataset_id)
        return list(dict.fromkeys(id for id in ids if id is not None))

    @property
    def hashes(self) -> dict[str, str]:
        """Of the datasets that the job reads, under their names in `reproducibility`."""
        names = ("dataset_sha256", "validation_dataset_sha256", "test_dataset_sha256")
        return {name: sha256 for name in names if (sha256 := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class SweepRow(Record):
    """See tables.sweeps."""

    id: str
    project_id: str
    name: str | None
    spec: dict[str, Any]
    search: dict[str, Any]
    method: Literal["grid", "random", "tpe"]
    trials: int
    parallel: int | None
    metric: str
    mode: Mode
    stop: dict[str, Any] | None
    seed: int
    created_at: datetime
    cancelled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class CheckpointRow(Record):
    """See tables.checkpoints."""

    id: str
    project_id: str
    job_number: int
    epoch: int
    is_best: bool
    is_last: bool
    is_periodic: bool
    losses: dict[str, Any]
    files: list[dict[str, Any]]
    created_at: datetime

    @property
    def kinds(self) -> frozenset[str]:
        """Any of `best`, `last`, `periodic`."""
        return frozenset(kind for kind in KINDS if getattr(self, f"is_{kind}"))


@dataclass(frozen=True, kw_only=True)
class RecoveryRow(Record):
    """See tables.recovery_points."""

    id: str
    job_number: int
    attempt: int
    epoch: int
    batch: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class EventRow(Record):
    """See tables.events."""

    id: str
    sequence: int
    type: str
    data: dict[str, JsonNumber | str | bool | list[str]]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class WorkerRow(Record):
    """See tables.workers."""

    id: str
    device: str
    threads: int
    torch: str
    custom_losses: list[str]
    memory: int | None
    host_memory: int | None
    job_id: str | None
    started_at: datetime
    heartbeat_at: datetime
    silent_at: datetime | None

    @property
    def predicts(self) -> bool:
        """True where what it works on is a batch prediction."""
        return self.job_id is not None and is_id(self.job_id, "bp")

    @property
    def status(self) -> Literal["idle", "training", "predicting", "silent"]:
        """What it does."""
        if self.silent_at:
            return "silent"
        if self.job_id is None:
            return "idle"
        return "predicting" if self.predicts else "training"
