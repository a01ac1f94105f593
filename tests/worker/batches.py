"""Batch predictions in a yard: with a checkpoint that was trained there, in parts of few rows."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl
from sqlalchemy import update

from app.domain.blobs import batch_model_key, described
from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.domain.job import Status
from app.domain.manifest import MANIFEST, ONNX
from app.persistence import batch_leases, batch_predictions
from app.persistence.batch_predictions import NewBatchPrediction
from app.persistence.batch_rows import BatchPredictionRow, PartRow
from app.persistence.tables import batch_predictions as table
from tests.worker.yard import OWNER, Yard

PART_ROWS = 16


@dataclass
class Batches:
    """What the API does, done by hand; and what there is of it."""

    yard: Yard
    files: Mapping[str, bytes]

    @classmethod
    def trained(cls, yard: Yard, **spec: object) -> "Batches":
        """With the best checkpoint of a job that was trained first."""
        job = yard.submit(**{"epochs": 3, **spec})
        yard.work()
        best = yard.checkpoints(job)["best"]
        return cls(yard, {name: yard.file(best, name) for name in (MANIFEST, ONNX)})

    def ask(
        self, dataset: str, *, format: Literal["parquet", "csv"] = "parquet", part_rows: int = PART_ROWS
    ) -> BatchPredictionRow:
        """A queued one."""
        id, files = new_id("bp"), [described(name, data) for name, data in self.files.items()]
        for file in files:
            self.yard.storage.put(batch_model_key(id, file), self.files[file.name])
        with self.yard.database.write() as connection:
            found = self.yard.dataset_row(connection, dataset)
            new = NewBatchPrediction(
                id=id,
                project_id=DEFAULT_PROJECT,
                name=None,
                job_id="job_0",
                model=None,
                version=None,
                checkpoint_id="ckpt_0",
                files=files,
                dataset_id=dataset,
                dataset_sha256=found.sha256,
                format=format,
                rows=found.rows,
                part_rows=part_rows,
                warnings=[],
                request_id=None,
            )
            return batch_predictions.add(connection, new)

    def row(self, asked: BatchPredictionRow) -> BatchPredictionRow:
        """As it stands."""
        with self.yard.database.read() as connection:
            found = batch_predictions.find(connection, asked.id, project_id=DEFAULT_PROJECT)
        assert found is not None
        return found

    def content(self, asked: BatchPredictionRow) -> bytes:
        """All parts, one after the other."""
        return b"".join(part.content(data) for part, data in self._parts(asked))

    def warnings(self, asked: BatchPredictionRow) -> bytes:
        """Likewise."""
        return b"".join(part.warnings(data) for part, data in self._parts(asked))

    def _parts(self, asked: BatchPredictionRow) -> list[tuple[PartRow, bytes]]:
        with self.yard.database.read() as connection:
            parts = batch_predictions.parts_of(connection, asked.number)
        return [(part, self.yard.storage.get(part.key(asked.id))) for part in parts]

    def frame(self, asked: BatchPredictionRow) -> pl.DataFrame:
        """The Parquet that is there."""
        return pl.read_parquet(io.BytesIO(self.content(asked)))

    def change(self, asked: BatchPredictionRow, status: Status) -> None:
        """What a caller asks for while it runs."""
        with self.yard.database.write() as connection:
            batch_predictions.change_status(connection, asked.number, old=Status.RUNNING, new=status)

    def bury(self, *, owner: str = OWNER, max_crashes: int = 3) -> None:
        """What the parent of a process that died does."""
        with self.yard.database.write() as connection:
            batch_leases.crashed(connection, owner=owner, max_crashes=max_crashes, back_off_seconds=0)

    def make_due(self, asked: BatchPredictionRow) -> None:
        """Its wait is over."""
        with self.yard.database.write() as connection:
            connection.execute(update(table).where(table.c.number == asked.number).values(claimable_at=0))

    def lose(self, asked: BatchPredictionRow) -> None:
        """The lease ran out, and another process has claimed it."""
        change = update(table).where(table.c.number == asked.number)
        with self.yard.database.write() as connection:
            connection.execute(change.values(attempt=table.c.attempt + 1, lease_owner="thief"))
