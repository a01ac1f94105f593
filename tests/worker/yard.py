"""A training process at work on real databases and a real folder: what its jobs leave behind."""

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, update

from app.domain.blobs import StoredFile, checkpoint_key, dataset_key
from app.domain.caller import DEFAULT_PROJECT
from app.domain.history import EpochColumns
from app.domain.ids import new_id
from app.domain.job import Status
from app.domain.resolve import resolve
from app.domain.schema import Column
from app.domain.spec import JobSpec, Window
from app.persistence import checkpoints, datasets, epochs, events, jobs, leases, recovery
from app.persistence.database import Database
from app.persistence.datasets import NewDataset
from app.persistence.jobs import NewJob
from app.persistence.rows import CheckpointRow, DatasetRow, EventRow, JobRow, RecoveryRow
from app.persistence.tables import jobs as jobs_table
from app.storage.folder import Folder
from app.tabular.description import Description
from app.tabular.limits import Limits
from app.tabular.reading import describe_upload
from tests.plugins import LOSSES
from worker.pulse import Periods
from worker.trainer import Trainer

OWNER = "test:1"
ROWS = "\n".join(f"{a},{b},{'high' if a * 0.5 + b > 6 else 'low'}" for a in range(10) for b in range(10))
CSV = f"a,b,size\n{ROWS}\n"
SPEC: dict[str, object] = {
    "target": "size",
    "network": {"hidden_layers": [4]},
    "epochs": 30,
    "batch_size": 40,
    "seed": 7,
    "pack": False,
}


@cache
def read(csv: str) -> tuple[bytes, Description]:
    """The Parquet file and the description of an upload: the same for all tests of a process, reading takes one each."""
    with TemporaryDirectory() as folder:
        upload, parquet = Path(folder) / "upload.csv", Path(folder) / "data.parquet"
        upload.write_text(csv)
        found = describe_upload(upload, format="csv", destination=parquet, limits=Limits())
        return parquet.read_bytes(), found


class Killed(BaseException):
    """Nothing in the worker catches it: what it leaves is what a killed process leaves."""


class Yard:
    """A database, a storage and a training process that can be told to stop."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.storage = Folder(folder / "files")
        self.storage.make()
        self.reports = 0
        self.stop_after = math.inf
        self.interrupted = False
        self.on_report: Callable[[], None] = lambda: None
        self.trainer: Callable[..., Trainer] = Trainer
        self.folder = folder
        self.dataset = self.upload(CSV)

    def upload(self, csv: str) -> str:
        parquet, id = self.folder / "data.parquet", new_id("ds")
        stored, found = read(csv)
        parquet.write_bytes(stored)
        columns = [column.model_dump(mode="json") for column in found.columns]
        self.storage.put_file(dataset_key(id), parquet)
        new = NewDataset(
            id=id,
            project_id=DEFAULT_PROJECT,
            name=None,
            rows=found.rows,
            bytes=len(csv),
            sha256=hashlib.sha256(csv.encode()).hexdigest(),
            stored_bytes=1,
            columns=columns,
            statistics=[],
        )
        with self.database.write() as connection:
            datasets.add(connection, new)
        return id

    def dataset_row(self, connection: Connection, id: str) -> DatasetRow:
        found = datasets.find(connection, id, project_id=DEFAULT_PROJECT)
        assert found is not None
        return found

    def submit(self, **changes: object) -> JobRow:
        return self._submit(changes, window=None)

    def submit_streamed(self, window: Window, **changes: object) -> JobRow:
        return self._submit(changes, window=window)

    def _submit(self, changes: Mapping[str, object], *, window: Window | None) -> JobRow:
        spec = JobSpec.model_validate({"dataset": self.dataset, **SPEC, **changes})
        with self.database.read() as connection:
            dataset = self.dataset_row(connection, spec.dataset)
        columns = [Column.model_validate(column) for column in dataset.columns]
        resolved = resolve(spec, columns=columns, rows=dataset.rows, custom_losses=["absent", *LOSSES])
        new = NewJob(
            id=new_id("job"),
            project_id=DEFAULT_PROJECT,
            spec=spec,
            resolved_spec=resolved.spec.model_copy(update={"streaming": window is not None, "window": window}),
            warnings=resolved.warnings,
            dataset_sha256=dataset.sha256,
            device="auto",
        )
        with self.database.write() as connection:
            return jobs.add(connection, new)

    def _asked(self) -> bool:
        """Asked at each claim and after each report."""
        self.reports += 1
        self.on_report()
        return self.reports > self.stop_after

    def work(self, *, checkpoint: float = 30, patience: float = 3600) -> None:
        """Train what is due, as a fresh process would; every epoch is a report of its own."""
        self.reports = 0
        periods = Periods(lease=30, heartbeat=5, stall=60, checkpoint=checkpoint, report=0, retry=3600, patience=patience)
        trainer = self.trainer(
            database=self.database,
            storage=self.storage,
            name=OWNER,
            device="cpu",
            threads=1,
            periods=periods,
            stopping=self._asked,
            interrupted=lambda: self.interrupted,
        )
        trainer.work_off(hint="job_none")

    def job(self, id: str) -> JobRow:
        with self.database.read() as connection:
            found = jobs.find(connection, id, project_id=DEFAULT_PROJECT)
        assert found is not None
        return found

    def history(self, job: JobRow) -> EpochColumns:
        with self.database.read() as connection:
            return epochs.read(connection, job.number, limit=100_000)

    def checkpoints(self, job: JobRow) -> dict[str, CheckpointRow]:
        with self.database.read() as connection:
            return {kind: row for row in checkpoints.of_job(connection, job.number) for kind in row.kinds}

    def weights(self, checkpoint: CheckpointRow) -> bytes:
        return self.file(checkpoint, "weights.safetensors")

    def file(self, checkpoint: CheckpointRow, name: str) -> bytes:
        [file] = [StoredFile.model_validate(file) for file in checkpoint.files if file["name"] == name]
        return self.storage.get(checkpoint_key(checkpoint.id, file))

    def bury(self, *, max_crashes: int = 3) -> None:
        """What the parent of a process that died does."""
        with self.database.write() as connection:
            leases.crashed(connection, owner=OWNER, max_crashes=max_crashes, back_off_seconds=0)

    def lose(self, job: JobRow) -> None:
        """The lease ran out, and another process has claimed the job."""
        change = update(jobs_table).where(jobs_table.c.number == job.number)
        with self.database.write() as connection:
            connection.execute(change.values(attempt=jobs_table.c.attempt + 1, lease_owner="thief"))

    def stop(self) -> None:
        """Tell the process to stop now."""
        self.stop_after = 0

    def make_due(self, job: JobRow) -> None:
        """Its wait is over."""
        with self.database.write() as connection:
            connection.execute(update(jobs_table).where(jobs_table.c.number == job.number).values(claimable_at=0))

    def events(self, job: JobRow) -> list[EventRow]:
        with self.database.read() as connection:
            return events.after(connection, job.number)

    def points(self, job: JobRow) -> list[RecoveryRow]:
        with self.database.read() as connection:
            return recovery.every(connection, job.number)

    def resume(self, job: JobRow) -> None:
        with self.database.write() as connection:
            jobs.change_status(connection, job.number, old=Status.PAUSED, new=Status.QUEUED)

    def ask(self, job: JobRow, status: Status) -> None:
        with self.database.write() as connection:
            jobs.change_status(connection, job.number, old=Status.RUNNING, new=status)


def without_seconds(
    columns: EpochColumns,
) -> tuple[list[int], list[float | None], list[float | None], dict[str, list[float | None]]]:
    """A history as two attempts at it must agree."""
    return columns.epoch, columns.train_loss, columns.val_loss, columns.metrics
